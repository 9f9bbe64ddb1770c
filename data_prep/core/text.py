# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Handle prompt text: placeholders, literals that look like placeholders, answer options."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Stands for an image while a text is built. No dataset holds this private-use character.
SLOT = "\ue0a1"

# verl splits prompts at media tags, and the tokenizer maps special tokens to one token each.
_MEDIA = re.compile(r"<(image|video|audio)>")
_SPECIAL = re.compile(r"<\|(\w+)\|>")
# JSON or Python parsers turned these TeX escapes into control characters: "\frac" became form feed + "rac".
_EATEN = {"\f": "\\f", "\b": "\\b", "\a": "\\a", "\v": "\\v"}
# (A) or A: or A. or A) at the start of a line
_LINE_MARK = re.compile(r"^[^\S\n]*(?:\(([A-H])\)|([A-H])[.:)])\s*", re.MULTILINE)
# (A) within a line, but not P(A) or cos(A)
_MARK = re.compile(r"(?<!\b[A-Za-z])(?<!sin)(?<!cos)(?<!tan)\(([A-H])\)\s*")
# Text that follows a mark in a sentence ("in figure (A) and (B), which"), not in a list of options
_NO_OPTION = re.compile(r"[,;:?!)]|(?:and|or|to|with|vs|than|from|is|are|was|were|of|in|on)\b\W*$", re.IGNORECASE)
_JOINED = re.compile(r"\s(?:and|or|to|with|vs\.?|than|from)$", re.IGNORECASE)


def neutralise(text: str) -> str:
    """Replace literal media tags and special tokens: ``<image>`` -> ``[image]``, ``<|im_end|>`` -> ``[im_end]``."""
    return _SPECIAL.sub(r"[\1]", _MEDIA.sub(r"[\1]", text))


def with_placeholders(text: str, placeholder: str) -> str:
    """Neutralise the text and replace each ``SLOT`` by the placeholder."""
    return neutralise(text).replace(SLOT, placeholder)


def slots(text: str, images: int, tag: str = "<image>") -> str:
    """Replace the dataset's own tags by slots if there is one tag per image.

    Args:
        text: text with or without tags.
        images: number of images.
        tag: the dataset's placeholder.

    Returns:
        The text. A text without tags is unchanged, and images then go in front.

    Raises:
        ValueError: the numbers of tags and images differ.
    """
    found = text.count(tag)
    if found and found != images:
        raise ValueError(f"{found} tags {tag}, {images} images")
    return text.replace(tag, SLOT)


def repair_tex(text: str) -> str:
    """Restore the backslashes that became control characters."""
    for control, escape in _EATEN.items():
        text = text.replace(control, escape)
    return text


def format_options(options: Sequence[str]) -> str:
    """Return the options as lines ``(A) first``, ``(B) second`` and so on."""
    return "\n".join(f"({chr(65 + i)}) {option}" for i, option in enumerate(options))


def inline_options(text: str) -> tuple[str, list[str]] | None:
    """Split a question that ends in ``(A) ... (B) ...`` into the question and the option texts.

    Options are separate lines, or follow one another. A sentence that names (A) and (B) has no options.

    Returns:
        Question and options, or None unless there are at least two options with texts, lettered A, B, ... in order.
    """
    return _split_at(text, _LINE_MARK) or _split_at(text, _MARK, prose=True)


def _split_at(text: str, mark: re.Pattern[str], prose: bool = False) -> tuple[str, list[str]] | None:
    """Split at the marks. With ``prose``, return None if the texts read as parts of a sentence."""
    matches = list(mark.finditer(text))
    letters = [next(filter(None, m.groups())) for m in matches]
    # The question may name (A) and (B) before the options start.
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
    """Return True if the texts continue a sentence. A question mark behind the last text alone ends a sentence."""
    if options[-1].endswith("?") and not all(option.endswith("?") for option in options):
        return True
    return any(_NO_OPTION.match(option) for option in options) or any(map(_JOINED.search, options[:-1]))


def option_letter(truth: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option that ``truth`` names by letter (``B``, ``(B)``, ``B.``) or by text, or None."""
    letter = truth.strip().strip("().").upper()
    if len(letter) == 1 and 0 <= ord(letter) - 65 < len(options):
        return letter
    matches = [i for i, option in enumerate(options) if option.strip() == truth.strip()]
    return chr(65 + matches[0]) if len(matches) == 1 else None
