# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare mathematical answers: numbers, tuples, sets, ratios, times, equations, then LaTeX by math-verify."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verl_ext.reward_score import latex
from verl_ext.reward_score.normalise import formula, is_date
from verl_ext.reward_score.number import Closeness, read_number, same_colon, same_number
from verl_ext.reward_score.words import exact

MAX_ITEMS = 20
MAX_LATEX_CHARS = 300
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SEPARATOR_WORD = re.compile(r"\s*(?:,\s*)?\b(?:and|or)\b\s*")
_FUNCTIONS = (
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim max min mod gcd lcm sqrt pi frac and"
).split()
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
_BARE_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]+")
_MATHS = re.compile(r"\d|\\[a-zA-Z]+|[-+*/^=<>]")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ASSIGNED = re.compile(
    r"\s*(?:[a-zA-Z]{1,3}(?:_\{?\w{1,5}\}?)?'?(?:\([a-zA-Z0-9]\))?|\\[a-zA-Z]+(?:\s*[A-Z0-9]{1,3})?|m?\s*\\angle\s*[A-Z0-9]{1,3}"
    r"|[a-zA-Z ]{3,40})\s*"
)
_NAMED = re.compile(r"m?\s*\\(?:overline|widehat|vec|bar|hat|overrightarrow|sin|cos|tan|angle)\s*[^-+*/^=]{1,20}")
# An unknown with its index. Capitals are points and sets, and a letter before a bracket is a function.
_SUBSCRIPT = re.compile(r"_(?:\w|\{\w{1,4}\})")
_GREEK = "alpha|beta|gamma|theta|varphi|phi|lambda|mu|omega"
_UNKNOWN = re.compile(rf"((?<![\\a-zA-Z])[a-z](?![a-zA-Z(])|\\(?:{_GREEK})(?![a-zA-Z]))(?:_\w|_\{{\w{{1,4}}\}})?")
_AROUND = re.compile(r"[-+*/^|!0-9]|\\(?:frac|sqrt|log|ln|lg|times|cdot|div)(?![a-zA-Z])")
_BARE_FUNCTION = re.compile(r"(?<![\\a-zA-Z])(sin|cos|tan|cot|sec|csc|ln|log|exp)(?=\s*\(|\s+[a-z]\b)")
_FUNCTION_OF = re.compile(r"\s*(?:y|[a-zA-Z]\s*\(\s*[a-z]\s*\))\s*=([^=<>]+)")
_NUMBER_OF = re.compile(r"\s*([a-zA-Z])\s*=[^=a-zA-Z]*")


@dataclass(frozen=True)
class _Rules:
    closeness: Closeness
    ordered: bool
    budget: latex.Budget


def math_equal(
    said: str, truth: str, closeness: Closeness, *, ordered: bool = False, budget: latex.Budget | None = None
) -> bool:
    """Return whether an answer has the value of the truth.

    Args:
        ordered: whether bare lists ("69, 51, 59") are tuples. Lists in round or square brackets always are, and lists
            in braces are always sets.
        budget: time for math-verify, shared by all comparisons of a response.

    Raises:
        ToolInfrastructureError: of kind "latex", see ``latex.equal``.
    """
    rules = _Rules(closeness, ordered, budget or latex.Budget())
    return _equal(_repair(formula(said)), _repair(formula(truth)), rules, 0)


def _repair(text: str) -> str:
    """Remove braces that LaTeX does not show, and add backslashes that plain text omits."""
    while text.startswith("{") and text.endswith("}") and _closes_at_end(text) and "," not in text:
        text = text[1:-1].strip()
    text = _BARE_FUNCTION.sub(r"\\\1", text)
    return text.replace(r"\lbrace", r"\{").replace(r"\rbrace", r"\}").strip()


def _equal(said: str, truth: str, rules: _Rules, depth: int) -> bool:
    if not said or not truth:
        return False
    if exact(said, truth):
        return True
    if is_date(said) or is_date(truth):
        return False
    names = [_NUMBER_OF.fullmatch(text) for text in (said, truth)]
    if all(names) and names[0][1] != names[1][1]:
        return False  # math-verify compares what is assigned, not to what
    functions = [_FUNCTION_OF.fullmatch(text) for text in (said, truth)]
    if all(functions):  # f(x) = 2x is y = 2x
        said, truth = (match[1].strip() for match in functions)
    if (said := _right_side(said, truth, rules.closeness)) is None:
        return False
    truth = _named_value(truth, said, rules.closeness)
    if "=" in truth and "=" not in said and split_items(truth) is None:
        return False  # to math-verify 6 may be 3x + 2y = 6
    one, other = read_number(said), read_number(truth)
    if one is not None and other is not None:
        return same_number(one, other, rules.closeness)
    colon = same_colon(said, truth, rules.closeness)
    if colon is not None:
        return colon
    if depth < 2:
        items = _compare_lists(said, truth, rules, depth)
        if items is not None:
            return items
    if (one is None) != (other is None) and _no_number(truth if one else said):
        return False
    if one is None and other is None and _only_units_differ(said, truth):
        return False
    return _worth_parsing(said) and _worth_parsing(truth) and latex.equal(said, truth, rules.budget)


def _right_side(text: str, other: str, closeness: Closeness) -> str | None:
    """Return the value of "x = 5" or "2 + 3 = 5" if the other text is no equation.

    "5 = x" and real equations are returned whole. The result is None for a false equation ("4 = 5") and for one that
    is still to be solved ("2x = 5").
    """
    if not _has_value(text, other):
        return text
    *left, right = [part.strip() for part in text.rstrip(" .$").split("=")]
    value = read_number(right)
    for part in left:
        number = read_number(part)
        if number is None:
            if not _ASSIGNED.fullmatch(part) and not _MATHS.search(part):
                return text
        elif value is not None and not same_number(number, value, Closeness(closeness.absolute, closeness.decimals)):
            return None
    return None if len(left) == 1 and value is not None and _unsolved(left[0]) else right


def _named_value(truth: str, said: str, closeness: Closeness) -> str:
    """Return the value of a truth that only names it ("x = 5"), and any other equation whole."""
    if not _has_value(truth, said):
        return truth
    *left, right = [part.strip() for part in truth.split("=")]
    for part in left:
        if not _ASSIGNED.fullmatch(part) and not _NAMED.fullmatch(part) and read_number(part) is None:
            return truth
    return _right_side(truth, said, closeness) or truth


def _has_value(text: str, other: str) -> bool:
    if "=" in other or "=" not in text or re.search(r"[<>!]=|\\(?:n?e|le|ge)q?\b", text):
        return False
    return not (any(c in text for c in ",;") or " and " in text or " or " in text)  # x = 1, y = 2: item by item


def _unsolved(left: str) -> bool:
    """Return whether a left side has one unknown beside other terms: "2x", "x^2", "\\frac{x}{2}", not "\\sin x"."""
    if _NAMED.fullmatch(left):
        return False
    unknowns = {match[0] for match in _UNKNOWN.finditer(left)}
    return len(unknowns) == 1 and _UNKNOWN.fullmatch(left) is None and bool(_AROUND.search(_SUBSCRIPT.sub("", left)))


def split_items(text: str) -> tuple[str, list[str], str] | None:
    """Split a list, tuple or set into opening bracket (or ""), items and closing bracket, or return None.

    Examples: "(6.000, -4.000)", "69, 51, 59", "\\{1, 2\\}", "x = 1 and y = 2", "3 or 4". "1,234" is a number.
    """
    text = text.replace(r"\{", "{").replace(r"\}", "}").strip()
    opening = closing = ""
    prefix = re.match(r"[a-zA-Z]{1,3}\s*(?:=|\\in)?\s*(?=[(\[{])", text)
    if prefix and _closes_at_end(text[prefix.end() :]):  # A(1, 2)
        text = text[prefix.end() :]
    if text[:1] in _CLOSING and len(text) > 2 and text[-1] in ")]}" and _closes_at_end(text):
        opening, closing, text = text[0], text[-1], text[1:-1]
    if _GROUPED.fullmatch(text):
        return None
    text = _SEPARATOR_WORD.sub(",", text)
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
    if depth or any(not item for item in items) or len(items) > MAX_ITEMS or (len(items) < 2 and opening != "{"):
        return None
    return opening, items, closing


def _closes_at_end(text: str) -> bool:
    """Return whether the last character closes the bracket that opens first. "[1, 2)" counts."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False


def _compare_lists(said: str, truth: str, rules: _Rules, depth: int) -> bool | None:
    wanted, got = split_items(truth), split_items(said)
    if wanted is None:
        return None if got is None or len(got[1]) < 2 else _number_or_nothing(said, truth)
    if got is None:
        got = ("", [said], "")
    if len(got[1]) != len(wanted[1]):
        return False
    if wanted[0] and got[0] and (wanted[0], wanted[2]) != (got[0], got[2]):
        return False  # an open interval is not a closed one
    kind = wanted[0] or got[0]
    in_order = kind in ("(", "[") or (not kind and rules.ordered)

    def same(one: str, other: str) -> bool:
        return _equal(one, other, rules, depth + 1)

    if in_order or any("=" in item for item in wanted[1]) and all("=" not in item for item in got[1]):
        return all(same(one, other) for one, other in zip(got[1], wanted[1], strict=True))
    left = list(got[1])
    for item in wanted[1]:
        match = next((i for i, one in enumerate(left) if _same_name(one, item) and same(one, item)), None)
        if match is None:
            return False
        del left[match]
    return True


def _number_or_nothing(said: str, truth: str) -> bool | None:
    """Return False if the truth is a number, which several values cannot be, and None otherwise."""
    return False if read_number(truth) is not None else None


def _same_name(one: str, other: str) -> bool:
    """Return False if both texts assign to different names, as "x = 1" and "y = 1" do."""
    names = [item.partition("=")[0].strip() if "=" in item else None for item in (one, other)]
    return None in names or names[0] == names[1]


def _no_number(text: str) -> bool:
    """Return whether a text unknown to ``read_number`` is no number. math-verify would read "12h" as 12."""
    if "=" in text:
        return False
    if r"\approx" in text or re.search(r"\d\s*(?:_|')", text):
        return True  # a rounding that is wrong, 40 to the base 8, 12 feet
    return bool(_letters(text) - {"e"})


def _only_units_differ(said: str, truth: str) -> bool:
    """Return whether two texts differ only in letters that math-verify ignores as units: "3t" and "3h"."""
    if "=" in said + truth:
        return False
    one, other = _letters(said), _letters(truth)
    return bool(one and other and not one & other) or bool(one ^ other) and one ^ other <= set("cdghklmnsty")


def _letters(text: str) -> set[str]:
    return set("".join(word for word in _BARE_WORD.findall(text) if word not in _FUNCTIONS))


def _worth_parsing(text: str) -> bool:
    """Return whether a text is mathematics. A parser reads "cat" as c*a*t, which equals "act"."""
    if len(text) > MAX_LATEX_CHARS or not _MATHS.search(text):
        return False
    return all(word.casefold() in _FUNCTIONS for word in _WORD.findall(text))
