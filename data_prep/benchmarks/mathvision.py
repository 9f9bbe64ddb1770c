# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare MathVision: competition problems with one drawing and options or a free answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, format_options, option_letter
from data_prep.core.text import repair_tex

_TAG = re.compile(r"<image(\d+)>")


def without_tags(text: str, many: bool) -> str:
    """Remove image tags. Rows have one image, but a third name several tags, for parts of the drawing or its choices.

    Args:
        text: question or option.
        many: the row names several tags. Each becomes readable text, such as ``[image 2]``. Otherwise a tag at
            either end is dropped.
    """
    if not many:
        text = re.sub(r"^\s*<image\d+>|<image\d+>\s*$", "", text)
    return _TAG.sub(r"[image \1]", text).strip()


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one problem.

    Raises:
        Drop: the image is missing, or the answer is none of the options.
    """
    texts = [repair_tex(text or "") for text in (source["question"], *(source["options"] or []))]
    many = len(set(_TAG.findall(" ".join(texts)))) > 1
    question, *options = (without_tags(text, many) for text in texts)
    truth = repair_tex(source["answer"] or "").strip()
    meta = {"level": source["level"], "subject": source["subject"]}
    scoring: dict[str, Any] = {"type": "math", "decimals": 2}
    if options and truth:
        letter = option_letter(truth, options)
        if letter is None:
            raise Drop("answer is no option", f"{truth!r} of {options}")
        truth, scoring = letter, {"type": "choice", "options": options}
        if options == [chr(65 + i) for i in range(len(options))]:
            question += f"\nThe options A to {options[-1]} are in the image."
        else:
            question += "\n" + format_options(options)
    elif len(truth) > 2 and truth[0] == truth[-1] == '"':
        scoring["aliases"] = [truth[1:-1]]  # some free answers are quoted
    return Row(question, truth, [context.image(source["decoded_image"])], scoring, meta)


DATASET = Dataset(
    name="mathvision",
    help="MathVision: 3040 competition problems with a drawing (testmini: 304 of them).",
    licence="MIT",
    ability="math",
    parts={
        "test": Part("MathLLMs/MathVision", split="test", rows=3040),
        "testmini": Part("MathLLMs/MathVision", split="testmini", rows=304),
    },
    columns={
        "id": "str|int",
        "question": "str",
        "options": "list[str]",
        "decoded_image": "image",
        "answer": "str?",
        "level": "int",
        "subject": "str",
    },
    rows=rows,
    id_columns=("id",),
)
