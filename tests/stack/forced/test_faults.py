# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the infrastructure, injected one by one and at random: every step ends, nothing is scored as wrong.

The deadlines of the variant "faults" are seconds. ``AXPO_FAULT_STEPS`` sets the length of the random run.
"""

from __future__ import annotations

import math
import os
import random
import time

import pytest

from recipe.axpo.advantage import Role
from tests.stack.forced.checks import ORDINARY, advantages, last_call, roles, settled_of, tree
from tests.stack.forced.faulty import LOST_ROW, LOST_STATUS
from tests.stack.forced.script import (
    FAILS,
    HANGS,
    KILLS,
    Question,
    Turn,
    acting,
    answer,
    call,
    plain,
    quiet,
    resampled,
    rest_of_call,
)
from tests.stack.forced.world import K, N

pytestmark = pytest.mark.stack
TOOLS = ("image_zoom_in", "failing")
STEPS = int(os.environ.get("AXPO_FAULT_STEPS", "40"))


def settles(run, question):
    """Whether each session of a question was valid when its group was handed in, by number."""
    return [rollout.valid for rollout in run.report.groups[run.uids[question]]]


def test_a_nan_in_the_question_that_settles_last(play, world):
    broken = {**acting("a", False, math.nan), **acting("b", False, 0.4), **plain("c", True), **plain("d", False)}
    run = play(Question("nan", broken, {"b": resampled("b", True, False, False)}), quiet("other"), variant="faults")
    assert roles(run, "nan") == tree("b")
    assert run.report.no_fork == {"nan": 1} and run.metrics["axpo/no_fork/nan"] == 1.0
    assert all(settles(run, "nan"))
    advantages(world, run)


@pytest.mark.parametrize("where", ["rollout", "continuation"])
@pytest.mark.parametrize("what", ["engine", "tool"])
def test_a_request_that_never_returns(play, what, where):
    hanging = [HANGS] if what == "engine" else [call("hangs", 0.1, tool="failing")]
    rest = [HANGS] if what == "engine" else [rest_of_call("hangs", tool="failing")]
    sessions = {**acting("a", False, 0.3), "b": hanging, **plain("c", True), **plain("d", False)}
    again = [*resampled("a", True, False), rest]
    if where == "continuation":
        sessions |= plain("b", False)
    else:
        again = resampled("a", True, False, False)
    run = play(Question("hangs", sessions, {"a": again}, TOOLS), quiet("other"), variant="faults")
    assert run.status == {"hangs": "failure", "other": "finished"}
    expected = tree("a")
    del expected[("b", None) if where == "rollout" else ("a", 2)]
    assert roles(run, "hangs") == expected
    assert settles(run, "hangs").count(False) == int(where == "rollout")
    assert run.metrics["axpo/infra_failures"] == 1.0


@pytest.mark.parametrize("where", ["rollout", "continuation"])
def test_a_worker_that_dies_in_mid_rollout(play, world, where):
    """Its questions are left out, the other worker's go on, and the next batch has both workers again."""
    sessions = {**acting("a", False, 0.3), **plain("b", False), **plain("c", True), **plain("d", False)}
    again = resampled("a", True, False, False)
    if where == "rollout":
        sessions["b"] = [call("b"), KILLS]
    else:
        again[1] = [rest_of_call("take 1"), KILLS]
    hard = Question("survives", {**acting("a", False, 0.2), **plain("b", True), **plain("c", True), **plain("d", True)},
                    {"a": resampled("a", True, False, False)})  # fmt: skip
    started = time.monotonic()
    run = play(Question("dies", sessions, {"a": again}), quiet("along"), hard, quiet("too"), variant="faults")
    assert run.status == {"dies": "failure", "along": "failure", "survives": "finished", "too": "finished"} or (
        where == "continuation"
        and run.status == {"dies": "failure", "along": "finished", "survives": "finished", "too": "finished"}
    )
    assert run.rows["dies"] == [] and roles(run, "survives") == tree("a")
    assert settles(run, "dies") == [False] * N
    reason = run.report.given_up[run.uids["dies"]]
    assert reason.startswith("its agent-loop worker has died: ")
    assert len(run.report.given_up) == list(run.status.values()).count("failure")
    world.forget()
    after = play(hard, quiet("x"), quiet("y"), quiet("z"), variant="faults")
    assert set(after.status.values()) == {"finished"} and roles(after, "survives") == tree("a")
    assert len({c.worker for c in after.calls}) == 2
    print(f"died, left out and restarted in {time.monotonic() - started:.1f} s")


def test_a_row_that_is_lost(play, world):
    lost = [call("b", 0.2), answer(LOST_ROW, True)]
    sessions = {**acting("a", False, 0.3), "b": lost, **plain("c", True), **plain("d", False)}
    again = [*resampled("a", True, False), [rest_of_call("take 2"), answer(LOST_ROW, True)]]
    run = play(Question("lost", sessions, {"a": again}), quiet("other"), variant="faults")
    expected = tree("a")
    del expected["b", None], expected["a", 2]
    assert roles(run, "lost") == expected and run.status["lost"] == "failure"
    assert settles(run, "lost").count(False) == 1
    advantages(world, run)


def test_a_status_that_is_lost(play):
    sessions = {**acting("a", False, 0.3), "b": [answer(LOST_STATUS, False)], **plain("c", True), **plain("d", False)}
    run = play(Question("lost", sessions, {"a": resampled("a", True, False, False)}), quiet("other"), variant="faults")
    assert run.status == {"lost": "failure", "other": "finished"}
    assert run.rows["lost"] == [] and len(run.rows["other"]) == N
    assert run.report.given_up == {run.uids["lost"]: "its worker could not finish it"}


# ---------------------------------------------------------------- at random


FAULTS = ("engine", "engine hangs", "ours", "tool hangs", "row")  # all of them failures of the infrastructure


def session_of(rng, name, faults, begin):
    """Turns of a session: a plain answer, or a call and an answer, with one of ``faults`` at times."""
    fault = rng.choice(FAULTS) if rng.random() < faults else ""
    acts = begin is rest_of_call or rng.random() < 0.6
    right = rng.random() < (0.3 if begin is rest_of_call else 0.0 if acts else 0.5)
    last = answer(f"{LOST_ROW} {name}" if fault == "row" else name, right)
    if fault == "engine" and rng.random() < 0.5:
        return [FAILS]
    if fault == "engine hangs" and rng.random() < 0.5:
        return [HANGS]
    if not acts:
        return [{"engine": FAILS, "engine hangs": HANGS}.get(fault, last)]
    if fault in ("ours", "tool hangs"):
        return [begin(f"{fault.removeprefix('tool ')} {name}", 0.1, tool="failing")]
    confidence = math.nan if rng.random() < 0.1 else round(rng.uniform(0.1, 0.9), 2)
    first = begin(f"bug {name}", confidence, tool="failing") if rng.random() < 0.15 else begin(name, confidence)
    return [first, {"engine": FAILS, "engine hangs": HANGS}.get(fault, last)]


def random_question(rng, name, faults, kills):
    sessions = {session: session_of(rng, session, faults, call) for session in "abcd"}
    again = {
        session: [session_of(rng, f"{session} take {k}", faults, rest_of_call) for k in range(K)] for session in "abcd"
    }
    if kills:
        victim = rng.choice("abcd")
        turns = again[victim][0] if rng.random() < 0.5 else sessions[victim]
        turns[-1] = KILLS
    return Question(name, sessions, again, TOOLS)


def is_broken(turns: list[Turn]) -> bool:
    """Whether a session's script ends in a failure of the infrastructure."""
    text = " ".join(turn.text for turn in turns)
    return bool(turns[-1].fault) or LOST_ROW in text or '"ours ' in text or '"hangs ' in text


def test_a_run_with_faults_ends_every_step(play, world):
    """Rows are checked by ``play``; here: who is left out, who is not, and that no step takes longer than it may."""
    rng = random.Random(11)
    seen: dict[str, float] = {}
    longest, resampled_prefixes = 0.0, 0
    for step in range(STEPS):
        kills = step % 20 == 13
        faults = rng.choice([0.0, 0.1, 0.3])
        questions = [random_question(rng, f"q{i}", faults, kills and i == 0) for i in range(3)]
        started = time.monotonic()
        run = play(*questions, variant="faults")
        longest = max(longest, time.monotonic() - started)
        for question in questions:
            dead = run.uids[question.name] in run.report.given_up
            if dead:
                assert kills and run.rows[question.name] == []
                assert settles(run, question.name) == [False] * N
                continue
            broken = {name: is_broken(turns) for name, turns in question.sessions.items()}
            assert settles(run, question.name).count(False) == sum(broken.values())
            settled = settled_of(run, question.name)
            assert set(settled) == {name for name, is_bad in broken.items() if not is_bad}
            for row in run.rows[question.name]:
                request = last_call(run, question.name, row)
                script = question.sessions[request.session]
                if request.continuation is not None:
                    script = question.continuations[request.session][request.continuation]
                assert not is_broken(script), "a failure of the infrastructure was scored"
            sources = [row for row in run.rows[question.name] if row.column["role"] == Role.SOURCE]
            for source in sources:
                mine = [r for r in run.rows[question.name] if r.column["prefix_group"] == source.column["prefix_group"]]
                assert len(mine) > 1, "a source without a continuation"
            resampled_prefixes += len(sources)
        assert len(run.report.selected) <= run.report.budget
        if any(run.rows.values()):
            advantages(world, run)
        for name in ("axpo/infra_failures", "axpo/no_fork/nan", "axpo/selected_prefixes"):
            seen[name] = seen.get(name, 0.0) + run.metrics.get(name, 0.0)
        seen["given up"] = seen.get("given up", 0) + len(run.report.given_up)
        world.forget()
    print(f"{STEPS} steps, longest {longest:.1f} s, {seen}")
    assert longest < 60.0, "a step was ended by its barrier, not by its own deadlines"
    if STEPS >= 40:
        assert all(count > 0 for count in seen.values()) and resampled_prefixes > 0


def test_ordinary_batches_afterwards(play):
    """Nothing of the faults before stays behind."""
    run = play(quiet("first"), quiet("second"), variant="faults")
    assert roles(run, "first") == roles(run, "second") == ORDINARY
    assert run.metrics["axpo/infra_failures"] == 0.0 and run.report.given_up == {}
