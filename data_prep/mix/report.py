# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The contamination report: JSON for programs, and a page that shows offending pairs side by side."""

from __future__ import annotations

import base64
import html
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.core.images import check_image
from data_prep.mix.matching import Match
from data_prep.mix.scan import Record
from data_prep.mix.write import read_rows

THUMBNAIL = (320, 320)  # px
_STYLE = """
body{font:14px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem;border-top:1px solid #ccc;padding:1rem 0}
.pair h3{grid-column:1/3;margin:0;font-size:1rem}.pair p{white-space:pre-wrap;overflow-wrap:anywhere}
.pair b{display:block}img{max-width:100%;border:1px solid #ddd}
"""


@dataclass(frozen=True)
class Offence:
    """A row that was left out and the row it matches: a benchmark's, or an earlier one of the mix."""

    source: str
    row: Record
    other_source: str
    other: Record
    match: Match


def counts(offences: Sequence[Offence]) -> dict[str, dict[str, int]]:
    """Rows left out, by source and by what they match."""
    table: dict[str, Counter[str]] = {}
    for offence in offences:
        table.setdefault(offence.source, Counter())[offence.other_source] += 1
    return {source: dict(sorted(row.items())) for source, row in sorted(table.items())}


def _side(record: Record, source: str) -> dict[str, Any]:
    return {"source": source, "data_source": record.data_source, "id": record.id, "file": Path(record.path).name}


def as_json(offences: Sequence[Offence], title: str) -> dict[str, Any]:
    """All offences and their counts."""
    return {
        "what": title,
        "rows": len(offences),
        "counts": counts(offences),
        "pairs": [
            {
                "row": _side(offence.row, offence.source),
                "matches": _side(offence.other, offence.other_source),
                "by": offence.match.by,
                "image_distance_bits": offence.match.distance,
                "image_difference": offence.match.difference,
                "text_overlap": None if offence.match.overlap is None else round(offence.match.overlap, 4),
            }
            for offence in offences
        ],
    }


def _thumbnail(data: bytes) -> str:
    check_image(data)
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", THUMBNAIL)
        small = image.convert("RGBA")
    small.thumbnail(THUMBNAIL)
    page = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _half(record: Record, source: str, row: dict[str, Any]) -> str:
    info = row["extra_info"]
    pictures = "".join(_thumbnail(image["bytes"]) for image in row["images"])
    name = html.escape(f"{source}: {record.data_source} {record.id}")
    return (
        f"<div><b>{name}</b>{pictures}<p>{html.escape(info['question'] or '')}</p>"
        f"<p>answer: {html.escape(info['answer'] or '')}</p></div>"
    )


def _table(offences: Sequence[Offence]) -> str:
    rows = counts(offences)
    columns = sorted({name for row in rows.values() for name in row})
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr><td>{html.escape(source)}</td>" + "".join(f"<td>{row.get(name, 0)}</td>" for name in columns) + "</tr>"
        for source, row in rows.items()
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _spread(offences: Sequence[Offence], most: int) -> list[Offence]:
    """At most so many, taking turns between the cells of the table, so that none hides the others."""
    cells: dict[tuple[str, str], list[Offence]] = {}
    for offence in offences:
        cells.setdefault((offence.source, offence.other_source), []).append(offence)
    turns = [(turn, number, offence) for number, cell in enumerate(cells.values()) for turn, offence in enumerate(cell)]
    turns.sort(key=lambda item: item[:2])
    chosen = turns[:most]
    chosen.sort(key=lambda item: (item[1], item[0]))
    return [offence for _, _, offence in chosen]


def as_html(sections: Sequence[tuple[str, Sequence[Offence]]], most: int) -> str:
    """A page without scripts or outside files.

    Args:
        sections: title and offences.
        most: pairs that are shown in each section; the counts are of all.
    """
    parts = [f"<!doctype html><meta charset=utf-8><title>Contamination</title><style>{_STYLE}</style>"]
    parts.append("<h1>Contamination</h1>")
    for title, offences in sections:
        shown = _spread(offences, most)
        parts.append(f"<h2>{html.escape(title)}: {len(offences)} rows</h2>")
        if not offences:
            continue
        parts.append(_table(offences))
        parts.append(f"<p>{len(shown)} of {len(offences)} pairs:</p>")
        sides = [
            side for offence in shown for side in ((offence.row, offence.source), (offence.other, offence.other_source))
        ]
        # thumbnails at once: the images themselves may be of a hundred megapixels
        halves = {number: _half(*sides[number], row) for number, row in read_rows([record for record, _ in sides])}
        for number, offence in enumerate(shown):
            match = offence.match
            facts = [f"by {match.by}"]
            if match.distance is not None:
                facts.append(f"image difference {match.difference:.2f} ({match.distance} of 64 bits)")
            facts += [f"text overlap {match.overlap:.2f}"] if match.overlap is not None else []
            parts.append(f'<div class="pair"><h3>{html.escape(", ".join(facts))}</h3>')
            parts.append(halves[2 * number] + halves[2 * number + 1] + "</div>")
    return "\n".join(parts) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON; the same value gives the same bytes."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
