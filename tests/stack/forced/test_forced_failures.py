# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Forced cases of calls that offer no fork, and of failures that are not the model's."""

from __future__ import annotations

import pytest

from recipe.axpo.advantage import Role
from tests.stack.forced.checks import ORDINARY, advantages, roles, row_of, settled_of, text, tree
from tests.stack.forced.script import (
    CLOSE,
    END,
    FAILS,
    OPEN,
    Question,
    Turn,
    acting,
    answer,
    arguments,
    call,
    plain,
    quiet,
    resampled,
    rest_of_call,
)
from tests.stack.forced.world import K, N

pytestmark = pytest.mark.stack


def test_a_call_without_its_closing_tag_is_no_tool_use(play, world):
    sessions = {
        # the length limit cuts it
        "a": [Turn(f"I am a.\n</think>\n\n{OPEN}\n{arguments('1234567890' * 40)}\n{CLOSE}{END}")],
        "b": [Turn(f"I am b.\n</think>\n\n{OPEN}\n{arguments('b')}{END}")],  # ends its turn early
        **plain("c", False),
        **plain("d", False),
    }
    run = play(Question("cut", sessions), quiet("other"))
    row = row_of(run, "cut", "a")
    assert len(row.ids("responses")) == world.config.data.max_response_length
    assert OPEN in text(world, row) and CLOSE not in text(world, row)
    assert roles(run, "cut") == ORDINARY
    assert not any(rollout.used_tool or rollout.spans for rollout in settled_of(run, "cut").values())
    assert run.metrics["axpo/triggered_questions"] == run.metrics["axpo/no_fork_found"] == 0.0
    assert run.metrics["axpo/tool_use_rate"] == 0.0


def test_a_call_in_the_thinking_is_never_a_fork(play, world):
    sessions = {
        # verl's parser reads the whole turn and executes it: tool-using, but nothing to fork
        "a": [Turn(f"Like {OPEN}\n{arguments('a')}\n{CLOSE} then.\n</think>\n\nSo.{END}"), answer("a again", False)],
        "b": [Turn(f"I could {OPEN} or not.\n</think>\n\n<answer>@wrong</answer>{END}")],
        "c": [Turn(f"I could {OPEN}maybe{CLOSE} or not.\n</think>\n\n<answer>@wrong</answer>{END}")],
        **plain("d", False),
    }
    run = play(Question("literal", sessions), quiet("other"))
    assert roles(run, "literal") == ORDINARY and run.report.selected == []
    assert "Image 1:" in text(world, row_of(run, "literal", "a"))
    settled = settled_of(run, "literal")
    assert {name: rollout.used_tool for name, rollout in settled.items()} == dict(a=1, b=0, c=0, d=0)
    assert not any(rollout.spans for rollout in settled.values())
    assert run.report.no_fork == {"in_thinking": 1} and run.metrics["axpo/no_fork_found"] == 1.0
    assert run.metrics["axpo/triggered_questions"] == 1.0


def test_a_call_after_a_literal_tag_is_no_fork(play, world):
    """verl's parser pairs the literal tag with the closing one: no continuation could ever run its call."""
    spoken = f"I could {OPEN} or not.\n</think>\n\n{OPEN}\n{arguments('a')}\n{CLOSE}{END}"
    sessions = {"a": [Turn(spoken)], **plain("b", False), **plain("c", True), **plain("d", False)}
    run = play(Question("late", sessions), quiet("other"))
    assert roles(run, "late") == ORDINARY and run.report.selected == []
    assert settled_of(run, "late")["a"].used_tool  # an attempt with a closing tag
    assert "tool_response" not in text(world, row_of(run, "late", "a"))
    assert run.report.no_fork == {"literal_tag": 1} and run.metrics["axpo/no_fork_found"] == 1.0


def test_a_broken_call_is_tool_use_without_a_fork(play):
    broken = f"I am a.\n</think>\n\n{OPEN}\n{arguments('a')[:-3]}\n{CLOSE}{END}"
    sessions = {"a": [Turn(broken, 0.1)], **acting("b", False, 0.6), **plain("c", True), **plain("d", False)}
    run = play(Question("broken", sessions, {"b": resampled("b", False, False, True)}), quiet("other"))
    settled = settled_of(run, "broken")
    assert settled["a"].used_tool and not settled["a"].spans
    assert roles(run, "broken") == tree("b")  # although a's call had the lower confidence
    assert run.report.no_fork == {"unparsable": 1}
    assert run.metrics["axpo/no_fork_found"] == run.metrics["axpo/no_fork/unparsable"] == 1.0
    assert run.metrics["axpo/tool_use_rate"] == 2 / 8


def test_a_tool_that_raises(play, world):
    sessions = {
        "a": [call("bug", 0.2, tool="failing"), answer("a again", False)],
        "b": [call("ours", 0.1, tool="failing")],
        **plain("c", True),
        **plain("d", False),
    }
    again = [
        [rest_of_call("take 0"), answer("take 0", True)],
        [rest_of_call("ours take 1", tool="failing")],
        [rest_of_call("bug take 2", tool="failing"), answer("take 2", False)],
    ]
    tools = ("image_zoom_in", "failing")
    run = play(Question("raises", sessions, {"a": again}, tools), quiet("other"))
    assert run.status == {"raises": "failure", "other": "finished"}
    expected = tree("a")
    del expected["b", None], expected["a", 1]  # our side failed: no row, not scored
    assert roles(run, "raises") == expected
    for row in (row_of(run, "raises", "a"), row_of(run, "raises", "a", 2)):  # its own bug is shown to the model
        assert "Error executing tool 'failing': the tool has a bug" in text(world, row)
    assert "backend" not in "".join(text(world, row) for row in run.rows["raises"])
    group = run.report.groups[run.uids["raises"]]
    assert [rollout.valid for rollout in group].count(False) == 1 and len(group) == N
    (outcome,) = run.report.outcomes
    assert sorted(outcome, key=str) == [0.0, 1.0, None]
    assert run.metrics["axpo/infra_failures"] == 2.0 and run.metrics["axpo/recovery_rate"] == 1.0
    assert run.metrics["axpo/continuation_accuracy"] == 0.5
    got = advantages(world, run)
    of = {name: got[row_of(run, "raises", name).key] for name in "acd"}  # b is not in the group's mean
    assert of == pytest.approx(dict(a=0.577, c=1.155, d=-0.577), abs=1e-3)
    of = [got[row_of(run, "raises", "a", k).key] for k in (0, 2)]
    assert of == pytest.approx([0.707, -0.707], abs=1e-3)


def test_an_engine_that_fails(play, world):
    some = {"a": [[FAILS], [rest_of_call("take 1"), FAILS], [rest_of_call("take 2"), answer("take 2", True)]]}
    one = Question("one", {**acting("a", False, 0.3), "b": [FAILS], **plain("c", True), **plain("d", False)}, some)
    sessions = {**acting("a", False, 0.4), **plain("b", False), **plain("c", True), **plain("d", True)}
    none = Question("none", sessions, {"a": [[FAILS]] * K})
    run = play(one, none, quiet("other"))
    assert sorted(run.failed, key=str) == sorted(
        [("one", "b", None), ("one", "a", 0), ("one", "a", 1), *(("none", "a", k) for k in range(K))], key=str
    )
    assert run.status == {"one": "failure", "none": "failure", "other": "finished"}
    expected = tree("a")
    del expected["b", None], expected["a", 0], expected["a", 1]
    assert roles(run, "one") == expected
    assert roles(run, "none") == ORDINARY  # nothing was learned about the prefix
    source = row_of(run, "none", "a")
    assert source.column["recovery_reward"] is None and source.ids("response_mask")[-1] == 1
    assert len(run.report.selected) == 2
    assert sorted(sorted(outcome, key=str) for outcome in run.report.outcomes if any(outcome)) == [[1.0, None, None]]
    assert [None] * K in run.report.outcomes
    assert run.metrics["axpo/infra_failures"] == 3.0 + K
    assert run.metrics["axpo/recovery_rate"] == 1.0  # of the one prefix that has an outcome
    got = advantages(world, run)
    assert got[row_of(run, "one", "a", 2).key] == 0.0  # alone, it has no baseline
    of = {name: got[row_of(run, "none", name).key] for name in "abcd"}
    assert of == pytest.approx(dict(a=-0.866, b=-0.866, c=0.866, d=0.866), abs=1e-3)
    assert row_of(run, "one", "a").column["role"] == Role.SOURCE
