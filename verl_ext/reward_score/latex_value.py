# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare two LaTeX expressions by their values. A library parses them, and no symbolic simplification is trusted.

Closed forms must have two finite values that agree in 30 digits. Expressions with symbols must agree at random points,
which depend on the two texts alone. Nodes without a finite value, such as infinity, limits and undefined functions of
numbers, have none, and nothing equals them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import mpmath
import sympy
from latex2sympy2_extended import NormalizationConfig, normalize_latex
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

DIGITS = 50
NEAR = mpmath.mpf(10) ** -30
ZERO = mpmath.mpf(10) ** -35  # of the greatest term of a sum, below which the sum is 0
POINTS = 12
MAX_EXPONENT = 10**9
MAX_ARGUMENT = 10**30  # of functions other than logarithms
MAX_GROWING = 10**4  # argument of factorials and their like
_CONVERSION = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=False)
_NORMALIZATION = NormalizationConfig(basic_latex=True, malformed_operators=True, boxed="none")
_NUMBER = re.compile(r"[\s{]*[.\d]")
_FRACTION = re.compile(r"\\frac\s*\{?\s*(\d+)\s*\}?\s*\{?\s*(\d+)\s*\}?")
_DEGREES = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?(?![a-zA-Z])")
_NAMES = "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh coth asinh acosh atanh"
_FUNCTIONS = {getattr(sympy, name): getattr(mpmath, name) for name in _NAMES.split()}
_FUNCTIONS |= {sympy.Abs: abs, sympy.log: mpmath.log, sympy.exp: mpmath.exp}
_FUNCTIONS |= {sympy.factorial: mpmath.factorial, sympy.binomial: mpmath.binomial}
# Steps and bounds can hide a symbol at every random point, so these are evaluated for numbers alone.
_STEPS = {sympy.floor: mpmath.floor, sympy.ceiling: mpmath.ceil, sympy.Max: max, sympy.Min: min, sympy.Mod: mpmath.fmod}
_GROWING = (sympy.factorial, sympy.binomial, sympy.exp, sympy.sinh, sympy.cosh)
_CONSTANTS = {sympy.pi: mpmath.pi, sympy.E: mpmath.e, sympy.I: mpmath.mpc(0, 1)}


class NoValue(ValueError):
    """An expression has no finite value that can be computed."""


class _Parser(_Latex2Sympy):
    """The library's parser, but for what stands side by side: a product, unless the second begins with a digit.

    The library adds the numbers of "5 6", and reads the code "B12" as B times 12.
    """

    def convert_postfix_list(self, arr, i=0):
        """Multiply the terms from the ``i``-th on. An integer before a proper fraction is a mixed number."""
        texts = [self.rule2text(term) for term in arr]
        if any(_NUMBER.match(text) for text in texts[i + 1 :]):
            raise NoValue("a number beside another term")
        values = [self.convert_postfix(term) for term in arr[i:]]
        if not all(isinstance(value, sympy.Expr) for value in values):
            raise NoValue("a term without a value")
        fraction = _FRACTION.fullmatch(texts[i + 1]) if len(values) > 1 and texts[i].isdigit() else None
        if fraction and 0 < int(fraction[1]) < int(fraction[2]):
            values[:2] = [sympy.Rational(int(texts[i]) * int(fraction[2]) + int(fraction[1]), int(fraction[2]))]
        return sympy.Mul(*values, evaluate=False) if len(values) > 1 else values[0]


def same_value(said: str, truth: str) -> bool:
    """Return whether two texts are expressions of the same value, or relations that hold at the same places."""
    one, other = parse(said, truth), parse(truth, said)
    if isinstance(one, Relational) != isinstance(other, Relational):
        return False
    rename = _names(one, other)
    points = _points(sorted(set(rename.values())), f"{said}\n{truth}")
    with mpmath.workdps(DIGITS):
        try:
            if isinstance(one, Relational):
                return _same_relation(one, other, rename, points)
            pairs = [(_at(one, rename, point), _at(other, rename, point)) for point in points]
        except NoValue:
            return False
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        nowhere_alone = all((a is None) == (b is None) for a, b in pairs)
        return nowhere_alone and 2 * len(both) > len(pairs) and all(_near(a, b) for a, b in both)


def parse(text: str, other: str) -> sympy.Basic:
    """Parse one expression. Degrees are an angle where either text has a function of angles."""
    degrees = bool(_DEGREES.search(text) or _DEGREES.search(other))
    parsed = _Parser(convert_degrees=degrees, config=_CONVERSION).parse(normalize_latex(text, _NORMALIZATION))
    if not isinstance(parsed, (sympy.Expr, Relational)):
        raise NoValue(f"{type(parsed).__name__} has no value")
    return parsed


def _names(*sides: sympy.Basic) -> dict[sympy.Basic, str]:
    """Name the symbols. Single letters of different case are one symbol, unless a side has a letter in both cases."""
    found = [{node for node in sympy.preorder_traversal(side) if _is_symbol(node)} for side in sides]
    letters = [{str(symbol) for symbol in side if len(str(symbol)) == 1} for side in found]
    strict = any(name.swapcase() in side for side in letters for name in side)
    symbols = set().union(*found)
    return {s: str(s) if strict or len(str(s)) > 1 else str(s).casefold() for s in symbols}


def _is_symbol(node: sympy.Basic) -> bool:
    return isinstance(node, (sympy.Symbol, AppliedUndef))


def _points(names: list[str], seed: str) -> list[dict[str, mpmath.mpf]]:
    """Return points of both signs. Their number is 1 for closed forms."""
    if not names:
        return [{}]
    chance = random.Random(seed)  # a text is a seed that is the same in every process
    points = []
    for number in range(POINTS):
        sign = {0: 1, 1: -1}.get(number)  # the others are mixed
        signs = [sign or chance.choice((1, -1)) for _ in names]
        sizes = [mpmath.mpf(chance.getrandbits(80)) / 2**79 + mpmath.mpf(1) / 4 for _ in names]
        points.append({name: sign * size for name, sign, size in zip(names, signs, sizes, strict=True)})
    if set(names) == {"i"}:  # the imaginary unit
        points.append({"i": mpmath.mpc(0, 1)})
        points = points[-1:]
    return points


def _near(a, b) -> bool:
    return abs(a - b) <= NEAR * max(abs(a), abs(b))


def _at(node: sympy.Basic, names: Mapping, point: Mapping):
    """Return a value, or None where the expression is undefined."""
    try:
        value = evaluate(node, names, point)
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        if isinstance(error, NoValue) or not point:
            raise NoValue(str(error)) from None
        return None
    if not mpmath.isfinite(value):
        raise NoValue("not finite")
    return value


def evaluate(node: sympy.Basic, names: Mapping[sympy.Basic, str], point: Mapping):
    """Return the value of a node at a point.

    Raises:
        NoValue: the node, or one inside it, is of no kind that has a value here.
    """
    if _is_symbol(node):
        return point[names[node]]
    if isinstance(node, sympy.Rational):
        return mpmath.mpf(node.p) / node.q
    if isinstance(node, sympy.Float):
        return mpmath.mpf(str(node))
    if node in _CONSTANTS:
        return +_CONSTANTS[node]
    if isinstance(node, sympy.UnevaluatedExpr):
        return evaluate(node.args[0], names, point)
    kind = type(node)
    if kind in _STEPS and any(_is_symbol(inner) for inner in sympy.preorder_traversal(node)):
        raise NoValue(f"{kind.__name__} of symbols")
    if not (isinstance(node, (sympy.Add, sympy.Mul, sympy.Pow)) or kind in _FUNCTIONS or kind in _STEPS):
        raise NoValue(f"{kind.__name__} has no value")
    values = [evaluate(inner, names, point) for inner in node.args]
    if not all(mpmath.isfinite(value) for value in values):
        raise NoValue("not finite")
    if isinstance(node, sympy.Add):
        total = mpmath.fsum(values)
        return mpmath.mpf(0) if abs(total) < ZERO * max(map(abs, values)) else total
    if isinstance(node, sympy.Mul):
        return mpmath.fprod(values)
    if isinstance(node, sympy.Pow):
        return _power(*values)
    return _function(kind, values)


def _power(base, exponent):
    if abs(exponent) > MAX_EXPONENT or base == 0 and mpmath.re(exponent) <= 0:
        raise NoValue("0^0, 1/0, or a huge exponent")
    return mpmath.power(base, exponent)


def _function(kind: type, values: list):
    if kind is not sympy.log and max(map(abs, values)) > (MAX_GROWING if kind in _GROWING else MAX_ARGUMENT):
        raise NoValue("too large")
    if kind not in _STEPS:
        return _FUNCTIONS[kind](*values)
    if any(isinstance(value, mpmath.mpc) for value in values):
        raise NoValue("not real")
    # Rounding errors may put a value just below an integer.
    return _STEPS[kind](*(mpmath.nint(v) if abs(v - mpmath.nint(v)) < NEAR else v for v in values))


_TURNED = {sympy.Gt: sympy.Lt, sympy.Ge: sympy.Le, sympy.Lt: sympy.Gt, sympy.Le: sympy.Ge}


def _same_relation(one: Relational, other: Relational, names: Mapping, points: list[dict]) -> bool:
    """Return whether the differences of two relations' sides have a constant ratio, which may turn the sign."""
    if points == [{}]:
        return False  # 2 < 3 and 4 < 5 say nothing about anything
    ratios = []
    for point in points:
        values = [_at(side, names, point) for relation in (one, other) for side in (relation.lhs, relation.rhs)]
        if None in values:
            return False
        above, below = values[0] - values[1], values[2] - values[3]
        if above == 0 or below == 0:
            return False
        ratios.append(above / below)
    ratio = ratios[0]
    if not all(_near(ratio, further) for further in ratios):
        return False
    if isinstance(one, (sympy.Eq, sympy.Ne)):
        return type(one) is type(other)
    return mpmath.im(ratio) == 0 and type(other) is (type(one) if mpmath.re(ratio) > 0 else _TURNED[type(one)])
