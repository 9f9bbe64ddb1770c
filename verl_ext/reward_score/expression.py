# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate arithmetic in LaTeX or plain text: decimals, fractions, powers, roots and pi, without ``eval``."""

from __future__ import annotations

import math
import re
from fractions import Fraction

MAX_CHARS = 200
MAX_DEPTH = 30
MAX_BITS = 4096
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<word>\\(?:frac|sqrt|pi|times|cdot|div|infty)(?![a-zA-Z])|pi\b|sqrt(?![a-zA-Z]))"
    r"|(?P<op>\*\*|[-+*/^(){}\[\]]))"
)
_MIXED_FRACTION = re.compile(r"\s*(\d+)\s*/\s*(\d+)(?![\d.])")

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
    parser = _Parser(text)
    try:
        value = parser.sum(0)
    except (ZeroDivisionError, OverflowError) as error:
        raise NoValue(str(error)) from None
    if parser.peek() is not None:
        raise NoValue(f"does not end at {parser.peek()!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise NoValue("not finite")
    return value


class _Parser:
    """A recursive descent parser. Multiplication is implied before a bracket, a root, a fraction and pi."""

    def __init__(self, text: str):
        self.text, self.tokens, self.at = text, [], 0
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise NoValue(f"{stripped[position]!r} is no arithmetic")
            self.tokens.append((match[0].strip(), match.lastgroup, match.start(match.lastgroup), match.end()))
            position = match.end()

    def peek(self) -> str | None:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else None

    def kind(self) -> str | None:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if token is None or (wanted is not None and token != wanted):
            raise NoValue(f"{wanted or 'something'} expected")
        self.at += 1
        return token

    def sum(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise NoValue("too deep")
        value = self.product(depth)
        while self.peek() in ("+", "-"):
            sign = self.take()
            other = self.product(depth)
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def product(self, depth: int) -> Value:
        value = self.signed(depth)
        while True:
            token = self.peek()
            if token in ("*", "\\times", "\\cdot"):
                self.take()
                value = _bounded(value * self.signed(depth))
            elif token in ("/", "\\div"):
                self.take()
                value = _bounded(value / self.signed(depth))
            elif token in ("(", "{") or self.kind() == "word":
                value = _bounded(value * self.power(depth))
            else:
                return value

    def signed(self, depth: int) -> Value:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        return sign * self.power(depth)

    def power(self, depth: int) -> Value:
        base = self.atom(depth)
        if self.peek() not in ("^", "**"):
            return base
        self.take()
        exponent = self.signed(depth + 1) if depth < MAX_DEPTH else self.sum(depth + 1)
        return _power(base, exponent)

    def atom(self, depth: int) -> Value:
        kind, token = self.kind(), self.take()
        if kind == "number":
            return self.number(token)
        if token in ("(", "{", "["):
            value = self.sum(depth + 1)
            self.take({"(": ")", "{": "}", "[": "]"}[token])
            return value
        if token in ("\\pi", "pi"):
            return math.pi
        if token == "\\frac":
            above = self.argument(depth)
            return _bounded(above / self.argument(depth))
        if token in ("\\sqrt", "sqrt"):
            degree: Value = Fraction(2)
            if self.peek() == "[":
                self.take()
                degree = self.sum(depth + 1)
                self.take("]")
            return _root(self.argument(depth), degree)
        raise NoValue(f"{token!r} is no value")

    def number(self, token: str) -> Value:
        if len(token) > 100:
            raise NoValue("too many digits")
        value = Fraction(token)
        if "." in token or self.at >= len(self.tokens):
            return value
        # Mixed numbers are written 1\frac{1}{2} or 1 1/2.
        if self.peek() == "\\frac":
            start = self.at
            self.take()
            above, below = self.argument(MAX_DEPTH), self.argument(MAX_DEPTH)
            if isinstance(above, Fraction) and isinstance(below, Fraction) and 0 < above < below:
                if above.denominator == below.denominator == 1:
                    return value + above / below
            self.at = start
        elif self.kind() == "number" and _MIXED_FRACTION.fullmatch(self.text[self.tokens[self.at][2] :].rstrip()):
            above = self.take()
            self.take("/")
            below = self.take()
            if "." not in above + below and 0 < int(above) < int(below):
                return value + Fraction(int(above), int(below))
            raise NoValue("two numbers side by side")
        return value

    def argument(self, depth: int) -> Value:
        """Parse what a command applies to: a group, or one digit as in \\frac12."""
        if self.peek() in ("{", "("):
            close = {"{": "}", "(": ")"}[self.take()]
            value = self.sum(depth + 1) if depth < MAX_DEPTH else self.sum(MAX_DEPTH)
            self.take(close)
            return value
        if self.kind() == "number":
            token, _, start, end = self.tokens[self.at]
            if len(token) == 1:
                self.at += 1
                return Fraction(token)
            if token.isdigit() and self.tokens[self.at - 1][0] == "\\frac":
                self.tokens[self.at : self.at + 1] = [
                    (digit, "number", start + i, start + i + 1) for i, digit in enumerate(token)
                ]
                return self.argument(depth)
        return self.atom(depth + 1) if depth < MAX_DEPTH else self._deep()

    def _deep(self) -> Value:
        raise NoValue("too deep")


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        size = max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent.numerator)
        if size <= MAX_BITS:
            return base**exponent.numerator
    result = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise NoValue("not real")
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
