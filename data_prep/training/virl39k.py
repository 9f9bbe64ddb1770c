# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""ViRL39K: verifiable questions of school, science, charts and space, with pass rates of two models.

The pass rates are kept in ``meta`` as ``pass_rate_32b`` (after training, all rows) and ``pass_rate_7b`` (base model,
about half of the rows, null elsewhere), for the mix to select by. Answers stand in ``\\boxed{}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.training.common import known_scoring, place_images, stored_image, text_of, unbox, without_tags

# Words in ``category`` -> ability; the others are math: "(GradeSchool) Geometric", "Broader STEM Topics", ...
WORDS = {"table": "chart", "chart": "chart", "diagram": "chart", "spatial": "perception", "commonsense": "perception"}


def ability(category: Any) -> str:
    """Our ability for a category."""
    text = str(category or "").lower()
    return next((ours for word, ours in WORDS.items() if word in text), "math")


def pass_rate(value: Any) -> float | None:
    """A share from 0 to 1; None where the model was not asked, which the data marks with null or a negative number."""
    if value is None or math.isnan(value) or value < 0:
        return None
    return float(value)


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """One row; a few are text only."""
    found = [value for value in row["image"] or () if value]  # "" stands for no image
    images = [stored_image(ctx, value) if isinstance(value, str) else ctx.image(value) for value in found]
    question = text_of(row["question"], "no question")
    # text-only rows may keep a tag
    question = place_images(question, len(images)) if images else without_tags(question)
    answer = unbox(text_of(row["answer"], "no answer"))
    if not answer:
        raise Drop("no answer")
    return Row(
        question=question,
        answer=answer,
        images=images,
        scoring=known_scoring(question, answer),
        meta={
            "category": row["category"],
            "source": row.get("source"),
            "pass_rate_32b": pass_rate(row["PassRate_32BTrained"]),
            "pass_rate_7b": pass_rate(row["PassRate_7BBase"]),
        },
        # the others speak of an image and offer tools that need one
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
