# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Mini-o3's trajectories through the command line."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from PIL import Image

from data_prep.abilities import ABILITIES
from data_prep.core.spec import Drop
from data_prep.sft import mini_o3
from data_prep.sft.conversation import Call
from data_prep.tool_schemas import load_tool_schemas


def test_a_trajectory_of_two_zooms(mini, write_mini, sft, jpeg):
    turns = mini.trajectory(
        mini.zoom([0.1, 0.2, 0.55, 0.4004]), mini.zoom([0, 0, 1, 0.5], "observation_1", "Closer."), mini.answer
    )
    _, (row,), manifest = sft("sft-mini-o3", write_mini([(turns, 3)]))
    system, user, first, crop, second, closer, final = row["messages"]
    assert system["content"] == ABILITIES["perception"].system and "<grounding>" not in str(row["messages"])
    assert user["content"].startswith("<image>\nWhat is on the sign?\n\nWrite the final answer inside <answer>")
    assert first["content"] == "<think>\nThe sign is small, I zoom in.\n</think>\n\n"
    arguments = [json.loads(turn["tool_calls"][0]["function"]["arguments"]) for turn in (first, second)]
    assert arguments == [
        {"bbox_2d": [100, 200, 550, 400], "label": "region", "img_idx": 0},
        {"bbox_2d": [0, 0, 1000, 500], "label": "region", "img_idx": 1},
    ]
    assert crop["role"] == "tool" and crop["content"] == "<image>Image 1: the region [100, 200, 550, 400] of image 0."
    assert closer["content"] == "<image>Image 2: the region [0, 0, 1000, 500] of image 1."
    assert final["content"] == "<think>\nIt says stop.\nSure.\n</think>\n\n<answer>STOP</answer>"
    assert final["tool_calls"] is None and user["tool_calls"] is None
    assert [image["bytes"] for image in row["images"]] == [jpeg(64 + 32 * i, 64) for i in range(3)]
    assert row["extra_info"] == {
        "split": "sft", "index": 0, "id": "0-0-0", "source": "visual_probe_train", "calls": 2,
    }  # fmt: skip
    assert row["tools"] == load_tool_schemas(["image_zoom_in"]) and manifest["rows_out"] == 1


def test_json_is_read_too_and_images_follow_their_names(mini, write_mini, sft, jpeg):
    turns = mini.trajectory(mini.zoom([0, 0, 0.5, 0.5]), mini.answer)
    later = {"image_names": ["observation_2.jpg", "observation_1.jpg", "original_image.jpg"]}  # one turn was cut off
    _, (plain, turned), _ = sft("sft-mini-o3", write_mini([(turns, 2), (turns, 3, later)], literal=json.dumps))
    assert [image["bytes"] for image in turned["images"]] == [jpeg(128, 64), jpeg(96, 64)]
    assert [image["bytes"] for image in plain["images"]] == [jpeg(64, 64), jpeg(96, 64)]


def test_the_answer_of_the_tool_is_the_tool_s_own(monkeypatch):
    from tools.image_zoom_in import ImageZoomInTool

    tool = ImageZoomInTool.__new__(ImageZoomInTool)
    tool.options = ImageZoomInTool.Options()
    arguments = {"bbox_2d": [100, 200, 550, 401], "label": "region", "img_idx": 1}
    agent = SimpleNamespace(image_data=[Image.new("RGB", (640, 480))] * 3, extra_fields={})
    answer = asyncio.run(tool.call(arguments, agent, {}))
    assert answer.text == mini_o3.zoom_answer(Call("image_zoom_in", arguments), 3)


def test_rows_that_cannot_be_used_are_counted(mini, write_mini, sft):
    good = mini.trajectory(mini.zoom([0, 0, 0.5, 0.5]), mini.answer)
    failed = mini.trajectory(mini.zoom([0, 0, 0.5, 0.5]), mini.answer)
    failed[3]["value"] = "ERROR: wrong box. Please analyze the error information obtained from the function tool."
    twice = mini.zoom([0, 0, 0.5, 0.5]) + mini.zoom([0, 0, 0.5, 0.5]).split("</think>")[1]
    silent = mini.trajectory("<answer>STOP</answer>")
    cases = {
        "does not end with an answer": (mini.trajectory(mini.zoom([0, 0, 0.5, 0.5])), 1),
        "a zoom that failed": (failed, 1),
        "assistant turn without thoughts": (silent, 1),
        "several calls in a turn": (mini.trajectory(twice, mini.answer), 2),
        "zoom box is not relative from 0 to 1": (mini.trajectory(mini.zoom([0, 0, 500, 300]), mini.answer), 2),
        "zoom box is empty": (mini.trajectory(mini.zoom([0.5, 0, 0.5, 0.3]), mini.answer), 2),
        "call names an image that is not there": (
            mini.trajectory(mini.zoom([0, 0, 0.5, 0.5], "observation_1"), mini.answer), 2,
        ),
        "placeholders do not match the images": (good, 1),
        "zoom call cannot be read": (mini.trajectory(mini.zoom("[0, 0, 1"), mini.answer), 2),
        "neither a zoom call nor an answer": (mini.trajectory("<think>Hm.</think>I do not know."), 1),
        "not in the expected form": (
            mini.trajectory(mini.zoom([0, 0, 0.5, 0.5], "observation_one"), mini.answer), 2,
        ),
    }  # fmt: skip
    source = write_mini([(good, 2), *cases.values(), *[(good, 2)] * 3])
    _, rows, manifest = sft("sft-mini-o3", source)
    assert manifest["dropped"] == dict.fromkeys(sorted(cases), 1) and len(rows) == 4
    assert [row["extra_info"]["index"] for row in rows] == [0, 1, 2, 3]
    assert "500" in manifest["dropped_rows"]["zoom box is not relative from 0 to 1"][0]


@pytest.mark.parametrize("text,found", [
    ("__import__('os').system('touch hacked')", "no literal"),
    ("[{'role': 'user', 'content': 'x'}]", "['content', 'role']"),
    ("[{'from': 'function', 'value': 'x'}]", "from 'function'"),
    ("{'from': 'human'}", "dict, expected a list"),
    ("[" * 5000, "no literal"),
])  # fmt: skip
def test_another_form_stops_with_what_was_found(mini, write_mini, sft, capsys, text, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = mini.trajectory(mini.zoom([0, 0, 0.5, 0.5]), mini.answer)
    status, _, _ = sft("sft-mini-o3", write_mini([(text, 1), (text, 1), (good, 2)]))
    message = capsys.readouterr().err
    assert status == 1 and "not in the expected form" in message and found in message and "mini_o3.py" in message
    assert not (tmp_path / "hacked").exists()


def test_a_form_that_changes_later_stops_too(mini, write_mini, sft, capsys):
    good = mini.trajectory(mini.zoom([0, 0, 0.5, 0.5]), mini.answer)
    status, _, _ = sft("sft-mini-o3", write_mini([(good, 2)] * 20 + [("[]", 0)] * 8))
    assert status == 1 and "8 of 28 rows are not in the expected form" in capsys.readouterr().err


def test_conversations_are_of_limited_size(monkeypatch):
    monkeypatch.setattr(mini_o3, "MAX_CHARS", 100)
    with pytest.raises(Drop, match="conversation too long"):
        mini_o3.parse_conversations("[" + " " * 100 + "]")


def test_missing_columns_are_named(other_table, sft, capsys):
    status, _, _ = sft("sft-mini-o3", other_table(messages=["x"], image_names=[["a.jpg"]]))
    message = capsys.readouterr().err
    assert status == 1 and "'conversations' (str) is missing" in message and "messages (str)" in message
