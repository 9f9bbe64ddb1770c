# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Fork policies that cut elsewhere than behind an opening tag, and rows without images, through the real worker."""

from __future__ import annotations

import pytest

from data_prep.embedded.scene import scene_rng
from data_prep.embedded.text import embedded_text_row
from tests.stack.forced.checks import advantages, roles, row_of, text, tree
from tests.stack.forced.script import (
    CLOSE,
    END,
    OPEN,
    Question,
    Turn,
    acting,
    answer,
    arguments,
    call,
    plain,
    quiet,
    rest_of_tool_call,
    tool_call,
)
from tests.stack.forced.world import K

pytestmark = pytest.mark.stack

HARD = {**acting("a", False, 0.3), **acting("b", False, 0.4), **plain("c", True), **plain("d", False)}


def test_rollouts_from_scratch_are_whole_and_leave_their_source_alone(play, world):
    again = [
        [call("fresh 0", 0.6), answer("fresh 0 end", True)],
        [answer("fresh 1", False)],
        [call("fresh 2", 0.6, image=0), call("fresh 2 again", 0.6, image=1), answer("fresh 2 end", False)],
    ]
    run = play(Question("hard", HARD, {"a": again}), quiet("other"), variant="from_scratch")
    assert roles(run, "hard") == tree("a")
    source = row_of(run, "hard", "a")
    assert source.column["prefix_length"] == 0 and source.column["recovery_reward"] == source.reward == 0.0
    for k, images in enumerate((2, 1, 3)):
        row = row_of(run, "hard", "a", k)
        requests = [c for c in run.calls if c.continuation == k]
        assert requests[0].prompt_ids == tuple(row.ids("prompts")) and len(requests[0].image_sizes) == 1
        assert len(row.fields["multi_modal_inputs"]["image_grid_thw"]) == images
        assert row.ids("response_mask")[0] == 1 and row.fields["num_turns"] == 2 * images
    assert {c.request_id for c in run.calls if c.continuation is not None} == {
        c.request_id for c in run.calls if c.continuation == 0
    }
    got = advantages(world, run)
    of = {name: got[row_of(run, "hard", name).key] for name in "abcd"}
    assert of == pytest.approx(dict(a=-0.5, b=-0.5, c=1.5, d=-0.5), abs=1e-3)  # GRPO, whatever was found
    assert [got[row_of(run, "hard", "a", k).key] for k in range(K)] == pytest.approx([1.155, -0.577, -0.577], abs=1e-3)


def test_arpos_forks_resume_behind_the_tools_answer(play, world):
    again = [
        [answer("take 0", True)],
        [call("take 1", 0.6, image=1), answer("take 1 end", False)],
        [answer("take 2", False)],
    ]
    run = play(Question("hard", HARD, {"a": again, "b": again}), quiet("other"), variant="after_answer")
    (candidate,) = run.report.selected
    (name,) = (n for n in "ab" if row_of(run, "hard", n).session == candidate.session)
    assert roles(run, "hard") == tree(name)
    source = row_of(run, "hard", name)
    fork = source.column["prefix_length"]
    prefix = world.tokenizer.decode(source.ids("responses")[:fork])
    assert prefix.count(CLOSE) == prefix.count("</tool_response>") == 1 and prefix.endswith("<think>\n")
    assert source.column["turn"] == 2 and source.column["confidence"] == pytest.approx(0.9)
    (own,) = (c for c in run.calls if (c.session, c.continuation, c.turn) == (name, None, 1))
    for k in range(K):
        requests = [c for c in run.calls if c.continuation == k]
        assert requests[0].prompt_ids == own.prompt_ids and requests[0].image_sizes == own.image_sizes
        row = row_of(run, "hard", name, k)
        assert len(row.fields["multi_modal_inputs"]["image_grid_thw"]) == (3 if k == 1 else 2)
        assert row.fields["num_turns"] == (6 if k == 1 else 4)  # the prefix's own turns are counted once
        assert row.fields["extra_fields"]["tool_rewards"] == [0.0] * (2 if k == 1 else 1)
    assert "Image 2: the region [0, 0, 250, 250] of image 1." in text(world, row_of(run, "hard", name, 1))
    assert source.column["recovery_reward"] == 1.0
    assert run.metrics["tools/image_zoom_in/calls"] == 2 + 1  # the prefix's call is not run again
    advantages(world, run)


def test_rollouts_without_a_tool_resume_behind_their_thinking(play, world):
    sessions = {**acting("a", True), **acting("b", False), **plain("c", False), **plain("d", False)}
    again = [
        [Turn(f"\n\n<answer>@right</answer>{END}")],
        [Turn(f"\n\n{OPEN}\n{arguments('late')}\n{CLOSE}{END}", 0.6), answer("late end", False)],
        [Turn(f"\n\n<answer>never @right</answer>{END}")],
    ]
    run = play(Question("hard", sessions, {"c": again, "d": again}), quiet("other"), variant="no_tool")
    (candidate,) = run.report.selected
    (name,) = (n for n in "cd" if row_of(run, "hard", n).session == candidate.session)
    assert roles(run, "hard") == tree(name)
    source = row_of(run, "hard", name)
    fork = source.column["prefix_length"]
    assert world.tokenizer.decode(source.ids("responses")[:fork]) == f"I am {name}.\n</think>"
    late = row_of(run, "hard", name, 1)  # thinking and call are parsed as one turn
    assert "Image 1: the region [0, 0, 250, 250] of image 0." in text(world, late) and late.fields["num_turns"] == 4
    assert source.column["recovery_reward"] == 1.0
    assert run.metrics["axpo/triggered_questions"] == 1.0 and run.metrics["axpo/recovery_rate"] == 1.0
    advantages(world, run)


def test_rows_without_images_are_forked_alike(tools, play):
    rows = [embedded_text_row(scene_rng(0, "train", index), 0.75, "train", index) for index in range(2)]
    said = rows[0]["extra_info"]
    loop = f"v = {said['start']}\nfor _ in range({said['steps']}): v = (v * v + {said['add']}) % 9973\n"
    draw = {"code": "import matplotlib.pyplot as plt\nplt.plot([1, 2])"}
    sessions = {
        "a": [tool_call("python", {"code": "print('wrong')"}, 0.3, "a"), answer("a again", False)],
        **plain("b", True),
        **plain("c", False),
        **plain("d", False),
    }
    again = [
        [rest_of_tool_call("python", {"code": loop + "print('digit', v % 10)"}), answer("take 0", True)],
        [rest_of_tool_call("python", draw), answer("take 1", False)],
        [rest_of_tool_call("python", {"code": "1 / 0"}), answer("take 2", False)],
    ]
    run = play(Question("text", sessions, {"a": again}), quiet("other"), variant="tools", rows=rows)
    assert roles(run, "text") == tree("a")
    assert all(not call.image_sizes for call in run.calls if call.continuation != 1)
    solved, drawn, _ = (row_of(run, "text", "a", k) for k in range(K))
    assert f"digit {rows[0]['reward_model']['ground_truth']}" in text(tools, solved)
    for row in run.rows["text"] + run.rows["other"]:
        grids = row.fields["multi_modal_inputs"].get("image_grid_thw", ())
        assert len(grids) == (row.key == drawn.key)  # a tool may still draw a picture
    advantages(tools, run)
