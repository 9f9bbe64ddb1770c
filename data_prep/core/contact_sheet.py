# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One HTML page, without any other file, that shows rows as the model will see them."""

from __future__ import annotations

import base64
import html
import io
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from data_prep.rows import IMAGE_PLACEHOLDER

THUMBNAIL = 320  # px, longer side
_STYLE = (
    "body{font:14px sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem}small.role{display:block}"
    "article{border:1px solid #bbb;margin:1em 0;padding:1em}"
    "pre{white-space:pre-wrap;background:#f4f4f4;padding:.6em;margin:.3em 0}figure{display:inline-block;margin:.3em}"
    "figcaption,small{color:#555}b.truth{background:#dfd;padding:0 .4em}"
)


def _figure(data: bytes, number: int) -> str:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # checked when the row was made
    try:
        with Image.open(io.BytesIO(data)) as image:
            size, kind = image.size, image.format
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            small = image.convert("RGB")
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=80)
    source = base64.b64encode(buffer.getvalue()).decode()
    caption = f"image {number}: {size[0]} x {size[1]} px, {kind}, {len(data) / 1024:.0f} KiB"
    return (
        f'<figure><img src="data:image/jpeg;base64,{source}"><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def _article(row: Mapping[str, Any]) -> str:
    info = row["extra_info"]
    parts, number = [], 0
    for message in row["prompt"]:
        parts.append(f"<small class=role>{html.escape(message['role'])}</small>")
        for piece in re.split(f"({IMAGE_PLACEHOLDER})", message["content"]):
            if piece == IMAGE_PLACEHOLDER and number < len(row["images"]):
                parts.append(_figure(row["images"][number]["bytes"], number))
                number += 1
            elif piece.strip():
                parts.append(f"<pre>{html.escape(piece.strip())}</pre>")
    facts = {
        "tools": ", ".join(info["tool_selection"]),
        "scoring": json.dumps(json.loads(info["scoring"]), ensure_ascii=False),
        "meta": json.dumps(json.loads(info["meta"]), ensure_ascii=False),
    }
    lines = "".join(f"<div><small>{key}:</small> {html.escape(value)}</div>" for key, value in facts.items())
    heading = html.escape(f"{row['data_source']} / {info['split']} / {info['id']}")
    truth = html.escape(row["reward_model"]["ground_truth"])
    return (
        f"<article><h3>{heading}</h3>{''.join(parts)}"
        f'<div><small>truth:</small> <b class="truth">{truth}</b></div>{lines}</article>'
    )


def _rows(path: Path, wanted: list[int]) -> list[dict[str, Any]]:
    found, start = [], 0
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if inside := [i - start for i in wanted if start <= i < start + count]:
                table = file.read_row_group(group)
                found += [table.slice(i, 1).to_pylist()[0] for i in inside]
            start += count
    return found


def write_contact_sheet(path: Path, title: str, files: Mapping[str, Path], *, rows: int = 12, seed: int = 0) -> None:
    """Write the page.

    Args:
        path: HTML file to write.
        title: name of the dataset.
        files: part -> parquet; the rows are drawn from all of them together.
        rows: number of rows; 0 writes nothing.
        seed: of the draw.
    """
    if not rows:
        return
    counts = {name: pq.read_metadata(file).num_rows for name, file in files.items()}
    places = [(name, i) for name, count in counts.items() for i in range(count)]
    drawn = random.Random(seed).sample(places, min(rows, len(places)))
    body = []
    for name, file in files.items():
        body += [_article(row) for row in _rows(file, sorted(i for part, i in drawn if part == name))]
    total = ", ".join(f"{name}: {count} rows" for name, count in counts.items())
    page = (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(total)}; {len(drawn)} drawn with seed {seed}</p>{''.join(body)}</body></html>\n"
    )
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page)
    partial.replace(path)
