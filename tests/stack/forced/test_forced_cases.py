# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Forced cases through the real rollout worker, coordinator, agent loop, tools and reward; the LLM plays a script.

Every batch that is played goes through ``check_rows``: what a row holds is token for token what the engine was given
and gave, its mask is its role's, and no generated token is trained twice.
"""

from __future__ import annotations

import pytest

from tests.stack.forced.checks import (
    ORDINARY,
    advantages,
    check_same_rows,
    last_call,
    roles,
    row_of,
    settled_of,
    text,
    tree,
)
from tests.stack.forced.script import OPEN, Question, acting, answer, call, plain, quiet, resampled, rest_of_call
from tests.stack.forced.world import K, N

pytestmark = pytest.mark.stack


def test_without_tool_use_the_rows_are_verls(play, world):
    run = play(quiet("first"), quiet("second"))
    assert run.report.budget == 1 and run.report.selected == [] and run.report.outcomes == []
    assert set(run.status.values()) == {"finished"}
    for question in run.rows:
        assert roles(run, question) == ORDINARY
        assert all(row.column["prefix_group"] is None for row in run.rows[question])
        assert not any(rollout.used_tool or rollout.spans for rollout in settled_of(run, question).values())
    assert run.metrics["axpo/tool_use_rate"] == 0.0 and run.metrics["axpo/triggered_questions"] == 0.0
    assert "axpo/recovery_rate" not in run.metrics and "axpo/tool_all_wrong_rate" not in run.metrics
    assert run.metrics["axpo/accuracy"] == 0.5 and run.metrics["axpo/budget_used"] == 0.0
    advantages(world, run)
    world.forget()
    check_same_rows(run, play(quiet("first"), quiet("second"), variant="stock"))


def test_one_correct_tool_using_rollout_keeps_a_question_from_triggering(play):
    sessions = {**acting("a", True), **acting("b", False), **acting("c", False), **plain("d", False)}
    run = play(Question("mixed", sessions), quiet("other"))
    assert run.report.budget == 1 and run.report.selected == []
    assert roles(run, "mixed") == ORDINARY
    assert {name: r.used_tool for name, r in settled_of(run, "mixed").items()} == dict(a=1, b=1, c=1, d=0)
    assert run.metrics["axpo/tool_all_wrong_rate"] == 0.0 and run.metrics["axpo/tool_accuracy"] == pytest.approx(1 / 3)


def continuations_of(source):
    """Session numbers of a source's continuations: a function of the source alone, as are their seeds."""
    return range(N + source * K, N + source * K + K)


ALL_WRONG = {**acting("a", False, 0.3), **acting("b", False, 0.4), **plain("c", True), **plain("d", False)}


@pytest.mark.parametrize("recovered", [True, False])
def test_an_all_wrong_subgroup_is_resampled(play, world, recovered):
    question = Question("hard", ALL_WRONG, {"a": resampled("a", False, recovered, False)})
    run = play(question, quiet("other"))
    rows = run.rows["hard"]
    assert roles(run, "hard") == tree("a") and len(run.rows["other"]) == N
    source = row_of(run, "hard", "a")
    assert [row.session for row in rows] == [*range(N), *continuations_of(source.session)]
    fork = source.column["prefix_length"]
    assert text(world, source)[: text(world, source).index(OPEN)] + OPEN == world.tokenizer.decode(
        source.ids("responses")[:fork]
    )
    assert source.ids("response_mask") == [1] * fork + [0] * (len(source.ids("responses")) - fork)
    assert source.column["recovery_reward"] == float(recovered) and source.reward == 0.0
    assert source.column["confidence"] == pytest.approx(0.3) and source.column["turn"] == 1
    for k in range(K):
        row = row_of(run, "hard", "a", k)
        assert row.ids("responses")[:fork] == source.ids("responses")[:fork]
        assert row.ids("rollout_log_probs")[:fork] == source.ids("rollout_log_probs")[:fork]
        mask = row.ids("response_mask")
        assert mask[:fork] == [0] * fork and mask[fork] == 1 and mask[-1] == 1
        assert "Image 1: the region [0, 0, 250, 250] of image 0." in text(world, row)  # the tool was executed
        assert {name: row.column[name] for name in ("prefix_group", "source_session", "recovery_reward")} == {
            "prefix_group": f"{run.uids['hard']}:{source.session}:{fork}",
            "source_session": source.session,
            "recovery_reward": None,
        }
    assert source.column["prefix_group"] == f"{run.uids['hard']}:{source.session}:{fork}"

    (selected,) = run.report.selected
    assert (selected.question, selected.session) == (run.uids["hard"], source.session)
    assert sorted(map(tuple, run.report.outcomes)) == [tuple(row.reward for row in rows[N:])]
    assert run.metrics["axpo/recovery_rate"] == float(recovered)
    assert run.metrics["axpo/continuation_accuracy"] == pytest.approx(recovered / 3)
    assert run.metrics["axpo/triggered_questions"] == run.metrics["axpo/selected_prefixes"] == 1.0
    assert run.metrics["axpo/budget_used"] == 1.0 and run.metrics["axpo/infra_failures"] == 0.0
    assert run.metrics["axpo/call_confidence/selected"] == pytest.approx(0.3)
    assert run.metrics["axpo/call_confidence/unselected"] == pytest.approx(0.4)
    assert run.metrics["tools/image_zoom_in/calls"] == 2 + K  # of a, b and the continuations
    assert run.metrics["tools/image_zoom_in/failure_rate"] == 0.0

    got = advantages(world, run)
    of = {name: got[row_of(run, "hard", name).key] for name in "abcd"}
    assert of == pytest.approx(dict(a=0.866 if recovered else -0.5, b=-0.5, c=1.5, d=-0.5), abs=1e-3)  # Eq. 4
    of = [got[row_of(run, "hard", "a", k).key] for k in range(K)]
    assert of == pytest.approx([-0.577, 1.155, -0.577] if recovered else [0.0] * K, abs=1e-3)  # Eq. 2


def test_two_sources_of_one_question_are_credited_each_on_its_own(play, world):
    sessions = {**acting("a", False, 0.4), **acting("b", False, 0.3), **acting("c", False, 0.6), **plain("d", True)}
    again = {"a": resampled("a", True, True, False), "b": resampled("b", False, False, False)}
    run = play(Question("hard", sessions, again), quiet("x"), quiet("y"), quiet("z"))
    assert run.report.budget == 2
    assert roles(run, "hard") == tree("a", "b")
    rows = run.rows["hard"]
    a, b = (row_of(run, "hard", name) for name in "ab")
    numbers = sorted([*continuations_of(a.session), *continuations_of(b.session)])
    assert [row.session for row in rows] == [*range(N), *numbers] and len({row.key for row in rows}) == N + 2 * K
    assert [candidate.session for candidate in run.report.selected] == [b.session, a.session]  # least confident first
    assert (a.column["recovery_reward"], b.column["recovery_reward"]) == (1.0, 0.0)
    assert a.column["prefix_group"] != b.column["prefix_group"]
    for source, name in ((a, "a"), (b, "b")):
        members = [r for r in rows[N:] if r.column["prefix_group"] == source.column["prefix_group"]]
        assert {last_call(run, "hard", row).session for row in members} == {name} and len(members) == K
    got = advantages(world, run)
    of = {name: got[row_of(run, "hard", name).key] for name in "abcd"}
    assert of == pytest.approx(dict(a=0.866, b=-0.5, c=-0.5, d=1.5), abs=1e-3)
    assert run.metrics["axpo/recovery_rate"] == 0.5 and run.metrics["axpo/call_confidence/unselected"] == 0.6


def test_the_budget_is_the_batchs_and_spent_breadth_first(play):
    def hard(name, *confidences):
        sessions = {**plain("c", True), **plain("d", False)}
        for session, confidence in zip("ab", confidences, strict=False):
            sessions |= acting(session, False, confidence)
        sessions |= plain("b", False) if len(confidences) == 1 else {}
        return Question(name, sessions, {session: resampled(session, False, True, True) for session in "ab"})

    run = play(hard("q0", 0.3, 0.31), quiet("q1"), hard("q2", 0.4), hard("q3", 0.5))
    assert run.report.budget == 2 < run.metrics["axpo/triggered_questions"] == 3
    worker = {name: {call.worker for call in run.calls if call.question == name} for name in run.rows}
    assert worker["q0"] == worker["q1"] != worker["q2"] == worker["q3"]  # two workers, one budget
    order = [candidate.question for candidate in run.report.selected]
    assert order == [run.uids["q0"], run.uids["q2"]]  # not q0's second, although less sure than q2's first
    assert [candidate.span.confidence for candidate in run.report.selected] == pytest.approx([0.3, 0.4])
    assert roles(run, "q0") == roles(run, "q2") == tree("a")
    assert roles(run, "q3") == ORDINARY
    assert run.metrics["axpo/call_confidence/unselected"] == pytest.approx((0.31 + 0.5) / 2)
    assert run.metrics["axpo/recovery_rate"] == 1.0


def test_a_budget_of_zero_resamples_nothing(play, world):
    run = play(Question("alone", ALL_WRONG))
    assert run.report.budget == 0 and run.report.selected == []  # floor(0.5 * 1 * 4 / 3)
    assert run.metrics["axpo/triggered_questions"] == 1.0 and "axpo/budget_used" not in run.metrics
    assert roles(run, "alone") == ORDINARY
    advantages(world, run)


def test_a_fork_in_the_second_turn_restores_the_state_at_the_cut(play, world):
    last = [call("a second", 0.3, image=1), answer("a end", False)]
    sessions = {"a": [call("a first", 0.2), *last], **plain("b", False), **plain("c", True), **plain("d", False)}
    again = [
        [rest_of_call("take 0", image=1), answer("take 0", True)],
        [rest_of_call("take 1", image=1), call("one too many", image=2)],
        [rest_of_call("take 2", image=0), answer("take 2", False)],
    ]
    run = play(Question("deep", sessions, {"a": again}), quiet("other"), variant="axpo_last")
    assert roles(run, "deep") == tree("a")
    source = row_of(run, "deep", "a")
    fork = source.column["prefix_length"]
    assert source.column["turn"] == 2 and source.column["confidence"] == pytest.approx(0.3)
    prefix = world.tokenizer.decode(source.ids("responses")[:fork])
    assert prefix.count(OPEN) == 2 and prefix.endswith(OPEN) and prefix.count("</tool_response>") == 1
    assert source.ids("response_mask")[0] == 1  # the first turn is part of the prefix
    assert source.column["recovery_reward"] == 1.0
    for k, of in enumerate((1, 1, 0)):
        row = row_of(run, "deep", "a", k)
        assert f"Image 2: the region [0, 0, 250, 250] of image {of}." in text(world, row)
        assert "Image 3" not in text(world, row)
        mine = [c for c in run.calls if c.continuation == k]
        assert [len(c.image_sizes) for c in mine] == [2, 3]  # prompt and first crop, then the new crop too
        assert len(row.fields["multi_modal_inputs"]["image_grid_thw"]) == 3
        assert row.fields["num_turns"] == source.fields["num_turns"] == 6  # user, 3 assistant, 2 tool
        assert row.fields["extra_fields"]["tool_rewards"] == [0.0, 0.0]
    too_many = row_of(run, "deep", "a", 1)
    assert text(world, too_many).count("</tool_response>") == 2  # the third assistant turn is the last: no execution
    assert [row_of(run, "deep", "a", k).reward for k in range(K)] == [1.0, 0.0, 0.0]
    advantages(world, run)


def test_a_continuation_knows_the_calls_before_its_fork_and_no_others(play, world):
    def turn(label):
        return call(label, 0.3 if label.endswith("second") else 0.2, tool="remembering")

    sessions = {"a": [turn("a first"), turn("a second"), answer("a end", False)]}
    sessions |= {**plain("b", False), **plain("c", True), **plain("d", False)}
    again = [[rest_of_call(f"take {k}", tool="remembering"), answer(f"take {k}", k == 0)] for k in range(K)]
    question = Question("memory", sessions, {"a": again}, ("image_zoom_in", "remembering"))
    run = play(question, quiet("other"), variant="axpo_last")
    assert roles(run, "memory") == tree("a")
    assert row_of(run, "memory", "a").column["turn"] == 2
    for k in range(K):  # the source's second call was executed, but after the cut
        said = text(world, row_of(run, "memory", "a", k))
        assert said.count("Calls before: none.") == 1 and said.count("Calls before: a first.") == 1
        assert said.count("Calls before") == 2
    assert run.metrics["tools/remembering/calls"] == 2 + K  # the prefix's calls are not run again


def test_every_session_samples_with_its_own_seed_and_request_id(play):
    run = play(Question("hard", ALL_WRONG, {"a": resampled("a", True, False, False)}), quiet("other"))
    ids = {(c.question, c.session): c.request_id for c in run.calls if c.continuation is None}
    assert len(set(ids.values())) == 2 * N
    continuations = [c for c in run.calls if c.continuation is not None]
    assert len(continuations) == 2 * K
    (shared,) = {c.request_id for c in continuations}
    assert shared not in ids.values()  # placed by load; the K share one computation of the prefix
    assert len({c.seed for c in run.calls}) == 2 * N + K and None not in {c.seed for c in run.calls}
