# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""PyVision-Image-RL: 44.6k questions in one JSON file, images beside it.

Free-form answers outside mathematics go to a judge: a truth may be a whole sentence where one word answers.

Unconfirmed: the values of ``ability``, and whether ``image_path`` starts from the JSON file's folder or from the folder
of the images; both are tried, and an image in neither drops the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Part, Row
from data_prep.core.text import SLOT
from data_prep.training.common import known_scoring, refuse_small, stored_image, text_of, unbox, without_tags

FOLDER = "pyvision_image_rl_data"
# Words in ``ability`` (in this order) -> ours; anything else is perception.
WORDS = {"math": "math", "geometry": "math", "reason": "math", "chart": "chart", "table": "chart", "search": "search"}


def ability(value: Any) -> str:
    """Our ability for the column's value. "visual search" looks for details, it does not search the web."""
    text = str(value or "").lower().replace("visual search", "perception").replace("visual_search", "perception")
    return next((ours for word, ours in WORDS.items() if word in text), "perception")


def scoring_of(kind: str, question: str, answer: str) -> dict[str, Any]:
    """How a row of an ability is scored; empty leaves mathematics to the rules."""
    return known_scoring(question, answer) or ({} if kind == "math" else {"type": "judge"})


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """One row with one image."""
    path = text_of(row["image_path"], "no image")
    image = stored_image(ctx, path, f"{FOLDER}/{path}")
    refuse_small([image])
    question = without_tags(text_of(row["question"], "no question"))
    answer = unbox(text_of(row["answer"], "no answer"))
    kind = ability(row.get("ability"))
    return Row(
        question=f"{SLOT}\n{question}",
        answer=answer,
        images=[image],
        scoring=scoring_of(kind, question, answer),
        meta={key: row[key] for key in ("ability", "data_source") if row.get(key)},
        ability=kind,
    )


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
