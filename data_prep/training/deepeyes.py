# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare DeepEyes-47k: visual search, charts, and reasoning problems.

The question is ``extra_info.question``. The user turn of ``prompt`` repeats it and adds instructions for DeepEyes' own
tool, which the system turn describes. The user turn is read, without these instructions, only if the reference is a
letter and the question has no options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.core.text import inline_options
from data_prep.training.common import entry, refuse_small, scoring_or, text_of, user_words, without_tags

HUB = "ChenShawn/DeepEyes-Datasets-47k"
PARTS = {
    "visual_search": Part(HUB, rows=22362, data_file="data_0.1.2_visual_toolbox_v2.parquet"),
    "chart": Part(HUB, rows=13659, data_file="data_v0.8_visual_toolbox_v2.parquet"),
    "reasoning": Part(HUB, rows=11031, data_file="data_thinklite_reasoning_acc.parquet"),
}
_LETTER = re.compile(r"\(?[A-H]\)?\.?")
# the instructions that DeepEyes appends, and all text behind them
_INSTRUCTIONS = re.compile(r"\s*\bThink first\b|\n[^\n]*(?:image_zoom_in_tool|<think>|<tool_call>|<answer>)")
ABILITIES = {"visual_search": "perception", "chart": "chart", "reasoning": "math"}


def with_options(question: str, answer: str, prompt: Any) -> str:
    """Return the question of the user turn if a letter answers it and only the user turn has options.

    Otherwise the image may show the options, and the question stays unchanged.

    Raises:
        Drop: the prompt does not have exactly one user turn.
    """
    if prompt is None or inline_options(question) or not _LETTER.fullmatch(answer):
        return question
    asked = without_tags(_INSTRUCTIONS.split(user_words("deepeyes: prompt", prompt), maxsplit=1)[0])
    return asked if inline_options(asked) else question


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row. Raise ``Drop`` if an image is small or the question is missing."""
    where = f"deepeyes/{ctx.part}: extra_info"
    question = without_tags(text_of(entry(where, row["extra_info"], "question"), "no question"))
    answer = text_of(entry("deepeyes: reward_model", row["reward_model"], "ground_truth"), "no answer")
    question = with_options(question, answer, row.get("prompt"))
    if not row["images"]:
        raise Drop("no image")
    images = [ctx.image(image) for image in row["images"]]
    refuse_small(images)
    meta = {key: row[key] for key in ("env_name", "data_source") if row.get(key)}
    scoring = scoring_or("judge", question, answer)
    return Row(question, answer, images, scoring, meta, ability=ABILITIES[ctx.part])


DATASET = Dataset(
    name="deepeyes",
    help="DeepEyes-47k: visual search, charts, reasoning.",
    licence="unconfirmed",
    ability="perception",
    parts=PARTS,
    columns={
        "prompt": "~list[struct]?",
        "images": "list[image]",
        "reward_model": "struct",
        "extra_info": "struct",
        "env_name": "~str?",
        "data_source": "~str?",
    },
    rows=rows,
)
