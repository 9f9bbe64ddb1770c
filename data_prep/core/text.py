# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prompt text: placeholders, literals that only look like placeholders, answer options."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Stands for an image while a text is built: a private-use character that no dataset holds.
SLOT = "\ue0a1"

# verl splits prompts at these, and the tokenizer makes one special token of these.
_MEDIA = re.compile(r"<(image|video|audio)>")
_SPECIAL = re.compile(r"<\|(\w+)\|>")
# Escapes that JSON or Python once ate in TeX: "\frac" became form feed + "rac".
_EATEN = {"\f": "\\f", "\b": "\\b", "\a": "\\a", "\v": "\\v"}
# (A) or A: or A. or A) at the start of a line
_LINE_MARK = re.compile(r"^[^\S\n]*(?:\(([A-H])\)|([A-H])[.:)])\s*", re.MULTILINE)
# (A) within a line, but not P(A) or cos(A)
_MARK = re.compile(r"(?<!\b[A-Za-z])(?<!sin)(?<!cos)(?<!tan)\(([A-H])\)\s*")
# What follows a mark in a sentence, "in figure (A) and (B), which", rather than in a list of options
_NO_OPTION = re.compile(r"[,;:?!)]|(?:and|or|to|with|vs|than|from|is|are|was|were|of|in|on)\b\W*$", re.IGNORECASE)
_JOINED = re.compile(r"\s(?:and|or|to|with|vs\.?|than|from)$", re.IGNORECASE)


def neutralise(text: str) -> str:
    """Literal media tags and special tokens as brackets: ``<image>`` -> ``[image]``, ``<|im_end|>`` -> ``[im_end]``."""
    return _SPECIAL.sub(r"[\1]", _MEDIA.sub(r"[\1]", text))


def with_placeholders(text: str, placeholder: str) -> str:
    """Neutralised text in which each ``SLOT`` has become the placeholder."""
    return neutralise(text).replace(SLOT, placeholder)


def slots(text: str, images: int, tag: str = "<image>") -> str:
    """Turn the dataset's own tags into slots where there is one for each image.

    Args:
        text: may hold the tag.
        images: number of images.
        tag: the dataset's placeholder.

    Returns:
        The text; without any tag, unchanged (images then go in front).

    Raises:
        ValueError: another number of tags.
    """
    found = text.count(tag)
    if found and found != images:
        raise ValueError(f"{found} tags {tag}, {images} images")
    return text.replace(tag, SLOT)


def repair_tex(text: str) -> str:
    """Put back the backslashes that became control characters."""
    for control, escape in _EATEN.items():
        text = text.replace(control, escape)
    return text


def format_options(options: Sequence[str]) -> str:
    """``(A) first`` and so on, one a line."""
    return "\n".join(f"({chr(65 + i)}) {option}" for i, option in enumerate(options))


def inline_options(text: str) -> tuple[str, list[str]] | None:
    """Split a question that ends in ``(A) ... (B) ...`` into the question and the option texts.

    Options stand on lines of their own, or one after another; a sentence that names (A) and (B) has none.

    Returns:
        None unless the letters are A, B, ... in order, at least two, each with a text.
    """
    return _split_at(text, _LINE_MARK) or _split_at(text, _MARK, prose=True)


def _split_at(text: str, mark: re.Pattern[str], prose: bool = False) -> tuple[str, list[str]] | None:
    """The question and its options; with ``prose``, None where the texts read as parts of a sentence."""
    matches = list(mark.finditer(text))
    letters = [next(filter(None, m.groups())) for m in matches]
    # the question itself may name (A) and (B) before the options come
    first = max((number for number, letter in enumerate(letters) if letter == "A"), default=len(letters))
    matches, letters = matches[first:], letters[first:]
    if len(letters) < 2 or letters != [chr(65 + i) for i in range(len(letters))]:
        return None
    ends = [m.start() for m in matches[1:]] + [len(text)]
    options = [text[m.end() : end].strip().rstrip(",;").strip() for m, end in zip(matches, ends, strict=True)]
    if not all(options) or (prose and _reads_on(options)):
        return None
    return text[: matches[0].start()].strip(), options


def _reads_on(options: Sequence[str]) -> bool:
    """Whether the texts go on as a sentence; a question mark behind the last alone ends one."""
    if options[-1].endswith("?") and not all(option.endswith("?") for option in options):
        return True
    return any(_NO_OPTION.match(option) for option in options) or any(map(_JOINED.search, options[:-1]))


def option_letter(truth: str, options: Sequence[str]) -> str | None:
    """Letter of the right option, from a letter (``B``, ``(B)``, ``B.``) or from the option's own text; else None."""
    letter = truth.strip().strip("().").upper()
    if len(letter) == 1 and 0 <= ord(letter) - 65 < len(options):
        return letter
    matches = [i for i, option in enumerate(options) if option.strip() == truth.strip()]
    return chr(65 + matches[0]) if len(matches) == 1 else None
