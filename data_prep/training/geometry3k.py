# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare Geometry3K: plane geometry with a figure. Answers are numbers or short expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.training.common import place_images, text_of

HUB = "hiyouga/geometry3k"


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row. References such as ``3 \\sqrt { 2 }`` or ``\\frac { 1 } { 2 }`` are compared as math."""
    if not row["images"]:
        raise Drop("no image")
    images = [ctx.image(image) for image in row["images"]]
    question = place_images(text_of(row["problem"], "no question"), len(images))
    return Row(question, text_of(row["answer"], "no answer"), images, scoring={"type": "math"})


DATASET = Dataset(
    name="geometry3k",
    help="Geometry3K: plane geometry with a figure.",
    licence="MIT",
    ability="math",
    parts={
        "train": Part(HUB, rows=2101),
        "validation": Part(HUB, split="validation", rows=300),
        "test": Part(HUB, split="test", rows=601),
    },
    columns={"images": "list[image]", "problem": "str", "answer": "str"},
    rows=rows,
    default_parts=("train",),
)
