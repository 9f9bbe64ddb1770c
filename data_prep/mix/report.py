# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Report contamination: JSON for programs, and a page that shows matching pairs side by side."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.core.html import jpeg_url, render
from data_prep.core.images import check_image
from data_prep.mix.matching import Match
from data_prep.mix.scan import Record
from data_prep.mix.write import read_rows

THUMBNAIL = (320, 320)  # px
_PAGE = """<!doctype html><meta charset=utf-8><title>Contamination</title><style>
body{font:14px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem;border-top:1px solid #ccc;padding:1rem 0}
.pair h3{grid-column:1/3;margin:0;font-size:1rem}.pair p{white-space:pre-wrap;overflow-wrap:anywhere}
.pair b{display:block}img{max-width:100%;border:1px solid #ddd}
</style>
<h1>Contamination</h1>
{% for section in sections -%}
<h2>{{ section.title }}: {{ section.count }} rows</h2>
{% if section.count -%}
<table><tr><th></th>{% for name in section.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{%- for source, row in section.table.items() %}<tr><td>{{ source }}</td>
{%- for name in section.columns %}<td>{{ row.get(name, 0) }}</td>{% endfor %}</tr>{% endfor %}</table>
<p>{{ section.pairs|length }} of {{ section.count }} pairs:</p>
{% for facts, sides in section.pairs -%}
<div class="pair"><h3>{{ facts }}</h3>
{% for side in sides %}<div><b>{{ side.name }}</b>
{%- for url in side.images %}<img alt="" src="{{ url }}">{% endfor -%}
<p>{{ side.question }}</p><p>answer: {{ side.answer }}</p></div>{% endfor %}</div>
{% endfor %}{% endif %}{% endfor %}"""


@dataclass(frozen=True)
class Offence:
    """Pair an omitted row with the row it matches: a row of a benchmark, or an earlier row of the mix."""

    source: str
    row: Record
    other_source: str
    other: Record
    match: Match


def counts(offences: Sequence[Offence]) -> dict[str, dict[str, int]]:
    """Count the rows that were left out, by source and by the source of the row they match."""
    table: dict[str, Counter[str]] = {}
    for offence in offences:
        table.setdefault(offence.source, Counter())[offence.other_source] += 1
    return {source: dict(sorted(row.items())) for source, row in sorted(table.items())}


def _side(record: Record, source: str) -> dict[str, Any]:
    return {"source": source, "data_source": record.data_source, "id": record.id, "file": Path(record.path).name}


def as_json(offences: Sequence[Offence], title: str) -> dict[str, Any]:
    """Return all offences and their counts as JSON-able values."""
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
    return jpeg_url(Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB"))


def _half(record: Record, source: str, row: dict[str, Any]) -> dict[str, Any]:
    info = row["extra_info"]
    return {
        "name": f"{source}: {record.data_source} {record.id}",
        "images": [_thumbnail(image["bytes"]) for image in row["images"]],
        "question": info["question"] or "",
        "answer": info["answer"] or "",
    }


def _facts(match: Match) -> str:
    facts = [f"by {match.by}"]
    if match.distance is not None:
        facts.append(f"image difference {match.difference:.2f} ({match.distance} of 64 bits)")
    if match.overlap is not None:
        facts.append(f"text overlap {match.overlap:.2f}")
    return ", ".join(facts)


def _spread(offences: Sequence[Offence], most: int) -> list[Offence]:
    """Select at most ``most`` offences. The cells of the table take turns, so that each cell is shown."""
    cells: dict[tuple[str, str], list[Offence]] = {}
    for offence in offences:
        cells.setdefault((offence.source, offence.other_source), []).append(offence)
    turns = [(turn, number, offence) for number, cell in enumerate(cells.values()) for turn, offence in enumerate(cell)]
    turns.sort(key=lambda item: item[:2])
    chosen = turns[:most]
    chosen.sort(key=lambda item: (item[1], item[0]))
    return [offence for _, _, offence in chosen]


def _section(title: str, offences: Sequence[Offence], most: int) -> dict[str, Any]:
    shown, table = _spread(offences, most), counts(offences)
    sides = [side for o in shown for side in ((o.row, o.source), (o.other, o.other_source))]
    # Images are reduced to thumbnails at once, because one image may have a hundred megapixels.
    halves = {number: _half(*sides[number], row) for number, row in read_rows([record for record, _ in sides])}
    return {
        "title": title,
        "count": len(offences),
        "table": table,
        "columns": sorted({name for row in table.values() for name in row}),
        "pairs": [(_facts(o.match), (halves[2 * i], halves[2 * i + 1])) for i, o in enumerate(shown)],
    }


def as_html(sections: Sequence[tuple[str, Sequence[Offence]]], most: int) -> str:
    """Return a page without scripts or other files.

    Args:
        sections: title and offences of each section.
        most: pairs that each section shows. The counts include all pairs.
    """
    return render(_PAGE, sections=[_section(title, offences, most) for title, offences in sections])
