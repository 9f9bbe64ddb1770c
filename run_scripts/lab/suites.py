# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Name the arms of the lab and the suites that compare them. An arm differs from ``axpo-g50`` in what its name says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

_N = "actor_rollout_ref.rollout.n"


@dataclass(frozen=True)
class Arm:
    """Describe a training run up to its seed.

    Attributes:
        name: directory of its runs, unique.
        title: what a plot's legend says.
        guess_accuracy: how often the image's hint is right, which is what guessing earns.
        overrides: Hydra overrides of ``recipe.axpo.main_axpo`` with ``+hardware=cpu``.
    """

    name: str
    title: str
    guess_accuracy: float
    overrides: tuple[str, ...] = ()

    @property
    def rollouts(self) -> int:
        """Return the number of rollouts of a question, 8 unless overridden."""
        return next((int(text.removeprefix(f"{_N}=")) for text in self.overrides if text.startswith(f"{_N}=")), 8)


@dataclass(frozen=True)
class Suite:
    """Compare arms.

    Attributes:
        help: the question that it answers.
        arms: names, the reference first.
        seeds: number of seeds by default.
    """

    help: str
    arms: tuple[str, ...]
    seeds: int = 3


_GRPO = ("algorithm.adv_estimator=grpo",)


def _at(guess: float) -> list[Arm]:
    """Return the arms of the suite ``gap`` at one guess accuracy."""
    tag = f"g{round(100 * guess)}"
    return [
        Arm(f"grpo-{tag}", "GRPO", guess, _GRPO),
        Arm(f"grpo-n10-{tag}", "GRPO, rollouts x1.25", guess, (*_GRPO, f"{_N}=10")),
        Arm(f"grpo-n16-{tag}", "GRPO, rollouts x2", guess, (*_GRPO, f"{_N}=16")),
        Arm(f"axpo-{tag}", "AXPO", guess),
    ]


def _rates() -> list[Arm]:
    """Return both estimators at learning rates around the default, 5e-5."""
    return [
        replace(arm, name=f"{arm.name}-lr{rate}", title=f"{arm.title}, {rate}", overrides=(*arm.overrides, option))
        for arm in (Arm("grpo-g50", "GRPO", 0.5, _GRPO), Arm("axpo-g50", "AXPO", 0.5))
        for rate in ("2e-5", "1e-4")
        for option in (f"actor_rollout_ref.actor.optim.lr={rate}",)
    ]


_VARIED = [
    Arm("most-confident-g50", "most confident first", 0.5, ("axpo.ranking=most_confident",)),
    Arm("r0125-g50", "r = 0.125", 0.5, ("axpo.budget_ratio=0.125",)),
    Arm("r05-g50", "r = 0.5", 0.5, ("axpo.budget_ratio=0.5",)),
    Arm("entropy-g50", "entropy", 0.5, ("axpo.ranking=entropy",)),
    Arm("partly-wrong-g50", "partly wrong subgroups, too", 0.5, ("axpo.trigger=partly_wrong",)),
]

_ABLATED = [
    Arm("random-g50", "random ranking", 0.5, ("axpo.ranking=random",)),
    Arm("no-prefix-g50", "no prefix credit", 0.5, ("axpo.prefix_credit=false",)),
    Arm("one-group-g50", "no separate groups", 0.5, ("axpo.separate_groups=false",)),
]

# The policy stays as it is: how often do 16 continuations of a failed prefix recover it, and 16 fresh rollouts?
_FROZEN = ("actor_rollout_ref.actor.optim.lr=0",)
_PROBES = [
    Arm("probe-k16", "16 continuations a prefix", 0.5, (*_FROZEN, "axpo.continuations=16", "axpo.budget_ratio=2.0")),
    Arm("probe-n24", "16 more rollouts a question", 0.5, (*_FROZEN, *_GRPO, f"{_N}=24")),
]

ARMS: Mapping[str, Arm] = {arm.name: arm for arm in [*_at(0.5), *_at(0.75), *_rates(), *_VARIED, *_ABLATED, *_PROBES]}

SUITES: Mapping[str, Suite] = {
    "gap": Suite(
        "Does AXPO keep the tool in use where GRPO unlearns it, and is it more than more rollouts?",
        ("grpo-g50", "grpo-n10-g50", "grpo-n16-g50", "axpo-g50"),
        seeds=5,
    ),
    "gap75": Suite(
        "The same where guessing is right three times out of four.",
        ("grpo-g75", "grpo-n10-g75", "grpo-n16-g75", "axpo-g75"),
    ),
    "rates": Suite(
        "Does the comparison depend on the learning rate?",
        ("grpo-g50", "axpo-g50", "grpo-g50-lr2e-5", "axpo-g50-lr2e-5", "grpo-g50-lr1e-4", "axpo-g50-lr1e-4"),
    ),
    "rankings": Suite(
        "Does it matter which calls are resampled first?",
        ("axpo-g50", "entropy-g50", "random-g50", "most-confident-g50"),
    ),
    "trigger": Suite(
        "Does it help to resample where some tool-using rollouts of a question are right?",
        ("axpo-g50", "partly-wrong-g50"),
    ),
    "ablations": Suite(
        "Which part of AXPO matters?", ("axpo-g50", "random-g50", "no-prefix-g50", "one-group-g50", "grpo-g50")
    ),
    "probe": Suite(
        "What does resampling find that fresh rollouts do not, with the policy as it is?", ("probe-k16", "probe-n24"), 1
    ),
    "budget": Suite("How much resampling is worth its cost?", ("axpo-g50", "r0125-g50", "r05-g50")),
}
