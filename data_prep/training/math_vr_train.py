# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Math-VR's training split: problems whose solutions draw.

A row's images belong to the question or to the solution, and only the text says which: an image is the question's if
the question names it (``<image1>``), or if the solution does not name it and the row has no other. All others would
show the solution and are left out. The truth is the closing sentence of ``analysis``, "Therefore, the answer is ...";
rows of several answers ("the answers are: - ... - ...") are joined with "; " and left to the judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_prep.benchmarks.math_vr import IMAGES, place_images
from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.training.common import known_scoring, text_of

_TAG = re.compile(r"<image(\d+)>")
_CLOSING = re.compile(r"(?:therefore|thus|hence)[,:\s*]*(?:the\s+)?(?:final\s+)?answers?\s+(?:is|are)[\s:*]*", re.I)
_ITEM = re.compile(r"^\s*(?:[-*]|\(?\d{1,2}[.)])\s+", re.M)
MAX_ANSWER = 200  # characters; longer ones are a proof or a drawing, not an answer


def final_answers(analysis: str) -> list[str]:
    """Answers behind the last "Therefore, the answer(s) is/are"; none if there is no such sentence."""
    found = list(_CLOSING.finditer(analysis))
    if not found:
        return []
    tail = _TAG.sub("", analysis[found[-1].end() :]).strip()
    parts = [part for part in _ITEM.split(tail) if part.strip()] if _ITEM.match(tail) else [tail]
    return [answer for part in parts if (answer := _bare(part))]


def _bare(text: str) -> str:
    text = text.strip().strip("*").strip()
    text = text[:-1].rstrip() if text.endswith(".") else text
    text = text.strip("*").strip()
    if len(text) > 2 and text[0] == text[-1] == "$" and text.count("$") == 2:
        text = text[1:-1].strip()
    return text


def question_images(row: Mapping[str, Any]) -> list[int]:
    """Numbers of the images that belong to the question.

    Raises:
        Drop: images are there and nothing says whose they are.
    """
    there = [number for number in range(1, IMAGES + 1) if row.get(f"image{number}") is not None]
    named = {int(number) for number in _TAG.findall(row["question"] or "")}
    if named:
        return [number for number in there if number in named]
    in_solution = {int(number) for number in _TAG.findall(row.get("analysis") or "")}
    own = [number for number in there if number not in in_solution]
    if len(own) > 1:
        raise Drop("images that neither question nor solution names", f"images {own}")
    return own


def rows(row: Mapping[str, Any], ctx: Context) -> Row:
    """One row, with or without images."""
    images = {number: ctx.image(row[f"image{number}"]) for number in question_images(row)}
    question, ordered = place_images(text_of(row["question"], "no question"), images)
    answers = final_answers(row["analysis"] or "")
    if not answers:
        raise Drop("no closing answer in the solution")
    answer = "; ".join(answers)
    if len(answer) > MAX_ANSWER:
        raise Drop("answer is not short", f"{len(answer)} characters")
    return Row(
        question=question,
        answer=answer,
        images=ordered,
        scoring=known_scoring(question, answer) if len(answers) == 1 else {},
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
