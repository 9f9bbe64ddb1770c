# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What can be an answer, and what says nothing in any language."""

import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_ext.reward_score.substance import says_something

NOTHING = [
    "", " ", ":", ".", ",", "()", "...", "---", "?!", "_", "____", "{}", "[]", "```", "```\n```", "**", "#", "$$",
    # blank, combining and decorating characters
    "\u200b", "\u3164", "\u115f", "\uffa0", "\u2800", "\u0301", "\u2061", "\ufeff", "\u00ad", "\U000e0041", "\u02c8",
    "\u30fc", "\U0001f600", "\u2764\ufe0f", "\u2139\ufe0f", "\u2122", "\U0001f1eb\U0001f1f7", "\u2713",
    "\u3002", "\uff1f",
    # markup only
    r"\boxed{}", r"\boxed{\text{ }}", r"\quad", r"\(\)", r"\begin{aligned}\end{aligned}", r"\left(\right)",
    r"$\displaystyle\mathrm{}$", "<b></b>", "<answer></answer>", "<think>", "<br/>", "&nbsp;", "&#8203;", "\n\n> \n",
    # openings and headings
    "Solution", "solution:", "**Solution**", "Solution Solution", "Answer:", "# Final Answer", "The answer is",
    "The final answer is:", "The correct answer is", "Let's solve this step by step", "Let me think step by step.",
    "Let\u2019s solve this problem step by step.", "Step by step, let's solve the problem", "Thought process:",
    "Okay, let's think", "First, let's solve this", "Here is the solution:", "A solution", "Step 1:",
    "## Step 1: Solution",
    "I will solve this problem", "Reasoning:", "Explanation", "Response", r"\text{Answer}", '{"answer": ""}',
    "Therefore,",
    # in other languages
    "\u89e3", "\u89e3\u7b54\uff1a", "\u7b54\u6848\u662f", "\u304b\u3044\u305b\u3064", "Respuesta",
    "R\u00e9ponse", "Re\u0301ponse",
    "L\u00f6sung", "Die Antwort ist:", "\u041e\u0442\u0432\u0435\u0442:", "\ud480\uc774",
]  # fmt: skip
ANSWERS = [
    "A", "a", "I", "i", "x", "5", "0", "yes", "no", "No.", "none", "correct", "right", "left", "true", "first", "one",
    "\u00bd", "\u2160", "\u0663", "\u03c0", r"\pi", r"\infty", r"\alpha", r"\emptyset", r"$\mathbb{R}$",
    r"\boxed{7}", "1\ufe0f\u20e3",
    "Option A", "Answer: A", "A is the answer", "The answer is B.", "I and II", "answer is 5", "step 3", "It is red.",
    "\u732b", "\uc544\ub2c8\uc694", "\u0928\u0939\u0940\u0902", "\u0644\u0627", "\u05db\u05dc\u05d1",
    "\u0e41\u0e21\u0e27", "<b>red</b>", "n/a",
    "The solution is 2.", "two steps", "above", "I do not know", '{"correct": true}',
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING, ids=ascii)
def test_nothing(text):
    assert not says_something(text)
    for dressed in (
        f" {text}\n",
        f"**{text}**",
        f"\\boxed{{{text}}}",
        f"{text} \U0001f600",
        f"<answer>{text}</answer>",
    ):
        assert not says_something(dressed), dressed
    assert not says_something(text, ["dog", "The dog is above the car"])


@pytest.mark.parametrize("text", ANSWERS, ids=ascii)
def test_an_answer(text):
    assert says_something(text) and says_something(f"**{text}**") and says_something(text, ["dog"])


@pytest.mark.parametrize(
    "text, reference, something",
    [
        ("The Answer", "The Answer", True),
        ("answer", "The Answer", True),
        ("solution process", "the solution process", True),
        ("Start", "start", True),
        ("Solution", "The Answer", False),
        ("The answer is", "It", False),
        (":", ":", False),  # rules compare signs
    ],
)
def test_references_of_such_words(text, reference, something):
    assert says_something(text, ["dog", reference]) == something


@settings(deadline=None)
@given(st.text(st.characters(categories=("P", "S", "Z", "C", "M")), max_size=60))
def test_no_text_without_a_letter_or_digit_is_an_answer(text):
    assert not says_something(text)


def test_every_character_that_is_no_letter_or_digit():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character)[0] not in "LN":
            assert not says_something(character), ascii(character)


@settings(deadline=None)
@given(st.text(st.characters(categories=("Nd", "Lu")), min_size=1, max_size=3), st.sampled_from(NOTHING))
def test_an_opening_takes_no_answer_away(answer, opening):
    # Without a reference LA is the article of "la respuesta".
    assert says_something(f"{opening} ,\n{answer}.") or not says_something(answer)


@pytest.mark.parametrize(
    "text", ["\\text{" * 10**5, "<b" * 10**5, "let's " * 10**5, "&" * 10**6, "\\begin{" * 10**5, "'" * 10**6]
)
def test_long_texts_cost_nothing(text):
    started = time.process_time()
    says_something(text)
    assert time.process_time() - started < 0.5
