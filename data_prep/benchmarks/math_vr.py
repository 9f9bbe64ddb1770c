# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare Math-VR: problems with up to eight images, or none, and answers of several parts.

The benchmark's own inference gives the model only the images that the question names (``<image1>``). The other images
are drawings of the solution, also in problems of the category "text".
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Part, Row
from data_prep.errors import DataError
from data_prep.math_vr import IMAGES, SCORING, named_images, place_images


def as_list(value: Any) -> list[str]:
    """Return answers as texts. The card does not say whether the column holds lists, JSON lists or plain texts."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else value
        except ValueError:
            pass
    values = value if isinstance(value, list) else [value]
    return [str(entry).strip() for entry in values if entry is not None and str(entry).strip()]


def rubric(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the judge reads of the points of a solution's steps, as in the benchmark's own evaluation.

    Raises:
        DataError: a column is missing or has an unexpected type. The dataset card does not tell the types.
    """
    texts = {}
    for key, column in (("scoring_points", "scoring_points"), ("point_values", "scores")):
        value = source.get(column)
        texts[key] = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        if not texts[key].strip():
            raise DataError(f"math_vr: --process-score needs the column {column}, got {value!r}")
    total = source.get("total_score")
    try:
        most = float(total)
    except (TypeError, ValueError):
        most = math.nan
    if isinstance(total, bool) or not 0 < most < math.inf:
        raise DataError(f"math_vr: --process-score needs a positive number in the column total_score, got {total!r}")
    return {**texts, "max_score": most}


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one problem.

    Raises:
        DataError: the rubric is wanted and cannot be read.
        Drop: a tag names a missing image.
    """
    found = {i: source.get(f"image{i}") for i in range(1, IMAGES + 1)}
    there = {i: value for i, value in found.items() if value is not None}
    named = named_images(source["question"])
    images = {i: context.image(value) for i, value in there.items() if i in named}
    question, ordered = place_images(source["question"], images)
    answers = as_list(source["answers"])
    meta = {
        "category": source["category"],
        "answers": answers,
        "images_of_solution": len(there) - len(images),
        **{
            key: source.get(key) for key in ("number_of_answers", "total_score", "scoring_points", "scores")
        },
    }  # fmt: skip
    scoring = {**SCORING, "rubric": rubric(source)} if context.options["process_score"] else SCORING
    hint = f"There are {len(answers)} answers to give." if len(answers) > 1 else ""
    return Row(question, "; ".join(answers), ordered, scoring, meta, hint=hint)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option that writes the rubric."""
    parser.add_argument(
        "--process-score",
        action="store_true",
        help="write the points of partial solutions into the rows, for the judge's option process_score",
    )


DATASET = Dataset(
    name="math_vr",
    help="Math-VR (English): problems that call for drawing, scored by a judge with a rubric.",
    licence="apache-2.0",
    ability="math",
    parts={"test": Part("gogoduan/Math-VR-bench", split="test", rows="1000 to 3000, sources differ")},
    columns={
        "id": "str|int",
        "question": "str",
        **{f"image{i}": "~image?" for i in range(2, IMAGES + 1)},
        "image1": "image?",
        "category": "str",
        "answers": "any",
        "number_of_answers": "~any",
        "total_score": "~any",
        "scoring_points": "~any",
        "scores": "~any",
    },
    rows=rows,
    id_columns=("id",),
    add_arguments=add_arguments,
)
