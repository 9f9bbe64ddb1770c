# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare PyVision-Image-RL: 44.6k questions in one JSON file, with images beside it.

A judge scores free-form answers outside mathematics, because a reference may be a sentence while one word suffices.

The values of ``ability`` are unconfirmed. ``image_path`` may start at the directory of the JSON file or of the images.
Both are tried, and an image in neither drops the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Part, Row
from data_prep.core.text import SLOT
from data_prep.training.common import known_scoring, refuse_small, scoring_or, text_of, unbox, without_tags

FOLDER = "pyvision_image_rl_data"
# Words in the column ``ability`` (in this order) -> key of ``ABILITIES``. Other values map to perception.
WORDS = {"math": "math", "geometry": "math", "reason": "math", "chart": "chart", "table": "chart", "search": "search"}


def ability(value: Any) -> str:
    """Map the column's value to an ability. "visual search" looks for details and does not search the web."""
    text = str(value or "").lower().replace("visual search", "perception").replace("visual_search", "perception")
    return next((name for word, name in WORDS.items() if word in text), "perception")


def scoring_of(kind: str, question: str, answer: str) -> dict[str, Any]:
    """Return how a row of an ability is scored: mathematics by rules, other free-form answers by the judge."""
    if kind == "math":
        return scoring_or("math", question, answer)
    return known_scoring(question, answer) or {"type": "judge"}


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row with one image."""
    path = text_of(row["image_path"], "no image")
    image = ctx.stored_image(path, f"{FOLDER}/{path}")
    refuse_small([image])
    question = without_tags(text_of(row["question"], "no question"))
    answer = unbox(text_of(row["answer"], "no answer"))
    kind = ability(row.get("ability"))
    meta = {key: row[key] for key in ("ability", "data_source") if row.get(key)}
    scoring = scoring_of(kind, question, answer)
    return Row(f"{SLOT}\n{question}", answer, [image], scoring, meta, ability=kind)


DATASET = Dataset(
    name="pyvision_image",
    help="PyVision-Image-RL: mixed questions for an agent with Python.",
    licence="apache-2.0",
    ability="perception",
    parts={"train": Part("Agents-X/PyVision-Image-RL-Data", rows="44.6k", data_file=f"{FOLDER}.json")},
    columns={
        "id": "str|number",
        "question": "str",
        "answer": "str|number",
        "ability": "~str?",
        "data_source": "~str?",
        "image_path": "str",
    },
    rows=rows,
    id_columns=("id",),
)
