# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Formulas in one notation: what only matters where a text is read as mathematics, on top of `text.clean`."""

from __future__ import annotations

import re

from verl_ext.reward_score.text import MAX_CHARS, clean

_DECORATED = re.compile(
    r"\\(?:(?:text)?color\s*\{[a-zA-Z]{1,20}\}\s*|(?:bm|boldsymbol|underline|uline)(?![a-zA-Z])\s*)\{([^{}]*)\}"
)
_SWITCH = re.compile(
    r"\\(?:color\s*\{[a-zA-Z]{1,20}\}|(?:tiny|small|large|Large|LARGE|huge|Huge|bf|rm|it)(?![a-zA-Z]))"
)
_VULGAR = re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])")  # to NFKC "2½" is "21/2"
_COMMA = re.compile(r"\\(?:text|mathrm|mbox)\s*\{,\}")
_COLON = re.compile(r"\\colon(?![a-zA-Z])")
_SEGMENT = re.compile(r"\\overline\s*\{\s*([A-Z]{2})\s*\}")  # 0.\overline{3} is another matter
_TEXT = re.compile(r"\\(?:text|textrm|mathrm|mbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")  # "\\text{ m/s^{2}}"
_DATE = re.compile(r"\d{1,4}\s*([-/])\s*\d{1,2}\s*\1\s*\d{1,4}")
_RANGE = re.compile(r"\d+\s*-\s*\d+")


def formula(text: str) -> str:
    """`clean` for a formula: also without colours, sizes and lines under it, and with "2½" as "2 1/2"."""
    text = _VULGAR.sub(" ", text[:MAX_CHARS])
    text = _COLON.sub(":", _COMMA.sub(",", text))
    text = _SWITCH.sub(" ", _DECORATED.sub(r"{\1}", text))
    return clean(_TEXT.sub(r" \1 ", clean(_SEGMENT.sub(r"\1", text))))


def is_date(text: str) -> bool:
    """Whether a text is a date in digits: "2024-03-09" is no subtraction, "4/8/2012" no division."""
    return bool(_DATE.fullmatch(text.strip()))


def is_range(text: str) -> bool:
    """Whether a text is two numbers with a dash between them: outside of mathematics a score or a telephone number."""
    return bool(_RANGE.fullmatch(text.strip()))
