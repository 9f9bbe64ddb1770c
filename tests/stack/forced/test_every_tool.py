# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Every tool through the real worker and verl's tool agent loop: what it returns, what of it the actor sees, forks."""

from __future__ import annotations

import json

import pytest
import yaml
from PIL import Image, ImageDraw

from recipe.axpo.advantage import Role
from tests.stack.forced.checks import row_of, text, tree
from tests.stack.forced.script import (
    Question,
    answer,
    plain,
    quiet,
    rest_of_tool_call,
    tool_call,
)
from tests.stack.forced.world import AXPOAgentLoopManager, K
from verl_ext.cpu.env import REPO_ROOT

pytestmark = pytest.mark.stack

TOOLS = ("image_zoom_in", "python", "tavily-search", "image_search")
SMALL = {"min_pixels": 4096, "max_pixels": 16384}
DOCUMENTS = [
    {"title": "Comets", "url": "http://a.test/1", "text": "A comet is a body of ice and dust with a tail."},
    {"title": "Bread", "url": "http://a.test/2", "text": "Bread is baked from flour, water and salt."},
    {"title": "Bridges", "url": "http://a.test/3", "text": "A bridge carries a road over a river."},
]


@pytest.fixture(scope="module")
def tools(world, tmp_path_factory):
    """The variants "tools" (fork at the first call) and "tools_last", with every tool on backends of this machine."""
    folder = tmp_path_factory.mktemp("tools")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(4):
        image = Image.new("RGB", (160, 120), "white")
        ImageDraw.Draw(image).ellipse((20 * i, 10, 20 * i + 60, 90), fill=("red", "green", "blue", "black")[i])
        image.save(pictures / f"disc_{i}.png")
    options = {
        "image_zoom_in": SMALL | {"min_pixels": 16384},
        "python": SMALL | {"code_timeout_s": 10.0, "max_concurrency": 2},
        "tavily-search": {"backend": "bm25", "corpus": str(corpus), "index_dir": str(folder), "max_result_tokens": 64},
        "image_search": {
            "backend": "offline",
            "folder": str(pictures),
            "max_distance": 64,
            "max_results": 2,
            "max_pixels": 4096,
        },
    }
    configured = []
    for name in TOOLS:
        (tool,) = yaml.safe_load((REPO_ROOT / "tools" / f"{name}.yaml").read_text())["tools"]
        # every prompt carries the schemas, and this model's has little room
        function = tool["tool_schema"]["function"]
        function["description"] = name
        for parameter in function["parameters"]["properties"].values():
            parameter.pop("description", None)
        configured.append({**tool, "config": {"type": "native", **options[name]}})
    path = folder / "tools.yaml"
    path.write_text(yaml.safe_dump({"tools": configured}))
    overrides = (
        f"actor_rollout_ref.rollout.multi_turn.tool_config_path={path}",
        "data.max_prompt_length=1024",
        "data.max_response_length=1024",
        "actor_rollout_ref.rollout.max_model_len=2048",
    )
    world.variants["tools"] = (AXPOAgentLoopManager, overrides)
    world.variants["tools_last"] = (AXPOAgentLoopManager, (*overrides, "axpo.fork=last"))
    return world


def check_features(world, row) -> int:
    """Placeholder tokens of a row against the features its images have; returns the number of images."""
    pad = world.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    grids = row.fields["multi_modal_inputs"]["image_grid_thw"]
    merged = world.processor.image_processor.merge_size**2
    assert row.ids("input_ids").count(pad) == sum(int(grid.prod()) // merged for grid in grids)
    return len(grids)


ZOOM = {"bbox_2d": [0, 0, 250, 250], "label": "corner", "img_idx": 0}
DRAW = {"code": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('size', images[0].size)"}


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
        "d": [tool_call("image_search", {"img_idx": "0"}), answer("d", True)],
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
