# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read answers that the model did not mark: where their sentence ends, and which part may be the answer."""

from __future__ import annotations

import re

from verl_ext.reward_score.normalise import clean, formula
from verl_ext.reward_score.units import COUNTING

_CHARS = 1000
# An answer's sentence certainly ends here, unlike at the points of "St. Louis" and "3.5".
_SENTENCE_END = re.compile(
    r"[.!?;]\s+(?=(?:This|The|It|I|So|Because|Since|Therefore|Thus|Hence|We|That|There|Note|However|But)\b)"
    r"|,?(?<!\s)\s+(?:because|since|as shown|as seen)\b"
)
# A sentence ends here if a number or a formula precedes. "3 p.m. Eastern" continues.
_ASIDE = re.compile(r"(?<![ap]\.m)[.;]\s+(?=[A-Z])|,\s*(?:where|since|with|because|half|which|when)\b")
_PROSE = re.compile(r"[A-Z][a-z]|\b[A-Z]\.|(?<![$\\=(])\b[A-Z]\Z")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?(?:\s*(?:%|°))?")
_DENIALS = (
    r"not|no|none|nothing|nobody|never|cannot|neither|nor|unless|if|whether|maybe|perhaps|might|\w+n't"
    r"|(?:is|are|was|were|do|does|did|ca|wo|could|would|should)nt|but|except|excluding|without|instead|rather|hardly"
    r"|barely|unlike|anything|wrong|incorrect|false|untrue|opposite|impossible"
)
_HEDGED = re.compile(
    rf"\b(?:{_DENIALS}|or|than|at least|at most|up to|half|twice|double|triple|square of|cube of|negative|reciprocal"
    r"|inverse|more|less|fewer|few|many|over|under|below|above|almost|between|times|plus|minus|squared|cubed|factorial|dozen"
    r"|root|log|ln|sin|cos|tan|pi|step|figure|page|problem|question|exercise)\b",
    re.IGNORECASE,
)
_DOUBTED = re.compile(rf"\b(?:{_DENIALS})\b", re.IGNORECASE)
_PLAIN_WORD = re.compile(r"[a-zA-Z]{3,}(?:'s)?|(?:is|it|in|of|at|on|to|we|so|as|by|be|a|I|it's)", re.IGNORECASE)
# The rest of a sentence without its number: "There are dogs in the image.", "Answer:", "In total,"
_SENTENCE = re.compile(
    r"(?=.*\b(?:is|are|was|were|has|have|there|it|it's|in|on|of|at|to|i|we|see|count|shows?|answer|total|number|result)\b)"
    r"[a-z\s']*(?:[:,][a-z\s']*)?%?[.\s]*",
    re.IGNORECASE | re.DOTALL,
)
_TOUCHES_BEFORE = re.compile(r"[\w.\\]\Z|[-+*/^=<>|_({\[]\s*\Z|(?<![a-z]{3})[,:]\s*\Z", re.IGNORECASE)
_TOUCHES_BEHIND = re.compile(r"[\w\\]|\s*[-+*/^=<>|_!(:]|\s*,\s*\d")
# These are words before a formula. A variable or a point's name is part of the formula.
_WORDS_BEFORE = re.compile(
    r"(?:.*(?:[$:,;]|(?<![\\a-zA-Z])(?:[a-z]{3,}|[A-Z][a-z]+|is|we|so|to|as|of)(?![a-zA-Z])))?", re.DOTALL
)


def commitment(line: str) -> str:
    """Return the first part of a line that can be an answer: "12" of "12. Each side is 3." or "12, where x = 3"."""
    line = _SENTENCE_END.split(line, maxsplit=1)[0]
    for match in _ASIDE.finditer(line[:_CHARS]):
        before = line[: match.start()]
        if not re.search(r"[\d\\$]", before) or _PROSE.search(before):
            return line
        return before
    return line


def readings(sentence: str) -> list[str]:
    """Return what may be the answer in an unmarked last line: what follows "is" or "=", and its only number."""
    found = []
    sentence = sentence[:_CHARS]
    for word in (" is ", " are ", "=", ":"):
        before, said, rest = sentence.rpartition(word)
        if word == ":" and before[-1:].isdigit() and rest[:1].isdigit():
            break  # 1:2 does not say 2
        if said and rest.strip():
            rest = rest.strip() if word == "=" else commitment(rest.strip())
            if rest.count("$") % 2:
                rest = rest.rstrip(" .$")
            if word == "=":  # "So 2x = 12" gives the value of 2x
                rest = f"{before[_WORDS_BEFORE.match(before).end() :]} = {rest}".strip()
            found.append(re.sub(r"\Aat (?=[($\d\\])", "", rest))
            break
    sole = sole_number(sentence)
    return found if sole is None else [*found, sole]


def doubted(sentence: str) -> bool:
    """Return whether a sentence denies or supposes something."""
    return bool(_DOUBTED.search(clean(sentence[:_CHARS])))


def sole_number(sentence: str, *, marked: bool = False) -> str | None:
    """Return the only number of a sentence: "So there are 12 apples."

    Args:
        sentence: the text.
        marked: whether the text is a marked answer, which must consist of whole words beside its number. In "12 x" the
            number is a part of the answer.

    The result is None for several numbers, for one that is denied or a bound, and for a part of a formula such as
    "12x", "\\sqrt{12}" or "n - 12".
    """
    sentence = formula(sentence)[:_CHARS]
    found = list(_NUMBER.finditer(sentence))
    if len(found) != 1 or _HEDGED.search(sentence) or re.search(r"[\\^]", sentence):
        return None
    start, end = found[0].span()
    if _TOUCHES_BEFORE.search(sentence, max(0, start - 20), start) or _TOUCHES_BEHIND.match(sentence, end):
        return None
    rest = re.findall(r"[\w']+", sentence[:start] + " " + sentence[end:])
    if not COUNTING.isdisjoint(word.casefold() for word in rest):
        return None  # "two of the 5", "5 hundred"
    if marked and not (
        all(map(_PLAIN_WORD.fullmatch, rest)) and _SENTENCE.fullmatch(f"{sentence[:start]} {sentence[end:]}")
    ):
        return None
    return found[0][0]
