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
"""From the tree of one question to the rows that are trained: the one place where masks and roles are made.

Invariant (one credit per token): over the rows of a question every generated token of the tree carries loss in at most
one row. A source row keeps its mask up to its fork, a continuation row from the fork on, an ordinary row all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recipe.axpo.advantage import Role
from recipe.axpo.selection import Candidate
from recipe.axpo.trajectory import Fork, Trajectory


@dataclass
class Session:
    """A settled session: verl's ``AgentLoopOutput`` (reward included), how it came about, the dataset's fields."""

    output: Any
    trajectory: Trajectory
    kwargs: dict[str, Any]
    fork: Fork | None = None


@dataclass(frozen=True)
class Row:
    """One row to be written: the output with the mask it is trained under, and the branch column."""

    output: Any
    response_mask: tuple[int, ...]
    kwargs: dict[str, Any]
    column: dict[str, Any]


def _column(session: Session, role: Role, **values: Any) -> dict[str, Any]:
    """The branch column of a row: what the estimator, the dump and a reader need to know of its place in the tree."""
    column = {
        "role": int(role),
        "prefix_group": None,
        "recovery_reward": None,
        "source_session": None,
        "prefix_length": None,
        "confidence": None,
        "turn": None,
        "engine_calls": [
            {"prompt_ids": list(call.prompt_ids), "token_ids": list(call.token_ids)}
            for call in session.trajectory.engine_calls
        ],
    }
    return {**column, **values}


def build_rows(
    uid: str,
    sessions: Mapping[int, Session],
    selected: Sequence[Candidate],
    branches: Mapping[int, Sequence[int]],
    *,
    correct_threshold: float = 1.0,
) -> tuple[list[Row], list[list[float | None]]]:
    """Linearise a question's tree.

    Args:
        uid: the question.
        sessions: settled sessions by number: N ordinary ones and the continuations; failed ones are missing.
        selected: the question's selected prefixes.
        branches: for each selected session the numbers of its continuations.
        correct_threshold: a reward of at least this is correct (Eq. 3).

    Returns:
        rows: one for each settled session. A source none of whose continuations settled is an ordinary row again:
            nothing was learned about its prefix.
        outcomes: for each of ``selected`` the rewards of its continuations, None where one failed.
    """
    continuation_numbers = {number for numbers in branches.values() for number in numbers}
    spans = {candidate.session: candidate.span for candidate in selected}
    rows, outcomes = [], []
    for candidate in selected:
        settled = [sessions.get(number) for number in branches[candidate.session]]
        outcomes.append([None if s is None else float(s.output.reward_score) for s in settled])
    rewards = {candidate.session: outcome for candidate, outcome in zip(selected, outcomes, strict=True)}

    for number, session in sorted(sessions.items()):
        mask = tuple(session.output.response_mask)
        if number in continuation_numbers:
            fork = session.fork
            length = len(fork.response_ids)
            mask = (0,) * length + mask[length:]
            source, span, role, recovery = fork.source_session, fork.span, Role.CONTINUATION, None
        else:
            known = [reward for reward in rewards.get(number, ()) if reward is not None]
            if not known:
                rows.append(Row(session.output, mask, session.kwargs, _column(session, Role.ROLLOUT)))
                continue
            source, span, role = number, spans[number], Role.SOURCE
            recovery = float(any(reward >= correct_threshold for reward in known))
            mask = mask[: span.fork] + (0,) * (len(mask) - span.fork)
        column = _column(
            session,
            role,
            prefix_group=f"{uid}:{source}:{span.fork}",
            recovery_reward=recovery,
            source_session=source,
            prefix_length=span.fork,
            confidence=span.confidence,
            turn=span.turn,
        )
        rows.append(Row(session.output, mask, session.kwargs, column))
    return rows, outcomes
