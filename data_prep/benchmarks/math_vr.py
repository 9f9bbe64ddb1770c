# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Math-VR: problems with up to eight images, or none, and answers of several parts.

An image belongs to the question only if the question names it (``<image1>``): so chooses the benchmark's own inference.
The others are drawings of the solution, also in the problems of the category "text".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from data_prep.core import SLOT, Context, Dataset, Drop, Part, Row

IMAGES = 8
TAG = re.compile(r"<image(\d+)>")


def as_list(value: Any) -> list[str]:
    """Answers as texts, from a list, a JSON list or a plain text: the card does not say which the column holds."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else value
        except ValueError:
            pass
    values = value if isinstance(value, list) else [value]
    return [str(entry).strip() for entry in values if entry is not None and str(entry).strip()]


def named_images(text: str) -> set[int]:
    """Numbers of the images that a text names."""
    return {int(number) for number in TAG.findall(text)}


def place_images(question: str, images: Mapping[int, bytes]) -> tuple[str, list[bytes]]:
    """Slots where tags first stand, in the order of the text; images that no tag names go in front.

    Raises:
        Drop: a tag without an image.
    """
    order: list[int] = []

    def slot(match: re.Match) -> str:
        number = int(match.group(1))
        if number not in images:
            raise Drop("missing image", f"tag <image{number}>, images {sorted(images)}")
        if number in order:
            return f"[image {order.index(number) + 1}]"
        order.append(number)
        return SLOT

    text = TAG.sub(slot, question)
    untold = [number for number in images if number not in order]
    text = f"{SLOT}\n" * len(untold) + text
    return text, [images[number] for number in [*untold, *order]]


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """One problem.

    Raises:
        Drop: a tag without an image.
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
    hint = f"There are {len(answers)} answers to give." if len(answers) > 1 else ""
    return Row(question, "; ".join(answers), ordered, {"type": "judge"}, meta, hint=hint)


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
)
