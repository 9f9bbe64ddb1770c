# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare HR-MMSearch: questions that need both a close look at a large image and a search."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from data_prep.abilities import add_search_arguments, added_search_tools
from data_prep.core import Context, Dataset, Part, Row


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one question."""
    meta = {"category": source["category"], "difficulty": source["difficulty"]}
    image = context.image(source["query_image"])
    scoring = {"type": "judge", "fallback": "f1"}
    if context.options["judge_sees_image"]:
        scoring["judge_sees"] = "image"
    return Row(source["query"], source["ground_truth"], [image], scoring, meta)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an option of the scoring, and image search."""
    parser.add_argument(
        "--judge-sees-image",
        action="store_true",
        help="let the judge see the image, as the benchmark's own does, if its option send_image is on",
    )
    add_search_arguments(parser)


DATASET = Dataset(
    name="hr_mmsearch",
    help="HR-MMSearch: search questions about small details of large images.",
    licence="MIT",
    ability="search",
    parts={"train": Part("sensenova/HR-MMSearch", split="train", rows=305)},
    columns={
        "sample_id": "str|int",
        "query": "str",
        "query_image": "image",
        "ground_truth": "str?",
        "difficulty": "any",
        "category": "any",
    },
    rows=rows,
    id_columns=("sample_id",),
    add_arguments=add_arguments,
    added_tools=added_search_tools,
)
