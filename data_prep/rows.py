# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows in the layout that verl's ``RLHFDataset`` reads, and writing them to parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

AGENT_NAME = "axpo_tool_agent"
IMAGE_PLACEHOLDER = "<image>"
# Area of an image in a prompt, in pixels: without an upper limit one photograph takes up to 16,384 tokens, and a prompt
# that exceeds data.max_prompt_length fails in all of its rollouts. 2 megapixels are 1,953 tokens of Qwen3-VL; the tools
# crop from the stored image, which keeps its resolution. The lower limit is that of Qwen3-VL's own processor.
PROMPT_MAX_PIXELS = 2_000_000
PROMPT_MIN_PIXELS = 65_536


def png_bytes(image: np.ndarray | Image.Image) -> bytes:
    """Encode an (H, W, 3) uint8 array or a PIL image as PNG."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def image_entry(png: bytes, *, max_pixels: int | None = None, min_pixels: int | None = None) -> dict[str, Any]:
    """Entry of the ``images`` column. The file keeps full resolution; verl scales to the pixel limits when it loads.

    Args:
        png: encoded image.
        max_pixels: area the model sees at most; ``None`` leaves it to the processor.
        min_pixels: area the model sees at least.
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
    """One row of verl's RL parquet.

    Args:
        data_source: picks the reward, ``axpo/<dataset>``.
        question: the user's words; one placeholder per image is put in front unless they already hold placeholders.
        images: entries made by ``image_entry``, in the order of the placeholders.
        ground_truth: what the rule-based reward compares with.
        split: ``train``, ``val``, ...
        index: unique within the split.
        ability: free text that verl logs.
        tools: tool name to the arguments of the tool's ``create``; only these tools are offered.
        system: system turn, none by default.
        instruction: last paragraph of the user's turn; no part of ``extra_info.question``.
        extra: further entries of ``extra_info``.

    Returns:
        dict with data_source, agent_name, prompt, images, ability, reward_model, extra_info.

    Raises:
        ValueError: the number of placeholders is not the number of images, or ``extra`` overwrites a standard key.
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
    # parquet cannot store an empty struct, so tools without arguments are left out here
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


def write_parquet(rows: Iterable[Mapping[str, Any]], path: str | Path, *, rows_per_group: int = 256) -> int:
    """Stream rows to a parquet file; never more than one row group is in memory.

    Args:
        rows: rows with the same keys.
        path: file to write; its folder is made, an older file replaced once the new one is complete.
        rows_per_group: rows per parquet row group.

    Returns:
        Number of rows written.

    Raises:
        ValueError: there is no row.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    writer, group, count = None, [], 0

    def flush() -> None:
        nonlocal writer
        table = pa.Table.from_pylist(group, schema=writer.schema if writer else None)
        if writer is None:
            writer = pq.ParquetWriter(partial, table.schema)
        writer.write_table(table)
        group.clear()

    try:
        for row in rows:
            group.append(dict(row))
            count += 1
            if len(group) == rows_per_group:
                flush()
        if group:
            flush()
    finally:
        if writer:
            writer.close()
    if not count:
        raise ValueError(f"no rows for {path}")
    partial.replace(path)
    return count
