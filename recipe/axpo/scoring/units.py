# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Units and words around a number."""

from __future__ import annotations

import re

_SPELLINGS = {
    "°": "° deg degree degrees",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "dm": "dm decimeter decimeters decimetre decimetres",
    "m": "m meter meters metre metres",
    "km": "km kilometer kilometers kilometre kilometres",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "mg": "mg milligram milligrams",
    "g": "g gram grams",
    "kg": "kg kilogram kilograms kilo kilos",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "t": "t ton tons tonne tonnes",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "d": "day days",
    "week": "week weeks",
    "month": "month months",
    "yr": "yr year years",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "l": "l liter liters litre litres",
    "n": "newton newtons",
    "j": "j joule joules",
    "w": "w watt watts",
    "v": "v volt volts",
    "k": "kelvin",
    "hz": "hz hertz",
    "ohm": "ohm ohms ω",
    "rad": "rad radian radians",
    "c": "c celsius",
    "f": "f fahrenheit",
    "usd": "usd dollar dollars",
    "eur": "eur euro euros",
    "cent": "cent cents",
    "unit": "unit units",
    "m/s": "m/s mps",
    "km/h": "km/h kmh kph",
    "mph": "mph",
}
_UNIT = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_MULTIPLES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
# words that say that what stands before them is not the whole answer
_NO_UNIT = frozenset(
    "or and not to nor but plus minus times over than less more greater between if then else is are was out of "
    "pi sqrt sin cos tan log ln percent".split()
)
_POWER = re.compile(r"\^\s*\{?\s*([23])\s*\}?")


def read_unit(text: str) -> tuple[str, int] | None:
    """What stands after a number.

    Returns:
        The unit in one spelling ("" for none, "?" for words that are no unit but harmless, such as "apples"), and a
        multiple such as 1000 for "thousand"; None if this is nothing that may follow a number.
    """
    text = _POWER.sub(r"\1", text.casefold()).replace("\\circ", "°").replace("^", "")
    text = re.sub(r"[{}()\\]", " ", text).strip(" .,")
    words = re.sub(r"\s*/\s*", "/", text).split()
    multiple = 1
    if words and words[0] in _MULTIPLES:
        multiple = _MULTIPLES[words.pop(0)]
    if not words:
        return "", multiple
    if words[0] == "°" and words[1:] in (["c"], ["f"], ["celsius"], ["fahrenheit"]):
        words.pop(0)
    unit = _named(" ".join(words))
    if unit is not None:
        return unit, multiple
    if len(words) > 3 or any(word in _NO_UNIT for word in words):
        return None
    # a single letter is a variable, not a thing that is counted
    return ("?", multiple) if all(word.isalpha() and len(word) >= 3 for word in words) else None


def _named(text: str) -> str | None:
    power = ""
    for prefixes, digit in ((("square ", "sq. ", "sq "), "2"), (("cubic ", "cu. ", "cu "), "3")):
        for prefix in prefixes:
            if text.startswith(prefix):
                text, power = text[len(prefix) :], digit
    if text[-1:] in "23" and not power and len(text) > 1:
        text, power = text[:-1].rstrip(), text[-1]
    if text in _UNIT:
        return _UNIT[text] + power
    parts = re.split(r"/| per ", text)
    if len(parts) == 2 and not power:
        above, below = (_named(part.strip()) for part in parts)
        if above and below:
            return f"{above}/{below}"
    if "/" in text and power:  # m/s2
        above, _, below = text.rpartition("/")
        if above in _UNIT and below in _UNIT:
            return f"{_UNIT[above]}/{_UNIT[below]}{power}"
    return None


def units_agree(one: str, other: str) -> bool:
    """Whether two readings of `read_unit` may stand for one quantity: a missing or unknown unit agrees with any."""
    loose = ("", "?", "unit", "unit2", "unit3")
    return one == other or one in loose or other in loose
