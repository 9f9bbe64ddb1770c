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
"""The rule-based verdict on a row: which comparison each kind of row gets, and with what tolerance."""

from __future__ import annotations

from dataclasses import dataclass

from recipe.axpo.scoring import latex
from recipe.axpo.scoring.choice import choice_correct, lists_options, several_letters_correct, truth_letter
from recipe.axpo.scoring.extract import Extracted
from recipe.axpo.scoring.math_equal import math_equal, split_items
from recipe.axpo.scoring.number import Closeness, read_number, same_number, sole_number
from recipe.axpo.scoring.row import Row
from recipe.axpo.scoring.text import clean, contains, exact, f1_correct

DYNAMATH_TOLERANCE = 0.001
MATHVISION_DECIMALS = 2
# What a row that needs a judge is compared with under `judge.fallback: rules`.
FALLBACKS = {"mmsearch": "f1", "fvqa": "f1", "hr_mmsearch": "f1", "math_vr": "math", "math_vr_train": "math"}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, the answer as it was read, and the rule."""

    correct: bool
    extracted: str
    method: str


def closeness_of(row: Row) -> Closeness:
    """How near numbers must be: the row's ``tolerance``, else the benchmark's rule."""
    tolerance = row.details.tolerance
    if row.dataset == "dynamath":
        return Closeness(absolute=DYNAMATH_TOLERANCE if tolerance is None else tolerance, rounded=False)
    if tolerance is not None:
        return Closeness(absolute=tolerance, rounded=False)
    if row.dataset == "mathvision":
        return Closeness(decimals=MATHVISION_DECIMALS)
    return Closeness()


def judge_by_rules(row: Row, found: Extracted, kind: str | None = None) -> Verdict:
    """Compare an answer with every accepted truth.

    Args:
        kind: instead of the row's own type.

    Raises:
        ToolInfrastructureError: math-verify's process cannot be had.
    """
    kind = kind or row.type
    if not found.text:
        return Verdict(False, "", "none")
    compare = _COMPARISONS[kind]
    budget = latex.Budget()
    return Verdict(any(compare(row, found, truth, budget) for truth in row.truths), found.text, kind)


def fallback_kind(row: Row) -> str:
    """The comparison that stands in for the judge."""
    return FALLBACKS.get(row.dataset, "text")


def _choice(row: Row, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    if found.how == "last_line" and lists_options(found.message):
        return False
    return choice_correct(found.text, truth, row.details.options, marked=found.how != "last_line")


def _number(row: Row, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    wanted, closeness = read_number(truth), closeness_of(row)
    if wanted is None:
        return _math(row, found, truth, budget)
    for text in _readings(found):
        said = read_number(text)
        if said is None and "=" in text:
            # "V = \pi r^2 h = 12"
            return math_equal(text, truth, closeness, budget=budget)
        if said is None and row.dataset == "dynamath":
            said = _first_token(text)
        if said is not None:
            return same_number(said, wanted, closeness)
    # "5!" and what else only math-verify can work out
    return math_equal(found.text, truth, closeness, budget=budget)


def _first_token(text: str):
    """DynaMath's rule for "12.5 (rounded)"; not where further numbers or an "or" follow."""
    token, _, rest = clean(text).partition(" ")
    if any(c.isdigit() for c in rest) or {"or", "not", "and", "to"} & set(rest.casefold().split()):
        return None
    return read_number(token.rstrip(",;:")) if not rest or rest[0] in "([,;:" or rest[0].isalpha() else None


def _math(row: Row, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    closeness = closeness_of(row)
    ordered = row.dataset == "dynamath"
    if any(math_equal(text, truth, closeness, ordered=ordered, budget=budget) for text in _readings(found)[:1]):
        return True
    if several_letters_correct(found.text, truth):
        return True
    if len(clean(truth)) == 1 and truth_letter(truth) is not None:
        return _choice(row, found, truth, budget)  # "Option C" for a free answer that is a letter
    if found.marked or read_number(truth) is None:
        return False
    return any(math_equal(text, truth, closeness, budget=budget) for text in _readings(found)[1:])


def _text(row: Row, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    if exact(found.text, truth) or _math(row, found, truth, budget):
        return True
    if read_number(truth) is not None or split_items(clean(truth)) is not None:
        return False  # "12" is a part of "112"
    return contains(found.text, truth)


def _exact(row: Row, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    return exact(found.text, truth)


def _f1(row: Row, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    if exact(found.text, truth) or f1_correct(found.text, [truth]):
        return True
    said, wanted = read_number(found.text), read_number(truth)
    return said is not None and wanted is not None and same_number(said, wanted, closeness_of(row))


def _readings(found: Extracted) -> list[str]:
    """The answer; for a sentence that is not marked also what follows its last "=" or "is", or its only number."""
    texts = [found.text]
    if not found.marked:
        for word in (" is ", " are ", "=", ":"):
            _, said, rest = found.text.rpartition(word)
            if said and rest.strip():
                texts.append(rest.strip())
                break
        sole = sole_number(found.text)
        if sole is not None:
            texts.append(sole)
    return texts


_COMPARISONS = {
    "choice": _choice,
    "number": _number,
    "math": _math,
    "set": _math,
    "text": _text,
    "exact": _exact,
    "f1": _f1,
    "judge": _exact,  # before the judge is asked
}
