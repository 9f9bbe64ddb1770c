# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare Math-VR's training split: problems whose solutions draw.

A row's images belong to the question or to the solution, and only the text says which. An image belongs to the question
if the question names it (``<image1>``), or if the solution does not name it and the row has no other image, unless its
category is "text". The other images would show the solution and are omitted. The reference is the closing sentence of
``analysis``, "Therefore, the answer is ...". Several answers ("the answers are: - ... - ...") are joined with "; ", and
the judge compares them. If the end of the answer is unclear, the row is dropped rather than given a wrong reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.math_vr import IMAGES, SCORING, TAG, named_images, place_images
from data_prep.training.common import known_scoring, text_of

_CLOSING = re.compile(
    r"(?:therefore|thus|hence)[,:\s*]*(?:the\s+)?(?:final\s+)?(?P<noun>answers?)\s+(?P<verb>is|are)(?:[\s:]|\*\*)*",
    re.I,
)
_MARK = r"(?:[-*]|\(?(?P<number>\d{1,2})[.)])"
_LINE_ITEM = re.compile(rf"^[ \t]*{_MARK}[ \t]+(?=\S)", re.M)
_INLINE_ITEM = re.compile(r"(?:^|(?<=\s))\((?P<number>\d{1,2})\)\s*")
_SENTENCE_FOLLOWS = re.compile(r"[.!?]\**\s+(?:[A-Z$]|\\(?!\]))")
_DRAWING = re.compile(r"\b(?:see|shown|figure|diagram|drawn|drawing)\b", re.I)
_MINUS = re.compile(r"-[ \t]+(?=\d)")
MAX_ANSWER = 200  # characters; longer texts are proofs or drawings


def final_answers(analysis: str) -> list[str]:
    """Return the answers behind the last "Therefore, the answer(s) is/are". Return none if their end is unclear."""
    found = list(_CLOSING.finditer(analysis))
    if not found:
        return []
    closing, tail = found[-1], analysis[found[-1].end() :].strip()
    several = closing["noun"].lower() == "answers" or closing["verb"].lower() == "are"
    items = _items(tail, several)
    if items is None:
        if tail.startswith(("- ", "* ")) and "\n" in closing[0]:
            return []  # either a list of one item or a minus sign
        items = [tail]
    answers = [_answer(item) for item in items]
    return [] if None in answers else answers


def _items(tail: str, several: bool) -> list[str] | None:
    """Return the items of a list: lines or, in a plural, "(1) ...; (2) ...". Return None if there is no list."""
    for pattern in (_LINE_ITEM, _INLINE_ITEM) if several else (_LINE_ITEM,):
        marks = list(pattern.finditer(tail))
        numbers = [mark["number"] for mark in marks]
        counted = numbers == [str(i + 1) for i in range(len(marks))] or not any(numbers)
        if len(marks) > 1 and marks[0].start() == 0 and counted:
            ends = [mark.start() for mark in marks[1:]] + [len(tail)]
            return [tail[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    return None


def _answer(text: str) -> str | None:
    """Return the answer that a text starts with, or None if its end is unclear."""
    lines = text.strip().split("\n\n")[0].strip().splitlines()
    if lines and lines[0] in ("$$", "\\["):  # a displayed formula
        lines = [" ".join(lines)]
    first = TAG.sub("", lines[0]).strip() if lines else ""  # an empty text means that the answer is a drawing
    ended = first.rstrip("*").endswith((".", "!"))
    if _SENTENCE_FOLLOWS.search(first) or first.endswith((":", ",")) or (len(lines) > 1 and not ended):
        return None
    answer = _bare(_MINUS.sub("-", first) if first.startswith("-") else first)
    return None if not answer or _DRAWING.search(answer) or answer.startswith("- ") else answer


def _bare(text: str) -> str:
    text = text.strip().strip("*").strip().rstrip(";,").removesuffix(" and").rstrip(";, ")
    text = text[:-1].rstrip() if text.endswith(".") else text
    text = text.strip("*").strip()
    for mark, end in (("$$", "$$"), ("\\[", "\\]"), ("$", "$")):
        inside = text[len(mark) : -len(end)]
        if len(text) > len(mark + end) and text.startswith(mark) and text.endswith(end) and "$" not in inside:
            return inside.strip().removesuffix(".")
    return text


def question_images(row: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the question's images. In a text problem these are only the images that it names.

    Raises:
        Drop: neither question nor solution names several images.
    """
    there = [number for number in range(1, IMAGES + 1) if row.get(f"image{number}") is not None]
    named = named_images(row["question"] or "")
    if named or str(row.get("category")).strip().lower() == "text":
        return [number for number in there if number in named]
    in_solution = named_images(row.get("analysis") or "")
    own = [number for number in there if number not in in_solution]
    if len(own) > 1:
        raise Drop("images that neither question nor solution names", f"images {own}")
    return own


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """Convert one row, with or without images."""
    images = {number: ctx.image(row[f"image{number}"]) for number in question_images(row)}
    question, ordered = place_images(text_of(row["question"], "no question"), images)
    answers = final_answers(row["analysis"] or "")
    if not answers:
        raise Drop("no clear answer at the end of the solution")
    answer = "; ".join(answers)
    if len(answer) > MAX_ANSWER:
        raise Drop("answer is not short", f"{len(answer)} characters")
    return Row(
        question=question,
        answer=answer,
        images=ordered,
        scoring=(known_scoring(question, answer) if len(answers) == 1 else {}) or SCORING,
        meta={"category": row.get("category"), "answers": answers},
        hint=f"There are {len(answers)} answers to give." if len(answers) > 1 else "",
    )


DATASET = Dataset(
    name="math_vr_train",
    help="Math-VR, training split: problems whose solutions draw.",
    licence="apache-2.0",
    ability="math",
    parts={"train": Part("gogoduan/Math-VR-train", rows=86575)},
    columns={
        "id": "str|number",
        "question": "str",
        "analysis": "str?",
        "category": "~str?",
        "image1": "image?",
        **{f"image{number}": "~image?" for number in range(2, IMAGES + 1)},
    },
    rows=rows,
    id_columns=("id",),
)
