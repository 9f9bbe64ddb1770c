# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One world for all forced cases: starting its processes takes longer than playing the cases."""

from __future__ import annotations

import json

import pytest
import yaml
from PIL import Image, ImageDraw

from verl_ext.cpu.env import REPO_ROOT

pytest.register_assert_rewrite("tests.stack.forced.checks")
CHECKPOINT = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"


@pytest.fixture(scope="package")
def world(tmp_path_factory):
    from tests.stack.forced.world import World

    model = CHECKPOINT
    if not (model / "config.json").exists():
        from run_scripts.tiny_model.build import build

        model = build(tmp_path_factory.mktemp("model"))
    started = World(model, tmp_path_factory.mktemp("data"))
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def play(world):
    """Roll a batch out and check what holds for every one."""
    from tests.stack.forced.checks import check_rows

    def run(*questions, variant: str = "axpo", rows=None):
        result = world.run(questions, variant, rows)
        check_rows(world, result)
        return result

    yield run
    world.forget()


SMALL = {"min_pixels": 4096, "max_pixels": 16384}
DOCUMENTS = [
    {"title": "Comets", "url": "http://a.test/1", "text": "A comet is a body of ice and dust with a tail."},
    {"title": "Bread", "url": "http://a.test/2", "text": "Bread is baked from flour, water and salt."},
    {"title": "Bridges", "url": "http://a.test/3", "text": "A bridge carries a road over a river."},
]


@pytest.fixture(scope="package")
def tools(world, tmp_path_factory):
    """The variants "tools" (fork at the first call) and "tools_last", with every tool on backends of this machine."""
    from tests.stack.forced.world import AXPOAgentLoopManager

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
    for name in options:
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
        "data.max_prompt_length=3072",
        "data.max_response_length=1024",
        "actor_rollout_ref.rollout.max_model_len=4096",
    )
    world.variants["tools"] = (AXPOAgentLoopManager, overrides)
    world.variants["tools_last"] = (AXPOAgentLoopManager, (*overrides, "axpo.fork=last"))
    return world
