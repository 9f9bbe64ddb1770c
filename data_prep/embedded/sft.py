# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make SFT conversations of the embedded task with a built-in Thinking-Acting Gap.

Three numbers determine a policy trained on them: how often it calls the tool, how often a call has the right box, and
(through the scene's hint) how often it is right without a tool. Thoughts before a call never locate the cell, so that a
call resampled after the same thoughts can pick another box.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from data_prep.embedded.rl import TOOL, prompt_text
from data_prep.embedded.scene import Scene
from data_prep.errors import OptionError
from data_prep.rows import IMAGE_PLACEHOLDER, png_bytes

READINGS = {"colour": "The specks are {}.", "count": "I count {}.", "glyph": "It is {}."}
HINTS = {
    "colour": "The frame suggests {}.",
    "count": "The marks on the frame suggest {}.",
    "glyph": "The plate in the corner suggests {}.",
}
BEFORE_CALL = {
    "colour": "The specks are too fine to read here. I zoom in on the dark cell.",
    "count": "The dots are too fine to count here. I zoom in on the dark cell.",
    "glyph": "The character is too fine to read here. I zoom in on the dark cell.",
}


@dataclass(frozen=True)
class PolicyRates:
    """Set the rates that the SFT data teaches.

    Raises:
        OptionError: a rate is outside 0..1.
    """

    tool_rate: float = 0.3
    box_accuracy: float = 0.32

    def __post_init__(self):
        for option, value in (("--tool-rate", self.tool_rate), ("--box-accuracy", self.box_accuracy)):
            if not 0.0 <= value <= 1.0:
                raise OptionError(option, f"must lie from 0 to 1, got {value}")


def think(thought: str, then: str) -> str:
    """Return an assistant turn: thoughts, then an answer or a call."""
    return f"<think>\n{thought}\n</think>\n\n{then}"


def answer_tag(answer: str) -> str:
    """Return a final answer as the reward reads it."""
    return f"<answer>{answer}</answer>"


def zoom_call(box: list[int]) -> str:
    """Return a serialised call of the zoom tool on the first image."""
    arguments = {"bbox_2d": box, "label": "dark cell", "img_idx": 0}
    return f"<tool_call>\n{json.dumps({'name': TOOL, 'arguments': arguments})}\n</tool_call>"


def zoom_answer(box: list[int], image_index: int = 1) -> str:
    """Return the text that the zoom tool sends with its crop."""
    return f"Image {image_index}: the region {box} of image 0."


def choose_cell(scene: Scene, box_accuracy: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return the dark cell with probability ``box_accuracy``, else a uniformly drawn other cell."""
    if rng.random() < box_accuracy:
        return scene.target
    grid = scene.config.grid
    cells = [(r, c) for r in range(grid) for c in range(grid) if (r, c) != scene.target]
    return cells[rng.integers(len(cells))]


def embedded_sft_row(
    scene: Scene, index: int, rates: PolicyRates, rng: np.random.Generator, tools: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return one conversation for verl's ``MultiTurnSFTDataset``.

    Images are stored as the model sees them: the scene is scaled down, the crop is not.

    Args:
        scene: scene of the question.
        index: number of the row.
        rates: shares of tool calls and right boxes.
        rng: random stream of the row.
        tools: tool schemas as the rollout lists them.

    Returns:
        dict with messages, images, tools, extra_info.
    """
    low = scene.config.low_size
    shown = Image.fromarray(scene.image).resize((low, low))
    images = [{"bytes": png_bytes(shown)}]
    messages = [{"role": "user", "content": f"{IMAGE_PLACEHOLDER}\n{prompt_text(scene)}"}]
    cell = choose_cell(scene, rates.box_accuracy, rng) if rng.random() < rates.tool_rate else None
    if cell is None:
        answer = scene.hint
        thought = HINTS[scene.kind].format(answer)
    else:
        box = scene.box(cell)
        messages += [
            {"role": "assistant", "content": think(BEFORE_CALL[scene.kind], zoom_call(box))},
            {"role": "tool", "content": IMAGE_PLACEHOLDER + zoom_answer(box)},
        ]
        images.append({"bytes": png_bytes(scene.crop(cell))})
        answer = scene.contents[cell[0]][cell[1]]
        thought = READINGS[scene.kind].format(answer)
    messages.append({"role": "assistant", "content": think(thought, answer_tag(answer))})
    info = {
        "split": "sft",
        "index": index,
        "kind": scene.kind,
        "used_tool": cell is not None,
        "right_box": cell == scene.target,
        "right_answer": answer == scene.answer,
        "answer": scene.answer,
    }
    return {"messages": messages, "images": images, "tools": tools, "extra_info": info}
