# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""VisualProbe: small targets among many distractors, in three levels that are a repository each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, slots
from data_prep.training.common import stored_image


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """One question; the file names its images from the folder above its own: ``VisualProbe_Hard/data/0.jpg``.

    Raises:
        DataError: the images have not been unpacked.
        Drop: a missing image, or tags that do not match the images.
    """
    paths = source["images"] or []
    if not paths:
        raise Drop("missing image", "the row names none")
    try:
        question = slots(source["problem"], len(paths))
    except ValueError as error:
        raise Drop("placeholders do not match images", str(error)) from error
    folder = f"VisualProbe_{context.part.title()}/"
    images = [stored_image(context, path, path.removeprefix(folder)) for path in paths]
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
