# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare DynaMath: 501 seed questions in ten variants. Each variant is a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, inline_options

VARIANTS = 10
_HINTS = {
    "float": "Give a number with at least three decimals unless it is whole.",
    "text": "Give a short text.",
}
_TYPES = {"float": "number", "multiple choice": "choice", "text": "text"}
# The benchmark's own rule for numbers and lists.
_NUMBERS = {"tolerance": 0.001, "ordered": True, "leading_number": True}


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one variant of a seed question.

    Raises:
        Drop: the image is missing, or the answer type is unknown.
    """
    kind = (source["answer_type"] or "").strip().lower()
    if kind not in _TYPES:
        raise Drop("unknown answer type", repr(source["answer_type"]))
    scoring: dict[str, Any] = {"type": _TYPES[kind], "answer_type": kind}
    if scoring["type"] != "choice":
        scoring |= _NUMBERS
    truth = (source["ground_truth"] or "").strip()
    # The question holds the choices. They are recorded only if their marks are clear.
    if kind == "multiple choice" and (found := inline_options(source["question"])):
        scoring["options"] = found[1]
    variant = int(context.part.removeprefix("sample_variant"))
    meta = {
        "seed_id": str(source["id"]),
        "variant": variant,
        "subject": source["subject"],
        "level": source["knowledge_level"],
    }
    image = context.image(source["decoded_image"])
    row_id = f"{source['id']}-variant{variant}"  # all variants of a seed have the same source id
    return Row(source["question"], truth, [image], scoring, meta, hint=_HINTS.get(kind, ""), id=row_id)


DATASET = Dataset(
    name="dynamath",
    help="DynaMath: 501 seed questions x 10 variants; accuracy is the mean, robustness all ten variants right.",
    licence="apache-2.0 (dataset card), MIT (source repository)",
    ability="math",
    parts={
        f"sample_variant{i}": Part("DynaMath/DynaMath_Sample", split=f"sample_variant{i}", rows=501)
        for i in range(1, VARIANTS + 1)
    },
    columns={
        "id": "str|int",
        "question": "str",
        "decoded_image": "image",
        "ground_truth": "str?",
        "answer_type": "str",
        "subject": "str",
        "knowledge_level": "any",
    },
    rows=rows,
    id_columns=("id",),
)
