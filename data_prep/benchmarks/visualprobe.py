# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare VisualProbe: small targets among many distractors. Each of the three levels is a repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, slots


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one question. Image paths start above the repository: ``VisualProbe_Hard/data/0.jpg``.

    Raises:
        DataError: the images are still packed.
        Drop: an image is missing, or tags do not match the images.
    """
    paths = source["images"] or []
    if not paths:
        raise Drop("missing image", "the row names none")
    try:
        question = slots(source["problem"], len(paths))
    except ValueError as error:
        raise Drop("placeholders do not match images", str(error)) from error
    folder = f"VisualProbe_{context.part.title()}/"
    images = [context.stored_image(path, path.removeprefix(folder)) for path in paths]
    return Row(question, source["solution"], images, {"type": "judge"}, {"level": context.part})


DATASET = Dataset(
    name="visualprobe",
    help="VisualProbe: visual search in large images; an answer counts by a judge.",
    licence="CC BY-NC 4.0",
    ability="perception",
    parts={
        level: Part(f"Mini-o3/VisualProbe_{level.title()}", split="val", rows=count, data_file="val.json", loose=True)
        for level, count in (("hard", 106), ("medium", 268), ("easy", 141))
    },
    columns={"problem": "str", "images": "list[str]", "solution": "str?", "doc_id": "str|int"},
    rows=rows,
    id_columns=("doc_id",),
)
