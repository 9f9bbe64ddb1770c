# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare VisualProbe's training split: small details in large photographs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.training.common import known_scoring, place_images, refuse_small, text_of

FOLDER = "VisualProbe_train"


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row. Image paths start at the directory above the clone, which holds ``train.json``."""
    answer = text_of(row["solution"], "no answer")
    if not row["images"]:
        raise Drop("no image")
    images = [ctx.stored_image(path, path.removeprefix(f"{FOLDER}/")) for path in row["images"]]
    refuse_small(images)
    question = place_images(text_of(row["problem"], "no question"), len(images))
    meta = {"data_source": row["data_source"]} if row.get("data_source") else {}
    return Row(question, answer, images, known_scoring(question, answer) or {"type": "judge"}, meta)


DATASET = Dataset(
    name="visualprobe_train",
    help="VisualProbe, training split (12.6 GB).",
    licence="CC BY-NC 4.0",
    ability="perception",
    parts={"train": Part(f"Mini-o3/{FOLDER}", rows="2.9k", data_file="train.json", loose=True)},
    columns={
        "problem": "str",
        "images": "list[str]",
        "solution": "str|number",
        "data_source": "~str?",
        "doc_id": "~str|number?",
    },
    rows=rows,
)
