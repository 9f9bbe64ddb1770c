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
"""Rows of a question's tree, against a slow reference that credits one tree node at a time.

A token of the tree is named by the session that generated it and its position there: a continuation shares its prefix
with its source by position, which is how the reference knows what is the same token.
"""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.axpo.advantage import Role
from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.rows import Session, build_rows
from recipe.axpo.selection import Candidate
from recipe.axpo.trajectory import EngineCall, Fork, Trajectory, TurnSnapshot

N = 4


def session(number, mask, reward=0.0, fork=None):
    """``number`` with ``len(mask)`` response tokens; token ids say who generated them."""
    ids = [1000 * number + position for position in range(len(mask))]
    if fork is not None:
        ids[: len(fork.response_ids)] = fork.response_ids
    output = SimpleNamespace(response_ids=ids, response_mask=list(mask), reward_score=reward)
    trajectory = Trajectory(f"r{number}", engine_calls=[EngineCall((1, 2), (3,), None)] if number == 0 else [])
    return Session(output, trajectory, {"session_id": number, "uid": "q"}, fork)


def fork_of(source, span):
    output = source.output
    prefix = slice(0, span.fork)
    return Fork(
        source_session=source.kwargs["session_id"],
        span=span,
        request_id="r",
        snapshot=TurnSnapshot(0, (), None, 0, 0),
        prompt_ids=(),
        response_ids=tuple(output.response_ids[prefix]),
        response_mask=tuple(output.response_mask[prefix]),
        response_logprobs=(0.0,) * span.fork,
    )


def tree(masks, rewards, forks, continuations):
    """The worker's view of a question.

    Args:
        masks, rewards: of the N sources; None for a session that failed.
        forks: source session -> fork position.
        continuations: source session -> list of (mask after the fork, reward), None for one that failed.
    """
    sessions = {i: session(i, mask, rewards[i]) for i, mask in enumerate(masks) if mask is not None}
    selected, branches, number = [], {}, len(masks)
    for source, position in forks.items():
        span = ToolCallSpan(turn=1, start=position - 1, end=position + 3, fork=position, confidence=0.25)
        selected.append(Candidate("q", source, span))
        fork = fork_of(sessions[source], span)
        branches[source] = []
        for continuation in continuations[source]:
            branches[source].append(number)
            if continuation is not None:
                rest, reward = continuation
                sessions[number] = session(number, fork.response_mask + tuple(rest), reward, fork)
            number += 1
    return sessions, selected, branches


def trained(rows):
    """How many rows carry loss on each generated token, by token id (unique in a tree)."""
    return Counter(
        token for row in rows for token, mask in zip(row.output.response_ids, row.response_mask, strict=True) if mask
    )


# --------------------------------------------------------------- by hand


G, T = [1] * 6, [0] * 2  # six generated tokens, two of a tool answer
EXAMPLE = tree(
    masks=[G + T + G, G, None, G + T + G],
    rewards=[0.0, 1.0, None, 0.0],
    forks={0: 4, 3: 10},
    continuations={0: [([1, 1, 0, 1], 1.0), None], 3: [([1, 1], 0.0), ([1, 1, 1], 0.0)]},
)


def test_one_question_by_hand():
    rows, outcomes = build_rows("q", *EXAMPLE)
    assert outcomes == [[1.0, None], [0.0, 0.0]]
    seen = [
        (row.kwargs["session_id"], Role(row.column["role"]).name, row.column["prefix_group"], list(row.response_mask))
        for row in rows
    ]
    assert seen == [
        (0, "SOURCE", "q:0:4", [1] * 4 + [0] * 10),
        (1, "ROLLOUT", None, G),  # 2 has failed: no row
        (3, "SOURCE", "q:3:10", G + T + [1] * 2 + [0] * 4),
        (4, "CONTINUATION", "q:0:4", [0] * 4 + [1, 1, 0, 1]),  # 5 has failed
        (6, "CONTINUATION", "q:3:10", [0] * 10 + [1, 1]),
        (7, "CONTINUATION", "q:3:10", [0] * 10 + [1, 1, 1]),
    ]
    columns = {row.kwargs["session_id"]: row.column for row in rows}
    assert {n: c["recovery_reward"] for n, c in columns.items()} == {0: 1.0, 1: None, 3: 0.0, 4: None, 6: None, 7: None}
    assert {n: c["source_session"] for n, c in columns.items()} == {0: 0, 1: None, 3: 3, 4: 0, 6: 3, 7: 3}
    assert {n: c["prefix_length"] for n, c in columns.items()} == {0: 4, 1: None, 3: 10, 4: 4, 6: 10, 7: 10}
    assert {n: c["confidence"] for n, c in columns.items()} == {0: 0.25, 1: None, 3: 0.25, 4: 0.25, 6: 0.25, 7: 0.25}
    assert columns[0]["engine_calls"] == [{"prompt_ids": [1, 2], "token_ids": [3]}]
    assert columns[1]["engine_calls"] == []


def test_without_branches_rows_are_as_they_were():
    sessions, _, _ = EXAMPLE
    ordinary = {number: sessions[number] for number in (0, 1, 3)}
    rows, outcomes = build_rows("q", ordinary, [], {})
    assert outcomes == []
    assert [list(row.response_mask) for row in rows] == [s.output.response_mask for s in ordinary.values()]
    assert {row.column["role"] for row in rows} == {Role.ROLLOUT}
    assert {row.column["prefix_group"] for row in rows} == {None}


def test_source_with_no_continuation_left_is_an_ordinary_rollout_again():
    rows, outcomes = build_rows("q", *tree([G, G], [0.0, 0.0], {0: 3, 1: 3}, {0: [None, None], 1: [None, ([1], 0.0)]}))
    assert outcomes == [[None, None], [None, 0.0]]
    assert [Role(row.column["role"]).name for row in rows] == ["ROLLOUT", "SOURCE", "CONTINUATION"]
    assert list(rows[0].response_mask) == G and rows[0].column["prefix_group"] is None
    assert rows[1].column["recovery_reward"] == 0.0


def test_nothing_settled():
    assert build_rows("q", {}, [], {}) == ([], [])


@pytest.mark.parametrize(
    "rewards, threshold, recovery",
    [
        ([0.0, 0.0], 1.0, 0.0),
        ([0.0, 1.0], 1.0, 1.0),
        ([0.5, 0.9], 1.0, 0.0),
        ([0.5, 0.9], 0.9, 1.0),
        ([None, 1.0], 1.0, 1.0),
        ([None, 0.0], 1.0, 0.0),
        ([-1.0, 0.0], 0.0, 1.0),
    ],
)
def test_recovery_reward(rewards, threshold, recovery):
    """Eq. 3: 1 if any continuation that settled is correct."""
    lost = [None if reward is None else ([1], reward) for reward in rewards]
    rows, outcomes = build_rows("q", *tree([G], [0.0], {0: 3}, {0: lost}), correct_threshold=threshold)
    assert rows[0].column["recovery_reward"] == recovery
    assert outcomes == [rewards]


def test_outputs_are_not_changed():
    sessions, selected, branches = EXAMPLE
    before = {number: list(s.output.response_mask) for number, s in sessions.items()}
    build_rows("q", sessions, selected, branches)
    assert {number: list(s.output.response_mask) for number, s in sessions.items()} == before


# --------------------------------------------------------------- any tree


masks = st.lists(st.integers(0, 1), min_size=3, max_size=12)
rewards = st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def trees(draw):
    number = draw(st.integers(1, N))
    sources = [draw(st.none() | masks) for _ in range(number)]
    settled = [i for i, mask in enumerate(sources) if mask is not None]
    chosen = draw(st.lists(st.sampled_from(settled), unique=True)) if settled else []
    forks = {i: draw(st.integers(1, len(sources[i]) - 1)) for i in chosen}
    continuations = {
        i: draw(
            st.lists(st.none() | st.tuples(st.lists(st.integers(0, 1), max_size=6), rewards), min_size=2, max_size=3)
        )
        for i in chosen
    }
    return tree(sources, [draw(rewards) for _ in sources], forks, continuations)


@settings(max_examples=200, deadline=None)
@given(trees())
def test_one_credit_per_token(question):
    """Every generated token carries loss in exactly one row; the failed end of a resampled source in none."""
    sessions, selected, branches = question
    rows, _ = build_rows("q", sessions, selected, branches)
    expected = Counter()
    for number, settled in sessions.items():
        position_of_fork = {candidate.session: candidate.span.fork for candidate in selected}.get(number)
        resampled = position_of_fork is not None and any(n in sessions for n in branches[number])
        for position, (token, generated) in enumerate(
            zip(settled.output.response_ids, settled.output.response_mask, strict=True)
        ):
            shared = token // 1000 != number  # the prefix of a continuation: its source's token
            failed_end = resampled and position >= position_of_fork
            if generated and not shared and not failed_end:
                expected[token] = 1
    assert trained(rows) == expected


@settings(max_examples=200, deadline=None)
@given(trees())
def test_rows_against_the_slow_reference(question):
    sessions, selected, branches = question
    rows, outcomes = build_rows("q", sessions, selected, branches)
    assert [row.kwargs["session_id"] for row in rows] == sorted(sessions)
    parent = {n: source for source, numbers in branches.items() for n in numbers}
    forks = {candidate.session: candidate.span.fork for candidate in selected}
    for row in rows:
        number = row.kwargs["session_id"]
        siblings = branches.get(parent.get(number, number), [])
        alive = [sessions[n].output.reward_score for n in siblings if n in sessions]
        if number in parent:
            role, group, recovery = Role.CONTINUATION, f"q:{parent[number]}:{forks[parent[number]]}", None
        elif alive:
            role, group, recovery = Role.SOURCE, f"q:{number}:{forks[number]}", float(max(alive) >= 1.0)
        else:
            role, group, recovery = Role.ROLLOUT, None, None
        column = row.column
        assert (column["role"], column["prefix_group"], column["recovery_reward"]) == (role, group, recovery)
        assert row.output is sessions[number].output
    expected = [
        [sessions[n].output.reward_score if n in sessions else None for n in branches[candidate.session]]
        for candidate in selected
    ]
    assert outcomes == expected
