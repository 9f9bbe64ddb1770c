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
"""AXPO advantages in separate streams (AXPO, section 2, step 6; Eq. 2-4), registered with verl as "axpo".

A batch holds three kinds of rows:

    ROLLOUT       an ordinary rollout: GRPO within its question, from the rewards as they were
    SOURCE        a rollout whose prefix was resampled: trained on the prefix only, with the recovery reward in place
                  of its own (Eq. 3, 4)
    CONTINUATION  one of the K samples from that prefix: trained on what it added only, normalised among the K (Eq. 2)

Each stream is normalised on its own: a recovery never changes the advantage of a rollout that was not selected, so in
an all-wrong group those stay at zero. Which tokens a row trains is decided by its response mask, not here.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from enum import IntEnum
from numbers import Real
from typing import Any

import torch
from verl.trainer.ppo.core_algos import register_adv_est


class Role(IntEnum):
    """What a row of the batch is; see the module's docstring."""

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
    epsilon: float = 1e-6,
    norm_adv_by_std_in_grpo: bool = True,
    config: Any = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute outcome advantages of B rows with T response tokens. Without branches this is verl's GRPO, bit for bit.

    A group of one has mean 0 and standard deviation 1, as in verl; the standard deviation is the sample's (N - 1).
    A continuation whose siblings are all missing has no baseline: its advantage is 0.

    Args:
        token_level_rewards: (B, T); the sum over T is the row's own outcome reward, whatever its role.
        response_mask: (B, T); on SOURCE rows restricted to the prefix, on CONTINUATION rows to what was resampled.
        index: (B,) question of each row.
        role: (B,) values of `Role`.
        prefix_group: (B,) id of the fork that a SOURCE or CONTINUATION row belongs to. None on ROLLOUT rows; where a
            column cannot hold None: NaN, a negative integer or an empty string.
        recovery_reward: (B,) Eq. 3 on SOURCE rows, 1.0 if any continuation was correct, else 0.0; unread elsewhere.
        epsilon: added to the standard deviation.
        norm_adv_by_std_in_grpo: divide by the standard deviation (GRPO) or not (Dr. GRPO).
        config: verl's algorithm configuration; nothing in it is read.

        `index`, `role`, `prefix_group` and `recovery_reward` may be lists, numpy arrays or tensors.

    Returns:
        advantages and returns, the same (B, T) float32 tensor.

    Raises:
        ValueError: shapes or lengths that disagree, an unknown role, a branch row without a prefix_group, a SOURCE row
            without a finite recovery_reward, two SOURCE rows of one prefix_group, a CONTINUATION row whose
            prefix_group has no SOURCE row or belongs to another question.
    """
    rows = _Rows(token_level_rewards, response_mask, index, role, prefix_group, recovery_reward)
    rewards = token_level_rewards.float().sum(dim=-1)
    advantages = torch.zeros_like(rewards)

    def normalise(group_rewards: torch.Tensor) -> torch.Tensor:
        # The operations of verl's GRPO in their order, so that both give the same bits.
        alone = len(group_rewards) == 1
        centred = group_rewards - (0.0 if alone else group_rewards.mean())
        if not norm_adv_by_std_in_grpo:
            return centred
        return centred / (torch.ones_like(rewards[0]) + epsilon if alone else group_rewards.std() + epsilon)

    for members in rows.original_groups.values():
        group_rewards = rewards[members]
        group_advantages = normalise(group_rewards)
        for position, row in enumerate(members):
            if rows.role[row] == Role.SOURCE:  # Eq. 4, each source on its own: the others' rewards as they were
                with_recovery = group_rewards.clone()
                with_recovery[position] = rows.recovery_reward[row]
                advantages[row] = normalise(with_recovery)[position]
            else:
                advantages[row] = group_advantages[position]

    for members in rows.continuation_groups.values():  # Eq. 2
        if len(members) > 1:  # one survivor of K (the others failed on our side) has nothing to be compared with: 0
            advantages[members] = normalise(rewards[members])

    token_advantages = advantages.unsqueeze(-1) * response_mask.to(advantages.dtype)
    return token_advantages, token_advantages


class _Rows:
    """The branch columns, checked and grouped."""

    def __init__(self, token_level_rewards, response_mask, index, role, prefix_group, recovery_reward):
        if token_level_rewards.ndim != 2 or response_mask.shape != token_level_rewards.shape:
            raise ValueError(
                "response_mask must have the shape (B, T) of token_level_rewards; got "
                f"{tuple(response_mask.shape)} and {tuple(token_level_rewards.shape)}"
            )
        size = len(token_level_rewards)
        question = _column("index", index, size)
        self.role = [_role(value, row) for row, value in enumerate(_column("role", role, size))]
        groups = [_group_id(value) for value in _column("prefix_group", prefix_group, size)]
        self.recovery_reward = _column("recovery_reward", recovery_reward, size)
        self.original_groups: dict[Hashable, list[int]] = defaultdict(list)
        self.continuation_groups: dict[Hashable, list[int]] = defaultdict(list)

        source_of: dict[Hashable, int] = {}
        for row in range(size):
            if self.role[row] != Role.ROLLOUT and groups[row] is None:
                raise ValueError(f"prefix_group is missing on row {row}, a {self.role[row].name} row")
            if self.role[row] == Role.CONTINUATION:
                self.continuation_groups[groups[row]].append(row)
                continue
            self.original_groups[question[row]].append(row)
            if self.role[row] == Role.SOURCE:
                if groups[row] in source_of:
                    raise ValueError(
                        f"prefix_group {groups[row]!r} has two SOURCE rows, {source_of[groups[row]]} and {row}"
                    )
                source_of[groups[row]] = row
                recovery = self.recovery_reward[row]
                if recovery is None or not math.isfinite(recovery):
                    raise ValueError(f"recovery_reward of SOURCE row {row} must be a finite number, got {recovery}")

        for group, members in self.continuation_groups.items():
            if group not in source_of:
                raise ValueError(f"prefix_group {group!r} of CONTINUATION row {members[0]} has no SOURCE row")
            for row in members:
                if question[row] != question[source_of[group]]:
                    raise ValueError(f"index of CONTINUATION row {row} differs from that of prefix_group {group!r}")


def _column(name: str, values: Any, size: int) -> list:
    """A checked column as a list of Python objects, from a list, an array or a tensor."""
    if values is None:
        raise ValueError(f"{name} is None")
    column = values.tolist() if hasattr(values, "tolist") else list(values)
    if len(column) != size:
        raise ValueError(f"{name} has {len(column)} entries for {size} rows")
    return column


def _role(value: Any, row: int) -> Role:
    try:
        return Role(value)
    except ValueError:
        raise ValueError(f"role of row {row} must be one of {[int(role) for role in Role]}, got {value!r}") from None


def _group_id(value: Any) -> Hashable | None:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Real) and value < 0:
        return None
    return None if value == "" else value
