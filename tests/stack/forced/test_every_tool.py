# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Every tool through the real worker and verl's tool agent loop: what it returns, what of it the actor sees, forks."""

from __future__ import annotations

import pytest

from recipe.axpo.advantage import Role
from tests.stack.forced.checks import check_features, row_of, text, tree
from tests.stack.forced.script import (
    Question,
    answer,
    plain,
    quiet,
    rest_of_tool_call,
    tool_call,
)
from tests.stack.forced.world import K

pytestmark = pytest.mark.stack

TOOLS = ("image_zoom_in", "python", "tavily-search", "image_search")
ZOOM = {"bbox_2d": [0, 0, 250, 250], "label": "corner", "img_idx": 0}
DRAW = {"code": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('ab' * 200)\nprint('size', images[0].size)"}


def test_every_tool_answers_and_its_images_are_the_actors(tools, play):
    sessions = {
        "a": [tool_call("image_zoom_in", ZOOM), answer("a", True)],
        "b": [tool_call("python", DRAW), answer("b", True)],
        "c": [tool_call("tavily-search", {"query": "what is a comet?", "max_results": 1}), answer("c", False)],
        "d": [tool_call("image_search", {"img_idx": 0}), answer("d", True)],
    }
    run = play(Question("all", sessions, tools=TOOLS), variant="tools")
    rows = {name: row_of(run, "all", name) for name in sessions}
    said = {name: text(tools, row) for name, row in rows.items()}
    assert "Image 1: the region [0, 0, 250, 250] of image 0." in said["a"]
    assert "ab" * 200 in said["b"]  # verl's own limit is 256 characters
    assert "size (512, 512)\nImage 1: figure." in said["b"]  # the original, not what the model was shown
    assert "Comets" in said["c"] and "ice and dust" in said["c"] and "Bread" not in said["c"]
    assert "Image 1: disc_" in said["d"] and "Image 2: disc_" in said["d"]
    assert {name: check_features(tools, row) for name, row in rows.items()} == dict(a=2, b=2, c=1, d=3)
    for tool in TOOLS:
        assert run.metrics[f"tools/{tool}/calls"] == 1.0 and run.metrics[f"tools/{tool}/failure_rate"] == 0.0
        assert run.metrics[f"tools/{tool}/latency_p50"] > 0.0


def test_mistakes_are_answered_and_counted(tools, play):
    sessions = {
        "a": [tool_call("image_zoom_in", {**ZOOM, "img_idx": 4}), answer("a", True)],
        "b": [tool_call("python", {"code": "1 / 0"}), answer("b", True)],
        "c": [tool_call("tavily-search", {"query": ""}), answer("c", True)],
        "d": [tool_call("image_search", {"img_idx": "first"}), answer("d", True)],
    }
    run = play(Question("wrong", sessions, tools=TOOLS), variant="tools")
    said = {name: text(tools, row_of(run, "wrong", name)) for name in sessions}
    assert "Error: img_idx must be 0, the only image." in said["a"] and "Error: img_idx" in said["d"]
    assert "ZeroDivisionError: division by zero" in said["b"] and "Error: query" in said["c"]
    kinds = {"image_zoom_in": "img_idx", "python": "exception", "tavily-search": "query", "image_search": "img_idx"}
    for tool, kind in kinds.items():
        assert run.metrics[f"tools/{tool}/failures/model:{kind}"] == 1.0
    assert run.metrics["axpo/infra_failures"] == 0.0 and run.status == {"wrong": "finished"}


def test_variables_of_the_prefix_are_there_in_each_continuation(tools, play):
    first = tool_call("python", {"code": "x = 40"}, 0.6, "first")
    last = tool_call("python", {"code": "x += 1\nx"}, 0.3, "second")
    again = [
        [rest_of_tool_call("python", {"code": f"x += {step}\nx"}), answer(f"take {step}", step == 2)]
        for step in (2, 3, 4)
    ]
    sessions = {"a": [first, last, answer("a", False)], **plain("b", True), **plain("c", False), **plain("d", False)}
    run = play(Question("deep", sessions, {"a": again}, tools=TOOLS), quiet("other"), variant="tools_last")
    assert {key: role for key, role in tree("a").items() if role == Role.SOURCE}
    assert "\n41" in text(tools, row_of(run, "deep", "a"))
    for k, value in enumerate((42, 43, 44)):  # from 40 each: not from the source's 41, nor from each other's
        row = row_of(run, "deep", "a", k)
        assert row.column["role"] == Role.CONTINUATION and f"\n{value}" in text(tools, row)
    assert run.metrics["tools/python/calls"] == 2.0 + K


def test_without_a_tool_call_there_are_no_figures(tools, play):
    run = play(quiet("still"), variant="tools")
    assert not any(name.startswith("tools/") for name in run.metrics)
