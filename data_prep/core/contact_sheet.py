# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write an HTML page that shows rows as the model will see them."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from data_prep.core.files import write_text
from data_prep.core.html import jpeg_url, render
from data_prep.rows import IMAGE_PLACEHOLDER

THUMBNAIL = 320  # px, longer side
_PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>{{ title }}</title><style>
body{font:14px sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem}small.role{display:block}
article{border:1px solid #bbb;margin:1em 0;padding:1em}
pre{white-space:pre-wrap;background:#f4f4f4;padding:.6em;margin:.3em 0}figure{display:inline-block;margin:.3em}
figcaption,small{color:#555}b.truth{background:#dfd;padding:0 .4em}
</style></head><body><h1>{{ title }}</h1><p>{{ total }}; {{ rows|length }} drawn with seed {{ seed }}</p>
{%- for row in rows %}<article><h3>{{ row.heading }}</h3>
{%- for role, pieces in row.turns %}<small class=role>{{ role }}</small>
{%- for piece in pieces %}
{%- if piece is string %}<pre>{{ piece }}</pre>
{%- else %}<figure><img src="{{ piece.url }}"><figcaption>{{ piece.caption }}</figcaption></figure>{% endif %}
{%- endfor %}{% endfor %}<div><small>truth:</small> <b class="truth">{{ row.truth }}</b></div>
{%- for key, value in row.facts.items() %}<div><small>{{ key }}:</small> {{ value }}</div>{% endfor %}</article>
{%- endfor %}</body></html>
"""


def _figure(data: bytes, number: int) -> dict[str, str]:
    # The image passed the size check when its row was made, so PIL's own limit does not apply.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(io.BytesIO(data)) as image:
            size, kind = image.size, image.format
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            small = image.convert("RGB")
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    caption = f"image {number}: {size[0]} x {size[1]} px, {kind}, {len(data) / 1024:.0f} KiB"
    return {"url": jpeg_url(small), "caption": caption}


def _article(row: Mapping[str, Any]) -> dict[str, Any]:
    info = row["extra_info"]
    left = iter([_figure(image["bytes"], number) for number, image in enumerate(row["images"])])
    turns = []
    for message in row["prompt"]:
        pieces = re.split(f"({IMAGE_PLACEHOLDER})", message["content"])
        shown = [next(left, piece) if piece == IMAGE_PLACEHOLDER else piece.strip() for piece in pieces]
        turns.append((message["role"], [piece for piece in shown if piece]))
    return {
        "heading": f"{row['data_source']} / {info['split']} / {info['id']}",
        "turns": turns,
        "truth": row["reward_model"]["ground_truth"],
        "facts": {
            "tools": ", ".join(info["tool_selection"]),
            "scoring": json.dumps(json.loads(info["scoring"]), ensure_ascii=False),
            "meta": json.dumps(json.loads(info["meta"]), ensure_ascii=False),
        },
    }


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
        files: part -> parquet file. The rows are drawn from all files together.
        rows: number of rows. 0 writes nothing.
        seed: seed of the draw.
    """
    if not rows:
        return
    counts = {name: pq.read_metadata(file).num_rows for name, file in files.items()}
    places = [(name, i) for name, count in counts.items() for i in range(count)]
    drawn = random.Random(seed).sample(places, min(rows, len(places)))
    articles = []
    for name, file in files.items():
        articles += [_article(row) for row in _rows(file, sorted(i for part, i in drawn if part == name))]
    total = ", ".join(f"{name}: {count} rows" for name, count in counts.items())
    write_text(path, render(_PAGE, title=title, total=total, seed=seed, rows=articles))
