# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare V*: small details in large photographs, in the labelled or the original form.

The first option is always right in the original form. Recent templates of lmms-eval name
``lmms-lab-encoder/vstar-bench``, which ``--source`` accepts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, format_options, inline_options, option_letter
from data_prep.errors import DataError

CATEGORIES = ("direct_attributes", "relative_position")
_TAIL = re.compile(r"\s*Answer with the option'?s letter[^\n]*$", re.IGNORECASE)


def shuffled(options: list[str], row_id: str, seed: int) -> tuple[list[str], str]:
    """Shuffle options by seed and id. Return them with the letter of the option that was first."""
    order = list(range(len(options)))
    random.Random(f"{seed}/{row_id}").shuffle(order)
    return [options[i] for i in order], chr(65 + order.index(0))


def read_original(folder: Path, part: str, options: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Read the original files, ``<category>/<name>.json`` beside an image, into the labelled form's columns.

    Returns:
        Rows, or None if the directory has another form.

    Raises:
        DataError: a file has no question, no options or no image.
    """
    files = [file for category in CATEGORIES for file in sorted((folder / category).glob("*.json"))]
    if not files:
        return None
    rows = []
    for file in files:
        entry = json.loads(file.read_text())
        if not isinstance(entry, dict) or not isinstance(entry.get("question"), str) or not entry.get("options"):
            found = sorted(entry) if isinstance(entry, dict) else type(entry).__name__
            raise DataError(f"vstar: {file} needs 'question' and 'options', found {found}")
        images = [
            f for f in sorted(file.parent.glob(f"{file.stem}.*")) if f.suffix.lower() in (".jpg", ".jpeg", ".png")
        ]
        if len(images) != 1:
            raise DataError(f"vstar: {file} has {len(images)} images beside it")
        row_id = f"{file.parent.name}/{file.stem}"
        choices, letter = shuffled([str(o) for o in entry["options"]], row_id, options.get("shuffle_seed", 0))
        rows.append(
            {
                "image": str(images[0].relative_to(folder)),
                "text": f"{entry['question']}\n{format_options(choices)}",
                "category": file.parent.name,
                "label": letter,
                "question_id": row_id,
            }
        )
    return rows


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one question.

    Raises:
        Drop: the image is missing, the options are not found, or the label is none of them.
    """
    text = _TAIL.sub("", source["text"].strip()).replace("<image>", "").strip()
    found = inline_options(text)
    if found is None:
        raise Drop("options not found", text)
    stem, options = found
    label = (source["label"] or "").strip()
    letter = option_letter(label, options) if label else ""
    if letter is None:
        raise Drop("answer is no option", f"{label!r} of {options}")
    scoring = {"type": "choice", "options": options}
    image = context.image(source["image"])
    return Row(f"{stem}\n{format_options(options)}", letter, [image], scoring, {"category": source["category"]})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options that select the form."""
    parser.add_argument("--form", choices=("labelled", "original"), default="labelled", help="repository on the Hub; "
        "the form of a local directory is detected")  # fmt: skip
    parser.add_argument("--shuffle-seed", type=int, default=0, help="order of the options of the original form")


def select_part(part: Part, options: Mapping[str, Any]) -> Part:
    """Select the repository of the form."""
    return replace(part, hub_id="craigwu/vstar_bench", loose=True) if options.get("form") == "original" else part


DATASET = Dataset(
    name="vstar",
    help="V*: attributes and positions of small objects in large photographs.",
    licence="unconfirmed",
    ability="perception",
    parts={"test": Part("lmms-lab/vstar-bench", split="test", rows=191)},
    columns={"image": "image|str", "text": "str", "category": "str", "label": "str?", "question_id": "str|int"},
    rows=rows,
    id_columns=("question_id",),
    add_arguments=add_arguments,
    index=read_original,
    select_part=select_part,
)
