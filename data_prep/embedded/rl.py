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
"""RL rows of the embedded task."""

from __future__ import annotations

from typing import Any

from data_prep.embedded.scene import Scene
from data_prep.rows import image_entry, png_bytes, rl_row

TOOL = "image_zoom_in"
TOOL_CONFIG = "image_zoom_in_tiny"  # tools/<name>.yaml: crops of 128 px and the shortest schema
INSTRUCTION = "Answer inside <answer></answer>."
MIN_PIXELS = 32 * 32


def prompt_text(scene: Scene) -> str:
    """The user's words, without image placeholder; the same for RL and SFT."""
    return f"{scene.question} {INSTRUCTION}"


def embedded_rl_row(scene: Scene, split: str, index: int) -> dict[str, Any]:
    """One row for verl's ``RLHFDataset``.

    The image is stored at full resolution, for the zoom tool; ``max_pixels`` makes verl show the model the scaled one.
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
