# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of cases, and how a row is scored in these tests."""

import asyncio
import json

from tests.verl_ext.reward_score import (
    cases_choice,
    cases_dynamath,
    cases_judged,
    cases_mathvision,
    cases_numbers,
    cases_text,
    cases_training,
    cases_values,
    cases_words,
)
from verl_ext.reward_score import get_scorer
from verl_ext.reward_score.reward import compute_score

RULES = {"fallback": "rules"}
TABLE = [
    *[("mathvision", *case) for case in cases_mathvision.CASES],
    *[("dynamath", *case) for case in cases_dynamath.CASES],
    # one table: the datasets alternate over it
    *[(("vstar", "hrbench_4k", "hrbench_8k")[i % 3], *case) for i, case in enumerate(cases_choice.CASES)],
    *cases_judged.CASES,
    *cases_numbers.CASES,
    *cases_text.CASES,
    *cases_training.CASES,
    *cases_values.CASES,
    *cases_words.CASES,
]


def said(text):
    """A whole response of a thinking model that says `text` at its end."""
    return f"Let me see. Perhaps.\n</think>\n\n{text}"


def score(dataset, solution, truth, details=None, *, scorer=None, question="What?"):
    extra = {"question": question}
    if details:
        extra["scoring"] = json.dumps(details)
    return asyncio.run((scorer or get_scorer(RULES)).score(f"axpo/{dataset}", solution, truth, extra))


def reward(*args, **kwargs):
    """Await ``compute_score``."""
    return asyncio.run(compute_score(*args, **kwargs))


def right(dataset, text, truth, details=None):
    return score(dataset, said(text), truth, details)["score"] == 1.0
