# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare ViRL39K: verifiable questions of school, science, charts and space, with pass rates of two models.

``meta`` holds the pass rates, so that a mix can select by them: ``pass_rate_32b`` (after training, all rows) and
``pass_rate_7b`` (base model, about half of the rows, else null). Answers stand in ``\\boxed{}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.training.common import place_images, scoring_or, text_of, unbox, without_tags

# Words in ``category`` -> ability. Other categories map to math: "(GradeSchool) Geometric", "Broader STEM Topics", ...
WORDS = {"table": "chart", "chart": "chart", "diagram": "chart", "spatial": "perception", "commonsense": "perception"}


def ability(category: Any) -> str:
    """Map a category to an ability."""
    text = str(category or "").lower()
    return next((name for word, name in WORDS.items() if word in text), "math")


def pass_rate(value: Any) -> float | None:
    """Return a share from 0 to 1, or None (in the data: null or negative) if the model was not asked."""
    if value is None or math.isnan(value) or value < 0:
        return None
    return float(value)


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row. A few rows have no image."""
    found = [value for value in row["image"] or () if value]  # "" means no image
    images = [ctx.stored_image(value) if isinstance(value, str) else ctx.image(value) for value in found]
    question = text_of(row["question"], "no question")
    # Text-only rows may contain a tag.
    question = place_images(question, len(images)) if images else without_tags(question)
    answer = unbox(text_of(row["answer"], "no answer"))
    if not answer:
        raise Drop("no answer")
    return Row(
        question=question,
        answer=answer,
        images=images,
        scoring=scoring_or("math", question, answer),
        meta={
            "category": row["category"],
            "source": row.get("source"),
            "pass_rate_32b": pass_rate(row["PassRate_32BTrained"]),
            "pass_rate_7b": pass_rate(row["PassRate_7BBase"]),
        },
        # Other abilities mention an image and offer tools that need one.
        ability=ability(row["category"]) if images else "math",
    )


DATASET = Dataset(
    name="virl39k",
    help="ViRL39K: verifiable questions with pass rates.",
    licence="MIT",
    ability="math",
    parts={"train": Part("TIGER-Lab/ViRL39K", rows=38870, data_file="39Krelease.parquet")},
    columns={
        "qid": "str|number",
        "question": "str",
        "answer": "str",
        "image": "list[str]|list[image]",
        "category": "str?",
        "source": "~str?",
        "PassRate_32BTrained": "number?",
        "PassRate_7BBase": "number?",
    },
    rows=rows,
    id_columns=("qid",),
)
