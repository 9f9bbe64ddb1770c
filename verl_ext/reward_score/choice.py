# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Multiple choice: a letter, or the text of an option. A letter that merely occurs in the answer is not read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from verl_ext.reward_score.normalise import clean, formula
from verl_ext.reward_score.number import Closeness, Quantity, read_number, read_ratio, same_number
from verl_ext.reward_score.words import exact, literal

LETTERS = "ABCDEFGHIJ"
OPTION_DECIMALS = 2  # MathVision's rule for an option's value, here if it fits one option alone
_SURELY = (
    r"(?:(?:clearly|obviously|definitely|certainly|surely|evidently|therefore|thus|hence|indeed|simply|most likely|now"
    r"|undoubtedly)\s*,?\s+)*"
)
_LEAD = re.compile(
    r"(?:(?:so|thus|hence|then|therefore|clearly|obviously|evidently)\s*,?\s+)?"
    r"(?:i(?:'d|'ll|\s+would|\s+will)?\s+(?:choose|pick|select)\s+(?:(?:the\s+)?(?:answer|option|choice|letter)\s+)?"
    r"|(?:(?:the|my)\s+)?(?:(?:final|correct|best|right)\s+)?(?:answer|option|choice|letter)s?"
    r"(?:\s+(?:choice|option|letter))?\s*(?:is|:|=|(?:should|would|must|has to)\s+be)?\s*"
    rf"{_SURELY}(?:option|choice)?\s*"
    rf"|(?:it|this|that)(?:\s+is|'s|\s+(?:must|should|has to)\s+be)\s+{_SURELY}(?:option|choice)?\s*"
    rf"|(?=[a-z]{{3}}){_SURELY}(?:option|choice)?\s*"  # the rest of "the answer is clearly B"
    r"|(?:\u6b63\u786e)?(?:\u7b54\u6848|\u9009\u9879)(?:\u662f|\u4e3a|:)?\s*|\u9009(?:\u62e9)?\s*:?\s*)",  # 答案, 选
    re.IGNORECASE,
)
# Used where the choices are in the image.
_PICTURE = re.compile(
    r"(?:the\s+)?(?:(?:correct|right)\s+)?(?:image|figure|picture|panel|shape|diagram|graph|square)\s+(?:is\s+)?"
    r"(?=[(\[]?[A-J][)\]]?\Z)",
    re.IGNORECASE,
)
_ALONE = re.compile(r"[(\[{]?\s*([A-Ja-j])\s*[)\]}]?\s*[.:,)]?")
_WITH_TEXT = re.compile(
    r"(?:[(\[]\s*([A-J])\s*[)\]]\s*[.:,]?|([A-J])\s*[.:)\],]|([A-J])\s*(?=-)|[(\[]([a-j])[)\]]\s|([a-j])[.:)]\s)\s*(\S.*)",
    re.DOTALL,
)
# A dash that is no sign: "- 2" may be two things, "-2" and "-x" are one.
_DASH = re.compile(r"-(?:\s+|(?=[^\W\d]{2}))")
_LABELLED = re.compile(r"[(\[{]?\s*[A-Ja-j]\s*[)\]}.:,\-]|[A-J]\s")
_TRUTH_WITH_TEXT = re.compile(r"(?:[(\[][A-J][)\]]\s*[.:]?|[A-J][.:)])\s+\S")
# "is right" is left out, because "A is right" may describe a place.
_SAID_CORRECT = re.compile(
    r"(?:(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore)\s*,?\s+)?(?:[Oo]ption\s+|[Cc]hoice\s+)?[(\[]?([A-J])[)\]]?\s+is\s+"
    + _SURELY
    + r"(?:correct|(?:the|my)\s+(?:(?:correct|right|best|final)\s+)?(?:answer|option|choice|one))"
)
_IN_BRACKETS = re.compile(r"([A-J])\s*\(\s*([^()]+?)\s*\)")
_BEFORE_LETTER = re.compile(r"(.+?)\s*\(\s*(?:option\s+)?([A-J])\s*\)", re.IGNORECASE | re.DOTALL)
_BUT_NOT = re.compile(r"([A-J])[)\].]?,?\s+(?:and\s+|but\s+)?not\s+[(\[]?(?!\1)[A-J][)\]]?")
_FURTHER = re.compile(r"(?:\b(?:or|and|nor|not)\b|[/&,;|+])\s*(?:option\s+|not\s+)?[(\[]?[A-J][)\]]?(?:\b|$|[.:,])")
_LETTER_LIST = re.compile(r"(?:[\s,;/&|.()\[\]]|\b(?:and|or)\b|\b[A-J]\b)+")
# These words begin a statement about the option, which may be that it is wrong.
_ABOUT = re.compile(r"(?:is|isn't|was|wasn't|are|can|cannot|can't|would|could|might|may|seems|looks|does|doesn't)\b")
_LABEL = re.compile(r"(?:^|[\s,;])[(\[]?([A-J])[)\].:](?=\s|$)")
_CAPITAL = re.compile(r"\b([A-J])\b")
_LISTED = re.compile(r"\W*([A-J])\s*[).:]\s*\S")
_BRACKETED = re.compile(r"\(([A-J])\)|\b(?:option|choice)\s+([A-J])\b", re.IGNORECASE)
_AT_END = re.compile(r"\([A-J]\)\W*\Z|\b(?:option|choice)\s+[A-J]\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|isn't|cannot|neither|nor|or|wrong|incorrect|false|either)\b", re.IGNORECASE)


def read_choice(answer: str, options: Sequence[str] = ()) -> str | None:
    """Return the letter that an answer means, or None if it names none or several.

    Args:
        answer: the extracted answer, such as "B", "(b)", "B.", "Option B", "B: a red car" or "a red car".
        options: texts of the options in the order of the letters. Without them only letters are understood.
    """
    letters = LETTERS[: len(options)] if options else LETTERS
    text = clean(answer)
    for candidate in _without_lead(text, options):
        if alone := _ALONE.fullmatch(candidate):
            return _in(alone[1].upper(), letters)
        # An option may itself begin like "A. red" or "A cat". Articles stay, because "A" may be a label.
        if (by_text := _literal_option(candidate, options)) is not None:
            return by_text
        if match := _BUT_NOT.fullmatch(candidate) or _SAID_CORRECT.fullmatch(candidate):
            return _in(match[1], letters)
        with_text = _WITH_TEXT.fullmatch(candidate) or _IN_BRACKETS.fullmatch(candidate)
        if with_text:
            *spellings, rest = with_text.groups()
            return _labelled(next(filter(None, spellings)).upper(), rest, candidate, options)
        # "A red" and "red (A)" count only where letter and text are the same option.
        if candidate[:1] in letters and candidate[1:2] == " " and (named := option_of(candidate[2:], options)):
            return named if named == candidate[0] else None
        if (behind := _BEFORE_LETTER.fullmatch(candidate)) and option_of(behind[1], options) == behind[2].upper():
            return behind[2].upper()
        if (by_text := option_of(candidate, options)) is not None:
            return by_text
    return None


def _without_lead(text: str, options: Sequence[str]) -> Iterator[str]:
    """Yield the answer, and then what follows its "the answer is"."""
    if text:
        yield text
    if (lead := _LEAD.match(text)) and lead.end() < len(text):
        yield text[lead.end() :]
    if all(_ALONE.fullmatch(clean(option)) for option in options) and (lead := _PICTURE.match(text)):
        yield text[lead.end() :]


def _labelled(letter: str, rest: str, candidate: str, options: Sequence[str]) -> str | None:
    """Return the letter of "A. rest", unless the rest names another, adds one or denies this one."""
    texts = [rest]
    if dash := _DASH.match(rest):  # "A - red"
        texts.append(rest[dash.end() :])
    named = {option_of(text, options) for text in texts} - {None}
    if named:  # "A. <text of B>" is ambiguous
        return letter if letter in named else None
    if candidate[1:2] == "-" and dash is None:
        return None  # "F-16"
    by_label = candidate[1:2] in ".:)" or candidate[0] in "(["
    listed = _LETTER_LIST.fullmatch(rest) and not (by_label and rest in ("I", letter))  # "A. I": a text
    if listed or _FURTHER.search(rest) or _FURTHER.match(candidate[1:]):
        return None
    others = set((_LABEL if by_label else _CAPITAL).findall(rest))
    if others - {letter, "I"} or _ABOUT.match(rest):
        return None
    return _in(letter, LETTERS[: len(options)] if options else LETTERS)


def read_choice_in_sentence(sentence: str, options: Sequence[str] = ()) -> str | None:
    """Return the letter that a sentence names, for answers that the model did not mark.

    "So it is to the left (B)." names one. A bare letter in prose, two letters and a denied letter name none.
    """
    whole = read_choice(sentence, options)
    if whole is not None:
        return whole
    text = clean(sentence)
    named = {(match[1] or match[2]).upper() for match in _BRACKETED.finditer(text)}
    if len(named) != 1 or _NEGATION.search(text) or not _AT_END.search(text):
        return None
    return _in(named.pop(), LETTERS[: len(options)] if options else LETTERS)


def lists_options(message: str) -> bool:
    """Return whether the last two lines begin with different letters: the model repeats the options."""
    lines = [line for line in message[-2000:].splitlines() if line.strip()][-2:]
    labels = {match[1] for match in map(_LISTED.match, lines) if match}
    return len(labels) == 2


def option_of(text: str, options: Sequence[str]) -> str | None:
    """Return the letter of the only option with this text or number, or None for no option or several."""
    if (found := _literal_option(text, options)) is not None:
        return found
    found = [letter for letter, option in zip(LETTERS, options, strict=False) if exact(text, option)]
    if not found and options and (said := _quantity(text)) is not None:
        numbers = list(zip(LETTERS, map(_quantity, options), strict=False))
        for closeness in (Closeness(), Closeness(decimals=OPTION_DECIMALS)):
            found = [letter for letter, number in numbers if number and same_number(said, number, closeness)]
            if found:
                break
    return found[0] if len(found) == 1 else None


def _quantity(text: str) -> Quantity | None:
    """Read a number, or a ratio as its quotient."""
    return read_number(text) or read_ratio(formula(text))


def _literal_option(text: str, options: Sequence[str]) -> str | None:
    """Return the letter of the only option with this text. Case counts where options differ in it alone."""
    for same in (lambda one, other: clean(one) == clean(other), literal):
        found = [letter for letter, option in zip(LETTERS, options, strict=False) if same(text, option)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def truth_letter(truth: str, options: Sequence[str] = (), *, with_text: bool = False) -> str | None:
    """Return the letter of a ground truth that is written as "B" or "(B)", or as the text of an option.

    Args:
        with_text: also accept "B. text" without options. Only rows that are known to be choices may set this:
            elsewhere "F-16", "J. Crew" and "A(2, 3)" are answers.
    """
    alone = _ALONE.fullmatch(clean(truth))
    if alone and (not options or alone[1].upper() in LETTERS[: len(options)]):
        return alone[1].upper()
    if options or with_text and _TRUTH_WITH_TEXT.match(clean(truth)):
        return read_choice(truth, options)
    return None


def choice_correct(answer: str, truth: str, options: Sequence[str] = (), *, marked: bool = True) -> bool:
    """Return whether an answer is the right choice.

    A lone letter is read as a letter even where an option's text is that letter. If several options share a text, their
    letters distinguish them, and the text itself is correct if the true option has it.

    Args:
        marked: False if the answer is a message's last line, which may be a sentence around the letter.
    """
    wanted = truth_letter(truth, options, with_text=True)
    if wanted is None:  # several letters, or a text that is no option
        return _all_letters(answer) == _all_letters(truth) is not None or exact(answer, truth)
    said = read_choice(answer, options) if marked else read_choice_in_sentence(answer, options)
    if said is not None:
        return said == wanted
    index = LETTERS.index(wanted)
    if index >= len(options):
        return False
    labelled = _LABELLED.match(clean(answer))  # "A. <text of B>" is incorrect for B
    return literal(answer, options[index]) or not labelled and exact(answer, options[index])


def several_letters_correct(answer: str, truth: str) -> bool:
    """Return whether a list such as "A, C" gives the letters "AC". "CA" does not: it may name a line."""
    answer = clean(answer)
    return bool(re.search(r"[,;&\s]", answer)) and _all_letters(answer) == _all_letters(truth) is not None


def _all_letters(text: str) -> frozenset[str] | None:
    """Return the letters of "A, C", "AC" or "A and C", or None for anything else."""
    text = clean(text)
    if _LETTER_LIST.fullmatch(text):
        return frozenset(re.findall(r"\b[A-J]\b", text)) or None
    return frozenset(text) if re.fullmatch(r"[A-J]{2,10}", text) and len(set(text)) == len(text) else None


def _in(letter: str, letters: str) -> str | None:
    return letter if letter in letters else None
