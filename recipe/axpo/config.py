# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""The AXPO options (Hydra group ``axpo``) and every check that can be made before Ray starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recipe.axpo.selection import FORKS, RANKINGS

AGENT_LOOP = "axpo_tool_agent"
ESTIMATORS = ("axpo", "grpo")
REWARD = "pkg://recipe.axpo.reward"


class ConfigError(ValueError):
    """A configuration that cannot run; the message names the option and the fix."""


@dataclass(frozen=True)
class AXPOConfig:
    """Options of the method; defaults are the paper's. ``config/axpo_trainer.yaml`` explains each in a sentence."""

    continuations: int = 4
    budget_ratio: float = 0.25
    fork: str = "first"
    ranking: str = "confidence"
    correct_threshold: float = 1.0
    continuation_weight: float = 1.0
    seed: int = 0
    session_seeds: bool = False
    trace_engine_calls: bool = False

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
        check(self.fork in FORKS, "fork", f"one of {', '.join(FORKS)}")
        check(self.ranking in RANKINGS, "ranking", f"one of {', '.join(RANKINGS)}")
        check(is_finite(self.correct_threshold), "correct_threshold", "a finite number")
        check(
            is_finite(self.continuation_weight) and self.continuation_weight >= 0,
            "continuation_weight",
            "a number of at least 0",
        )
        check(is_int(self.seed), "seed", "an integer")
        check(isinstance(self.session_seeds, bool), "session_seeds", "true or false")
        check(isinstance(self.trace_engine_calls, bool), "trace_engine_calls", "true or false")

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
        return cls(**group)


def branching_enabled(config: DictConfig) -> bool:
    """Whether rollouts branch: ``algorithm.adv_estimator=axpo``. With ``grpo`` the program is stock verl."""
    return config.algorithm.adv_estimator == "axpo"


def validate_axpo_config(config: DictConfig) -> AXPOConfig:
    """Check everything that would otherwise fail, or silently do something else, after minutes of start-up.

    Raises:
        ConfigError: naming the option and what to set.
    """
    options = AXPOConfig.from_config(config)
    for message in _problems(config):
        raise ConfigError(message)
    return options


def _problems(config: DictConfig) -> Iterator[str]:
    """Yield what is wrong, most basic first."""
    from recipe.axpo.preflight import data_problems, scoring_problems  # it needs this module

    algorithm, rollout = config.algorithm, config.actor_rollout_ref.rollout
    actor, v1 = config.actor_rollout_ref.actor, config.trainer.v1

    if algorithm.adv_estimator not in ESTIMATORS:
        yield f"algorithm.adv_estimator must be axpo or grpo here, got {algorithm.adv_estimator!r}"
    if not config.trainer.get("use_v1", True):
        yield "trainer.use_v1 must be true: the branching rollout lives in verl's V1 trainer"
    if v1.trainer_mode != "sync":
        yield (
            f"trainer.v1.trainer_mode must be sync, got {v1.trainer_mode!r}: the batch's budget is allotted once all "
            "of its questions have settled, which asynchronous modes never wait for"
        )
    if not rollout.multi_turn.enable:
        yield "actor_rollout_ref.rollout.multi_turn.enable must be true: the agent answers after calling tools"
    for name in ("max_assistant_turns", "max_user_turns"):
        turns = rollout.multi_turn.get(name)
        if turns is not None and turns < 1:
            yield f"actor_rollout_ref.rollout.multi_turn.{name} must be at least 1 (or null: no limit), got {turns}"
    if not rollout.calculate_log_probs:
        yield (
            "actor_rollout_ref.rollout.calculate_log_probs must be true: forks are ranked by the probabilities of the "
            "sampled tokens"
        )
    if rollout.n < 2:
        yield f"actor_rollout_ref.rollout.n must be at least 2 (rollouts a question are compared with), got {rollout.n}"
    reward_model = config.reward.reward_model
    if reward_model.enable and not reward_model.enable_resource_pool:
        yield (
            "reward.reward_model.enable=true needs reward.reward_model.enable_resource_pool=true: a colocated reward "
            "model scores after the rollout, but branching needs each reward while the rollout engine is up"
        )
    if branching_enabled(config):
        yield from _branching_problems(config, algorithm, rollout, actor)
    yield from data_problems(config)
    yield from scoring_problems(config)


def _branching_problems(config, algorithm, rollout, actor) -> Iterator[str]:
    if config.data.train_batch_size % actor.ppo_mini_batch_size:
        yield (
            f"data.train_batch_size ({config.data.train_batch_size}) must be a multiple of "
            f"actor_rollout_ref.actor.ppo_mini_batch_size ({actor.ppo_mini_batch_size})"
        )
    if actor.shuffle:
        yield "actor_rollout_ref.actor.shuffle must be false: extra rows ride in the mini-batch of their question"
    if rollout.full_determinism:
        yield (
            "actor_rollout_ref.rollout.full_determinism must be false: it gives every request one seed, so the "
            "continuations of a prefix would be copies; use axpo.session_seeds=true for repeatable sampling"
        )
    if algorithm.use_kl_in_reward:
        yield "algorithm.use_kl_in_reward must be false: AXPO's KL term is a loss (actor_rollout_ref.actor.use_kl_loss)"
    if algorithm.filter_groups.enable:
        yield "algorithm.filter_groups.enable must be false: its refills have no place in a budget of the whole batch"
    correction = algorithm.get("rollout_correction")
    if correction is not None and (correction.get("rollout_is") or correction.get("rollout_rs")):
        yield "algorithm.rollout_correction.rollout_is and .rollout_rs must be null: not implemented for branch rows"
    if config.critic.get("enable"):
        yield "critic.enable must be null or false: AXPO has no value function"
    if config.distillation.get("enabled") or config.distillation.get("enable"):
        yield "distillation must be disabled: not implemented for branch rows"
    if rollout.multi_turn.get("max_parallel_calls", 1) != 1:
        yield "actor_rollout_ref.rollout.multi_turn.max_parallel_calls must be 1: a fork is one call of a turn"
    if rollout.get("enable_rollout_routing_replay"):
        yield "actor_rollout_ref.rollout.enable_rollout_routing_replay must be false: not implemented for branch rows"
