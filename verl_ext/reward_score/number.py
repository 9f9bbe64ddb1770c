# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read numbers, times and ratios as people write them, and decide when two of them are the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from verl_ext.reward_score.expression import MAX_CHARS, NoValue, Value, evaluate
from verl_ext.reward_score.normalise import formula, is_date
from verl_ext.reward_score.units import CURRENCIES, NUMBER_WORDS, TENS, read_unit, units_agree

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:[,\u066c']\d{3})+(?![\d,])|(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d ,])")
_DECIMAL = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
_SCIENTIFIC = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+))[eE]([-+]?\d{1,3})(?![\d.])")
_TIMES_TEN = re.compile(r"(?<=[\d.])\s*[x*]\s*10\s*(?=\^)")
_PREFIX = re.compile(
    r"(?:(?:[A-Z]{2,3}|[a-zA-Z](?:_\{?\w{1,4}\}?|\([a-zA-Z]\))?|\\(?:theta|alpha|beta|angle\s*[A-Z1-9]{1,3})|m?\\angle\s*[A-Z1-9]{1,3})"
    r"\s*(?:=|\\approx)\s*|\\approx\s*|\\sim\s*|~\s*|=\s*|(?:about|approximately|approx\.?|around|roughly|exactly|nearly|is|equals)\s+"
    r"|(?i:there (?:is|are)|it is|it's|in total)\s+"
    r"|(?i:(?:the |my )?(?:final |correct )?(?:answer|result|total|count|value|solution|sum|number)):\s*)+"
    # "the area is 12" gives the number, "the square of it is 12" does not
    r"|(?i:the (?!square|cube|half|double|negative|log|root|reciprocal|inverse)(?:[a-z]+ ){1,4}(?:is|are|equals|=))\s+"
)
MAX_UNIT_CHARS = 60
_NUMBER_END = re.compile(r"(?:[\d)}\].]|\\pi|(?<![a-z])pi)\Z")
_PERCENT = re.compile(r"\s*(?:%|\\?percent\b)")
_UNIT_START = re.compile(r"\s*[a-zA-Z°\u03a9\u03bc\u4e00-\u9fff{(\\]")
_DEGREES = re.compile(r"\^?\s*\{?\s*(?:\\circ(?![a-zA-Z])|°)\s*\}?")
_CURRENCY = re.compile(r"^([-+]?)\s*(?:US)?([$€£¥₹])\s*(?=[\d.])")
_WORD = re.compile(
    rf"(?:({'|'.join(TENS)})(?:[- ]({'|'.join(NUMBER_WORDS)}))?|({'|'.join(NUMBER_WORDS)}))(?=\s|\Z)", re.I
)
_REPEATING = re.compile(
    r"(\d{0,15})\.(\d{0,15})"
    r"(?:\\(?:overline|bar|dot)\s*(?:\{\s*(\d{1,15})\s*\}|(\d))(?:(\d*)\\dot\s*(?:\{\s*(\d)\s*\}|(\d)))?|\((\d{1,15})\))"
)
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap])?\.?\s*(?:m\.?)?", re.IGNORECASE)
_SHORT_TIME = re.compile(r"(\d{1,2}):(\d)")
_LONG_TIME = re.compile(r"\d{1,2}:0\d(?!\d)")
_RATIO = re.compile(r"([^:=]{1,60}):([^:=]{1,60})")


@dataclass(frozen=True)
class Quantity:
    """A number as it was written.

    Attributes:
        value: the value without the percent sign, 45 for "45%".
        decimals: digits behind the point, None for a fraction, a root and all that is not a plain decimal.
        digits: significant digits of a plain decimal, else 0.
        unit: see ``units.read_unit``.
        percent: whether a percent sign follows.
    """

    value: Value
    decimals: int | None = None
    digits: int = 0
    unit: str = ""
    percent: bool = False


@dataclass(frozen=True)
class Closeness:
    """When two different numbers count as the same.

    Attributes:
        absolute: greatest difference.
        decimals: numbers that are equal after rounding to this many decimals are the same.
        rounded: a value rounded to at least 2 decimals and 3 digits stands for a root, pi or a repeating fraction.
    """

    absolute: float = 0.0
    decimals: int | None = None
    rounded: bool = True


def read_number(text: str) -> Quantity | None:
    """Read a number with the text that may surround it: "x = 1,234.5 cm^2", "45\\%", "69^\\circ", "$5", "twelve"."""
    text = formula(text)
    if not text or len(text) > MAX_CHARS or is_date(text):
        return None
    text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    exact, approximate, rounded = text.partition(r"\approx")
    if approximate and exact.strip():
        return _both(exact, rounded)
    currency = _CURRENCY.match(text)
    text = _CURRENCY.sub(r"\1", text).strip()
    text = _WORD.sub(_value_of_words, text, count=1) if _WORD.match(text) else text
    text = _THOUSANDS.sub(lambda match: re.sub(r"[^\d]", "", match[0]), text)
    text = _DEGREES.sub(" ° ", _REPEATING.sub(_as_fraction, text))
    text = _TIMES_TEN.sub(r" \\times 10", text).strip()
    for number, percent, rest in _splits(text):
        # The unit is read first: that is cheap, and distinguishes "12x" from "12 cm".
        unit = read_unit(rest)
        quantity = None if unit is None else value_of(number, percent)
        if quantity is not None:
            name = unit[0] or (CURRENCIES[currency[2]] if currency else "")
            return Quantity(quantity.value * unit[1], quantity.decimals, quantity.digits, name, percent)
    return None


def _both(exact: str, rounded: str) -> Quantity | None:
    """Return the number of "2\\sqrt{3} \\approx 3.46" if both sides agree."""
    if r"\approx" in rounded:
        return None
    one, other = read_number(exact), read_number(rounded)
    if one is None or other is None or not units_agree(one.unit, other.unit):
        return None
    same = other.decimals is not None and _rounds_to(one.value, other.value, other.decimals)
    return one if same or _same_value(one, other, Closeness()) else None


def _value_of_words(match: re.Match) -> str:
    tens, ones, alone = (word.casefold() if word else "" for word in match.groups())
    return str(TENS.get(tens, 0) + NUMBER_WORDS.get(ones or alone, 0))


def _as_fraction(match: re.Match) -> str:
    """Write the repeating decimal 0.1\\overline{6} as the fraction it stands for."""
    whole, fixed, *repeated = match.groups(default="")
    digits = "".join(repeated)
    above = int(whole + fixed + digits) - int((whole + fixed) or 0)
    return rf"\frac{{{above}}}{{{(10 ** len(digits) - 1) * 10 ** len(fixed)}}}"


def _splits(text: str) -> Iterator[tuple[str, bool, str]]:
    """Yield each split into number, percent sign and unit, the longest number first."""
    yield text, False, ""
    for end in range(len(text), max(0, len(text) - MAX_UNIT_CHARS), -1):
        if _NUMBER_END.search(text, max(0, end - 3), end):
            percent = _PERCENT.match(text, end)
            rest = text[percent.end() if percent else end :]
            if percent or _UNIT_START.match(rest):
                yield text[:end].strip(), percent is not None, rest


def value_of(text: str, percent: bool) -> Quantity | None:
    """Return the value of a number without a unit, or None."""
    if _DECIMAL.fullmatch(text) and len(text) <= 100:
        whole, _, decimals = text.partition(".")
        digits = len((whole + decimals).strip("+-").lstrip("0"))
        return Quantity(Fraction(text.rstrip(".")), len(decimals), digits, percent=percent)
    text = _SCIENTIFIC.sub(r"\1 \\times 10^{\2}", text)
    try:
        return Quantity(evaluate(text), percent=percent)
    except NoValue:
        return None


def same_number(said: Quantity, truth: Quantity, closeness: Closeness) -> bool:
    """Return whether a number is the true one. Units must not contradict; "45%" is both 0.45 and 45."""
    if not units_agree(said.unit, truth.unit):
        return False
    pairs = [(said, truth)]
    if said.percent and not truth.percent:
        pairs.append((_as_share(said), truth))
    elif truth.percent and not said.percent:
        pairs.append((said, _as_share(truth)))
    return any(_same_value(one, other, closeness) for one, other in pairs)


def _as_share(quantity: Quantity) -> Quantity:
    decimals = None if quantity.decimals is None else quantity.decimals + 2
    return Quantity(quantity.value / 100, decimals, quantity.digits, quantity.unit)


def _same_value(said: Quantity, truth: Quantity, closeness: Closeness) -> bool:
    a, b = said.value, truth.value
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        if a == b:
            return True
    elif math.isclose(_float(a), _float(b), rel_tol=1e-9, abs_tol=1e-12):
        return True
    if closeness.absolute and abs(_float(a) - _float(b)) <= closeness.absolute * (1 + 1e-9) + 1e-12:
        return True
    if closeness.decimals is not None and _rounds_to(a, b, closeness.decimals):
        return True
    return closeness.rounded and (_stands_for(said, truth) or _stands_for(truth, said))


def _stands_for(rounded: Quantity, endless: Quantity) -> bool:
    if rounded.decimals is None or rounded.decimals < 2 or rounded.digits < 3 or not _is_endless(endless):
        return False
    return _rounds_to(rounded.value, endless.value, rounded.decimals)


def _is_endless(quantity: Quantity) -> bool:
    if quantity.decimals is not None:
        return False
    if isinstance(quantity.value, float):
        return True
    below = quantity.value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below != 1


def _rounds_to(a: Value, b: Value, decimals: int) -> bool:
    """Compare after rounding, halves to even or up. A truth that rounds to 0 must be met within 1 % instead."""
    if max(abs(_float(a)), abs(_float(b))) > 1e15:
        return False
    one, other = (value if isinstance(value, Fraction) else Fraction(repr(value)) for value in (a, b))
    step = Fraction(1, 10**decimals)
    if other != 0 and abs(other) < step / 2:
        return abs(one - other) <= abs(other) / 100
    return round(one / step) == round(other / step) or _half_up(one / step) == _half_up(other / step)


def _half_up(value: Fraction) -> int:
    return math.floor(abs(value) + Fraction(1, 2)) * (1 if value > 0 else -1)


def _float(value: Value) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def same_colon(said: str, truth: str, closeness: Closeness) -> bool | None:
    """Compare times and ratios; return None if the truth is neither.

    Times ("4:45") must agree to the minute, with or without "am" and leading zero. A ratio ("1:2") equals any equal
    ratio or quotient. Two digits behind the colon make "4:45" a time, and "3:05" is how people write the time "3:5".
    """
    said, truth = formula(said), formula(truth)
    time, said_time = _time(truth), _time(said)
    if time is not None:
        return (
            said_time is not None and said_time[:3] == time[:3] and "" in (said_time[3], time[3]) or said_time == time
        )
    if (short := _SHORT_TIME.fullmatch(truth)) and said_time is not None and _LONG_TIME.match(said):
        return said_time[:3] == (int(short[1]), int(short[2]), 0)
    wanted = read_ratio(truth)
    if wanted is None:
        return None
    got = read_ratio(said) or read_number(said)
    return got is not None and same_number(got, wanted, closeness)


def _time(text: str) -> tuple[int, int, int, str] | None:
    match = _TIME.fullmatch(text)
    if not match or int(match[1]) > 24 or int(match[2]) > 59:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0), (match[4] or "").casefold()


def read_ratio(text: str) -> Quantity | None:
    """Return the quotient of "3:2", or None."""
    match = _RATIO.fullmatch(text)
    if match is None:
        return None
    above, below = value_of(match[1].strip(), False), value_of(match[2].strip(), False)
    return Quantity(above.value / below.value) if above and below and below.value else None
