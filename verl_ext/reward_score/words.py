# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare texts as words: equality after normalisation, containment and token F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

from verl_ext.reward_score.normalise import clean

F1_THRESHOLD = 0.75  # see ``f1_correct``
LETTER_CASE_CHARS = 4  # in words up to this length mixed case is significant: pH, NaCl, AaBb
# A capital A is an article only at the start of a sentence, not in "Hepatitis A" and "Line A to B". Only a blank may
# precede the next word, because "a, b" is a list.
_ARTICLES = re.compile(
    r"(?<![\w'.\-])(?:(?:the|The|THE)\s+(?=[\"'(]?\w)"
    r"|(?:an?|An|AN|\AA(?=\s+[a-z]))\s+(?=[\"'(]?[^\W_]{2})(?!(?:sin|cos|tan|log|ln|exp)\b))"
)
_THE = re.compile(r"\A[Tt]he ")
_ACRONYM = re.compile(r"(?<![\w.])(?:[A-Z]\.){2,}(?:[A-Z]\b)?(?!\w)")  # U.S.A.
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation.replace("-", "").replace(".", ""), " "))
_NUMBER_WORD = re.compile(r"\d")
# A prediction may have these words beside the truth. All others might say something else.
_GLUE = frozenset(
    "the it its this that these those they there here is are was were be been in on at of to for by from with as "
    "into so thus hence therefore which i we see shows show shown says reads answer final correct".split()
)
_PHRASE = re.compile(r"[^,;:.!?/()\n-]*[.!]*")
_COPULAS = frozenset("is are was were shows says reads".split())
# One of these, a degree before the truth or what has the property behind it, is harmless as well.
_DEGREES = frozenset("dark light bright pale deep very mostly clearly".split())
_HEADS = frozenset(
    "one color colour function number graph line lines curve angle angles triangle circle square shape figure image "
    "picture photo object sign car truck bus bicycle person people man woman boy girl child dog cat bird animal flower "
    "tree umbrella shirt dress hat bag box ball flag building house door wall table chair side direction".split()
)
_LEAD_IN = re.compile(r"\A(?:in|on|at|by|from|it is|it's|they are|there are|there is)\s+", re.IGNORECASE)
_INITIALS = re.compile(r"([^()]+) \(([A-Z]{2,8})\)")
_MONTHS = frozenset(
    "january february march april may june july august september october november december".split()
    + "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
# A prediction may add or omit these words without naming another thing.
_SMALL_WORDS = frozenset(
    "of in at on by for from to with and s de la le du des der den von van el mr mrs ms dr sir dame lord lady prof "
    "professor inc ltd corp co llc plc company".split()
)
# Beside these, punctuation is significant: "f'" is not "f", "n!" is not "n", and "5'" (feet) is not 5 inches.
_MEANS_SOMETHING = re.compile(
    r"[\\^=<>/*+(){}\[\]%°:|~]|\d\s*[!?'\"]|(?<![a-z])[a-z]\s*[!'\"]+(?![a-z])|(?<![a-z])[a-z]#", re.IGNORECASE
)
_BLANK = re.compile(r"(?<!\d) | (?!\d)")  # "2 1/2" is not "21/2"
_LETTERS = re.compile(r"\\?[a-zA-Z]+")
_PAIRS = re.compile(r"(?:([a-z])\1){1,4}")  # of genes: AA, Aa, aa, AaBb
# Two letters do not show whether capitals are a word or a formula (CO, Co). These are words.
_SHORT_WORDS = frozenset(
    "no on in up go it is ok us uk eu tv to by of at or as do my so if an be am pm we he me".split()
)


def plain(text: str) -> str:
    """Apply ``clean``, remove case and articles, and turn punctuation into blanks."""
    text = clean(text)
    # Nothing would be left of "{}".
    return (_bare(_ARTICLES.sub(" ", text)) or text).casefold()


def _bare(text: str) -> str:
    text = _ACRONYM.sub(lambda match: match[0].replace(".", ""), text)
    return " ".join(filter(None, map(_without_points, text.translate(_PUNCTUATION).split())))


def _without_points(word: str) -> str:
    bare = word.strip(".")
    # The point of ".5" stays: it is not 5.
    return f".{bare}" if word[0] == "." and bare[:1].isdecimal() else bare


def literal(prediction: str, truth: str) -> bool:
    """Return True if the texts are equal apart from markup, blanks and insignificant case."""
    one, other = clean(prediction), clean(truth)
    return bool(one) and _BLANK.sub("", one).casefold() == _BLANK.sub("", other).casefold() and _same_case(one, other)


def exact(prediction: str, truth: str) -> bool:
    """Return True if the texts are equal after normalisation. Empty texts never match.

    Signs beside digits are significant: "-3" is not "3", and "1/2" is not "1 2".
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
    """Return whether texts that are equal apart from case and blanks agree in significant case.

    "Paris", "paris" and "PARIS" are one word. AaBb and AABB differ, as do \\delta and \\Delta, and Co and CO.
    """
    if one == other:
        return True
    tokens = _LETTERS.findall(one), _LETTERS.findall(other)
    if [token.casefold() for token in tokens[0]] != [token.casefold() for token in tokens[1]]:
        # The blanks differ.
        tokens = _LETTERS.findall(one.replace(" ", "")), _LETTERS.findall(other.replace(" ", ""))
    alone = len(one) == len(tokens[0][0]) if len(tokens[0]) == 1 else False
    letters = [{token for token in side if len(token) == 1} for side in tokens]
    # This is the case in "R^2 - r^2".
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
    """Split a text into words for token F1: lower case, no punctuation, no articles."""
    return plain(text).replace("-", " ").split()


def contains(prediction: str, truth: str, *, max_extra_words: int = 8) -> bool:
    """Return whether a short prediction holds the truth as whole words, and beside it harmless words alone.

    DynaMath's own rule accepts any substring, so that "uneven" is even and "yes or no" is both. Here "the red car" is
    red and "it is even" is even, but "red blue", "isn't red" and "anything but red" are nothing.
    """
    shown = clean(prediction)
    if shown.isupper() and " " in shown:
        shown = shown.lower()  # the A of "IT IS A CAR" is an article
    said, wanted = words(re.sub(r"(?<=\w)'s\b", " is", shown, flags=re.IGNORECASE)), words(truth)
    if not wanted or len(said) > len(wanted) + max_extra_words:
        return False
    if said == wanted:
        return exact(prediction, truth) or exact(shown, truth)  # "C#" and "C++" have the same words
    count, phrase = len(wanted), _PHRASE.fullmatch(shown) is not None
    return any(
        said[i : i + count] == wanted and _harmless(said[:i], wanted, said[i + count :], phrase)
        for i in range(len(said) - count + 1)
    )


def _harmless(before: list[str], wanted: list[str], behind: list[str], phrase: bool) -> bool:
    """Return whether the words around a truth say nothing else. A truth made of such words has fewer beside it.

    Args:
        phrase: whether no punctuation separates the words. "red. car" is no red car.
    """
    if _GLUE.issuperset(wanted):
        return False  # "on in" is neither on nor in
    if phrase and not (_GLUE | _DEGREES | _HEADS).issuperset(wanted):  # "car dog" is neither car nor dog
        if before and before[-1] in _DEGREES:
            before = before[:-1]
        if behind and behind[0] in _HEADS:
            behind = behind[1:]
        if len(before) > 1 and before[-1] in _COPULAS and before[-2] in _HEADS:
            before = before[:-2]  # "the color is red"
    return _GLUE.issuperset(before) and _GLUE.issuperset(behind)


def token_f1(prediction: str, truths: Iterable[str]) -> float:
    """Return the best token F1 over the accepted answers, from 0 to 1, as MMSearch computes it."""
    said = words(prediction)[:1000]
    return max((_f1(said, words(truth)) for truth in truths), default=0.0)


def _f1(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def f1_correct(prediction: str, truths: Iterable[str]) -> bool:
    """Return whether token F1 reaches ``F1_THRESHOLD`` and the words that differ name no other thing.

    Token F1 alone accepts "3 May 2019" for "2 May 2019" and "Battle of Big Round Top" for "... of Little Round Top".
    """
    prediction = _without_initials(_LEAD_IN.sub("", clean(prediction), count=1))
    said = words(prediction)[:1000]
    for truth in truths:
        truth = _LEAD_IN.sub("", clean(truth), count=1)
        wanted = words(truth)
        if len(said) == len(wanted) == 1:
            if exact(prediction, truth):  # ``words`` does not distinguish C# and C++
                return True
        elif _f1(said, wanted) >= F1_THRESHOLD and _numbers(said) == _numbers(wanted) and _same_words(said, wanted):
            return True
    return False


def _without_initials(text: str) -> str:
    """Remove the initials from "National Park Service (NPS)"."""
    match = _INITIALS.fullmatch(text)
    if match is None:
        return text
    return match[1] if match[2] == "".join(re.findall(r"\b[A-Z]", match[1])) else text


def _same_words(said: list[str], wanted: list[str]) -> bool:
    """Compare words in order, apart from one small word. Names ("Churchill, Winston") and dates may be turned."""
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
