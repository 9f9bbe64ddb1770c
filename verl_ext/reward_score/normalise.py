# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One spelling for what is written in several: ``clean`` for any text, ``formula`` for mathematics on top of it."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 4_000  # longer answers and truths are cut
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
# A data file written with "\frac" in a plain string literal holds a form feed and "rac".
_EATEN = [
    (re.compile("\x0c"), r"\\f"),
    (re.compile("\x08"), r"\\b"),
    (re.compile("\x0b"), r"\\v"),
    (re.compile("\x07"), r"\\a"),
    (re.compile("\t(?=(?:imes|ext|frac|heta|an|riangle)\\b|ext\\{|frac)"), r"\\t"),
]
_TEXT_COMMAND = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|textsf|texttt|textup|mathrm|mathbf|mathit|mathsf|operatorname|mbox|emph)\s*\{([^{}]*)\}"
)
_NO_SPACE = re.compile(r"(?<!\\)\\!|\\negthinspace(?![a-zA-Z])\s?")  # 32,\!349
_SPACING = re.compile(
    r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|displaystyle|left|right|bigl|bigr|Bigl|Bigr|limits)(?![a-zA-Z])|(?!\A~[a-zA-Z])~"
)  # "~p" is a negation
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "∶": ":", "：": ":", "，": ",", "×": r"\times ", "·": r"\cdot ",
    "⋅": r"\cdot ", "÷": "/", "∕": "/", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "º": "°", "˚": "°", "“": '"', "”": '"', "‘": "'", "’": "'", "∠": r"\angle ", "±": r"\pm ",
    "≈": r"\approx ",
    "α": r"\alpha ", "β": r"\beta ",
    "γ": r"\gamma ",
    "θ": r"\theta ", "λ": r"\lambda ",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\u2061": "",
}  # fmt: skip
_WRAPPERS = [("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ('"', '"'), ("'", "'"), ("`", "`"), ("**", "**")]
_GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
_DECORATED = re.compile(
    r"\\(?:(?:text)?color\s*\{[a-zA-Z!0-9]{1,20}\}\s*|f?colorbox\s*(?:\{[a-zA-Z!0-9]{1,20}\}\s*){1,2}"
    r"|(?:bm|boldsymbol|pmb|mathbb|underline|underbar|uline|ensuremath|hbox|fbox)(?![a-zA-Z])\s*)" + _GROUP
)
_SWITCH = re.compile(
    r"\\(?:color\s*\{[a-zA-Z!0-9]{1,20}\}"
    r"|(?:tiny|small|large|Large|LARGE|huge|Huge|bf|rm|it|sf|tt|bfseries|itshape|rmfamily|normalsize)(?![a-zA-Z]))\s*"
)
_VULGAR = re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])")  # to NFKC "2½" is "21/2"
_COMMA = re.compile(r"\\(?:text|mathrm|mbox)\s*\{,\}")
_COLON = re.compile(r"\\colon(?![a-zA-Z])")
_SEGMENT = re.compile(r"\\overline\s*\{\s*([A-Z]{2})\s*\}")  # 0.\overline{3} is another matter
_TEXT = re.compile(r"\\(?:text|textrm|mathrm|mbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")  # "\\text{ m/s^{2}}"
_DATE = re.compile(r"\d{1,4}\s*([-/])\s*\d{1,2}\s*\1\s*\d{1,4}")
_RANGE = re.compile(r"\d+\s*-\s*\d+")


def clean(text: str) -> str:
    """Rewrite a text in one spelling: superscripts, LaTeX text, colours and spacing, dashes, quotes, wrappers."""
    text = text[:MAX_CHARS]
    for eaten, command in _EATEN:
        text = eaten.sub(command, text)
    text = _SUPERSCRIPTS.sub(lambda match: "^{" + match[0].translate(_SUPERSCRIPT) + "}", text)
    text = "".join(_SYMBOLS.get(character, character) for character in text)
    # NFKC may turn one character into 18.
    text = unicodedata.normalize("NFKC", text)[:MAX_CHARS].replace("\u2044", "/")
    text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    text = text.replace(r"\%", "%").replace(r"\$", "$").replace(r"\_", "_").replace(r"\#", "#").replace("{,}", ",")
    text = _NO_SPACE.sub("", text)
    for _ in range(3):  # \textbf{\text{C}}
        text, undone = _DECORATED.subn(r"{\1}", text)
        text, replaced = _TEXT_COMMAND.subn(r" \1 ", text)
        if not replaced and not undone:
            break
    text = _SPACING.sub(" ", _SWITCH.sub(" ", text))
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
        if text.startswith("{") and _first_group_is_all(text) and not re.search(r"[,;|:]", text):
            text = text[1:-1].strip()  # {\rm B}, but not the set {1, 2}
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


def formula(text: str) -> str:
    """Apply ``clean`` to a formula, and write "2½" as "2 1/2"."""
    text = _VULGAR.sub(" ", text[:MAX_CHARS])
    text = _COLON.sub(":", _COMMA.sub(",", text))
    return clean(_TEXT.sub(r" \1 ", clean(_SEGMENT.sub(r"\1", text))))


def is_date(text: str) -> bool:
    """Return whether a text is a date in digits. "2024-03-09" is no subtraction, "4/8/2012" no division."""
    return bool(_DATE.fullmatch(text.strip()))


def is_range(text: str) -> bool:
    """Return whether a text is two numbers with a dash between them: a score or a telephone number."""
    return bool(_RANGE.fullmatch(text.strip()))
