# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read units and words around a number."""

from __future__ import annotations

import re

# Case does not matter here. One-letter units are in _SYMBOLS, where "M" is not "m".
_SPELLINGS = {
    "°": "° deg degree degrees 度",
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "cm": "cm centimeter centimeters centimetre centimetres 厘米",
    "dm": "dm decimeter decimeters decimetre decimetres 分米",
    "m": "meter meters metre metres 米",
    "km": "km kilometer kilometers kilometre kilometres 千米 公里",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "mg": "mg milligram milligrams",
    "g": "gram grams 克",
    "kg": "kg kilogram kilograms kilo kilos 千克 公斤",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "t": "ton tons tonne tonnes 吨",
    "s": "sec secs second seconds 秒",
    "min": "min mins minute minutes 分钟",
    "h": "hr hrs hour hours 小时",
    "d": "day days 天",
    "week": "week weeks",
    "month": "month months 月",
    "yr": "year years yr 年 岁",
    "mL": "ml milliliter milliliters millilitre millilitres 毫升",
    "L": "liter liters litre litres ell 升",
    "N": "newton newtons",
    "J": "joule joules",
    "W": "watt watts",
    "V": "volt volts",
    "A": "amp amps ampere amperes",
    "Pa": "pascal pascals",
    "K": "kelvin kelvins",
    "Hz": "hz hertz",
    "Ω": "ohm ohms ω",
    "rad": "rad radian radians",
    "mol": "mol mole moles",
    "C": "celsius coulomb coulombs",
    "F": "fahrenheit farad farads",
    "T": "tesla teslas",
    "usd": "usd dollar dollars",
    "eur": "eur euro euros",
    "gbp": "gbp",
    "yuan": "yuan rmb cny yen 元",
    "cent": "cent cents",
    "unit": "unit units",
    "?": "个 人 只 本 条 张 块 次 种 支 名 棵 辆 件 页 箱 倍",
}
_UNIT = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_UNIT |= {"mph": "mi/h", "mps": "m/s", "kmh": "km/h", "kph": "km/h"}
# "C" is coulomb and Celsius, "F" farad and Fahrenheit, which context always separates.
_BASE = "N J W V A K C F H T L Pa Hz Wb eV mol cal Wh bar g m s Ω".split()
_SYMBOLS = {prefix + base: prefix + base for base in _BASE for prefix in ("", *"GMkmμnp")}
_SYMBOLS |= {"K" + base: "k" + base for base in _BASE if base.isupper() or len(base) > 1}
_SYMBOLS |= {name: name for name in "cm dm dL cL hPa MeV GeV dB atm ppm rpm mmHg mAh lm lx Bq Gy Sv t h min".split()}
_SYMBOLS |= {"l": "L", "ml": "mL", "°": "°"}
# These may follow a number without a blank. "12N" and "3t" are more likely variables, and ``clean`` turns
# "12\text{N}" into "12 N".
_ATTACHED = frozenset("m g s V W J L".split())
_MULTIPLES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "yuan", "₹": "inr"}
NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
}
TENS = {
    word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_FRACTIONS = (
    "half third quarter fourth fifth sixth seventh eighth ninth tenth eleventh twelfth hundredth thousandth millionth"
).split()
COUNTING = frozenset([*NUMBER_WORDS, *TENS, *_MULTIPLES, *_FRACTIONS, *(word + "s" for word in _FRACTIONS)])
"""Words that are numbers or make another number of one that stands beside them."""
# If one of these words follows a number, the number is not the whole answer.
_NO_UNIT = COUNTING.union(
    "or and not to nor but plus minus times over than less more greater fewer between if then else is are was out of "
    "pi sqrt sin cos tan log ln percent halves dozen dozens score squared cubed factorial doubled halved twice fold "
    "below negative base mod modulo choose wrong incorrect false excluded too few".split()
)
_COMMANDS = re.compile(r"\\(?:checkmark|degrees?)(?![a-zA-Z])|(?<=\s)o'clock\b", re.IGNORECASE)
_LETTERS = re.compile(r"\\mu(?![a-zA-Z])\s*|\\ell(?![a-zA-Z])|(?<![a-zA-Z])([kM]?)\s*\\Omega(?![a-zA-Z])")
_FACTOR = re.compile(r"(°?\s?[^\W\d_]{1,20}|°)\s*(?:\^?\s*\{?\s*(-?[1-4])\s*\}?)?")
_GLUE = re.compile(r"\s*(?:\\cdot|\\times|\*)\s*")
_POWERS = {"square ": 2, "sq. ": 2, "sq ": 2, "cubic ": 3, "cu. ": 3, "cu ": 3, "平方": 2, "立方": 3}


def read_unit(text: str) -> tuple[str, int] | None:
    """Read the text after a number.

    Args:
        text: the text with the blank after the number, if there is one.

    Returns:
        The unit in one spelling ("" for none, "?" for harmless words that are no unit, such as "apples"), and a
        multiple such as 1000 for "thousand". None if the text cannot follow a number.
    """
    if re.fullmatch(r"(?:st|nd|rd|th)[ .]*", text):  # 11th
        return "?", 1
    attached = re.match(r"[a-zA-Z]+", text)
    if attached and not _may_touch(attached[0]):
        return None
    text = _LETTERS.sub(lambda match: {"m": "μ", "e": "L"}.get(match[0][1:2]) or f"{match[1] or ''}Ω", text)
    text = _COMMANDS.sub(lambda match: "°" if "degree" in match[0] else " ", text).replace("\\circ", "°").strip(" .,")
    multiple = 1
    first, _, rest = text.strip("{}() ").partition(" ")
    if first.casefold() in _MULTIPLES:
        multiple, text = _MULTIPLES[first.casefold()], rest
    if not text.strip("{}() "):
        return "", multiple
    unit = _named(text)
    if unit is not None:
        return unit, multiple
    words = text.strip("{}() ").casefold().split()
    if attached or len(words) > 3 or any(word in _NO_UNIT for word in words):
        return None
    # A single letter is a variable, and an attached word may be a product: "12xyz".
    return ("?", multiple) if all(word.isascii() and word.isalpha() and len(word) >= 3 for word in words) else None


def _may_touch(word: str) -> bool:
    if len(word) == 1 or word.islower():
        return word in _ATTACHED or word in _UNIT or word in _MULTIPLES
    return word in _SYMBOLS or word.casefold() in _UNIT


def _named(text: str) -> str | None:
    """Name a unit, or a product or quotient of several: "cm^2", "N \\cdot m", "m s^{-1}", "J/(kg K)", "square feet"."""
    above, *below = re.split(r"\s*/\s*|\s+per\s+", _ungrouped(text))
    if len(below) > 2:
        return None
    powers: dict[str, int] = {}
    several = False
    for sign, part in ((1, above), *((-1, part) for part in below)):
        factors = _factors(_ungrouped(part))
        if factors is None:
            return None
        # "12 m s" is probably a product of variables, "12 N m" is not.
        several = several or len(factors) > 1 and part.islower() and not _GLUE.search(part)
        for unit, power in factors:
            for name, inner in ((name, 1 if i == 0 else -1) for i, name in enumerate(unit.split("/"))):
                powers[name] = powers.get(name, 0) + sign * inner * power
    if several and all(power > 0 for power in powers.values()):
        return None
    return " ".join(name + ("" if power == 1 else str(power)) for name, power in sorted(powers.items()))


def _ungrouped(text: str) -> str:
    text = text.strip()
    while text[:1] in ("(", "{") and text[-1:] in (")", "}") and not re.search(r"[({]", text[1:]):
        text = text[1:-1].strip()
    return text


def _factors(text: str) -> list[tuple[str, int]] | None:
    """Return the units of a product with their powers, or None if it holds something else."""
    factors = []
    for piece in _GLUE.split(text):
        piece, power = piece.strip(), 1
        for prefix, value in _POWERS.items():
            if piece.casefold().startswith(prefix):
                piece, power = piece[len(prefix) :].strip(), value
        position = 0
        while position < len(piece) or not piece:
            match = _FACTOR.match(piece, position)
            unit = _one(match[1]) if match else None
            if unit is None:
                return None
            factors.append((unit, int(match[2] or 1) * power))
            position = re.compile(r"\s*").match(piece, match.end()).end()
    return factors if len(factors) <= 5 else None


def _one(name: str) -> str | None:
    name = name.replace(" ", "")
    if len(name) > 1 and name[0] == "°":
        name = name[1:]
        return name.upper()[0] if name.casefold() in ("c", "f", "celsius", "fahrenheit") else None
    return _SYMBOLS.get(name) or _UNIT.get(name.casefold())


def units_agree(one: str, other: str) -> bool:
    """Return whether two units of ``read_unit`` may agree. A missing or unknown unit agrees with any."""
    loose = ("", "?", "unit", "unit2", "unit3")
    return one == other or one in loose or other in loose
