# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare mathematical answers: numbers, tuples, sets, ratios, times, intervals, matrices, then LaTeX by its value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from verl_ext.reward_score import latex
from verl_ext.reward_score.forms import (
    Interval,
    closes_at_end,
    infinite,
    name_each,
    name_of,
    read_intervals,
    read_matrix,
    split_groups,
    split_items,
)
from verl_ext.reward_score.normalise import formula, is_date
from verl_ext.reward_score.number import Closeness, read_number, same_colon, same_number
from verl_ext.reward_score.words import exact

MAX_LATEX_CHARS = 300
_FUNCTIONS = (
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim max min mod gcd lcm sqrt pi frac and"
).split()
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
_MATHS = re.compile(r"\d|\\[a-zA-Z]+|[-+*/^=<>]")
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\.")
_COMMANDS = frozenset(
    (
        "frac binom sqrt pi times cdot div ast le leq ge geq ne neq lt gt sin cos tan cot sec csc arcsin arccos "
        "arctan arccot sinh cosh tanh ln log lg exp max min gcd lcm circ degree lfloor rfloor lceil rceil lvert rvert "
        "vert mid left right angle triangle overline vec hat bar widehat overrightarrow "
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
        "phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
    ).split()
)
# The parser drops the base of a number, and primes. A zero in front makes a code (555-0199), no term.
_MISREAD = re.compile(r"\d\s*_|[':;?&\"]|=.*=|(?<![\d.,])0\d")
_CODE = re.compile(r"[A-Z0-9\s]*[A-Z][A-Z0-9\s]*")
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
_SPELLINGS = {
    r"\lbrace": r"\{", r"\rbrace": r"\}", r"\langle": "(", r"\rangle": ")", r"\varnothing": r"\emptyset",
    "\u2205": r"\emptyset", "\u00b0": r"^\circ",
}  # fmt: skip
_ACCENT = re.compile(r"(\\(?:vec|bar|hat|overline|widehat))\s+([a-zA-Z])(?![a-zA-Z])")
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
        budget: time for the parser, shared by all comparisons of a response.

    Raises:
        ToolInfrastructureError: of kind "latex", see ``latex.equal``.
    """
    rules = _Rules(closeness, ordered, budget or latex.Budget())
    return _equal(_repair(formula(said)), _repair(formula(truth)), rules, 0)


def _repair(text: str) -> str:
    """Remove braces that LaTeX does not show, and add backslashes that plain text omits."""
    while text.startswith("{") and text.endswith("}") and closes_at_end(text) and "," not in text:
        text = text[1:-1].strip()
    text = _ACCENT.sub(r"\1{\2}", _BARE_FUNCTION.sub(r"\\\1", text))
    for spelling, usual in _SPELLINGS.items():
        text = text.replace(spelling, usual)
    return name_each(text.strip())


def _equal(said: str, truth: str, rules: _Rules, depth: int) -> bool:
    if not said or not truth:
        return False
    if exact(said, truth):
        return True
    if is_date(said) or is_date(truth):
        return False
    if (one := infinite(said)) and (other := infinite(truth)):
        return one == other
    names = [_NUMBER_OF.fullmatch(text) for text in (said, truth)]
    if all(names) and names[0][1] != names[1][1]:
        return False
    functions = [_FUNCTION_OF.fullmatch(text) for text in (said, truth)]
    if all(functions):  # f(x) = 2x is y = 2x
        said, truth = (match[1].strip() for match in functions)
    if depth < 2 and (spans := _compare_intervals(said, truth, rules, depth)) is not None:
        return spans
    if (said := _right_side(said, truth, rules.closeness)) is None:
        return False
    truth = _named_value(truth, said, rules.closeness)
    if "=" in truth and "=" not in said and split_items(truth) is None:
        return False  # 6 is not 3x + 2y = 6
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


def _compare_intervals(said: str, truth: str, rules: _Rules, depth: int) -> bool | None:
    """Compare an inequality or a union of intervals with one, or return None. Two pairs in brackets may be points."""
    spans = got, wanted = read_intervals(said), read_intervals(truth)
    if got is None or wanted is None or all(len(span) == 1 and not span[0].name for span in spans):
        return None
    if len(got) != len(wanted) or got[0].name != wanted[0].name and got[0].name and wanted[0].name:
        return False

    def same_end(one: str, other: str) -> bool:
        return one == other or not {one, other} & {"+", "-"} and _equal(one, other, rules, depth + 1)

    def same(one: Interval, other: Interval) -> bool:
        return one.closed == other.closed and same_end(one.low, other.low) and same_end(one.high, other.high)

    return _pair_up(got, wanted, same)


def _compare_lists(said: str, truth: str, rules: _Rules, depth: int) -> bool | None:
    """Compare lists, tuples, sets and matrices item by item. Return None if neither text is one."""

    def same(one: str, other: str) -> bool:
        return _same_name(one, other) and _equal(one, other, rules, depth + 1)

    rows, wanted_rows = read_matrix(said), read_matrix(truth)
    if rows and wanted_rows:
        cells, wanted_cells = ([cell for row in side for cell in row] for side in (rows, wanted_rows))
        return [*map(len, rows)] == [*map(len, wanted_rows)] and all(map(same, cells, wanted_cells))
    wanted, got = _items(truth, wanted_rows), _items(said, rows)
    if wanted is None:
        if got is None or len(got[1]) < 2:
            return None
        if (groups := split_groups(truth, len(got[1]))) is None:
            return False  # several values are not one
        wanted = ("", groups, "")
    if got is None:
        got = ("", split_groups(said, len(wanted[1])) or [said], "")
    if len(got[1]) != len(wanted[1]):
        return False
    if wanted[0] and got[0] and (wanted[0], wanted[2]) != (got[0], got[2]):
        return False  # an open interval is not a closed one
    kind = wanted[0] or got[0]
    in_order = kind in ("(", "[") or (not kind and rules.ordered)
    named = [all(map(name_of, side[1])) and len(set(map(name_of, side[1]))) > 1 for side in (got, wanted)]
    if named == [True, False]:  # "y = 2, x = 1" is (1, 2)
        return all(map(same, sorted(got[1], key=name_of), wanted[1]))
    if (in_order or named[1]) and named != [True, True]:
        return all(map(same, got[1], wanted[1]))
    return _pair_up(got[1], wanted[1], same)


def _items(text: str, rows: list[list[str]] | None) -> tuple[str, list[str], str] | None:
    """Return ``split_items``. A matrix of one row or column is a tuple."""
    if rows and (len(rows) == 1 or len(rows[0]) == 1):
        return "(", [cell for row in rows for cell in row], ")"
    return split_items(text)


def _pair_up(got: list, wanted: list, same: Callable[..., bool]) -> bool:
    """Return whether each wanted item has its own equal in the answer, in any order."""
    left = list(got)
    for item in wanted:
        match = next((i for i, one in enumerate(left) if same(one, item)), None)
        if match is None:
            return False
        del left[match]
    return True


def _same_name(one: str, other: str) -> bool:
    """Return False if both texts assign to different names, as "x = 1" and "y = 1" do."""
    names = name_of(one), name_of(other)
    return None in names or names[0] == names[1]


def _worth_parsing(text: str) -> bool:
    """Return whether a text is mathematics that the parser reads as people do.

    A parser reads "cat" as c*a*t, which equals "act", and the code "2AB" as a product.
    """
    if len(text) > MAX_LATEX_CHARS or not _MATHS.search(text) or _MISREAD.search(text) or _CODE.fullmatch(text):
        return False
    if not all(command[1:] in _COMMANDS for command in _COMMAND.findall(text)):
        return False
    return all(word.casefold() in _FUNCTIONS for word in _WORD.findall(text))
