# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One verdict for one input, whatever process asks, and no credit for a list of truths."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verl_ext.reward_score.cases_values import CASES
from tests.verl_ext.reward_score.support import right, said, score
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.reward_score import latex
from verl_ext.reward_score.expression import NoValue, evaluate
from verl_ext.reward_score.latex_value import same_value
from verl_ext.reward_score.number import Closeness, read_number, same_number

PAIRS = [
    (r"\max(1,\infty)", "200"), (r"(x+1)^2", "x^2+2x+1"), (r"\sin^2 x", r"1-\cos^2 x"), (r"\ln x^2", r"2\ln x"),
    (r"\sqrt{x^2}", "x"), (r"\frac{a}{b}+c", r"\frac{a+bc}{b}"), (r"2x+4y=12", "x+2y=6"), (r"-x > 3", "x < -3"),
    (r"\sqrt{5+2\sqrt{6}}", r"\sqrt{2}+\sqrt{3}"), (r"9^{9^{9}}", "1"), (r"\lfloor \pi \rfloor", "3"),
    ("|xy|", "|x||y|"),
    (r"\tan(x+y)", r"\frac{\tan x+\tan y}{1-\tan x \tan y}"), (r"e^{i}", "e^{x}"), (r"\infty", r"\infty"), ("x!", "x"),
]  # fmt: skip


def verdicts(pairs):
    """Return what ``same_value`` says, and False where it has no value."""
    found = []
    for pair in pairs:
        try:
            found.append(bool(same_value(*pair)))
        except Exception:
            found.append(False)
    return found


def test_one_verdict_in_every_process():
    here = verdicts(PAIRS)
    assert here == [latex.equal(*pair) for pair in PAIRS]
    assert here[::-1] == verdicts(PAIRS[::-1])  # caches do not matter
    code = (
        "import json, sys; from tests.verl_ext.reward_score.test_values import PAIRS, verdicts;"
        "print(json.dumps(verdicts(PAIRS[::-1])[::-1]))"
    )
    for seed in ("0", "1", "4242"):
        output = subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPO_ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPO_ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        assert json.loads(output.splitlines()[-1]) == here


def test_equality_needs_two_finite_values():
    for nothing in (r"\max(1,\infty)", r"\infty", r"\frac{1}{0}", r"\infty-\infty", r"\lim_{x \to 0} x", "f(2)"):
        for other in (nothing.replace("1", "2"), nothing, "0", "200", "x", r"\infty"):
            try:
                assert not same_value(nothing, other) or nothing == other == "f(2)"
            except Exception as error:  # an expression that cannot be parsed has no value either
                assert not isinstance(error, AssertionError)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([case for case in CASES if case[4]]), st.sampled_from([case for case in CASES if case[4]]))
def test_an_answer_is_right_for_its_own_value_alone(one, other):
    """A right answer may be right for another truth, if that truth is right for the first as well."""
    dataset, text, truth, details, _ = one
    if right(dataset, text, other[2], details):
        assert right(dataset, f"<answer>{truth}</answer>", other[2], details) or right(
            dataset, f"<answer>{other[2]}</answer>", truth, details
        )


THINGS = (
    "red blue green even odd yes no car dog Monday Tuesday left right triangle square north on in sign dark".split()
)
NUMBERS = ["12", "200", "3.5", "-7", r"\frac{2}{7}", "2:3", "x+1", "y^2", "(1, 2)", r"\sqrt{2}", "1000", "60", "11"]
JOINED = st.sampled_from([" ", ", ", "; ", "/", "\n", " and ", " or ", ". ", " - ", " is ", " = ", "+", ""])
WRAPPED = st.sampled_from(
    ["<answer>{}</answer>", r"\boxed{{{}}}", "{}", "The answer is {}.", "It is {}.", r"\boxed{{\{{{}\}}}}"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([(THINGS, "dynamath", {"answer_type": "text"}), (THINGS, "visualprobe", {}), (THINGS, "fvqa", {}),
                     (NUMBERS, "mathvision", {"type": "math"}), (NUMBERS, "virl39k", {"type": "number"})]),
    st.data(), JOINED, WRAPPED,
)  # fmt: skip
def test_a_list_of_truths_earns_at_most_one(world, data, joint, wrapper):
    truths, dataset, details = world
    chosen = data.draw(st.lists(st.sampled_from(truths), min_size=2, max_size=5, unique=True))
    text = wrapper.format(joint.join(chosen))
    assert sum(right(dataset, text, truth, details) for truth in chosen) <= 1


@pytest.mark.parametrize(
    "text",
    ["2^{2024}", "10^{400}", "10^{-400}", "-2^{2024}", "9^{9^{9}}", "0^{0}", "0^{-1}", r"\frac{1}{0}",
     "9" * 90, "0." + "1" * 90,
     "1." + "0" * 40 + "1", "1e999", "9e-999", "10^{400}%", "10^{400} cm", r"10^{400} \text{ million}",
     r"\sqrt{10^{400}}",
     "10^{400}:3", "3:10^{400}", "10^{400}, 5", "(10^{400}, 2)", r"\sqrt[10^{400}]{2}", "2^{0.5^{2024}}",
     r"10^{400} \approx 3.5",
     r"x = 10^{400}", "10^{400} < x < 5", "-" * 150 + "1", "(" * 90 + "1" + ")" * 90, "2^" * 60 + "2", "1/" * 90 + "7"],
)  # fmt: skip
@pytest.mark.parametrize(
    "dataset, truth, details",
    [
        ("mathvision", "5", {"type": "math"}),
        ("dynamath", "3.14", {"answer_type": "float"}),
        ("mathvision", "A", {"options": ["2", "10^{300}", r"\frac{1}{3}"]}),
        ("mathvision", "2^{1500}", {"type": "math"}),
        ("dynamath", "1:3", {"answer_type": "text"}),
        ("fvqa", "12 May", {}),
        ("virl39k", "x+1", {"type": "math"}),
    ],
)
def test_no_number_is_too_large(text, dataset, truth, details):
    for solution in (said(f"\\boxed{{{text}}}"), said(f"So it is {text}."), said(f"<answer>{text}</answer>")):
        assert score(dataset, solution, truth, details)["score"] == 0.0


@given(
    st.one_of(st.integers(), st.floats(allow_nan=False), st.fractions(),
    st.decimals(allow_nan=False, allow_infinity=False)),
    st.one_of(st.integers(), st.floats(allow_nan=False), st.fractions(),
    st.decimals(allow_nan=False, allow_infinity=False)),
    st.sampled_from([Closeness(), Closeness(decimals=2), Closeness(0.001, rounded=False), Closeness(decimals=12)]),
)  # fmt: skip
def test_any_two_numbers_can_be_compared(one, other, closeness):
    a, b = read_number(str(one)), read_number(str(other))
    if a is not None and b is not None:
        assert same_number(a, b, closeness) == same_number(a, b, closeness)
        assert same_number(a, a, closeness)


@given(st.text("0123456789.+-*/^(){}[] \\fracsqtpi", max_size=60))
def test_evaluate_ends_in_a_value_or_says_why_not(text):
    try:
        evaluate(text)
    except NoValue:
        pass
