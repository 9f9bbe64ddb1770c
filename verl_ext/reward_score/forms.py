# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Take formulas with several values apart: lists, named values, intervals and inequalities, matrices."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_ITEMS = 20
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SEPARATOR_WORD = re.compile(r"\s*(?:,\s*)?\b(?:and|or)\b\s*")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NAME = r"[a-zA-Z](?:_\{?\w{1,4}\}?|')?|\\(?:alpha|beta|gamma|theta|varphi|phi|lambda|mu|omega)"
_NAMED_TUPLE = re.compile(rf"\(\s*((?:{_NAME})(?:\s*,\s*(?:{_NAME}))+)\s*\)\s*=\s*(\(.*\))")
_LESS = [
    (re.compile(r"\\leq?(?:slant|q)?(?![a-zA-Z])|<=|=<"), "\u2264"),
    (re.compile(r"\\geq?(?:slant|q)?(?![a-zA-Z])|>="), "\u2265"),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
]
_COMPARISON = re.compile("([<>\u2264\u2265])")
_BUILDER = re.compile(rf"\\?\{{\s*(?:{_NAME})\s*(?:\\in\s*\\mathbb\s*\{{?R\}}?\s*)?(?:\\mid|\\vert|\||:)(.*?)\\?\}}")
_ELEMENT = re.compile(rf"({_NAME})\s*\\in\b\s*(?=[(\[])")
_UNION = re.compile(r"\s*(?:\\cup(?![a-zA-Z])|\\lor(?![a-zA-Z])|\bor\b)\s*")
_BOTH = re.compile(r"\s*(?:\\land(?![a-zA-Z])|\band\b|,)\s*")
_INFINITE = re.compile(r"([-+]?)\s*\\infty")
_MATRIX = re.compile(
    r"([(\[]?)\s*\\begin\s*\{(matrix|pmatrix|bmatrix|smallmatrix|array)\}(?:\s*\{[lcr|\s]*\})?(.*)"
    r"\\end\s*\{\2\}\s*([)\]]?)",
    re.DOTALL,
)


def split_items(text: str) -> tuple[str, list[str], str] | None:
    """Split a list, tuple or set into opening bracket (or ""), items and closing bracket, or return None.

    Examples: "(6.000, -4.000)", "69, 51, 59", "\\{1, 2\\}", "x = 1 and y = 2", "3 or 4", "\\pm 2". "1,234" is a number.
    """
    text = _each_sign(text.replace(r"\{", "{").replace(r"\}", "}").strip())
    opening = closing = ""
    prefix = re.match(r"[a-zA-Z]{1,3}\s*(?:=|\\in)?\s*(?=[(\[{])", text)
    if prefix and closes_at_end(text[prefix.end() :]):  # A(1, 2)
        text = text[prefix.end() :]
    if text[:1] in _CLOSING and len(text) > 2 and text[-1] in ")]}" and closes_at_end(text):
        opening, closing, text = text[0], text[-1], text[1:-1]
    elif _GROUPED.fullmatch(text):
        return None
    items = _at_commas(_SEPARATOR_WORD.sub(",", text))
    if items is None or any(not item for item in items) or len(items) > MAX_ITEMS:
        return None
    return None if len(items) < 2 and opening != "{" else (opening, items, closing)


def split_groups(text: str, count: int) -> list[str] | None:
    """Split "100,200,300", which may also be one number, into ``count`` numbers of three digits, or return None."""
    items = text.split(",")
    return items if _GROUPED.fullmatch(text) and len(items) == count else None


def _at_commas(text: str) -> list[str] | None:
    items, start, depth = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in ",;" and depth == 0:
            items.append(text[start:position].strip())
            start = position + 1
    items.append(text[start:].strip())
    return None if depth else items


def _each_sign(text: str) -> str:
    """Write "x = 1 \\pm 2" as "x = 1 + 2, x = 1 - 2"."""
    if text.count(r"\pm") != 1 or any(c in text for c in ",;") or r"\mp" in text:
        return text
    return ", ".join(text.replace(r"\pm", sign).strip() for sign in "+-")


def closes_at_end(text: str) -> bool:
    """Return whether the last character closes the bracket that opens first. "[1, 2)" counts."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False


def name_each(text: str) -> str:
    """Write "(x, y) = (1, 2)" as "x = 1, y = 2", and return any other text as it is."""
    match = _NAMED_TUPLE.fullmatch(text)
    items = split_items(match[2]) if match else None
    names = [name.strip() for name in match[1].split(",")] if match else []
    if items is None or len(items[1]) != len(names):
        return text
    return ", ".join(f"{name} = {value}" for name, value in zip(names, items[1], strict=True))


def name_of(item: str) -> str | None:
    """Return the name of "x = 5", or None."""
    return item.partition("=")[0].strip() if "=" in item else None


@dataclass(frozen=True)
class Interval:
    """All numbers between two ends, which are formulas.

    Attributes:
        name: of the variable, "" where only brackets are given.
        low: formula of the lower end, or "-" for minus infinity.
        high: formula of the upper end, or "+" for infinity.
        closed: whether the lower and the upper end belong to the interval.
    """

    name: str
    low: str
    high: str
    closed: tuple[bool, bool]


def read_intervals(text: str) -> list[Interval] | None:
    """Read an interval, an inequality or a union of them.

    Examples: "(1, 3]", "x > 2", "1 < x \\le 3", "x < 1 or x > 3", "x \\in [0, 1)", "(-\\infty, 1) \\cup (3, \\infty)".

    Returns:
        None for anything else. A pair in brackets is an interval here, although it may be a point.
    """
    for pattern, sign in _LESS:
        text = pattern.sub(sign, text)
    if builder := _BUILDER.fullmatch(text.strip()):
        text = builder[1]
    name = ""
    if element := _ELEMENT.match(text.strip()):
        name, text = element[1], text.strip()[element.end() :]
    intervals = [_interval(part.strip(), name) for part in _UNION.split(text)]
    if None in intervals or len(intervals) > MAX_ITEMS or len({interval.name for interval in intervals}) > 1:
        return None
    return intervals


def _interval(text: str, name: str) -> Interval | None:
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and closes_at_end(text):
        ends = _at_commas(text[1:-1])
        if ends is None or len(ends) != 2 or not all(ends):
            return None
        return _bounded(name, ends[0], ends[1], (text[0] == "[", text[-1] == "]"))
    parts = _COMPARISON.split(text)
    if len(parts) == 5 and (rays := _BOTH.split(text)) and len(rays) == 2:
        return _meet(_interval(rays[0], ""), _interval(rays[1], ""))
    signs, terms = parts[1::2], [term.strip() for term in parts[::2]]
    if len(terms) not in (2, 3) or not all(terms) or any("=" in term or "," in term for term in terms):
        return None
    if {">", "\u2265"} & set(signs):
        signs, terms = [{">": "<", "\u2265": "\u2264"}.get(sign, "") for sign in reversed(signs)], terms[::-1]
    if not all(signs):
        return None  # 1 < x > 0
    closed = [sign == "\u2264" for sign in signs]
    if len(terms) == 3:
        return _bounded(terms[1], terms[0], terms[2], (closed[0], closed[1])) if is_name(terms[1]) else None
    if is_name(terms[0]) and not is_name(terms[1]):
        return _bounded(terms[0], r"-\infty", terms[1], (False, closed[0]))
    return _bounded(terms[1], terms[0], r"\infty", (closed[0], False)) if is_name(terms[1]) else None


def is_name(text: str) -> bool:
    """Return whether a text is a variable."""
    return re.fullmatch(_NAME, text) is not None


def _meet(one: Interval | None, other: Interval | None) -> Interval | None:
    """Return "x > 1 and x < 3" as one interval. Two lower or two upper ends are not understood."""
    if one is None or other is None or one.name != other.name:
        return None
    if one.low == "-":
        one, other = other, one
    if one.high != "+" or other.low != "-":
        return None
    return Interval(one.name, one.low, other.high, (one.closed[0], other.closed[1]))


def _bounded(name: str, low: str, high: str, closed: tuple[bool, bool]) -> Interval | None:
    lowest, highest = infinite(low), infinite(high)
    if lowest == "+" or highest == "-" or lowest and closed[0] or highest and closed[1]:
        return None
    return Interval(name, lowest or low, highest or high, closed)


def infinite(text: str) -> str:
    """Return "+" or "-" for an infinity, and "" for anything else."""
    match = _INFINITE.fullmatch(text)
    return (match[1] or "+") if match else ""


def read_matrix(text: str) -> list[list[str]] | None:
    """Return the rows of a matrix in LaTeX or as "[[1, 2], [3, 4]]", or None. Determinants are no matrices."""
    match = _MATRIX.fullmatch(text.strip())
    if match:
        body = re.sub(r"\\\\\s*\[[^\]]{1,8}\]|\\cr(?![a-zA-Z])", r"\\\\", match[3].replace(r"\hline", " "))
        rows = [[cell.strip() for cell in row.split("&")] for row in body.split(r"\\") if row.strip()]
    else:
        outer = split_items(text)
        inner = [split_items(row) for row in outer[1]] if outer and outer[0] in ("[", "(") else []
        if not inner or any(row is None or row[0] not in ("[", "(") for row in inner):
            return None
        rows = [row[1] for row in inner]
    whole = rows and len({len(row) for row in rows}) == 1 and all(cell for row in rows for cell in row)
    return rows if whole and len(rows) <= MAX_ITEMS and len(rows[0]) <= MAX_ITEMS else None
