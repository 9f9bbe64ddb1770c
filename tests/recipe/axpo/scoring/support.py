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
"""The tables of cases, and how a row is scored in these tests."""

import json

from recipe.axpo.scoring import get_scorer
from tests.recipe.axpo.scoring import (
    cases_choice,
    cases_dynamath,
    cases_judged,
    cases_mathvision,
    cases_numbers,
    cases_text,
    cases_training,
)

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
]


def said(text):
    """A whole response of a thinking model that says `text` at its end."""
    return f"Let me see. Perhaps.\n</think>\n\n{text}"


def score(dataset, solution, truth, details=None, *, scorer=None, question="What?"):
    extra = {"question": question}
    if details:
        extra["scoring"] = json.dumps(details)
    return (scorer or get_scorer(RULES)).score_sync(f"axpo/{dataset}", solution, truth, extra)


def right(dataset, text, truth, details=None):
    return score(dataset, said(text), truth, details)["score"] == 1.0
