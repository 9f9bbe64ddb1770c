# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make RL rows of the embedded task."""

from __future__ import annotations

from typing import Any

from data_prep.embedded.scene import Scene
from data_prep.rows import image_entry, png_bytes, rl_row

TOOL = "image_zoom_in"
TOOL_CONFIG = "image_zoom_in_tiny"  # tools/<name>.yaml: crops of 128 px and the shortest schema
INSTRUCTION = "Answer inside <answer></answer>."
MIN_PIXELS = 32 * 32


def prompt_text(scene: Scene) -> str:
    """Return the user's words without image placeholder. RL and SFT use the same words."""
    return f"{scene.question} {INSTRUCTION}"


def embedded_rl_row(scene: Scene, split: str, index: int) -> dict[str, Any]:
    """Return one row for verl's ``RLHFDataset``.

    The row stores the image at full resolution for the zoom tool. ``max_pixels`` makes verl scale it for the model.
    """
    low = scene.config.low_size
    return rl_row(
        data_source=f"axpo/embedded_{scene.kind}",
        question=prompt_text(scene),
        images=[image_entry(png_bytes(scene.image), max_pixels=low * low, min_pixels=MIN_PIXELS)],
        ground_truth=scene.answer,
        split=split,
        index=index,
        ability="perception",
        tools={TOOL: {}},
        extra={
            "kind": scene.kind,
            "target_box": scene.box(scene.target),
            "hint": scene.hint,
            "grid": scene.config.grid,
            "contents": [list(row) for row in scene.contents],
        },
    )
