# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Early release against the plain barrier on the seeded scripted engine: the same prefixes, rows and seeds."""

from __future__ import annotations

import random

import pytest

from tests.stack.forced.checks import check_same_rows, last_call, row_of
from tests.stack.forced.script import Question, acting, plain, resampled

pytestmark = pytest.mark.stack


def batch(seed):
    """Six questions, most of them all wrong; confidences in hundredths, so ties occur."""
    rng = random.Random(seed)
    questions = []
    for i in range(6):
        sessions = {}
        for name in "abcd":
            if rng.random() < 0.6:
                sessions |= acting(name, rng.random() < 0.05, rng.choice([0.2, 0.3, round(rng.uniform(0.1, 0.9), 2)]))
            else:
                sessions |= plain(name, rng.random() < 0.5)
        again = {name: resampled(name, *(rng.random() < 0.4 for _ in range(3))) for name in "abcd"}
        questions.append(Question(f"q{i}", sessions, again))
    return questions


def selection(run):
    """(question, script session, confidence) of the selected prefixes, in their order."""
    names = {uid: name for name, uid in run.uids.items()}
    picked = []
    for candidate in run.report.selected:
        question = names[candidate.question]
        (row,) = (row for row in run.rows[question] if row.session == candidate.session)
        picked.append((question, last_call(run, question, row).session, candidate.span.confidence))
    return picked


def seeds(run):
    return {(c.question, c.session, c.continuation, c.turn): c.seed for c in run.calls}


def columns(run):
    """What the rows of the scripted sessions say of their place in the tree, but for uids and the engine's record."""
    found = {}
    for question, rows in run.rows.items():
        for row in rows:
            call = last_call(run, question, row)
            column = dict(row.column)
            group = column["prefix_group"] and column["prefix_group"].split(":", 1)[1]
            found[question, call.session, call.continuation] = column | {"question": question, "prefix_group": group}
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_early_release_trains_what_the_barrier_trains(play, world, seed):
    questions = batch(seed)
    early = play(*questions)
    world.forget()
    world.step -= 1  # sessions are seeded by the step
    plain_barrier = play(*questions, variant="barrier")
    assert early.report.budget == plain_barrier.report.budget == 4
    assert len(early.report.selected) == 4 < early.metrics["axpo/triggered_questions"] * 2
    assert selection(early) == selection(plain_barrier)
    assert seeds(early) == seeds(plain_barrier)
    assert columns(early) == columns(plain_barrier)
    check_same_rows(early, plain_barrier)
    for question, session, _ in selection(early):
        row = row_of(early, question, session)
        assert row.session == row_of(plain_barrier, question, session).session
    world.step += 1
