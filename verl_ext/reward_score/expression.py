# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate arithmetic in LaTeX or plain text: decimals, fractions, powers, roots and pi, without ``eval``."""

from __future__ import annotations

import ast
import math
import operator
import re
from fractions import Fraction

MAX_CHARS = 200
MAX_BITS = 4096
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<name>\\(?:frac|sqrt|pi)(?![a-zA-Z])|pi\b|sqrt(?![a-zA-Z]))"
    r"|(?P<op>\\(?:times|cdot|div)(?![a-zA-Z])|\*\*|[-+*/^(){}\[\],]))"
)
_OPERATORS = {"^": "**", r"\times": "*", r"\cdot": "*", r"\div": "/", "{": "(", "}": ")"}
# Where no brace follows, a fraction takes single digits (\frac12, \frac{1}2), and a root a number (\sqrt 12).
_BARE = [
    (re.compile(r"(\\frac)\s*(\d|\\pi(?![a-zA-Z]))"), r"\1{\2}"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*(\d|\\pi(?![a-zA-Z]))"), r"\1{\2}"),
    (re.compile(r"(\bsqrt(?:\s*\[[^\[\]]*\])?)\s*(\d+(?:\.\d+)?|\.\d+|\\pi(?![a-zA-Z]))"), r"\1{\2}"),
]
# 1\frac{1}{2}, and 1 1/2 at the end of a text
_MIXED = [
    re.compile(r"(?<![\d.])(\d+)\s*\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}"),
    re.compile(r"(?<![\d.])(\d+)\s+(\d+)\s*/\s*(\d+)\s*\Z"),
]
_VALUE_END = re.compile(r"(?:[\d.)}\]]|pi)\s*\Z")

Value = Fraction | float


class NoValue(ValueError):
    """The text is not arithmetic, or its value is too expensive to compute."""


def evaluate(text: str) -> Value:
    """Return the value of an expression, exact where it is rational.

    Examples: "2\\pi", "3 1/2", "1\\frac{1}{2}", "1.2 \\times 10^{-3}", "\\frac{3\\sqrt{2}}{4}", "45^2".

    Raises:
        NoValue: the text holds something else, such as letters, or its numbers grow too long.
    """
    if len(text) > MAX_CHARS:
        raise NoValue("too long")
    source, numbers = _as_python(text)
    try:
        value = _value(ast.parse(source, mode="eval").body, numbers)
    except (ArithmeticError, SyntaxError, RecursionError, MemoryError) as error:
        raise NoValue(str(error)) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise NoValue("not finite")
    return value


def _as_python(text: str) -> tuple[str, list[Fraction]]:
    """Rewrite LaTeX as Python, in which the name ``n3`` stands for the fourth number.

    "}{" becomes a comma, so that "\\frac{1}{2}" is a call. Multiplication is implied before a bracket, a root, a
    fraction and pi. Two numbers side by side are no product and no sum.
    """
    for bare, braces in _BARE:
        text = bare.sub(braces, text)
    for mixed in _MIXED:
        text = mixed.sub(_mixed_number, text)
    text = re.sub(r"\}\s*\{", ",", text.strip())
    source: list[str] = []
    numbers: list[Fraction] = []
    position, ends_value = 0, False  # whether the last token may end a value
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise NoValue(f"{text[position]!r} is no arithmetic")
        kind, token, position = match.lastgroup, match[match.lastgroup], match.end()
        if ends_value and (kind == "name" or token in ("(", "{")):
            if token == "{" and text[position : position + 1] in set(".0123456789"):
                raise NoValue("2{3} is shown as 23")
            source.append("*")
        if kind == "number":
            if ends_value or len(token) > 100:
                raise NoValue("a number that does not begin a term, or is too long")
            if source and token[0] == "0" and token[1:2].isdigit():
                raise NoValue("555-0199 is a telephone number")
            source.append(f"n{len(numbers)}")
            numbers.append(Fraction(token))
        else:
            source.append(_OPERATORS.get(token, token.lstrip("\\")))
        ends_value = kind == "number" or token in (")", "}", r"\pi", "pi")
    return " ".join(source), numbers


def _mixed_number(match: re.Match) -> str:
    whole, above, below = match.groups()
    proper = 0 < int(above) < int(below) and not _VALUE_END.search(match.string[: match.start()])
    return f"({whole}+{above}/{below})" if proper else match[0]


_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _value(node: ast.AST, numbers: list[Fraction]) -> Value:
    match node:
        case ast.Name(id="pi"):
            return math.pi
        case ast.Name(id=name) if name[0] == "n":
            return numbers[int(name[1:])]
        case ast.List(elts=[element]):  # 2 \\times [3 + 4]
            return _value(element, numbers)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            value = _value(operand, numbers)
            return -value if isinstance(node.op, ast.USub) else value
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, numbers), _value(right, numbers))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left, numbers), _value(right, numbers)))
        case ast.Call(func=ast.Name(id="frac"), args=[above, below]):
            return _bounded(_value(above, numbers) / _value(below, numbers))
        case ast.Call(func=ast.Name(id="sqrt"), args=[value]):
            return _root(_value(value, numbers), Fraction(2))
        case ast.Call(func=ast.Subscript(value=ast.Name(id="sqrt"), slice=degree), args=[value]):
            return _root(_value(value, numbers), _value(degree, numbers))
    raise NoValue(f"{type(node).__name__} is no arithmetic")


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        size = max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent.numerator)
        if size <= MAX_BITS:
            return base**exponent.numerator
    result = float(base) ** float(exponent)
    if isinstance(result, complex) or result == 0 != base:
        raise NoValue("not real, or too small for a float")
    return result


def _root(value: Value, degree: Value) -> Value:
    if value < 0 or degree <= 0:
        raise NoValue("no real root")
    if isinstance(value, Fraction) and degree == 2:
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return float(value) ** (1 / float(degree))


def _bounded(value: Value) -> Value:
    """Replace a long fraction by a float, so that exact arithmetic stays cheap."""
    if isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        return float(value)
    return value
