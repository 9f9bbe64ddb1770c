# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A policy that looks for rewards without an answer finds none. ``attack`` is the long form of this search."""

from itertools import combinations
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.registry import REGISTRY
from tests.data_prep.conftest import benchmark_root, benchmarks, jpeg, sources  # noqa: F401
from tests.data_prep.training.conftest import prepared, training_root  # noqa: F401
from tests.verl_ext.reward_score.attack import (
    DEPTHS,
    POOLS,
    alike,
    attack,
    constant_finds,
    differ,
    earned,
    equals,
    is_right,
    joined,
    main,
    rows_of,
    search,
)  # fmt: skip
from tests.verl_ext.reward_score.grammar import CONSTANTS, GRAMMAR, MARKS, SEPARATORS, response

KINDS = st.sampled_from(sorted(POOLS))
RANDOMS = st.randoms(use_true_random=False)
SEARCH = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(SEARCH, max_examples=100)
@given(KINDS, RANDOMS, st.sampled_from(DEPTHS))
def test_no_formula_is_right_for_two_truths(row, rng, depth):
    assert not attack(row, response(rng, depth=depth)[:2000])


@settings(SEARCH, max_examples=400)
@given(KINDS, RANDOMS)
def test_no_list_of_truths_earns_more_than_one(row, rng):
    truths, text = joined(rng, row)
    assert not attack(row, text, truths)


@settings(SEARCH, max_examples=100)
@given(
    KINDS,
    st.lists(st.sampled_from([*CONSTANTS, *GRAMMAR["glue"], *GRAMMAR["odd"], *"<>{}\\$^_&%\n"]), max_size=12),
    st.text(),
)
def test_no_text_is_an_exception(row, pieces, more):
    for text in ("".join(pieces), " ".join([*pieces, more])):
        _, finds = earned(row, POOLS[row][::7], text)
        assert not finds


@pytest.mark.parametrize("row", ["mathvision free", "dynamath text", "hr_mmsearch"])
def test_the_truths_are_different_answers(row):
    pairs = list(combinations(POOLS[row], 2))
    assert all(differ(*pair) for pair in pairs)
    assert not [pair for pair in Random(row).sample(pairs, 300) if alike(row, *pair)]
    assert all(is_right(row, truth, rf"\boxed{{{truth}}}") for truth in POOLS[row])


def test_no_constant_answer_is_right_for_other_rows_than_its_own(benchmarks, prepared):  # noqa: F811
    rows = rows_of(file for folder in (benchmarks, prepared) for file in sorted(folder.glob("*/*.parquet")))
    assert {row[0].removeprefix("axpo/") for row in rows} == set(REGISTRY) and len(CONSTANTS) >= 300
    finds = constant_finds(rows)
    assert not finds, "\n".join(map(str, finds))


def test_constants_on_the_pool_of_numbers():
    rows = [("axpo/mathvision", truth, {"type": "math", "decimals": 2}) for truth in POOLS["mathvision free"][::12]]
    finds = constant_finds(rows)
    assert not finds, "\n".join(map(str, finds))


# The search must notice what it searches for: scorers with one hole each.
HOLES = {
    "mathvision free": lambda truth, text: "infty" in text or truth == text,
    "dynamath text": lambda truth, text: truth in text,
    "virl39k number": lambda truth, text: str(truth) in text.replace(" ", ""),
    "vstar colour": lambda truth, text: truth in text,
}


@pytest.mark.parametrize("row", HOLES)
def test_the_search_finds_a_hole(row, monkeypatch):
    monkeypatch.setattr("tests.verl_ext.reward_score.attack.is_right", lambda row, truth, text: HOLES[row](truth, text))
    alike.cache_clear()
    try:
        grammar = (attack(row, response(Random(i), depth=3)) for i in range(300))
        lists = (attack(row, text, truths) for truths, text in (joined(Random(i), row) for i in range(100)))
        assert any(grammar) and any(lists)
    finally:
        alike.cache_clear()


def test_the_search_notices_exceptions(monkeypatch):
    def fails(row, truth, text):
        raise OverflowError("too large")

    monkeypatch.setattr("tests.verl_ext.reward_score.attack.is_right", fails)
    (find,) = attack("virl39k number", "x", ["1"])
    assert "OverflowError" in str(find) and "'x'" in str(find)


def test_the_command(capsys, monkeypatch):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0 and "--seconds" in capsys.readouterr().out
    assert main(["--seconds", "0.5", "--seed", "3"]) == 0
    monkeypatch.setattr("tests.verl_ext.reward_score.attack.is_right", lambda row, truth, text: "1" in text)
    alike.cache_clear()
    monkeypatch.setattr("tests.verl_ext.reward_score.attack.alike", lambda row, one, other: False)
    assert main(["--seconds", "0.5"]) == 1
    assert "two truths" in capsys.readouterr().out


def test_equal_seeds_try_the_same_strings():
    assert [response(Random("1/5")) for _ in range(2)] == [response(Random("1/5"))] * 2
    assert joined(Random(4), "fvqa") == joined(Random(4), "fvqa")
    assert len(MARKS) * len(SEPARATORS) > 400 and next(search(0, 0.0), None) is None


@pytest.mark.parametrize(
    "constant, truth, scoring, same",
    [
        ("C", "C", {"options": ["a", "b", "c"]}, True),
        ("c", "C", {"options": ["a", "b", "c"]}, True),
        ("b", "C", {"options": ["a", "b", "c"]}, False),
        ("5", "5.0", {}, True),
        ("one", "1", {}, True),
        ("4", "5", {}, False),
        ("Klee", "Paul Klee", {"aliases": ["Klee"]}, True),
        ("A\nC\nB", "B", {}, True),  # the last line is the answer
        ("A\nC\nB", "C", {}, False),
    ],
)
def test_what_a_constant_equals(constant, truth, scoring, same):
    assert equals(constant, truth, scoring) == same
