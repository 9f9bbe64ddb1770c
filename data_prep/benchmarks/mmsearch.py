# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare MMSearch, end to end: questions for a search engine, 171 of 300 with an image. Answers become outdated."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from typing import Any

from data_prep.abilities import add_search_arguments, added_search_tools
from data_prep.core import Context, Dataset, Part, Row


def _aliases(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    value = value if isinstance(value, list) else [] if value is None else [value]
    return [str(entry).strip() for entry in value if str(entry).strip()]


def rows(source: Mapping[str, Any], context: Context) -> Iterable[Row]:
    """Convert one question. Return no row if only rows with an image are kept and this one has none.

    ``image_search_result`` and ``gt_requery`` are not read, because they reveal parts of the answer.
    """
    images = [context.image(source["query_image"])] if source["query_image"] is not None else []
    if not images and context.options["keep"] == "images":
        return []
    scoring = {"type": context.options["scoring"], "aliases": _aliases(source["alternative_gt_answers"])}
    if scoring["type"] == "judge":
        scoring["fallback"] = "f1"
    meta: dict[str, Any] = {
        key: None if source[key] is None else str(source[key]) for key in ("area", "subfield", "timestamp")
    }
    meta["has_image"] = bool(images)
    ability = "search" if images else "text_search"
    return [Row(source["query"], source["gt_answer"], images, scoring, meta, ability=ability)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options that select rows, their scoring, and image search."""
    parser.add_argument("--keep", choices=("all", "images"), default="all", help="all rows, or those with an image")
    parser.add_argument(
        "--scoring",
        choices=("judge", "f1"),
        default="judge",
        help="by a judge as in papers on agents, or by the benchmark's own token F1",
    )
    add_search_arguments(parser)


DATASET = Dataset(
    name="mmsearch",
    help="MMSearch (end2end): questions for a search engine, 171 of 300 with an image.",
    licence="unconfirmed",
    ability="search",
    parts={"end2end": Part("CaraJ/MMSearch", config="end2end", split="end2end", rows=300)},
    columns={
        "sample_id": "str|int",
        "query": "str",
        "query_image": "image?",
        "area": "any",
        "subfield": "any",
        "timestamp": "any",
        "gt_answer": "str?",
        "alternative_gt_answers": "list[str]|str?",
    },
    rows=rows,
    id_columns=("sample_id",),
    add_arguments=add_arguments,
    added_tools=added_search_tools,
)
