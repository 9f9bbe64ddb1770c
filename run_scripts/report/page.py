# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a page: one HTML file, an index for the list, and bodies of trajectories in files that are loaded on demand.

index.html, page.css, page.js
data/index.js      columns of all trajectories, by which the list filters and sorts
data/<i>.js        the bodies of some questions, loaded with a script element: ``fetch`` reads no file from disk
images/            loaded when a trajectory is shown
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2

from run_scripts.report.entries import Entry, compact
from run_scripts.report.figures import Table

CHUNK_BYTES = 500_000  # of bodies in one file
_HERE = Path(__file__).parent
_COLUMNS = {"m": "model", "n": "number", "v": "verdict", "c": "calls", "t": "tokens", "r": "role"}


@dataclass(frozen=True)
class Heading:
    """Hold what stands above the list.

    Attributes:
        kind: "evaluation" or "training".
        models: name of each directory.
        settings: (name, a value for each directory).
        tables, pictures: see ``figures``; pictures are SVG elements.
    """

    kind: str
    models: Sequence[str]
    settings: Sequence[tuple[str, Sequence[str]]]
    tables: Sequence[Table]
    pictures: Sequence[str]


def write_page(directory: Path, heading: Heading, entries: Sequence[Entry]) -> Path:
    """Write the page into a directory and return its HTML file. An older page's data are replaced.

    Args:
        directory: also holds ``images``, which are there already.
        heading: what stands above the list.
        entries: all trajectories; groups stand in the order in which they come first.
    """
    data = directory / "data"
    if data.exists():
        shutil.rmtree(data)
    data.mkdir(parents=True)
    groups = {name: i for i, name in enumerate(dict.fromkeys(entry.group for entry in entries))}
    entries = sorted(entries, key=lambda entry: (groups[entry.group], entry.order))
    chunks = _write_bodies(data, entries)
    index = _index(entries, groups) | {"kind": heading.kind, "models": heading.models, "chunks": chunks}
    (data / "index.js").write_text(f"Page.index({compact(index)});\n")
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE), autoescape=True)
    html = environment.get_template("page.html").render(page=heading)
    # A lone surrogate is no character of a file.
    (directory / "index.html").write_bytes(html.encode("utf-8", "replace"))
    for name in ("page.css", "page.js"):
        shutil.copyfile(_HERE / name, directory / name)
    return directory / "index.html"


def _index(entries: Sequence[Entry], groups: Mapping[str, int]) -> dict[str, Any]:
    questions = {name: i for i, name in enumerate(dict.fromkeys(entry.question for entry in entries))}
    columns = {key: [getattr(entry, name) for entry in entries] for key, name in _COLUMNS.items()}
    return columns | {
        "g": [groups[entry.group] for entry in entries],
        "q": [questions[entry.question] for entry in entries],
        "groups": list(groups),
        "questions": list(questions),
    }


def _write_bodies(data: Path, entries: Sequence[Entry]) -> list[int]:
    """Write the bodies, a question's together, and return the first entry of each file."""
    firsts, at = [], 0
    chunk: list[Entry] = []

    def write() -> None:
        prompts = {text: i for i, text in enumerate(dict.fromkeys(entry.prompt for entry in chunk))}
        rows = ",\n".join(f"[{prompts[entry.prompt]},{entry.body}]" for entry in chunk)
        text = f"Page.chunk({len(firsts)},[{','.join(prompts)}],[\n{rows}\n]);\n"
        (data / f"{len(firsts)}.js").write_text(text)
        firsts.append(at - len(chunk))

    for _, question in groupby(entries, key=lambda entry: (entry.group, entry.question)):
        found = list(question)
        chunk += found
        at += len(found)
        if sum(len(entry.body) for entry in chunk) >= CHUNK_BYTES:
            write()
            chunk = []
    if chunk:
        write()
    return firsts
