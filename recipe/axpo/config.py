# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the AXPO options (Hydra group ``axpo``)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from recipe.axpo.selection import FORKS, RANKINGS, TRIGGERS

AGENT_LOOP = "axpo_tool_agent"
AGENT_LOOP_CLASS = "recipe.axpo.agent_loop.AXPOToolAgentLoop"

MODEL, ACTOR, REF, ROLLOUT = (f"actor_rollout_ref.{group}" for group in ("model", "actor", "ref", "rollout"))


class ConfigError(ValueError):
    """A configuration that cannot run; the message names the option and the fix."""


@dataclass(frozen=True)
class AXPOConfig:
    """Hold the method's options, by default the paper's. ``config/axpo_trainer.yaml`` explains each in a sentence."""

    continuations: int = 4
    budget_ratio: float = 0.25
    trigger: str = "all_wrong"
    fork: str = "first"
    ranking: str = "confidence"
    correct_threshold: float = 1.0
    continuation_weight: float = 1.0
    prefix_credit: bool = True
    separate_groups: bool = True
    tool_bonus: float = 0.0
    early_release: bool = True
    session_timeout_s: float = 3600.0
    tool_timeout_s: float = 900.0
    barrier_timeout_s: float = 7200.0
    close_timeout_s: float = 7200.0
    seed: int = 0
    session_seeds: bool = False
    trace_engine_calls: bool = False
    plugins: tuple[str, ...] = ("verl_ext.axpo_plugin",)

    def __post_init__(self):
        def check(ok: bool, name: str, needs: str) -> None:
            if not ok:
                raise ConfigError(f"axpo.{name} must be {needs}, got {getattr(self, name)!r}")

        def is_int(value: Any) -> bool:
            return isinstance(value, int) and not isinstance(value, bool)

        def is_finite(value: Any) -> bool:
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

        check(is_int(self.continuations) and self.continuations >= 2, "continuations", "an integer of at least 2 (K)")
        check(is_finite(self.budget_ratio) and self.budget_ratio >= 0, "budget_ratio", "a number of at least 0 (r)")
        check(self.trigger in tuple(TRIGGERS), "trigger", f"one of {', '.join(TRIGGERS)}")
        check(self.fork in tuple(FORKS), "fork", f"one of {', '.join(FORKS)}")
        check(self.ranking in tuple(RANKINGS), "ranking", f"one of {', '.join(RANKINGS)}")
        if not TRIGGERS[self.trigger].used_tool:
            check(FORKS[self.fork].cut == "thinking", "fork", f"after_thinking with axpo.trigger={self.trigger}")
        for name in ("correct_threshold", "tool_bonus"):
            check(is_finite(getattr(self, name)), name, "a finite number")
        check(
            is_finite(self.continuation_weight) and self.continuation_weight >= 0,
            "continuation_weight",
            "a number of at least 0",
        )
        check(is_int(self.seed), "seed", "an integer")
        for name in ("prefix_credit", "separate_groups", "early_release", "session_seeds", "trace_engine_calls"):
            check(isinstance(getattr(self, name), bool), name, "true or false")
        for name in ("session_timeout_s", "tool_timeout_s", "barrier_timeout_s", "close_timeout_s"):
            check(
                is_finite(getattr(self, name)) and getattr(self, name) > 0, name, "a finite number of seconds above 0"
            )
        session = f"axpo.session_timeout_s ({self.session_timeout_s})"
        check(self.tool_timeout_s < self.session_timeout_s, "tool_timeout_s", f"smaller than {session}")
        for name in ("barrier_timeout_s", "close_timeout_s"):
            check(getattr(self, name) > self.session_timeout_s, name, f"larger than {session}")

    @classmethod
    def from_config(cls, config: DictConfig) -> AXPOConfig:
        """Read the ``axpo`` group of a whole Hydra configuration.

        Raises:
            ConfigError: for an unknown option or a value that does not fit.
        """
        group = OmegaConf.to_container(config.get("axpo", OmegaConf.create({})), resolve=True)
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(group) - known)
        if unknown:
            raise ConfigError(f"axpo.{unknown[0]} is no option of AXPO; there are {', '.join(sorted(known))}")
        if group.get("plugins") is None and "plugins" in group:
            group["plugins"] = []
        if isinstance(group.get("plugins"), list):
            group["plugins"] = tuple(group["plugins"])
        return cls(**group)


def branching_enabled(config: DictConfig) -> bool:
    """Return whether rollouts branch: ``algorithm.adv_estimator=axpo``. With ``grpo`` the program is stock verl."""
    return config.algorithm.adv_estimator == "axpo"
