# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make rows in the layout that verl's ``RLHFDataset`` reads."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

AGENT_NAME = "axpo_tool_agent"
IMAGE_PLACEHOLDER = "<image>"
# Area of an image in a prompt, in pixels. Without an upper limit one photograph takes up to 16,384 tokens, and a prompt
# that exceeds ``data.max_prompt_length`` fails in all of its rollouts. 2 megapixels are 1,953 tokens of Qwen3-VL. The
# tools crop from the stored image, which keeps its resolution. The lower limit is that of Qwen3-VL's own processor.
PROMPT_MAX_PIXELS = 2_000_000
PROMPT_MIN_PIXELS = 65_536


def png_bytes(image: np.ndarray | Image.Image) -> bytes:
    """Encode an (H, W, 3) uint8 array or a PIL image as PNG."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def image_entry(png: bytes, *, max_pixels: int | None = None, min_pixels: int | None = None) -> dict[str, Any]:
    """Return an entry of the ``images`` column.

    The file keeps full resolution. verl scales the image to the pixel limits when it loads a row.

    Args:
        png: encoded image.
        max_pixels: largest area that the model sees. None leaves the limit to the processor.
        min_pixels: smallest area that the model sees.
    """
    limits = {"max_pixels": max_pixels, "min_pixels": min_pixels}
    return {"bytes": png, **{key: value for key, value in limits.items() if value is not None}}


def rl_row(
    *,
    data_source: str,
    question: str,
    images: Sequence[Mapping[str, Any]],
    ground_truth: str,
    split: str,
    index: int,
    ability: str,
    tools: Mapping[str, Mapping[str, Any]],
    system: str | None = None,
    instruction: str = "",
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one row of verl's RL parquet.

    Args:
        data_source: ``axpo/<dataset>``.
        question: the user's words. If they hold no placeholder, one per image is put in front.
        images: entries made by ``image_entry``, in the order of the placeholders.
        ground_truth: reference that the reward compares with.
        split: ``train``, ``val``, ...
        index: unique within the split.
        ability: free text that verl logs.
        tools: tool name -> arguments of the tool's ``create``. Only these tools are offered.
        system: system turn. None omits it.
        instruction: last paragraph of the user's turn. ``extra_info.question`` omits it.
        extra: further entries of ``extra_info``.

    Returns:
        dict with data_source, agent_name, prompt, images, ability, reward_model, extra_info.

    Raises:
        ValueError: the numbers of placeholders and images differ, or ``extra`` overwrites a standard key.
    """
    if IMAGE_PLACEHOLDER not in question:
        question = f"{IMAGE_PLACEHOLDER}\n" * len(images) + question
    if question.count(IMAGE_PLACEHOLDER) != len(images):
        raise ValueError(
            f"row {index} of {data_source}: {question.count(IMAGE_PLACEHOLDER)} placeholders, {len(images)} images"
        )
    content = f"{question}\n\n{instruction}" if instruction else question
    prompt = [{"role": "user", "content": content}]
    if system is not None:
        prompt.insert(0, {"role": "system", "content": system})
    # Tools without arguments are omitted, because parquet cannot store an empty struct.
    tools_kwargs = {name: {"create_kwargs": dict(kwargs)} for name, kwargs in tools.items() if kwargs}
    info = {
        "split": split,
        "index": index,
        "answer": ground_truth,
        "question": question.replace(IMAGE_PLACEHOLDER, "").strip(),
        "need_tools_kwargs": bool(tools_kwargs),
        "tool_selection": list(tools),
    }
    if tools_kwargs:
        info["tools_kwargs"] = tools_kwargs
    if clash := info.keys() & (extra or {}).keys():
        raise ValueError(f"row {index} of {data_source}: extra overwrites {sorted(clash)}")
    return {
        "data_source": data_source,
        "agent_name": AGENT_NAME,
        "prompt": prompt,
        "images": [dict(image) for image in images],
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": ground_truth},
        "extra_info": {**info, **(extra or {})},
    }
