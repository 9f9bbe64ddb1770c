# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read fields that the training sets share: references, image sizes, the user turn of a chat prompt."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from data_prep.core.spec import Drop
from data_prep.core.text import inline_options, option_letter, slots
from data_prep.errors import DataError
from verl_ext.reward_score.choice import truth_letter

MIN_SIDE = 28  # px; the processor of Qwen2.5-VL refuses sides shorter than a merged patch
_BOX = re.compile(r"\\boxed\s*\{")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?")
_TAG = re.compile(r"\s*<image>\s*")


def unbox(answer: str) -> str:
    """Return the content of the last complete ``\\boxed{...}``, or else the stripped text."""
    boxes = list(_BOX.finditer(answer))
    if not boxes:
        return answer.strip()
    start = boxes[-1].end()
    depth = 1
    for position in range(start, len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[position], 0)
        if depth == 0:
            return answer[start:position].strip()
    return answer.strip()


def known_scoring(question: str, answer: str) -> dict[str, Any]:
    """Return the scoring that question and reference imply, or an empty dict if it depends on the dataset.

    A reference that is one capital letter A to H is a choice, because the image may show the options.
    """
    parsed = inline_options(question)
    if parsed is not None and option_letter(answer, parsed[1]) is not None:
        return {"type": "choice", "options": parsed[1]}
    if re.fullmatch(r"\(?[A-H]\)?\.?", answer.strip()):
        return {"type": "choice"}
    if _NUMBER.fullmatch(answer.strip()):
        return {"type": "number"}
    return {}


def scoring_or(kind: str, question: str, answer: str) -> dict[str, Any]:
    """Return ``known_scoring``. Where it is empty, a truth that the scorer reads as a letter is a choice."""
    return known_scoring(question, answer) or {"type": "choice" if truth_letter(answer) is not None else kind}


def refuse_small(images: Sequence[bytes], min_side: int = MIN_SIDE) -> None:
    """Raise ``Drop`` if a side of an image is under ``min_side`` px. The core checks broken images."""
    for data in images:
        try:
            with Image.open(io.BytesIO(data)) as image:  # reads only the header
                width, height = image.size
        except Exception:
            continue
        if min(width, height) < min_side:
            raise Drop(f"image side under {min_side} px", f"{width} x {height} px")


def place_images(question: str, images: int) -> str:
    """Replace each ``<image>`` of the question by a slot.

    Raises:
        Drop: the numbers of tags and images differ.
    """
    try:
        return slots(question, images)
    except ValueError as error:
        raise Drop("placeholders do not match the images", str(error)) from error


def without_tags(question: str) -> str:
    """Remove the ``<image>`` tags that some sets put in front of a question."""
    return _TAG.sub("\n", question).strip()


def entry(where: str, value: Any, key: str) -> Any:
    """Return ``value[key]`` of a struct column.

    Raises:
        DataError: the struct lacks the key, so the data has another form.
    """
    if not isinstance(value, Mapping) or key not in value:
        found = sorted(value) if isinstance(value, Mapping) else type(value).__name__
        raise DataError(f"{where} has no {key!r}. Found: {found}")
    return value[key]


def user_words(where: str, prompt: Any) -> str:
    """Return the text of the one user turn of a chat prompt.

    Raises:
        DataError: the prompt is not a list of ``{role, content}``.
        Drop: there is no user turn, or more than one.
    """
    if not isinstance(prompt, Sequence) or isinstance(prompt, str):
        raise DataError(f"{where} is {type(prompt).__name__}, expected a list of turns")
    turns = [entry(where, turn, "content") for turn in prompt if entry(where, turn, "role") == "user"]
    if len(turns) != 1 or not isinstance(turns[0], str):
        raise Drop("not one user turn", f"{len(turns)} user turns")
    return turns[0]


def text_of(value: Any, reason: str) -> str:
    """Return a value as stripped text. Numbers become text.

    Raises:
        Drop: the text is empty. ``reason`` names the field.
    """
    text = "" if value is None else str(value).strip()
    if not text:
        raise Drop(reason)
    return text
