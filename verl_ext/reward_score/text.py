# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Words: clean-up that every rule shares, equality, containment and token F1."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable

MAX_CHARS = 4_000  # of an answer or a truth; what is longer is cut
F1_THRESHOLD = 0.75  # a binary reward needs one; see `f1_correct`
LETTER_CASE_CHARS = 4  # in words as short as this mixed case says something: pH, NaCl, AaBb
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
_SPACING = re.compile(
    r"\\[,;:!> ]|\\(?:quad|qquad|displaystyle|left|right|bigl|bigr|Bigl|Bigr|limits)(?![a-zA-Z])|(?!\A~[a-zA-Z])~"
)  # "~p" is a negation
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "∶": ":", "：": ":", "，": ",", "×": r"\times ", "·": r"\cdot ",
    "⋅": r"\cdot ", "÷": "/", "∕": "/", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "º": "°", "˚": "°", "“": '"', "”": '"', "‘": "'", "’": "'", "∠": r"\angle ", "±": r"\pm ",
    "≈": r"\approx ", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\u2061": "",
}  # fmt: skip
_WRAPPERS = [("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ('"', '"'), ("'", "'"), ("`", "`"), ("**", "**")]
# A capital A is an article only where a sentence starts: "Hepatitis A", "Line A to B". With nothing but a blank before
# the next word: "a, b" lists.
_ARTICLES = re.compile(
    r"(?<![\w'.\-])(?:(?:the|The|THE)\s+(?=[\"'(]?\w)"
    r"|(?:an?|An|AN|\AA(?=\s+[a-z]))\s+(?=[\"'(]?[^\W_]{2})(?!(?:sin|cos|tan|log|ln|exp)\b))"
)
_THE = re.compile(r"\A[Tt]he ")
_ACRONYM = re.compile(r"(?<![\w.])(?:[A-Z]\.){2,}(?:[A-Z]\b)?(?!\w)")  # U.S.A.
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation.replace("-", "").replace(".", ""), " "))
_NEGATIONS = frozenset({"not", "no", "never", "neither", "nor", "isn't", "cannot", "without", "non", "either"})
_NUMBER_WORD = re.compile(r"\d")
# words of the prediction that turn "Monday" into another day, "white" into another colour
_CHANGES = frozenset("than before after except hardly barely almost nearly false opposite off next".split())
_LABEL = re.compile(r"(?<![\w'])[A-HJ-Z](?![\w'])")  # of a line, an exit, a vitamin; "I" is a word
_LEAD_IN = re.compile(r"\A(?:in|on|at|by|from|it is|it's|they are|there are|there is)\s+", re.IGNORECASE)
_INITIALS = re.compile(r"([^()]+) \(([A-Z]{2,8})\)")
_MONTHS = frozenset(
    "january february march april may june july august september october november december".split()
    + "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
# what may be said or left out without naming another thing
_SMALL_WORDS = frozenset(
    "of in at on by for from to with and s de la le du des der den von van el mr mrs ms dr sir dame lord lady prof "
    "professor inc ltd corp co llc plc company".split()
)
# where these stand, punctuation says something: "f'" is not "f", nor "n!" "n", nor "5'" (feet) 5 inches
_MEANS_SOMETHING = re.compile(
    r"[\\^=<>/*+(){}\[\]%°:|~]|\d\s*[!?'\"]|(?<![a-z])[a-z]\s*[!'\"]+(?![a-z])|(?<![a-z])[a-z]#", re.IGNORECASE
)
_BLANK = re.compile(r"(?<!\d) | (?!\d)")  # "2 1/2" is not "21/2"
_LETTERS = re.compile(r"\\?[a-zA-Z]+")
_PAIRS = re.compile(r"(?:([a-z])\1){1,4}")  # of genes: AA, Aa, aa, AaBb
# too short to tell a word in capitals from a formula (CO, Co); these are words
_SHORT_WORDS = frozenset(
    "no on in up go it is ok us uk eu tv to by of at or as do my so if an be am pm we he me".split()
)


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
    text = clean(text)
    # "{}": better the thing itself than nothing
    return (_bare(_ARTICLES.sub(" ", text)) or text).casefold()


def _bare(text: str) -> str:
    text = _ACRONYM.sub(lambda match: match[0].replace(".", ""), text)
    return " ".join(filter(None, map(_without_points, text.translate(_PUNCTUATION).split())))


def _without_points(word: str) -> str:
    bare = word.strip(".")
    # ".5" is not 5
    return f".{bare}" if word[0] == "." and bare[:1].isdecimal() else bare


def literal(prediction: str, truth: str) -> bool:
    """Whether two texts are the same but for markup, case and blanks; case counts where it says something."""
    one, other = clean(prediction), clean(truth)
    return bool(one) and _BLANK.sub("", one).casefold() == _BLANK.sub("", other).casefold() and _same_case(one, other)


def exact(prediction: str, truth: str) -> bool:
    """Whether two texts are the same but for spelling; two empty ones are not.

    Signs count where digits do: "-3" is not "3", nor is "1/2" "1 2".
    """
    if literal(prediction, truth):
        return True
    one, other = clean(prediction), clean(truth)
    if not one or not other:
        return False
    one, other = _THE.sub("", one), _THE.sub("", other)
    if literal(one, other):
        return True
    both = f"{one}\n{other}"
    if _MEANS_SOMETHING.search(both) or re.search(r"\d", both) and "," in both:
        return False
    for without in (_bare, lambda text: _bare(_ARTICLES.sub(" ", text))):
        bare_one, bare_other = without(one) or one, without(other) or other
        if bare_one.casefold() == bare_other.casefold():
            return _same_case(bare_one, bare_other)
    return False


def _same_case(one: str, other: str) -> bool:
    """For texts that are the same but for case and blanks: whether their case says the same, too.

    "Paris", "paris" and "PARIS" are one word; AaBb and AABB are not, nor \\delta and \\Delta, nor Co and CO.
    """
    if one == other:
        return True
    tokens = _LETTERS.findall(one), _LETTERS.findall(other)
    if [token.casefold() for token in tokens[0]] != [token.casefold() for token in tokens[1]]:
        # blanks elsewhere
        tokens = _LETTERS.findall(one.replace(" ", "")), _LETTERS.findall(other.replace(" ", ""))
    alone = len(one) == len(tokens[0][0]) if len(tokens[0]) == 1 else False
    letters = [{token for token in side if len(token) == 1} for side in tokens]
    # "R^2 - r^2"
    strict = any(letter.swapcase() in side for side in letters for letter in side)
    for a, b in zip(*tokens, strict=False):
        if a == b:
            continue
        if len(a) == 1:
            if alone or strict:
                return False
        elif a[0] == "\\" or _PAIRS.fullmatch(a.casefold()):
            return False
        elif len(a) <= LETTER_CASE_CHARS and not (_is_one_case(a) and _is_one_case(b)):
            return False
        elif len(a) == 2 and alone and {a, b} == {a.title(), a.upper()} and a.casefold() not in _SHORT_WORDS:
            return False
    return True


def _is_one_case(word: str) -> bool:
    return word in (word.lower(), word.upper(), word.title())


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
    if said == wanted:
        return exact(prediction, truth)  # "C#" has no other words than "C++"
    extra = set(said) - set(wanted)
    parts = [words(part) for part in re.split(r"[,;/]", clean(prediction))]
    if len(parts) > 1 and any(len(part) == 1 and part != wanted for part in parts):
        return False  # "red, blue" lists, "yes, it is" goes on
    if extra & (_NEGATIONS | _CHANGES) or extra & {"or", "and"} or ("yes" in extra and "no" in wanted):
        return False
    if any(_NUMBER_WORD.search(word) for word in extra) or _labels(prediction) - _labels(truth):
        return False
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


def _labels(text: str) -> set[str]:
    return set(_LABEL.findall(_ARTICLES.sub(" ", clean(text))))


def token_f1(prediction: str, truths: Iterable[str]) -> float:
    """MMSearch's figure: the best token F1 over the accepted answers, from 0 to 1."""
    said = words(prediction)[:1000]
    return max((_f1(said, words(truth)) for truth in truths), default=0.0)


def _f1(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def f1_correct(prediction: str, truths: Iterable[str]) -> bool:
    """Token F1 as yes or no, for a reward: at least `F1_THRESHOLD`, and the words that differ name no other thing.

    The figure alone takes "3 May 2019" for "2 May 2019" and "Battle of Big Round Top" for "... of Little Round Top".
    """
    prediction = _without_initials(_LEAD_IN.sub("", clean(prediction), count=1))
    said = words(prediction)[:1000]
    for truth in truths:
        truth = _LEAD_IN.sub("", clean(truth), count=1)
        wanted = words(truth)
        if len(said) == len(wanted) == 1:
            if exact(prediction, truth):  # C# and C++ are the same word
                return True
        elif _f1(said, wanted) >= F1_THRESHOLD and _numbers(said) == _numbers(wanted) and _same_words(said, wanted):
            return True
    return False


def _without_initials(text: str) -> str:
    """ "National Park Service (NPS)" without what says the same again."""
    match = _INITIALS.fullmatch(text)
    if match is None:
        return text
    return match[1] if match[2] == "".join(re.findall(r"\b[A-Z]", match[1])) else text


def _same_words(said: list[str], wanted: list[str]) -> bool:
    """The same but for one small word, in the same order; "Churchill, Winston" and dates may be turned around."""
    if abs(len(said) - len(wanted)) > 1:
        return False
    one, other = ([word for word in side if word not in _SMALL_WORDS] for side in (said, wanted))
    if Counter(one) != Counter(other) or not one:
        return False
    if len(said) == len(wanted) and Counter(said) != Counter(wanted):
        return False  # "war on" and "war of" something
    is_date = sum(word in _MONTHS for word in one) == 1
    return is_date or any(one == other[turn:] + other[:turn] for turn in range(len(other)))


def _numbers(tokens: list[str]) -> list[str]:
    return [token for token in tokens if _NUMBER_WORD.search(token)]
