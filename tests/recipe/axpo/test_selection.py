# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Trigger, ranking and budget. A rollout is written as (reward, confidence of its calls...)."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.selection import (
    RANKINGS,
    TRIGGERS,
    Candidate,
    SettledRollout,
    decided,
    is_triggered,
    num_candidates,
    prefix_budget,
    restrict_spans,
    select_prefixes,
    wrong_rollouts,
)


def span(confidence, start=10, turn=1):
    fork, entropy = start + 1, 1 - confidence
    return ToolCallSpan(turn=turn, start=start, end=start + 5, fork=fork, confidence=confidence, entropy=entropy)


def tool(session, confidence=0.5, reward=0.0, **kwargs):
    return SettledRollout(session, reward, True, (span(confidence),), **kwargs)


def no_tool(session, reward=0.0, **kwargs):
    return SettledRollout(session, reward, False, (), **kwargs)


def names(candidates):
    return [f"{candidate.question}{candidate.session}" for candidate in candidates]


# ---------------------------------------------------------------- trigger


@pytest.mark.parametrize(
    "rollouts, triggered",
    [
        ([], False),
        ([no_tool(0), no_tool(1)], False),
        ([tool(0), no_tool(1)], True),
        ([tool(0), no_tool(1, reward=1.0)], True),
        ([tool(0), tool(1, reward=1.0)], False),
        (
            [tool(0), tool(1, reward=1.0, valid=False)],
            True,
        ),  # an infrastructure failure proves nothing
        ([tool(0, valid=False), no_tool(1)], False),  # nor of a wrong one
        ([tool(0, reward=0.99)], True),
        ([tool(0, reward=1.5)], False),
        ([SettledRollout(0, 0.0, True, ())], True),  # tool-using without a fork still counts
    ],
)
def test_is_triggered(rollouts, triggered):
    assert is_triggered(rollouts) is triggered


@pytest.mark.parametrize(
    "trigger, rollouts, sessions",
    [
        ("all_wrong", [tool(0), tool(1), no_tool(2)], [0, 1]),
        ("all_wrong", [tool(0), tool(1, reward=1.0), no_tool(2)], []),
        ("partly_wrong", [tool(0), tool(1), no_tool(2)], [0, 1]),
        ("partly_wrong", [tool(1), tool(0, reward=1.0), no_tool(2)], [1]),
        ("partly_wrong", [tool(0, reward=1.0), tool(1, valid=False), no_tool(2)], []),
        ("partly_wrong", [no_tool(0)], []),
        ("no_tool_all_wrong", [tool(0), no_tool(2), no_tool(1)], [1, 2]),
        ("no_tool_all_wrong", [tool(0), no_tool(1), no_tool(2, reward=1.0)], []),
        ("no_tool_all_wrong", [tool(0), no_tool(1, valid=False)], []),
    ],
)
def test_triggers(trigger, rollouts, sessions):
    assert [rollout.session for rollout in wrong_rollouts(rollouts, trigger=trigger)] == sessions
    with pytest.raises(ValueError, match="trigger must be one of all_wrong, partly_wrong, no_tool_all_wrong"):
        wrong_rollouts(rollouts, trigger="right")


def test_threshold():
    assert not is_triggered([tool(0, reward=0.5)], correct_threshold=0.5)
    assert is_triggered([tool(0, reward=0.4)], correct_threshold=0.5)


# ---------------------------------------------------------------- budget


@pytest.mark.parametrize(
    "questions, rollouts, continuations, ratio, expected",
    [
        (128, 8, 4, 0.25, 64),
        (1, 8, 4, 0.25, 0),  # half a prefix is none
        (2, 8, 4, 0.25, 1),
        (3, 8, 4, 0.25, 1),
        (0, 8, 4, 0.25, 0),
        (128, 8, 4, 0, 0),
        (100, 1, 1, 0.29, 29),  # 0.29 * 100 is 28.999999999999996 in floats
        (100, 1, 1, 0.07, 7),
        (10, 3, 1, 0.1, 3),
        (10, 1, 1, 1e-1, 1),
        (4, 8, 4, 2.0, 16),
    ],
)
def test_prefix_budget(questions, rollouts, continuations, ratio, expected):
    assert prefix_budget(questions, rollouts, continuations, ratio) == expected


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_questions", -1),
        ("num_questions", 1.5),
        ("rollouts_per_question", 0),
        ("continuations", 0),
        ("continuations", math.inf),
        ("budget_ratio", -0.1),
        ("budget_ratio", math.nan),
        ("budget_ratio", math.inf),
    ],
)
def test_prefix_budget_errors_name_the_parameter(name, value):
    arguments = dict(num_questions=1, rollouts_per_question=8, continuations=4, budget_ratio=0.25) | {name: value}
    with pytest.raises(ValueError, match=name):
        prefix_budget(**arguments)


@given(
    st.integers(0, 300),
    st.integers(1, 16),
    st.integers(1, 8),
    st.decimals(min_value=0, max_value=3, places=3, allow_nan=False).map(float),
)
def test_prefix_budget_is_the_largest_that_fits(questions, rollouts, continuations, ratio):
    budget = prefix_budget(questions, rollouts, continuations, ratio)
    limit = Fraction(round(ratio * 1000), 1000) * questions * rollouts
    assert budget * continuations <= limit < (budget + 1) * continuations


# ---------------------------------------------------------------- fork policies


def test_restrict_spans():
    first, second, third = span(0.5, start=2), span(0.1, start=20), span(0.9, start=40)
    spans = (second, first, third)
    assert restrict_spans(spans, "first") == (first,)
    assert restrict_spans(spans, "last") == (third,)
    assert restrict_spans(spans, "least_confident") == (second,)
    assert restrict_spans((), "first") == ()
    with pytest.raises(ValueError, match="first, last, least_confident"):
        restrict_spans(spans, "middle")


# ---------------------------------------------------------------- selection

GROUPS = {
    "a": [tool(0, 0.30), tool(1, 0.10), tool(2, 0.20)],
    "b": [tool(0, 0.90), tool(1, 0.80), no_tool(2, reward=1.0)],
    "c": [tool(0, 0.01), tool(1, 0.02, reward=1.0)],  # a tool-using rollout is right: not triggered
    "d": [no_tool(0), no_tool(1)],
    "e": [tool(0, 0.05, valid=False), tool(1, 0.50), no_tool(2)],
}


@pytest.mark.parametrize(
    "budget, expected",
    [
        (0, []),
        (1, ["a1"]),
        (2, ["a1", "e1"]),
        (3, ["a1", "e1", "b1"]),  # b's best (0.80) comes before a's second (0.20)
        (4, ["a1", "e1", "b1", "a2"]),
        (99, ["a1", "e1", "b1", "a2", "b0", "a0"]),
    ],
)
def test_breadth_first(budget, expected):
    assert names(select_prefixes(GROUPS, budget=budget)) == expected


def test_one_candidate_per_rollout_at_its_least_confident_call():
    rollout = SettledRollout(0, 0.0, True, (span(0.5, start=2), span(0.1, start=20), span(0.1, start=30)))
    assert select_prefixes({"a": [rollout]}, budget=9) == [Candidate("a", 0, span(0.1, start=20))]


def test_ties_go_by_question_then_session():
    groups = {"z": [tool(1), tool(0)], "a": [tool(0), tool(1)]}
    assert names(select_prefixes(groups, budget=9)) == ["z0", "a0", "z1", "a1"]


def test_rollout_without_fork_is_no_candidate():
    assert select_prefixes({"a": [SettledRollout(0, 0.0, True, ())]}, budget=9) == []


def test_random_ranking_is_seeded_breadth_first_and_ignores_confidence():
    groups = {q: [tool(s, 0.1 * (s + 1)) for s in range(4)] for q in "abcdef"}
    picks = [names(select_prefixes(groups, budget=6, ranking="random", seed=seed)) for seed in range(20)]
    assert picks[3] == names(select_prefixes(groups, budget=6, ranking="random", seed=3))
    assert len(set(map(tuple, picks))) > 10
    assert all(sorted(name[0] for name in pick) == list("abcdef") for pick in picks)
    assert {name[1] for pick in picks for name in pick} == set("0123")


def test_most_confident_ranking_is_the_reverse_within_a_question_and_within_a_rank():
    groups = {"a": [tool(0, 0.5), tool(1, 0.9)], "b": [tool(0, 0.6), tool(1, 0.7)]}
    assert names(select_prefixes(groups, budget=9)) == ["a0", "b0", "b1", "a1"]
    assert names(select_prefixes(groups, budget=9, ranking="most_confident")) == ["a1", "b1", "b0", "a0"]


def test_errors():
    with pytest.raises(ValueError, match="confidence, random"):
        select_prefixes({}, budget=1, ranking="length")
    with pytest.raises(ValueError, match="budget"):
        select_prefixes({}, budget=-1)
    with pytest.raises(ValueError, match="'a', session 0 is NaN"):
        select_prefixes({"a": [SettledRollout(0, 0.0, True, (span(0.1), span(math.nan)))]}, budget=1)


# ---------------------------------------------------------------- properties, against a slow and obvious reference

confidences = st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5])
rollouts = st.builds(
    lambda reward, uses, values, valid: (reward, uses, tuple(values) if uses else (), valid),
    st.sampled_from([0.0, 0.0, 0.0, 1.0]),
    st.booleans(),
    st.lists(confidences, max_size=3),
    st.sampled_from([True, True, True, False]),
)
batches = st.dictionaries(st.integers(0, 99), st.lists(rollouts, max_size=5), max_size=6)


def build(batch):
    return {
        question: [
            SettledRollout(s, r, uses, tuple(span(c, start=10 * i) for i, c in enumerate(values)), valid)
            for s, (r, uses, values, valid) in enumerate(group)
        ]
        for question, group in batch.items()
    }


def reference(batch, budget):
    """Repeatedly take, of the questions with the fewest picks that have candidates left, the least confident one."""
    left = {}
    for question, group in batch.items():
        using = [reward for reward, uses, _, valid in group if uses and valid]
        if using and max(using) < 1:
            left[question] = {s: min(v) for s, (_, uses, v, valid) in enumerate(group) if uses and valid and v}
    picks = []
    for rank in range(5):
        queue = []
        for question in batch:
            if left.get(question):
                session = min(left[question], key=lambda s: (left[question][s], s))
                queue.append((left[question].pop(session), question, session))
        for _, question, session in sorted(queue, key=lambda item: item[0]):  # stable: ties in order of the batch
            picks.append((rank, question, session))
    return [(question, session) for _, question, session in picks[:budget]]


@given(batches, st.integers(0, 12))
def test_matches_reference(batch, budget):
    picks = select_prefixes(build(batch), budget=budget)
    assert [(pick.question, pick.session) for pick in picks] == reference(batch, budget)


@given(batches, st.integers(0, 12), st.sampled_from(sorted(RANKINGS)), st.integers(0, 3))
def test_properties_of_any_ranking(batch, budget, ranking, seed):
    groups = build(batch)
    picks = select_prefixes(groups, budget=budget, ranking=ranking, seed=seed)
    everything = select_prefixes(groups, budget=10**6, ranking=ranking, seed=seed)
    assert len(picks) == min(budget, len(everything)) and picks == everything[:budget]
    assert len({(pick.question, pick.session) for pick in picks}) == len(picks)  # a row is frozen at one place only
    available = {question: sum(p.question == question for p in everything) for question in groups}
    taken = {question: 0 for question in groups}
    for pick in picks:
        rollout = groups[pick.question][pick.session]
        assert rollout.valid and rollout.used_tool and pick.span in rollout.spans
        assert not any(r.valid and r.used_tool and r.reward >= 1 for r in groups[pick.question])
        taken[pick.question] += 1
        for other, count in taken.items():  # breadth first: no question with candidates left has one pick less
            assert count >= taken[pick.question] - 1 or count == available[other]


# ---------------------------------------------------------------- what is decided before the batch has settled


def partly(groups, settled):
    """The settled part of a batch, in the batch's order."""
    return {question: group for question, group in groups.items() if question in settled}


@pytest.mark.parametrize(
    "settled, budget, certain, lost",
    [
        ("", 2, [], []),
        ("a", 1, [], ["a2", "a0"]),  # a1 is at place 0 of rank 0, and four questions may come in front: 0 + 4 >= 1
        ("a", 5, ["a1"], []),  # 0 + 4 * 1 < 5, but 1 + 4 * 2 >= 5
        ("a", 10, ["a1", "a2"], []),  # 1 + 4 * 2 < 10, but 2 + 4 * 3 >= 10
        ("a", 15, ["a1", "a2", "a0"], []),
        ("abcd", 2, ["a1"], ["a2", "b0", "a0"]),  # 0 + 1 < 2; b1 at place 1 is neither
        ("abcde", 2, ["a1", "e1"], ["b1", "a2", "b0", "a0"]),
    ],
)
def test_decided(settled, budget, certain, lost):
    got = decided(partly(GROUPS, settled), num_questions=5, rollouts_per_question=3, budget=budget)
    assert tuple(map(names, got)) == (certain, lost)


def test_the_number_of_rollouts_bounds_what_a_question_can_put_in_front():
    groups = {"a": [tool(s, 0.1 * (s + 1)) for s in range(4)]}  # more candidates than N: N caps the rank
    assert names(decided(groups, num_questions=2, rollouts_per_question=2, budget=6)[0]) == ["a0", "a1", "a2", "a3"]
    assert names(decided(groups, num_questions=2, rollouts_per_question=4, budget=6)[0]) == ["a0", "a1", "a2"]


def test_num_candidates():
    assert {q: num_candidates(group) for q, group in GROUPS.items()} == dict(a=3, b=2, c=0, d=0, e=1)


def test_decided_errors():
    with pytest.raises(ValueError, match="num_questions is 4, but 5 groups"):
        decided(GROUPS, num_questions=4, rollouts_per_question=3, budget=1)
    with pytest.raises(ValueError, match="confidence, random"):
        decided(GROUPS, num_questions=5, rollouts_per_question=3, budget=1, ranking="length")
    with pytest.raises(ValueError, match="budget"):
        decided(GROUPS, num_questions=5, rollouts_per_question=3, budget=-1)


N = 5
orders = st.randoms(use_true_random=False)
ranked = st.sampled_from(sorted(RANKINGS))
triggers = st.sampled_from(sorted(TRIGGERS))


@given(batches, st.integers(0, 12), triggers, ranked, st.integers(0, 3))
def test_at_the_end_everything_is_decided(batch, budget, trigger, ranking, seed):
    groups = build(batch)
    common = {"budget": budget, "trigger": trigger, "ranking": ranking, "seed": seed}
    certain, lost = decided(groups, num_questions=len(groups), rollouts_per_question=N, **common)
    assert certain == select_prefixes(groups, **common)
    assert certain + lost == select_prefixes(groups, **{**common, "budget": 10**6})


@settings(deadline=None)  # a busy machine is no failure
@given(batches, st.integers(0, 12), triggers, ranked, st.integers(0, 3), orders)
def test_no_completion_changes_what_is_decided(batch, budget, trigger, ranking, seed, rng):
    """Settle in a random order; at every point compare with the batch as it really ends and with other endings."""
    groups = build(batch)
    common = {"budget": budget, "trigger": trigger, "ranking": ranking, "seed": seed}
    order = list(groups)
    rng.shuffle(order)
    before = ([], [])
    for i in range(len(order) + 1):
        now = partly(groups, order[:i])
        certain, lost = decided(now, num_questions=len(groups), rollouts_per_question=N, **common)
        for ending in (groups, *(ending_of(groups, now, rng) for _ in range(3))):
            selected = select_prefixes(ending, **common)
            assert all(candidate in selected for candidate in certain)
            assert not any(candidate in selected for candidate in lost)
        assert all(candidate in certain for candidate in before[0]), "a candidate was certain before"
        assert all(candidate in lost for candidate in before[1]), "a candidate was lost before"
        before = certain, lost


def ending_of(groups, now, rng):
    """Another completion of a batch: the questions still running end as they please, mostly all wrong and unsure."""
    return {
        question: now[question]
        if question in now
        else [tool(s, rng.choice([0.0, 0.05, 0.3]), reward=float(rng.random() < 0.05)) for s in range(N)]
        for question in groups
    }


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 12))
def test_the_worst_completion_is_reached(num_questions, rollouts, budget):
    """What is not certain really can be pushed out: all others settle with N surer-to-be-selected candidates."""
    groups = {0: [tool(s, 0.5) for s in range(rollouts)]}
    certain, _ = decided(groups, num_questions=num_questions, rollouts_per_question=rollouts, budget=budget)
    worst = {**{q: [tool(s, 0.1) for s in range(rollouts)] for q in range(1, num_questions)}, **groups}
    assert certain == [c for c in select_prefixes(worst, budget=budget) if c.question == 0]


def test_random_places_do_not_depend_on_what_else_has_settled():
    groups = {q: [tool(s) for s in range(3)] for q in "abcd"}
    common = {"num_questions": 4, "rollouts_per_question": 3, "budget": 5, "ranking": "random"}
    for seed in range(50):
        order = random.Random(seed).sample("abcd", 4)
        certain = [set(names(decided(partly(groups, order[:i]), seed=seed, **common)[0])) for i in range(5)]
        assert all(before <= after for before, after in zip(certain, certain[1:], strict=False))
