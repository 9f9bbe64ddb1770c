# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare FVQA of MMSearch-R1: questions about facts that an image leads to.

``candidate_answers`` is a JSON list in a string. Its entries are as correct as the reference. The prompt has no
``<image>``, so images go in front. Only the training file has the column ``category`` (search_required / search_free).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_prep.abilities import add_search_arguments, added_search_tools
from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.errors import DataError
from data_prep.training.common import entry, text_of, user_words, without_tags

HUB = "lmms-lab/FVQA"


def aliases(value: Any, answer: str) -> list[str]:
    """Return further correct answers.

    Raises:
        DataError: the value is not a JSON list of texts, so the column has another form.
    """
    if value is None or value == "":
        return []
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
        if not isinstance(parsed, list) or not all(isinstance(item, str | int | float) for item in parsed):
            raise ValueError(f"{type(parsed).__name__} {str(parsed)[:80]!r}")
    except ValueError as error:
        raise DataError(f"fvqa: candidate_answers: expected a JSON list of texts, found {error}") from error
    names = [str(item).strip() for item in parsed]
    return [name for name in dict.fromkeys(names) if name and name != answer]


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row."""
    question = without_tags(text_of(user_words("fvqa: prompt", row["prompt"]), "no question"))
    truth = row["reward_model"]
    answer = text_of(entry("fvqa: reward_model", truth, "ground_truth"), "no answer")
    if not row["images"]:
        raise Drop("no image")
    images = [ctx.image(image) for image in row["images"]]
    scoring = {"type": "judge", "fallback": "f1", "aliases": aliases(truth.get("candidate_answers"), answer)}
    meta = {key: row[key] for key in ("category", "data_source") if row.get(key)}
    return Row(question, answer, images, scoring, meta)


DATASET = Dataset(
    name="fvqa",
    help="FVQA: facts behind an image, for the search tools.",
    licence="apache-2.0",
    ability="search",
    parts={
        "train": Part(HUB, rows=4856, data_file="fvqa_train.parquet"),
        "test": Part(HUB, split="test", rows=1800, data_file="fvqa_test.parquet"),
    },
    columns={
        "prompt": "list[struct]",
        "images": "list[image]",
        "reward_model": "struct",
        "data_id": "str|number",
        "data_source": "~str?",
        "category": "~str?",
    },
    rows=rows,
    id_columns=("data_id",),
    default_parts=("train",),
    add_arguments=add_search_arguments,
    added_tools=added_search_tools,
)
