# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search for rewards without an answer: one string that is right for two truths, or for a row that it does not know.

    python -m tests.verl_ext.reward_score.attack --seconds 600 --seed 1
    python -m tests.verl_ext.reward_score.attack --rows data/mathvision/test.parquet   # the constants against your rows

Prints each find and exits with 1 if there is one. Equal seeds try the same strings.
"""

import argparse
import asyncio
import functools
import json
import re
import string
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, combinations, count
from pathlib import Path
from random import Random
from typing import Any

from tests.verl_ext.reward_score.cases_fresh import ROWS
from tests.verl_ext.reward_score.grammar import CONSTANTS, MARKS, SEPARATORS, response
from tests.verl_ext.reward_score.support import said
from verl_ext.reward_score import get_scorer

DEPTHS = (1, 2, 2, 3, 3, 3, 4, 4, 5, 7)
SLOW_S = 2.0  # of CPU time of this process, so that a busy machine makes no find
_RUNNER = asyncio.Runner()
_SCORER = get_scorer({"fallback": "rules"})

# Truths of one kind of row. Any two of them are different answers.
_NUMBERS = (
    *map(str, (0, 1, 2, 3, 5, 6, 8, 11, 12, 15, 17, 30, 60, 100, 200, 1000, 2024, -1, -4, -12)), "0.5", "2.5", "3.7",
    "-7.25", "17140.53",
)  # fmt: skip
_FORMULAS = (
    r"\frac{7}{3}", r"2\sqrt{3}", r"5\pi", "x+1", "x^2", "2x-y", r"\sin x", "x=9", "y=2x+1", "3x+2y=7k", "x>3",
    "-2<x<2", r"x \le 14", "(1, 2)", "(2, 1)", "(6, -4, 0)", r"\{1, 2\}", "3, 19", "7, 8, 9", "(4, 5]", r"[0, \infty)",
    r"(-\infty, 1) \cup (3, \infty)", "2:3", "9:4", "2^{2024}", "10^{401}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    r"\pm 13", "B12", "12B", "AB", "BC", "abc", r"\emptyset", r"\infty", r"-\infty", r"\mathbb{R}", "3+2i",
    r"\overline{CD}", r"\angle A", "n!", "|x|", "f(x)", r"2^n", r"\frac{1}{x}", r"\log_2 n", "100, 200", "23", "41 cm",
    r"72^\circ", "19%",
)  # fmt: skip
_WORDS = (
    "red", "blue", "green", "light brown", "yes", "no", "even", "odd", "neither", "Monday", "Tuesday", "May", "June",
    "left", "right", "cat", "dog", "fire engine", "triangle", "increasing", "decreasing", "stop", "one way", "true",
    "false", "A", "B", "3", "5", "12", "4:45", "10:30", "(6.000, -4.000)", "69, 51, 59", "KAFE 24", "555-0199", "3-1",
    "C++", "north", "black and white",
)  # fmt: skip
_NAMES = (
    "Paris", "Rome", "New York", "New Orleans", "Emily Dickinson", "Emily Brontë", "12 May 2019", "13 May 2019",
    "May 2019", "2019", "1987", "Mount Kenya", "Mount Meru", "Apollo 11", "Apollo 13", "18.5 million", "18.5 billion",
    "3-1", "1-3", "United States of America", "United Arab Emirates", "Battle of Little Round Top",
    "Battle of Big Bethel", "University of California", "blue", "7", "12",
)  # fmt: skip
POOLS = {
    "mathvision free": _NUMBERS + _FORMULAS,
    "mathvision drawn": tuple("ABCDE"),
    "mathvision lengths": tuple("ABCDE"),
    "dynamath float": _NUMBERS,
    "dynamath text": _WORDS,
    "math_vr": _NUMBERS + _FORMULAS,
    "vstar colour": tuple("ABCD"),
    "vstar bare": tuple("ABCD"),
    "visualprobe": _WORDS,
    "hr_mmsearch": _NAMES,
    "fvqa": _NAMES,
    "virl39k math": _NUMBERS + _FORMULAS,
    "virl39k number": _NUMBERS,
}


@dataclass(frozen=True)
class Find:
    """A string that a fair scorer treats otherwise, with all that repeats it."""

    what: str
    row: str
    truths: tuple[str, ...]
    response: str

    def __str__(self) -> str:
        return f"{self.what}: {self.row} truths={list(self.truths)!r} response={self.response!r}"


def is_right(row: str, truth: str, text: str) -> bool:
    """Score a final message as a row of ``ROWS``."""
    dataset, scoring = ROWS[row]
    extra = {"question": "What?", "scoring": json.dumps(scoring)}
    result = _RUNNER.run(_SCORER.score(f"axpo/{dataset}", said(text), truth, extra))
    if result["score"] not in (0.0, 1.0):
        raise AssertionError(f"the score is {result['score']}")
    return result["score"] == 1.0


@functools.lru_cache(maxsize=100_000)
def alike(row: str, one: str, other: str) -> bool:
    """Return whether the scorer takes one of two truths for the other."""
    return any(
        is_right(row, truth, mark.format(text))
        for text, truth in ((one, other), (other, one))
        for mark in (r"\boxed{{{}}}", "<answer>{}</answer>")
    )


def earned(row: str, truths: Iterable[str], text: str) -> tuple[list[str], list[Find]]:
    """Return the truths for which a text is right, and exceptions and slow scores as finds."""
    right, finds = [], []
    for truth in truths:
        began = time.process_time()
        try:
            if is_right(row, truth, text):
                right.append(truth)
        except Exception as error:  # any exception that a model's text can cause is a find
            finds.append(Find(f"{type(error).__name__} {error}"[:200], row, (truth,), text))
        if time.process_time() - began > SLOW_S:
            finds.append(Find("slow", row, (truth,), text))
    return right, finds


def attack(row: str, text: str, truths: Iterable[str] = ()) -> list[Find]:
    """Score a text against many truths and return what is wrong with the verdicts.

    Args:
        truths: those of the pool of the row's kind by default. The numbers and words of the text itself, their sums,
            products and neighbours are added.
    """
    pool = tuple(truths) or POOLS[row]
    right, finds = earned(row, dict.fromkeys((*pool, *suggested(row, text))), text)
    for one, other in combinations(right, 2):
        if differ(one, other, text) and not alike(row, one, other):
            finds.append(Find("two truths", row, (one, other), text))
    return finds


def suggested(row: str, text: str) -> list[str]:
    """Return truths that a careless parser might make of a text."""
    kind = ROWS[row][1].get("fallback") or ROWS[row][1]["type"]
    if kind == "choice":
        return []
    numbers = re.findall(r"(?<![\w.])-?\d{1,4}(?:\.\d{1,3})?(?![\w.])", text)[:3]
    found = [f"{float(number):g}" for number in numbers]
    if len(found) > 1:
        one, other = map(float, found[:2])
        found += [f"{value:g}" for value in (sum(map(float, found)), one * other, one - other)]
        found += ["".join(numbers)] if all(number.isdigit() for number in numbers) else []
    if kind in ("text", "judge", "f1"):
        found += re.findall(r"(?<![\\\w])[A-Za-z]{3,}(?!\w)", re.sub(r"</?\w+>|\\[a-z]+", " ", text))[:4]
    return found


def differ(one: str, other: str, text: str = "") -> bool:
    """Return whether two truths are two values: numbers that no rounding confuses, or other texts."""
    values = number_of(one), number_of(other)
    if None not in values:
        # "50%" is 50 or 0.5, whichever the question asks for.
        if "%" in text and 0 in (values[0] - 100 * values[1], values[1] - 100 * values[0]):
            return False
        return abs(values[0] - values[1]) > Fraction(1, 20)
    return plain(one) != plain(other)


def number_of(text: str) -> Fraction | None:
    """Read a plain number, without the scorer."""
    text = re.sub(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}", r"\1/\2", text)
    try:
        return Fraction(text.strip().replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return None


def plain(text: str) -> str:
    """Return a text without case, blanks, articles and insignificant signs. The scorer is not asked."""
    text = re.sub(r"\\(?:text|mathrm|boxed)\b|\b(?:the|a|an)\s+|\$", "", unicodedata.normalize("NFKC", text))
    return "".join(c for c in text.casefold() if c not in string.whitespace + "{}.,;'\"!?")


# Texts that say the value on the right in another way.
_SAYS = {
    "0^0": "1", "1 = 1": "1", "0 = 0": "0", "one": "1", "1️⃣": "1", "score: 1": "1", "0/1/2/3/4/5/6/7/8/9": "0",
    "1:2": "1/2", r"\mathbb{C}": "C",
}  # fmt: skip


def equals(constant: str, truth: str, scoring: Mapping[str, Any]) -> bool:
    """Return whether a constant answer is the truth of a row, an alias, or the text of the right option.

    If a constant has several lines, a mark can stand beside the first one or the last one.
    """
    truths = [truth, *scoring.get("aliases", ())]
    letter, options = truth.strip().strip("()"), scoring.get("options", ())
    if len(letter) == 1 and letter in string.ascii_uppercase[: len(options)]:
        truths.append(options[ord(letter) - 65])
    lines = constant.split("\n")
    said = {_SAYS.get(line, line) for line in (lines[0], lines[-1])}
    wanted = {_SAYS.get(one, one) for one in truths}
    return bool(
        set(map(plain, said)) & set(map(plain, wanted))
        or (set(map(number_of, said)) & set(map(number_of, wanted))) - {None}
    )


def constant_finds(
    rows: Sequence[tuple[str, str, Mapping[str, Any]]], constants: Sequence[str] = CONSTANTS, marks: int = 1
) -> list[Find]:
    """Return the constants that are right for a row (data source, truth, scoring) whose truth they are not.

    Args:
        marks: how many marks each constant gets in each row. They take turns.
    """
    paid: dict[tuple[str, str], list[str]] = {}
    for i, (dataset, truth, scoring) in enumerate(rows):
        extra = {"question": "What?", "scoring": json.dumps(scoring)}
        for j, constant in enumerate(constants):
            for k in range(marks):
                text = MARKS[(i + j + k) % len(MARKS)].format(constant)
                result = _RUNNER.run(_SCORER.score(dataset, said(text), truth, extra))
                if result["score"] and not equals(constant, truth, scoring):
                    paid.setdefault((dataset, text), []).append(truth)
    return [Find("constant", dataset, tuple(truths), text) for (dataset, text), truths in paid.items()]


def rows_of(files: Iterable[Path]) -> list[tuple[str, str, dict[str, Any]]]:
    """Read data source, truth and scoring of prepared rows, each combination once."""
    import pyarrow.parquet as pq

    rows = {}
    for file in files:
        for row in pq.read_table(file, columns=["data_source", "reward_model", "extra_info"]).to_pylist():
            found = row["data_source"], row["reward_model"]["ground_truth"], row["extra_info"]["scoring"]
            rows[found] = (*found[:2], json.loads(found[2]))
    return list(rows.values())


def joined(rng: Random, row: str) -> tuple[list[str], str]:
    """Return some truths of a kind of row, and a text that is made of them."""
    truths = rng.sample(POOLS[row], rng.randint(2, min(5, len(POOLS[row]))))
    mark, separator = rng.choice(MARKS), rng.choice(SEPARATORS)
    each = rng.random() < 0.3
    return truths, separator.join(mark.format(t) for t in truths) if each else mark.format(separator.join(truths))


def search(seed: int, seconds: float) -> Iterator[Find]:
    """Yield finds of the grammar and of joined truths until the time is over."""
    until = time.monotonic() + seconds
    for number in count():
        if time.monotonic() > until:
            print(f"{number} strings tried", file=sys.stderr)
            return
        rng = Random(f"{seed}/{number}")
        row = rng.choice(list(POOLS))
        if number % 3 == 0:
            truths, text = joined(rng, row)
            yield from attack(row, text, truths)
        else:
            yield from attack(row, response(rng, depth=rng.choice(DEPTHS))[:2000])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attack as a command."""
    parser = argparse.ArgumentParser(
        "python -m tests.verl_ext.reward_score.attack", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to search (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="start of the random strings (default %(default)s)")
    parser.add_argument(
        "--rows", type=Path, nargs="+", default=[], metavar="PARQUET", help="also try constants on rows"
    )
    options = parser.parse_args(arguments)
    finds = 0
    constants = constant_finds(rows_of(options.rows), marks=len(MARKS))
    for find in chain(constants, search(options.seed, options.seconds)):
        finds += 1
        print(find, flush=True)
    print(f"{finds} finds", file=sys.stderr)
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
