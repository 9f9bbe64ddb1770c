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
"""Words: clean-up that every rule shares, equality, containment and token F1."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable

MAX_CHARS = 4_000  # of an answer or a truth; what is longer is cut
F1_THRESHOLD = 0.75  # a binary reward needs one; see `f1_correct`
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
# A data file that was written with "\frac" in a plain string literal holds a form feed and "rac".
_EATEN = [
    (re.compile("\x0c"), r"\\f"),
    (re.compile("\x08"), r"\\b"),
    (re.compile("\x0b"), r"\\v"),
    (re.compile("\x07"), r"\\a"),
    (re.compile("\t(?=(?:imes|ext|frac|heta|an|riangle)\\b|ext\\{|frac)"), r"\\t"),
]
_TEXT_COMMAND = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|operatorname|mbox|emph)\s*\{([^{}]*)\}"
)
_SPACING = re.compile(r"\\[,;:!> ]|\\(?:quad|qquad|displaystyle|left|right|bigl|bigr|Bigl|Bigr|limits)(?![a-zA-Z])|~")
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "∶": ":", "：": ":", "，": ",", "×": r"\times ", "·": r"\cdot ",
    "⋅": r"\cdot ", "÷": "/", "∕": "/", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "º": "°", "˚": "°", "“": '"', "”": '"', "‘": "'", "’": "'", "∠": r"\angle ", "±": r"\pm ",
    "≈": r"\approx ", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\u2061": "",
}  # fmt: skip
_WRAPPERS = [("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ('"', '"'), ("'", "'"), ("`", "`"), ("**", "**")]
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation.replace("-", "").replace(".", ""), " "))
_NEGATIONS = frozenset({"not", "no", "never", "neither", "nor", "isn't", "cannot", "without", "non", "either"})
_NUMBER_WORD = re.compile(r"\d")
_LEAD_IN = re.compile(r"\A(?:in|on|at|by|from|it is|it's|they are|there are|there is)\s+")


def clean(text: str) -> str:
    """One spelling of what is written in several: superscripts, LaTeX text and spacing, dashes, quotes, wrappers."""
    text = text[:MAX_CHARS]
    for eaten, command in _EATEN:
        text = eaten.sub(command, text)
    text = _SUPERSCRIPTS.sub(lambda match: "^{" + match[0].translate(_SUPERSCRIPT) + "}", text)
    text = "".join(_SYMBOLS.get(character, character) for character in text)
    # one character may become 18
    text = unicodedata.normalize("NFKC", text)[:MAX_CHARS].replace("\u2044", "/")
    text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    text = text.replace(r"\%", "%").replace(r"\$", "$").replace(r"\_", "_").replace(r"\#", "#").replace("{,}", ",")
    for _ in range(3):  # \textbf{\text{C}}
        text, replaced = _TEXT_COMMAND.subn(r" \1 ", text)
        if not replaced:
            break
    text = _SPACING.sub(" ", text)
    return unwrap(" ".join(text.split()))


def unwrap(text: str) -> str:
    """Take off quotes, math delimiters, a box around everything and a full stop at the end."""
    for _ in range(8):
        before = text
        text = text.strip().rstrip("。")
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1].rstrip()
        for left, right in _WRAPPERS:
            inner = text[len(left) : len(text) - len(right)]
            if len(text) > len(left) + len(right) - 1 and text.startswith(left) and text.endswith(right):
                if left not in inner and right not in inner:
                    text = inner.strip()
        if text.startswith(r"\boxed{") and _first_group_is_all(text[len(r"\boxed") :]):
            text = text[len(r"\boxed{") : -1].strip()
        if text == before:
            return text
    return text


def _first_group_is_all(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return position == len(text) - 1
    return False


def plain(text: str) -> str:
    """`clean`, without case and articles, punctuation as blanks: what exact match compares."""
    text = clean(text).casefold()
    bare = _ARTICLES.sub(" ", text.translate(_PUNCTUATION))
    bare = " ".join(word.strip(".") for word in bare.split() if word.strip("."))
    # "a" as an answer, or "{}": better the thing itself than nothing
    return bare or text


def exact(prediction: str, truth: str) -> bool:
    """Whether two texts are the same but for spelling; two empty ones are not.

    Signs count where digits do: "-3" is not "3", nor is "1/2" "1 2".
    """
    one, other = clean(prediction).casefold(), clean(truth).casefold()
    if not one or not other:
        return False
    if one.replace(" ", "") == other.replace(" ", ""):
        return True
    if (
        re.search(r"[\\^=<>/*+(){}\[\]%°:]|\d\s*[!?]", one + other)
        or re.search(r"\d", one + other)
        and "," in one + other
    ):
        return False
    return plain(one) == plain(other)


def words(text: str) -> list[str]:
    """Words for token F1: lower case, no punctuation, no articles."""
    return plain(text).replace("-", " ").split()


def contains(prediction: str, truth: str, *, max_extra_words: int = 8) -> bool:
    """Whether a short prediction holds the truth as whole words, with no negation or alternative of its own.

    DynaMath takes any substring, which makes "uneven" even and "yes or no" both.
    """
    said, wanted = words(prediction), words(truth)
    if not wanted or len(said) > len(wanted) + max_extra_words:
        return False
    extra = set(said) - set(wanted)
    parts = [words(part) for part in re.split(r"[,;/]", clean(prediction))]
    if len(parts) > 1 and any(len(part) == 1 and part != wanted for part in parts):
        return False  # "red, blue" lists, "yes, it is" goes on
    if extra & _NEGATIONS or extra & {"or", "and"} or ("yes" in extra and "no" in wanted):
        return False
    if any(_NUMBER_WORD.search(word) for word in extra):
        return False
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


def token_f1(prediction: str, truths: Iterable[str]) -> float:
    """MMSearch's figure: the best token F1 over the accepted answers, from 0 to 1."""
    said = words(prediction)[:1000]
    return max((_f1(said, words(truth)) for truth in truths), default=0.0)


def _f1(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def f1_correct(prediction: str, truths: Iterable[str]) -> bool:
    """Token F1 as yes or no: at least `F1_THRESHOLD` for an answer whose numbers and negations are the same, too.

    Without that, "3 May 2019" is two thirds right where "2 May 2019" is asked for.
    """
    prediction = _LEAD_IN.sub("", clean(prediction).casefold(), count=1)
    said = words(prediction)[:1000]
    for truth in truths:
        wanted = words(_LEAD_IN.sub("", clean(truth).casefold(), count=1))
        if _f1(said, wanted) >= F1_THRESHOLD and _numbers(said) == _numbers(wanted):
            if set(said) & _NEGATIONS == set(wanted) & _NEGATIONS:
                return True
    return False


def _numbers(tokens: list[str]) -> list[str]:
    return sorted(token for token in tokens if _NUMBER_WORD.search(token))
