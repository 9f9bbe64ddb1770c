# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A teacher's trajectories through the command line."""

import json

import pytest

TOOLS = ("--tools", "image_zoom_in")


def test_a_conversation(chat, write_chat, sft, jpeg):
    _, (row,), manifest = sft("sft-openai", write_chat([chat.conversation()]), *TOOLS)
    system, user, acting, tool, final = row["messages"]
    assert system["content"] == "Be exact." and user["content"] == "<image>What does it say?"
    assert acting["content"] == "<think>\nToo small. [image]\n</think>\n\n"  # a literal tag is no image
    assert json.loads(acting["tool_calls"][0]["function"]["arguments"]) == chat.zoom
    assert tool["content"] == "<image>Image 1: the region."  # images first, as in a rollout
    assert final["content"] == "<think>\nIt says STOP.\n</think>\n\n<answer>STOP</answer>"
    assert [image["bytes"] for image in row["images"]] == [jpeg(64, 64), jpeg(96, 64)]
    assert row["extra_info"]["id"] == "line 1" and manifest["tools"] == ["image_zoom_in"]


def test_paths_plain_contents_and_another_system_turn(chat, write_chat, sft, tmp_path, jpeg):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a b.jpg").write_bytes(jpeg(64, 64))
    part = {"type": "image_url", "image_url": {"url": "pictures/a b.jpg"}}
    lines = [
        chat.conversation(user={"role": "user", "content": [part, {"type": "text", "text": "What?"}]}),
        [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "Easy.</think>2"}],
    ]
    _, (first, second), _ = sft("sft-openai", write_chat(lines), *TOOLS, "--system", "Ours.")
    assert first["messages"][0]["content"] == second["messages"][0]["content"] == "Ours."
    assert first["images"][0]["bytes"] == jpeg(64, 64) and second["images"] == []
    assert second["messages"][2]["content"] == "<think>\nEasy.\n</think>\n\n2"
    _, rows, _ = sft("sft-openai", write_chat(lines), *TOOLS, "--system", "", "--limit", "1")
    assert [turn["role"] for turn in rows[0]["messages"]] == ["user", "assistant", "tool", "assistant"]


def test_several_tools_are_kept_apart(chat, write_chat, sft):
    _, (row,), manifest = sft("sft-openai", write_chat([chat.conversation()]), "--tools", "python,image_zoom_in")
    schemas = json.loads(row["tools"])
    assert [schema["function"]["name"] for schema in schemas] == manifest["tools"] == ["python", "image_zoom_in"]
    assert list(schemas[0]["function"]["parameters"]["properties"]) == ["code"]


def acting(chat, *calls, **changes):
    return {"role": "assistant", "reasoning_content": "Hm.", "content": "", "tool_calls": list(calls), **changes}


def cases(chat):
    zoom, call, make = chat.zoom, chat.call, chat.conversation
    user = {"role": "user", "content": "And now?"}

    def with_call(*args):
        return make(acting=acting(chat, call(*args)))

    def with_image(address):
        return make(user={"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]})

    return [
        (
            "several calls in a turn",
            make(acting=acting(chat, call("image_zoom_in", zoom), call("image_zoom_in", zoom))),
        ),
        ("call of an unknown tool", with_call("zoom", zoom)),
        ("arguments are no JSON", with_call("image_zoom_in", "{bbox")),
        ("arguments are no JSON", with_call("image_zoom_in", "[1]")),
        ("arguments do not fit the schema", with_call("image_zoom_in", {"bbox_2d": [1, 2, 3, 4], "img_idx": 0})),
        ("arguments do not fit the schema", with_call("image_zoom_in", {**zoom, "img_idx": "0"})),
        ("arguments do not fit the schema", with_call("image_zoom_in", {**zoom, "scale": 2})),
        ("call names an image that is not there", with_call("image_zoom_in", {**zoom, "img_idx": 1})),
        ("arguments that the zoom tool refuses", with_call("image_zoom_in", {**zoom, "bbox_2d": [1, 2, 3]})),
        ("arguments that the zoom tool refuses", with_call("image_zoom_in", {**zoom, "bbox_2d": [1200, 2, 1400, 9]})),
        ("tool call without a function", make(acting=acting(chat, {"id": "c1"}))),
        ("tool message answers no call", with_call("image_zoom_in", zoom, "c9")),
        ("tool message answers no call", make(acting=acting(chat))),
        ("call without an answer", make(tool=None)),
        ("does not end with an answer", make(final=None)),
        ("does not end with an answer", make(final={"role": "assistant", "content": "<think>Hm.</think>"})),
        ("assistant turn without thoughts", make(final={"role": "assistant", "content": "STOP"})),
        ("thoughts do not close", make(final={"role": "assistant", "content": "<think>STOP"})),
        (
            "several thoughts in a turn",
            make(final={"role": "assistant", "content": "<think>a</think>b<think>c</think>d"}),
        ),
        ("call written as text", make(final={"role": "assistant", "content": "<think>a</think><tool_call>{}"})),
        ("more than one user turn", make(again=user, last={"role": "assistant", "content": "<think>a</think>b"})),
        ("does not start with a question", make(user=None)),
        ("image on the web", with_image("https://example.org/a.jpg")),
        ("missing image", with_image("../../etc/hostname")),
        ("missing image", with_image("file:///etc/hostname")),
        ("corrupt image", with_image("data:image/png;base64,AAAA")),
        ("corrupt image", with_image("data:image/png;base64,***")),
        ("image without an address", with_image(None)),
        ("content part of another kind", make(user={"role": "user", "content": [{"type": "audio"}]})),
        ("message of another role", make(again={"role": "function", "content": "x"})),
        ("line is no JSON", "{"),
        ("line has no messages", "[]"),
        ("messages is no list of messages", '{"messages": "x"}'),
    ]


@pytest.mark.parametrize("number", range(33))
def test_what_a_rollout_cannot_be_is_dropped_with_its_reason(chat, write_chat, sft, number):
    bad = cases(chat)
    assert len(bad) == 33
    reason, conversation = bad[number]
    _, rows, manifest = sft("sft-openai", write_chat([conversation, chat.conversation()]), *TOOLS)
    assert manifest["dropped"] == {reason: 1} and (manifest["rows_in"], len(rows)) == (2, 1)
    assert manifest["dropped_rows"][reason][0].startswith("line 1")


def test_no_row_left_stops_with_an_example(chat, write_chat, sft, capsys):
    assert sft("sft-openai", write_chat(["{", "[]"]), *TOOLS)[0] == 1
    message = capsys.readouterr().err
    assert "no row is left of 2" in message and "line is no JSON" in message


@pytest.mark.parametrize("options,message", [
    (("--tools", "zoom"), "there is no tool 'zoom'"),
    (("--tools", ","), "names no tool"),
    (("--tools", "python", "--limit", "0"), "--limit: must be at least 1"),
])  # fmt: skip
def test_bad_options(chat, write_chat, sft, capsys, options, message):
    with pytest.raises(SystemExit):
        sft("sft-openai", write_chat([chat.conversation()]), *options)
    assert message in capsys.readouterr().err
