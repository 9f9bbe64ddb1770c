# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The Thinking-Acting Gap of hand-made batches.

A rollout is written in three characters: ``T`` used the tool, ``-`` did not; ``+`` right, ``x`` wrong, ``?`` left out
because our side failed; then the confidence of its call in tenths, ``.`` if it offers no fork. A question is a line.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.metrics import StepReport, thinking_acting_gap
from recipe.axpo.selection import Candidate, SettledRollout


def rollout(session, text):
    tool, outcome, confidence = text
    span = () if confidence == "." else (ToolCallSpan(1, 10, 15, 11, int(confidence) / 10),)
    return SettledRollout(session, float(outcome == "+"), tool == "T", span, valid=outcome != "?")


def report(lines, selected=(), outcomes=(), **kwargs):
    groups = {f"q{i}": [rollout(s, text) for s, text in enumerate(line.split())] for i, line in enumerate(lines)}
    chosen = [Candidate(q, session, groups[q][session].spans[0]) for q, session in selected]
    return StepReport(groups, chosen, outcomes, **{"no_fork": {}, "budget": 4, **kwargs})


CASES = {
    "nothing at all": (report([]), {}),
    "every question failed": (report(["", ""]), {}),
    "no tool": (
        report(["-+. -x.", "-x. -x."]),
        {"accuracy": 0.25, "tool_use_rate": 0, "no_tool_accuracy": 0.25, "no_tool_all_wrong_rate": 0.5},
    ),
    "only tools": (
        report(["T+5 Tx5", "Tx4 Tx6", "T+1 T+1"]),
        {
            "accuracy": 0.5,
            "tool_use_rate": 1,
            "tool_accuracy": 0.5,
            "tool_all_wrong_rate": 1 / 3,
            "triggered_questions": 1,
            "call_confidence/unselected": 0.5,  # candidates are those of triggered questions
        },
    ),
    "all of it": (
        report(
            ["Tx2 Tx6 -+. -x.", "T+3 Tx3 -x. -x.", "Tx9 -x. -x. -x."],
            selected=[("q0", 0), ("q2", 0)],
            outcomes=[[0.0, 1.0], [0.0, 0.0]],
        ),
        {
            "accuracy": 2 / 12,
            "tool_use_rate": 5 / 12,
            "tool_accuracy": 1 / 5,
            "tool_all_wrong_rate": 2 / 3,
            "no_tool_accuracy": 1 / 7,
            "no_tool_all_wrong_rate": 2 / 3,
            "triggered_questions": 2,
            "selected_prefixes": 2,
            "budget_used": 0.5,
            "recovery_rate": 0.5,
            "continuation_accuracy": 0.25,
            "call_confidence/selected": 0.55,
            "call_confidence/unselected": 0.6,
        },
    ),
    "our failures are no wrong answers": (
        report(
            ["T?. Tx2 -?. -x."],
            selected=[("q0", 1)],
            outcomes=[[None, 1.0]],
        ),
        {
            "accuracy": 0,
            "tool_use_rate": 0.5,
            "tool_accuracy": 0,
            "tool_all_wrong_rate": 1,
            "no_tool_accuracy": 0,
            "no_tool_all_wrong_rate": 1,
            "triggered_questions": 1,
            "selected_prefixes": 1,
            "budget_used": 0.25,
            "recovery_rate": 1,
            "continuation_accuracy": 1,
            "call_confidence/selected": 0.2,
            "infra_failures": 3,
        },
    ),
    "nothing came back from a prefix": (
        report(["Tx2 Tx8"], selected=[("q0", 0), ("q0", 1)], outcomes=[[None, None], [0.0, None]]),
        {
            "accuracy": 0,
            "tool_use_rate": 1,
            "tool_accuracy": 0,
            "tool_all_wrong_rate": 1,
            "triggered_questions": 1,
            "selected_prefixes": 2,
            "budget_used": 0.5,
            "recovery_rate": 0,  # of the prefixes with a valid continuation
            "continuation_accuracy": 0,
            "call_confidence/selected": 0.5,
            "infra_failures": 3,
        },
    ),
    "no fork, by reason": (
        report(["Tx. Tx."], no_fork={"unparsable": 1, "merged_tag": 1}),
        {
            "accuracy": 0,
            "tool_use_rate": 1,
            "tool_accuracy": 0,
            "tool_all_wrong_rate": 1,
            "triggered_questions": 1,
            "no_fork_found": 2,
            "no_fork/unparsable": 1,
            "no_fork/merged_tag": 1,
        },
    ),
    "a threshold": (
        report(["T+5 -x."], correct_threshold=2.0),
        {
            "accuracy": 0,
            "tool_use_rate": 0.5,
            "tool_accuracy": 0,
            "tool_all_wrong_rate": 1,
            "no_tool_accuracy": 0,
            "no_tool_all_wrong_rate": 1,
            "triggered_questions": 1,
            "call_confidence/unselected": 0.5,
        },
    ),
    "no budget (GRPO)": (
        report(["Tx5 -+."], budget=0),
        {
            "budget": 0,
            "budget_used": None,
            "accuracy": 0.5,
            "tool_use_rate": 0.5,
            "tool_accuracy": 0,
            "tool_all_wrong_rate": 1,
            "no_tool_accuracy": 1,
            "no_tool_all_wrong_rate": 0,
            "triggered_questions": 1,
            "call_confidence/unselected": 0.5,
        },
    ),
}

# counts are always there; rates only where they have a denominator
COUNTS = {
    "triggered_questions": 0,
    "selected_prefixes": 0,
    "budget": 4,
    "budget_used": 0,
    "no_fork_found": 0,
    "infra_failures": 0,
}


@pytest.mark.parametrize("name", CASES)
def test_thinking_acting_gap(name):
    step, expected = CASES[name]
    wanted = {f"axpo/{key}": value for key, value in {**COUNTS, **expected}.items() if value is not None}
    assert thinking_acting_gap(step) == pytest.approx(wanted)


spans = st.floats(0, 1).map(lambda p: (ToolCallSpan(1, 0, 5, 1, p),))
rollouts = st.builds(
    SettledRollout,
    session=st.integers(0, 7),
    reward=st.sampled_from([0.0, 0.5, 1.0]),
    used_tool=st.booleans(),
    spans=st.one_of(st.just(()), spans),
    valid=st.booleans(),
)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(rollouts, max_size=8)),
    st.lists(st.lists(st.sampled_from([0.0, 1.0, None]), max_size=4), max_size=4),
    st.integers(0, 4),
)
def test_rates_are_shares_and_never_nan(groups, outcomes, budget):
    candidates = [Candidate(q, r.session, r.spans[0]) for q, group in groups.items() for r in group if r.spans]
    selected = candidates[:budget]
    step = StepReport(groups, selected, outcomes[: len(selected)], {}, budget=budget)
    metrics = thinking_acting_gap(step)
    assert all(type(value) is float and math.isfinite(value) for value in metrics.values())
    counts = [f"axpo/{name}" for name in COUNTS if name != "budget_used"]
    assert all(0 <= value <= 1 + 1e-12 for key, value in metrics.items() if key not in counts)
    # the identity behind the three accuracies
    if "axpo/tool_accuracy" in metrics and "axpo/no_tool_accuracy" in metrics:
        use = metrics["axpo/tool_use_rate"]
        both = use * metrics["axpo/tool_accuracy"] + (1 - use) * metrics["axpo/no_tool_accuracy"]
        assert metrics["axpo/accuracy"] == pytest.approx(both)
