# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""GRPO through our manager is verl's own rollout.

Last of the forced cases: a job has one coordinator, AXPO's or GRPO's.
"""

from __future__ import annotations

import pytest

from tests.stack.forced.checks import check_same_rows
from tests.stack.forced.script import FAILS, Question, Turn, acting, answer, call, plain, quiet
from tests.stack.forced.world import N

pytestmark = pytest.mark.stack


def test_grpo_writes_the_rows_that_verl_writes(play, world):
    sessions = {
        "a": [call("a first"), call("a second", image=1), answer("a end", True)],
        **acting("b", False),
        **plain("c", False),
        "d": [call("d"), FAILS],
    }
    wrong = {**acting("a", False), **acting("b", False), **plain("c", False), **plain("d", False)}
    questions = (Question("hard", sessions), Question("wrong", wrong), quiet("other"))
    run = play(*questions, variant="grpo")
    assert run.report.selected == [] and run.report.budget == 0
    assert len(run.rows["hard"]) == N - 1 and run.status["hard"] == "failure"
    assert "axpo" not in run.rows["other"][0].fields
    assert run.metrics["axpo/tool_use_rate"] == pytest.approx(4 / 11)  # the figures are kept for GRPO too
    assert run.metrics["tools/image_zoom_in/calls"] == 2 + 1 + 1 + 2  # the failed session's call, too
    assert run.metrics["axpo/infra_failures"] == 1.0 and run.metrics["axpo/triggered_questions"] == 1.0
    world.forget()
    check_same_rows(run, play(*questions, variant="stock"))


def test_an_engine_without_log_probs_costs_nothing_but_the_forks(play):
    """GRPO trains without them; the figures say that there is nothing to rank by."""
    silent = [Turn(turn.text, fault="silent") for turn in (call("a"), answer("a again", False))]
    run = play(
        Question("silent", {"a": silent, **plain("b", True), **plain("c", False), **plain("d", True)}), variant="grpo"
    )
    assert run.status == {"silent": "finished"} and len(run.rows["silent"]) == N
    assert run.report.no_fork == {"no_log_probs": 1}
    assert run.metrics["axpo/tool_use_rate"] == 1 / N and run.metrics["axpo/infra_failures"] == 0.0
