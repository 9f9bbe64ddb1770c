# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The AXPO advantage estimator (Eq. 2-4), registered with verl as ``axpo``.

A batch holds three kinds of rows. With r_i the outcome reward of rollout i of a question, and r_1..r_K the rewards of
the K continuations of one prefix:

    ROLLOUT        A_i = (r_i - mean(r_1..r_N)) / std(r_1..r_N)         ordinary GRPO, from the rewards as they were

    CONTINUATION   A_k = (r_k - mean(r_1..r_K)) / std(r_1..r_K)         (Eq. 2) among the K of its prefix only

    SOURCE         r_prefix = 1 if any r_k is correct, else 0           (Eq. 3)
                   A = (r_prefix - mean(r')) / std(r')                  (Eq. 4)
                   r' = r_1..r_N with the source's own reward replaced by r_prefix

Each stream is normalised on its own. A recovery never changes the advantage of a rollout that was not selected: in an
all-wrong group those stay at zero. Several sources of one group apply Eq. 4 each on its own, the others' rewards as
they were. The response mask decides which tokens a row trains: a SOURCE row its prefix, a CONTINUATION row what was
resampled, a ROLLOUT row all of it. ``tree.py`` makes these rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from enum import IntEnum
from numbers import Real
from typing import Any

import torch

from verl.trainer.ppo.core_algos import register_adv_est


class Role(IntEnum):
    """Name what a row of the batch is; the module's docstring gives the credit of each."""

    ROLLOUT = 0
    SOURCE = 1
    CONTINUATION = 2


@register_adv_est("axpo")
@torch.no_grad()
def compute_axpo_advantage(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: Sequence[Hashable],
    *,
    role: Sequence[int],
    prefix_group: Sequence[Hashable | None],
    recovery_reward: Sequence[float | None],
    separate_groups: bool = True,
    epsilon: float = 1e-6,
    norm_adv_by_std_in_grpo: bool = True,
    config: Any = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute outcome advantages of B rows with T response tokens. Without branches this is verl's GRPO, bit for bit.

    The standard deviation is the sample's (N - 1). A group of one has mean 0 and standard deviation 1, as in verl. A
    continuation whose siblings are all missing has no baseline: its advantage is 0.

    Args:
        token_level_rewards: (B, T); the sum over T is the row's own outcome reward, whatever its role.
        response_mask: (B, T); on SOURCE rows restricted to the prefix, on CONTINUATION rows to what was resampled.
        index: (B,) question of each row.
        role: (B,) values of ``Role``.
        prefix_group: (B,) id of the fork that a SOURCE or CONTINUATION row belongs to. None on ROLLOUT rows; where a
            column cannot hold None: NaN, a negative integer or an empty string.
        recovery_reward: (B,) r_prefix (Eq. 3) on SOURCE rows, on the scale of the rewards; unread elsewhere.
        separate_groups: normalise each stream on its own. Otherwise (an ablation of the paper's) a question's rollouts
            and all of its continuations are one group, in which Eq. 4 replaces a source's own reward.
        epsilon: added to the standard deviation.
        norm_adv_by_std_in_grpo: divide by the standard deviation (GRPO) or not (Dr. GRPO).
        config: verl's algorithm configuration; nothing in it is read.

        ``index``, ``role``, ``prefix_group`` and ``recovery_reward`` may be lists, numpy arrays or tensors.

    Returns:
        advantages and returns, the same (B, T) float32 tensor.

    Raises:
        ValueError: shapes or lengths that disagree, an unknown role, a branch row without a prefix_group, a SOURCE row
            without a finite recovery_reward, two SOURCE rows of one prefix_group, a CONTINUATION row whose
            prefix_group has no SOURCE row or belongs to another question.
    """
    if token_level_rewards.ndim != 2 or response_mask.shape != token_level_rewards.shape:
        raise ValueError(
            "response_mask must have the shape (B, T) of token_level_rewards; got "
            f"{tuple(response_mask.shape)} and {tuple(token_level_rewards.shape)}"
        )
    size = len(token_level_rewards)
    question, recovery = _column("index", index, size), _column("recovery_reward", recovery_reward, size)
    roles = [_role(value, row) for row, value in enumerate(_column("role", role, size))]
    groups = [_group_id(value) for value in _column("prefix_group", prefix_group, size)]
    originals, continuations = _grouped(question, roles, groups, recovery)

    rewards = token_level_rewards.float().sum(dim=-1)
    advantages = torch.zeros_like(rewards)

    def normalise(group_rewards: torch.Tensor) -> torch.Tensor:
        # The operations of verl's GRPO in their order, so that both give the same bits.
        alone = len(group_rewards) == 1
        centred = group_rewards - (0.0 if alone else group_rewards.mean())
        if not norm_adv_by_std_in_grpo:
            return centred
        return centred / (torch.ones_like(rewards[0]) + epsilon if alone else group_rewards.std() + epsilon)

    if not separate_groups:
        for rows in continuations.values():
            originals[question[rows[0]]] += rows
        continuations = {}
    for rows in originals.values():
        group_rewards = rewards[rows]
        group_advantages = normalise(group_rewards)
        for place, row in enumerate(rows):
            advantages[row] = group_advantages[place]
            if roles[row] == Role.SOURCE:  # Eq. 4
                replaced = group_rewards.clone()
                replaced[place] = recovery[row]
                advantages[row] = normalise(replaced)[place]
    for rows in continuations.values():  # Eq. 2
        if len(rows) > 1:
            advantages[rows] = normalise(rewards[rows])

    token_advantages = advantages.unsqueeze(-1) * response_mask.to(advantages.dtype)
    return token_advantages, token_advantages


def _grouped(question: list, roles: list[Role], groups: list, recovery: list) -> tuple[dict, dict]:
    """Check the columns; return the original rows of each question and the continuation rows of each prefix."""
    originals: dict[Hashable, list[int]] = defaultdict(list)
    continuations: dict[Hashable, list[int]] = defaultdict(list)
    source_of: dict[Hashable, int] = {}
    for row, (role, group) in enumerate(zip(roles, groups, strict=True)):
        if role != Role.ROLLOUT and group is None:
            raise ValueError(f"prefix_group is missing on row {row}, a {role.name} row")
        if role == Role.CONTINUATION:
            continuations[group].append(row)
            continue
        originals[question[row]].append(row)
        if role == Role.SOURCE:
            if group in source_of:
                raise ValueError(f"prefix_group {group!r} has two SOURCE rows, {source_of[group]} and {row}")
            if recovery[row] is None or not math.isfinite(recovery[row]):
                raise ValueError(f"recovery_reward of SOURCE row {row} must be a finite number, got {recovery[row]}")
            source_of[group] = row
    for group, rows in continuations.items():
        if group not in source_of:
            raise ValueError(f"prefix_group {group!r} of CONTINUATION row {rows[0]} has no SOURCE row")
        for row in rows:
            if question[row] != question[source_of[group]]:
                raise ValueError(f"index of CONTINUATION row {row} differs from that of prefix_group {group!r}")
    return originals, continuations


def _column(name: str, values: Any, size: int) -> list:
    """Check a column and return it as a list of Python objects, from a list, an array or a tensor."""
    if values is None:
        raise ValueError(f"{name} is None")
    column = values.tolist() if hasattr(values, "tolist") else list(values)
    if len(column) != size:
        raise ValueError(f"{name} has {len(column)} entries for {size} rows")
    return column


def _role(value: Any, row: int) -> Role:
    """Convert a value of the role column."""
    try:
        return Role(value)
    except ValueError:
        raise ValueError(f"role of row {row} must be one of {[int(role) for role in Role]}, got {value!r}") from None


def _group_id(value: Any) -> Hashable | None:
    """Convert a value of the prefix_group column; NaN, negative numbers and the empty string mean None."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Real) and value < 0:
        return None
    return None if value == "" else value
