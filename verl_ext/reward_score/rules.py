# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts by rules: the comparison for each kind of row, and the tolerance it takes from the row."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verl_ext.reward_score import latex
from verl_ext.reward_score.choice import choice_correct, lists_options, several_letters_correct, truth_letter
from verl_ext.reward_score.extract import Extracted, Thinking, final_answer
from verl_ext.reward_score.forms import split_items
from verl_ext.reward_score.math_equal import math_equal
from verl_ext.reward_score.normalise import clean, is_range
from verl_ext.reward_score.number import Closeness, Quantity, read_number, same_number
from verl_ext.reward_score.row import ScoredRow
from verl_ext.reward_score.sentence import doubted, readings, sole_number
from verl_ext.reward_score.units import read_unit
from verl_ext.reward_score.words import contains, exact, f1_correct

# In a formula only the signs distinguish "2x + 1" from "2x - 1". "f'" and "f(x)" match, "the dogs' bowl (red)" not.
_FORMULA = re.compile(r"[\\=<>+*/^|#\u2264\u2265]|\w\(|\w'(?!\w)|(?<!\w)-\w")
_DIFFERENCE = re.compile(r"(?<!\w)\w-\w+|\w+-\w(?!\w)|\d-\w+|\w+-\d")
_SYMBOL = re.compile(r"[%$\u20ac\u00a3\u00a5&@\u00b0]")
_DIGIT_GROUP = re.compile(r"\d+(?:[-/:]\d+)+")
_DASHED = re.compile(r"\d[\d\s-]*")
_NEXT_SENTENCE = re.compile(r"[.;!?][\s\\]+\w")
_YES_OR_NO = re.compile(r"(yes|no)\s*[,.;:!-]\s*(.+)", re.IGNORECASE | re.DOTALL)
# What follows "yes" or "no" must be a sentence about something, which gives no other answer.
_STATEMENT = re.compile(
    r"(?:it|they|the|this|that|these|those|there|he|she|we|you|both|all|each|its|their|because|since)\b.*"
    r"\b(?:is|are|was|were|does|do|did|has|have|can|will|must)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_TAKEN_BACK = re.compile(r"\b(?:yes|but|or|however|unless|if|wait|actually|rather|maybe|perhaps)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """Whether a response is correct, the answer that was read in it, and the rule that decided."""

    correct: bool
    extracted: str
    method: str


def closeness_of(row: ScoredRow) -> Closeness:
    """Return how near numbers must be. A ``tolerance`` replaces every rounding rule."""
    tolerance = row.scoring.tolerance
    return Closeness(decimals=row.scoring.decimals) if tolerance is None else Closeness(tolerance, rounded=False)


def judge_by_rules(row: ScoredRow, found: Extracted, kind: str | None = None) -> Verdict:
    """Compare an answer with every accepted truth.

    Args:
        kind: replaces the row's own type.

    Raises:
        ToolInfrastructureError: the process that reads LaTeX cannot be started or does not answer.
    """
    kind = kind or row.type
    if not found.text:
        return Verdict(False, "", "none")
    budget = latex.Budget()
    return Verdict(any(_same(row, found, truth, kind, budget) for truth in row.truths), found.text, kind)


def _same(row: ScoredRow, found: Extracted, truth: str, kind: str, budget: latex.Budget) -> bool:
    """Compare with one truth. An answer that no arithmetic can hold is wrong, and no reason to drop the rollout."""
    try:
        return _COMPARISONS[kind](row, found, truth, budget)
    except (ArithmeticError, RecursionError, MemoryError):
        return False


def judge_by_tag(row: ScoredRow, solution: str, thinking: Thinking = "auto") -> Verdict:
    """Compare the text of the last ``<answer>`` with the truth, without case, line breaks and a full stop."""
    said = final_answer(solution, thinking)
    correct = said is not None and any(_one_line(said) == _one_line(truth) for truth in row.truths)
    return Verdict(correct, said or "", "exact")


def _one_line(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


def _choice(row: ScoredRow, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    if found.how == "last_line" and lists_options(found.message):
        return False
    return choice_correct(found.text, truth, row.scoring.options, marked=found.how != "last_line")


def _number(row: ScoredRow, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    wanted, closeness = read_number(truth), closeness_of(row)
    if wanted is None:
        return _math(row, found, truth, budget)
    for text in _readings(found):
        said = read_number(text)
        if said is None and row.scoring.leading_number:
            said = _leading_number(text)
        if said is not None:
            return same_number(said, wanted, closeness)
        # "V = \\pi r^2 h = 12", and "5!" and what else only the parser of LaTeX can work out
        if ("=" in text or text is found.text) and math_equal(text, truth, closeness, budget=budget):
            return True
        if "=" in text and (found.how != "last_line" or text is not found.text):
            return False
    return False


def _leading_number(text: str) -> Quantity | None:
    """Read "12.5 (rounded up)" as 12.5, unless further numbers or an "or" follow."""
    token, _, rest = clean(text).partition(" ")
    if is_range(token) or any(c.isdigit() for c in rest) or {"or", "not", "and", "to"} & set(rest.casefold().split()):
        return None
    if rest and rest[0] not in "([,;:" and read_unit(" " + rest.split()[0]) is None:
        return None  # "12 squared"
    return read_number(token.rstrip(",;:"))


def _math(row: ScoredRow, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    closeness, ordered = closeness_of(row), bool(row.scoring.ordered)
    whole, *parts = _readings(found)
    if math_equal(whole, truth, closeness, ordered=ordered, budget=budget):
        return True
    if several_letters_correct(found.text, truth) or _yes_or_no(found.text) == clean(truth).casefold():
        return True
    if len(clean(truth)) == 1 and truth_letter(truth) is not None:
        # "Option C" for a free answer that is a letter, but not "It is C. It is even."
        return not _NEXT_SENTENCE.search(clean(found.text)) and _choice(row, found, truth, budget)
    if read_number(truth) is None:
        if not re.search(r"\d", truth) and not _FORMULA.search(clean(truth)):
            return found.how == "last_line" and _contains(found.text, truth)
        if found.how != "last_line" or doubted(found.text):
            return False
    return any(math_equal(text, truth, closeness, ordered=ordered, budget=budget) for text in parts)


def _text(row: ScoredRow, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    if exact(found.text, truth):
        return True
    if is_range(clean(truth)):  # a score or a telephone number
        dashed = [match.strip(" -") for match in _DASHED.findall(clean(found.text))]
        return len(dashed) == 1 and exact(dashed[0], truth) and not doubted(found.text)
    if is_range(clean(found.text)):
        return False
    said, wanted = read_number(found.text), read_number(truth)
    if said is not None and wanted is not None and said.unit == wanted.unit == "?":
        return said.value == wanted.value and _contains(found.text, truth)  # "One Way" is not "one lane"
    if _math(row, found, truth, budget):
        return True
    if wanted is not None or split_items(clean(truth)) is not None:
        return False  # "12" is a part of "112"
    return _contains(found.text, truth)


def _contains(text: str, truth: str) -> bool:
    """Return ``contains`` for words, and False for formulas, which are not made of words."""
    text, truth = clean(text), clean(truth)
    if _FORMULA.search(text) or _FORMULA.search(truth):
        return False
    if not set(_DIFFERENCE.findall(text.casefold())) <= set(_DIFFERENCE.findall(truth.casefold())):
        return False  # "x-y" is not x
    return sorted(_SYMBOL.findall(text)) == sorted(_SYMBOL.findall(truth)) and contains(text, truth)


def _yes_or_no(text: str) -> str | None:
    """Return the first word of "No, the lines are not parallel." unless the rest takes it back."""
    match = _YES_OR_NO.fullmatch(clean(text))
    if match is None or not _STATEMENT.fullmatch(match[2]) or _TAKEN_BACK.search(match[2]):
        return None
    said = match[1].casefold()
    return None if said == "yes" and doubted(match[2]) else said


def _exact(row: ScoredRow, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    return exact(found.text, truth)


def _f1(row: ScoredRow, found: Extracted, truth: str, budget: latex.Budget) -> bool:
    if exact(found.text, truth):
        return True
    # a bag of words does not tell 3-1 from 1-3, nor one date from another
    if _digit_groups(found.text) != _digit_groups(truth):
        return False
    if f1_correct(found.text, [truth]):
        return True
    if is_range(clean(truth)) or is_range(clean(found.text)):
        return False
    said, wanted = read_number(found.text), read_number(truth)
    if said is None or wanted is None or said.unit == wanted.unit == "?":
        return False  # "One Direction" is not "one world"
    return same_number(said, wanted, closeness_of(row))


def _digit_groups(text: str) -> list[str]:
    return sorted(_DIGIT_GROUP.findall(re.sub(r"\s*([-/:])\s*", r"\1", clean(text))))


def _readings(found: Extracted) -> list[str]:
    """Return the answer, and its only number. For an unmarked last line also the parts of it that may be the answer."""
    if found.how == "last_line":
        return [found.text, *readings(found.text)]
    number = sole_number(found.text, marked=True) if read_number(found.text) is None else None
    return [found.text] if number is None else [found.text, number]


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
