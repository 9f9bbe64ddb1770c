# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a question's tree: roles, masks, recovery, one credit per token.

A token of the tree is named by the session that generated it and its position there: a continuation shares its prefix
with its source by position, which is how the reference knows what is the same token.
"""

import math
import pickle
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.axpo.advantage import Role
from recipe.axpo.forks import NoForkReason, Reading, ToolCallSpan
from recipe.axpo.selection import Candidate
from recipe.axpo.trajectory import EngineCall, Fork, Trajectory, TurnSnapshot
from recipe.axpo.tree import BranchColumn, QuestionTree, check_images, recovery_reward

N, K = 4, 2


def output(number, mask, reward=0.0, prefix=()):
    """Output of session ``number`` with ``len(mask)`` response tokens; token ids say who generated them."""
    ids = [*prefix, *(1000 * number + position for position in range(len(prefix), len(mask)))]
    return SimpleNamespace(
        prompt_ids=[7, 8], response_ids=ids, response_mask=list(mask), response_logprobs=[-0.5] * len(mask),
        reward_score=reward,
    )  # fmt: skip


def trajectory(number=1):
    calls = [EngineCall((1, 2), (3,))] if number == 0 else []
    return Trajectory(turns=[TurnSnapshot(0, (), None, 0, 0)], executed_calls=1, engine_calls=calls)


class Case:
    """A question, played to its end.

    Args:
        masks, rewards: of the N rollouts; mask None for a session that failed.
        forks: source session -> fork position.
        continuations: source session -> list of (mask after the fork, reward), None for one that failed.
    """

    def __init__(self, masks, rewards, forks, continuations, threshold=1.0, **options):
        self.forks, self.outputs, self.parent = forks, {}, {}
        number_of_continuations = max((len(c) for c in continuations.values()), default=K)
        spans = {
            session: ToolCallSpan(turn=1, start=fork - 1, end=fork + 3, fork=fork, confidence=0.25)
            for session, fork in forks.items()
        }

        def read(output, executed_calls):
            session = next(n for n, o in self.outputs.items() if o is output)
            found = (spans[session],) if session in spans else ()
            return Reading(bool(found), found, None if found else NoForkReason.NO_CALL)

        self.tree = tree = QuestionTree(
            "q", len(masks), continuations=number_of_continuations, read=read, correct_threshold=threshold, **options
        )
        self.first_rows = {}
        for session, mask in enumerate(masks):
            if mask is None:
                tree.fail(session, RuntimeError("down"))
                continue
            self.outputs[session] = output(session, mask, rewards[session])
            self.first_rows[session] = tree.add(session, self.outputs[session], trajectory(session))
        self.settled = tree.settled()
        self.selected = [Candidate("q", session, span) for session, span in spans.items()]
        self.planned = tree.branch(self.selected)
        self.forks_by_session = dict(self.planned)
        for source, results in continuations.items():
            for k, result in enumerate(results):
                number = len(masks) + source * number_of_continuations + k
                self.parent[number] = source
                fork = self.forks_by_session[number]
                if result is None:
                    tree.fail(number, RuntimeError("down"))
                    continue
                rest, reward = result
                self.outputs[number] = output(number, fork.response_mask + tuple(rest), reward, fork.response_ids)
                tree.add(number, self.outputs[number], trajectory(), fork)
        self.rows = tree.rows()


def trained(case):
    """How many rows carry loss on each generated token, by token id (unique in a tree)."""
    return Counter(
        token
        for row in case.rows
        for token, mask in zip(case.outputs[row.column.session].response_ids, row.response_mask, strict=True)
        if mask
    )


# --------------------------------------------------------------- by hand


G, T = [1] * 6, [0] * 2  # six generated tokens, two of a tool answer


def example():
    return Case(
        masks=[G + T + G, G, None, G + T + G],
        rewards=[0.0, 1.0, None, 0.0],
        forks={0: 4, 3: 10},
        continuations={0: [([1, 1, 0, 1], 1.0), None], 3: [([1, 1], 0.0), ([1, 1, 1], 0.0)]},
    )


def test_one_question_by_hand():
    case = example()
    assert case.tree.outcomes() == [[1.0, None], [0.0, 0.0]]
    seen = [
        (row.column.session, row.column.role.name, row.column.prefix_group, list(row.response_mask))
        for row in case.rows
    ]
    # 2 has failed; the continuations of session s are N + s * K + k = 4, 5 and 10, 11, of which 5 has failed
    assert seen == [
        (0, "SOURCE", "q:0:4", [1] * 4 + [0] * 10),
        (1, "ROLLOUT", None, G),
        (3, "SOURCE", "q:3:10", G + T + [1] * 2 + [0] * 4),
        (4, "CONTINUATION", "q:0:4", [0] * 4 + [1, 1, 0, 1]),
        (10, "CONTINUATION", "q:3:10", [0] * 10 + [1, 1]),
        (11, "CONTINUATION", "q:3:10", [0] * 10 + [1, 1, 1]),
    ]
    columns = {row.column.session: row.column for row in case.rows}
    assert {n: c.recovery_reward for n, c in columns.items()} == {0: 1.0, 1: None, 3: 0.0, 4: None, 10: None, 11: None}
    assert {n: c.source_session for n, c in columns.items()} == {0: 0, 1: None, 3: 3, 4: 0, 10: 3, 11: 3}
    assert {n: c.prefix_length for n, c in columns.items()} == {0: 4, 1: None, 3: 10, 4: 4, 10: 10, 11: 10}
    assert {n: c.confidence for n, c in columns.items()} == {n: None if n == 1 else 0.25 for n in columns}
    assert columns[0].engine_calls == ({"prompt_ids": [1, 2], "token_ids": [3]},)
    assert columns[1].engine_calls == ()
    assert {c.question for c in columns.values()} == {"q"}
    assert set(case.tree.errors) == {2, 5}


def test_without_prefix_credit_a_source_trains_as_the_rollout_that_it_was():
    options = {"masks": [G + T + G, G], "rewards": [0.0, 1.0], "forks": {0: 4}}
    outcomes = {0: [([1, 1], 1.0), ([1], 0.0)]}
    with_credit, without = (Case(**options, continuations=outcomes, prefix_credit=credit) for credit in (True, False))
    source, other = with_credit.rows[0], without.rows[0]
    assert (source.column.recovery_reward, other.column.recovery_reward) == (1.0, 0.0)
    assert list(source.response_mask) == [1] * 4 + [0] * 10 and list(other.response_mask) == G + T + G
    assert with_credit.rows[1:] == without.rows[1:]
    assert set(trained(without).values()) == {1}


def test_rows_are_ordinary_until_the_selection_is_known():
    """They are written as they settle; only the sources' are credited anew."""
    case = example()
    assert {n: (row.column.role, list(row.response_mask)) for n, row in case.first_rows.items()} == {
        n: (Role.ROLLOUT, case.outputs[n].response_mask) for n in (0, 1, 3)
    }
    final = {row.column.session: row for row in case.rows}
    assert final[1] == case.first_rows[1] and final[0] != case.first_rows[0]


def test_continuations_of_a_prefix_share_a_fresh_request_id():
    case = example()
    assert [number for number, _ in case.planned] == [4, 5, 10, 11]
    ids = {number: fork.request_id for number, fork in case.planned}
    assert ids[4] == ids[5] != ids[10] == ids[11]
    assert case.forks_by_session[4].request_id != example().forks_by_session[4].request_id


def test_numbers_of_continuations_do_not_depend_on_the_order_of_the_selection():
    case = example()
    again = QuestionTree("q", N, continuations=K, read=lambda output, calls: Reading(True, (), None))
    spans = {c.session: c.span for c in case.selected}
    again._read = lambda output, calls: Reading(True, (spans[output.response_ids[0] // 1000],), None)
    for session in (0, 3):
        again.add(session, case.outputs[session], trajectory())
    planned = again.branch(reversed(case.selected))
    assert [(number, fork.source_session) for number, fork in planned] == [(10, 3), (11, 3), (4, 0), (5, 0)]


def test_without_branches_rows_are_as_they_were():
    case = Case([G + T + G, G, None, G], [0.0, 1.0, None, 0.0], {}, {})
    assert case.tree.outcomes() == [] and case.planned == []
    assert [list(row.response_mask) for row in case.rows] == [case.outputs[n].response_mask for n in (0, 1, 3)]
    assert {row.column.role for row in case.rows} == {Role.ROLLOUT}
    assert {row.column.prefix_group for row in case.rows} == {None}


def test_source_with_no_continuation_left_is_an_ordinary_rollout_again():
    case = Case([G, G], [0.0, 0.0], {0: 3, 1: 3}, {0: [None, None], 1: [None, ([1], 0.0)]})
    assert case.tree.outcomes() == [[None, None], [None, 0.0]]
    assert [row.column.role.name for row in case.rows] == ["ROLLOUT", "SOURCE", "CONTINUATION"]
    assert list(case.rows[0].response_mask) == G and case.rows[0].column.prefix_group is None
    assert case.rows[1].column.recovery_reward == 0.0


def test_nothing_settled():
    case = Case([None, None], [None, None], {}, {})
    assert (case.rows, case.tree.outcomes()) == ([], [])
    assert [rollout.valid for rollout in case.settled] == [False, False]


@pytest.mark.parametrize(
    "own, rewards, threshold, recovery",
    [
        (0.0, [0.0, 0.0], 1.0, 0.0),
        (0.0, [0.0, 1.0], 1.0, 1.0),
        (0.0, [0.5, 0.9], 1.0, 0.0),  # better than the source, but not correct
        (0.2, [0.5, 0.9], 1.0, 0.2),
        (0.0, [0.5, 0.9], 0.9, 0.9),
        (0.0, [None, 1.0], 1.0, 1.0),
        (0.0, [None, 0.0], 1.0, 0.0),
        # Rewards of -1 and 1: a failed prefix among failures must not be reinforced.
        (-1.0, [-1.0, -1.0], 1.0, -1.0),
        (-1.0, [-1.0, 1.0], 1.0, 1.0),
        (-1.0, [None, -1.0], 1.0, -1.0),
        (-1.0, [-1.0, 0.0], 0.0, 0.0),
        # Rewards of 0 and 10.
        (0.0, [0.0, 10.0], 1.0, 10.0),
    ],
)
def test_recovery_reward(own, rewards, threshold, recovery):
    """Eq. 3 on the rewards' own scale, of the continuations that settled."""
    lost = [None if reward is None else ([1], reward) for reward in rewards]
    case = Case([G], [own], {0: 3}, {0: lost}, threshold=threshold)
    assert case.rows[0].column.recovery_reward == recovery
    assert case.tree.outcomes() == [rewards]
    assert recovery_reward(own, [r for r in rewards if r is not None], correct_threshold=threshold) == recovery


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-2, 2),
    st.lists(st.sampled_from([-1.0, 1.0]), min_size=1, max_size=4),
    st.floats(0.1, 3),
    st.floats(-5, 5),
)
def test_recovery_follows_the_scale_of_the_rewards(own, rewards, factor, shift):
    """Rewards on another scale, threshold included, give the same recovery on that scale."""
    own = min(own, 0.9)  # a source is wrong
    scaled = recovery_reward(
        own * factor + shift, [r * factor + shift for r in rewards], correct_threshold=1.0 * factor + shift
    )
    assert scaled == pytest.approx(recovery_reward(own, rewards) * factor + shift)


def test_outputs_are_not_changed():
    case = example()
    for number, out in case.outputs.items():
        assert len(out.response_mask) == len(out.response_ids) and out.response_ids[-1] // 1000 == number


# --------------------------------------------------------------- bad sessions


def tree_of(read, **kwargs):
    return QuestionTree("q", 2, continuations=K, read=read, **kwargs)


def test_a_response_that_cannot_be_read_offers_no_fork_and_costs_nobody_else():
    def read(output, executed_calls):
        if output.response_ids[0] == 0:
            raise TypeError("no log-probabilities")
        return Reading(True, (ToolCallSpan(1, 2, 5, 3, 0.5),), None)

    tree = tree_of(read)
    tree.add(0, output(0, G), Trajectory(executed_calls=1))
    tree.add(1, output(1, G), trajectory())
    first, second = tree.settled()
    assert (first.valid, first.used_tool, first.spans) == (True, True, ()) and second.spans
    assert tree.no_fork() == {"unreadable": 1}


def test_reasons_are_counted_for_rollouts_that_acted_only():
    readings = {0: Reading(True, (), NoForkReason.NAN), 1: Reading(False, (), NoForkReason.NO_CALL)}
    tree = tree_of(lambda output, calls: readings[output.response_ids[0] // 1000])
    for session in (0, 1):
        tree.add(session, output(session, G), None)
    assert tree.no_fork() == {"nan": 1}


def test_a_session_that_was_given_up_stays_out():
    tree = tree_of(lambda output, calls: Reading(False, (), NoForkReason.NO_CALL))
    tree.fail(0, TimeoutError("late"))
    with pytest.raises(RuntimeError, match="session 0 of question q was given up"):
        tree.add(0, output(0, G), None)
    tree.add(1, output(1, G), None)
    tree.fail(1, OSError("its row was lost"))
    assert tree.rows() == [] and [rollout.valid for rollout in tree.settled()] == [False, False]


def test_nothing_is_kept_of_a_session_that_cannot_be_forked():
    """Its images are gone as soon as its row is written."""
    readings = {0: Reading(True, (ToolCallSpan(1, 2, 5, 3, 0.5),), None), 1: Reading(False, (), NoForkReason.NO_CALL)}
    tree = tree_of(lambda output, calls: readings[output.response_ids[0] // 1000])
    for session in (0, 1):
        tree.add(session, output(session, G), trajectory())
    assert [s.output is not None for s in tree._sessions.values()] == [True, False]
    tree.branch([])
    assert all(s.output is None and s.trajectory is None for s in tree._sessions.values())


def test_calls_of_the_prefix_count_for_a_continuation():
    """One that was written in thoughts can be found nowhere else."""
    tree = tree_of(lambda output, calls: Reading(calls > 0, (), NoForkReason.IN_THINKING), tool_bonus=0.5)
    span, before = ToolCallSpan(2, 3, 5, 3, 0.5), TurnSnapshot(3, (), None, assistant_turns=1, user_turns=1)
    fork = Fork(0, span, "id", before, (7, 8), (1, 2, 3), (1, 1, 0), (-0.5,) * 3)
    assert tree.add(2, output(2, G, prefix=fork.response_ids), Trajectory(), fork).bonus == 0.5


@pytest.mark.parametrize(
    "ids, images, ok",
    [
        ([1, 9, 9, 9, 2], 1, True),
        ([9, 9, 1, 9], 2, True),
        ([1, 2], 0, True),
        ([1, 9, 9, 2], 2, False),
        ([1, 2], 1, False),
        ([9, 1, 9], 1, False),
    ],
)
def test_check_images(ids, images, ok):
    out = SimpleNamespace(prompt_ids=ids[:1], response_ids=ids[1:], multi_modal_data={"images": ["x"] * images})
    if ok:
        check_images(out, 9)
    else:
        with pytest.raises(ValueError, match=f"image placeholders for {images} images"):
            check_images(out, 9)


def test_columns_survive_the_transfer_queue():
    for row in example().rows:
        stored = pickle.loads(pickle.dumps(row.column.as_dict()))
        assert type(stored["role"]) is int
        assert BranchColumn.from_dict(stored) == row.column


# --------------------------------------------------------------- any tree


masks = st.lists(st.integers(0, 1), min_size=3, max_size=12)
rewards = st.sampled_from([-1.0, 0.0, 0.5, 1.0])


@st.composite
def cases(draw):
    number = draw(st.integers(1, N))
    sources = [draw(st.none() | masks) for _ in range(number)]
    settled = [i for i, mask in enumerate(sources) if mask is not None]
    chosen = draw(st.lists(st.sampled_from(settled), unique=True)) if settled else []
    forks = {i: draw(st.integers(1, len(sources[i]) - 1)) for i in chosen}
    size = draw(st.integers(2, 3))
    one = st.none() | st.tuples(st.lists(st.integers(0, 1), max_size=6), rewards)
    continuations = {i: draw(st.lists(one, min_size=size, max_size=size)) for i in chosen}
    return Case(sources, [draw(rewards) for _ in sources], forks, continuations)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_one_credit_per_token(case):
    """Every generated token carries loss in exactly one row; the failed end of a resampled source in none."""
    expected = Counter()
    for number, out in case.outputs.items():
        fork = case.forks.get(number)
        resampled = fork is not None and any(case.parent.get(n) == number for n in case.outputs)
        for position, (token, generated) in enumerate(zip(out.response_ids, out.response_mask, strict=True)):
            shared = token // 1000 != number  # the prefix of a continuation: its source's token
            failed_end = resampled and position >= fork
            if generated and not shared and not failed_end:
                expected[token] = 1
    assert trained(case) == expected


@settings(max_examples=200, deadline=None)
@given(cases())
def test_rows_against_the_slow_reference(case):
    assert [row.column.session for row in case.rows] == sorted(case.outputs)
    for row in case.rows:
        column = row.column
        number = column.session
        source = case.parent.get(number, number)
        alive = [
            case.outputs[n].reward_score for n, parent in case.parent.items() if parent == source and n in case.outputs
        ]
        own = case.outputs[source].reward_score
        if number in case.parent:
            role, group, recovery = Role.CONTINUATION, f"q:{source}:{case.forks[source]}", None
        elif alive:
            role, group = Role.SOURCE, f"q:{number}:{case.forks[number]}"
            recovery = max(alive) if max(alive) >= 1.0 else own
        else:
            role, group, recovery = Role.ROLLOUT, None, None
        assert (column.role, column.prefix_group, column.recovery_reward) == (role, group, recovery)
        assert recovery is None or math.isfinite(recovery)
    expected = [
        [
            case.outputs[n].reward_score if n in case.outputs else None
            for n, parent in sorted(case.parent.items())
            if parent == candidate.session
        ]
        for candidate in case.selected
    ]
    assert case.tree.outcomes() == expected


def test_a_fork_without_a_recorded_turn_is_none():
    """A session of another agent loop has no snapshots; it must not cost its question."""
    span = ToolCallSpan(1, 2, 5, 3, 0.5)
    tree = tree_of(lambda output, calls: Reading(True, (span,), None))
    tree.add(0, output(0, G), None)
    tree.add(1, output(1, G), trajectory())
    assert [rollout.spans for rollout in tree.settled()] == [(), (span,)]
    assert tree.no_fork() == {"unreadable": 1}


def test_without_branching_nothing_is_kept():
    tree = tree_of(lambda output, calls: Reading(True, (ToolCallSpan(1, 2, 5, 3, 0.5),), None), branching=False)
    tree.add(0, output(0, G), trajectory())
    assert tree._sessions[0].output is None and tree._sessions[0].trajectory is None
