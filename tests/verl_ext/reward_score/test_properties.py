# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What must not change a verdict, and what must."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verl_ext.reward_score.support import TABLE, right, said, score
from verl_ext.reward_score import DEFAULTS, RowError, extract
from verl_ext.reward_score.choice import LETTERS

CASES = st.sampled_from(TABLE)
TAGGED = st.sampled_from([case for case in TABLE if re.fullmatch(r"<answer>[^<$]+</answer>", case[1])])
BOXED = st.sampled_from([case for case in TABLE if case[1].startswith(r"\boxed{") and case[1].endswith("}")])
WORDS = st.text(st.sampled_from("abcdefgh ABCDE().,:\n01239$\\{}=<>/?"), max_size=80)
BLANKS = st.text(st.sampled_from(" \n\t"), max_size=5)


def tool(answer):
    return f"<tool_call>\n{{}}\n</tool_call>user\n<tool_response>\n{answer}\n</tool_response>\nassistant\n<think>\n"


@settings(max_examples=80, deadline=None)
@given(CASES, WORDS, st.booleans())
def test_thoughts_never_flip_a_verdict(case, thought, answers):
    dataset, text, truth, details, expected = case
    thought += f"<answer>{truth}</answer> \\boxed{{{truth}}}\nThe answer is {truth}" if answers else ""
    assert score(dataset, f"{thought}</think>\n\n{text}", truth, details)["score"] == expected


@settings(max_examples=80, deadline=None)
@given(CASES, WORDS)
def test_tools_never_flip_a_verdict(case, quoted):
    dataset, text, truth, details, expected = case
    before = f"I look.</think>\n{tool(f'{quoted} <answer>{truth}</answer> {truth}')}"
    assert score(dataset, f"{before}Now I see.</think>\n\n{text}", truth, details)["score"] == expected


@settings(max_examples=100, deadline=None)
@given(CASES)
def test_no_answer_after_the_last_thought_is_wrong(case):
    dataset, _, truth, details, _ = case
    marked = f"<answer>{truth}</answer> \\boxed{{{truth}}}"
    assert score(dataset, f"{marked}</think>\n", truth, details)["method"] == "none"
    assert score(dataset, f"hm</think>{tool('')}perhaps {marked}", truth, details)["score"] == 0
    assert score(dataset, f"hm</think>{tool(marked)}", truth, details)["score"] == 0


@settings(max_examples=80, deadline=None)
@given(CASES, BLANKS, BLANKS)
def test_blanks_around_the_message(case, before, after):
    dataset, text, truth, details, expected = case
    assert right(dataset, f"{before}{text}{after}", truth, details) == expected


@settings(max_examples=80, deadline=None)
@given(TAGGED, BLANKS, BLANKS, st.sampled_from(["{}", "${}$", r"\({}\)", r"\boxed{{{}}}", "**{}**", "{}."]))
def test_dress_of_a_tagged_answer(case, before, after, dress):
    dataset, text, truth, details, expected = case
    inner = text.removeprefix("<answer>").removesuffix("</answer>")
    dressed = dress.format(inner)
    assert right(dataset, f"<answer>{before}{dressed}{after}</answer>", truth, details) == expected


@settings(max_examples=80, deadline=None)
@given(BOXED, st.sampled_from(["${}$", "$${}$$", "<answer>{}</answer>", "The answer is {}.", "So\n\n{}\n", "{}\n\n$$"]))
def test_dress_of_a_box(case, dress):
    dataset, text, truth, details, expected = case
    assert right(dataset, dress.format(text), truth, details) == expected


@settings(max_examples=100, deadline=None)
@given(TAGGED)
def test_case_of_words_does_not_matter(case):
    dataset, text, truth, details, expected = case
    inner = text.removeprefix("<answer>").removesuffix("</answer>")
    options = details.get("options", ())
    if len({option.casefold() for option in options}) < len(options):
        return  # they differ in case alone
    for changed in (inner.lower(), inner.upper()) if inner.isascii() else ():
        if details.get("type") != "choice" and not re.search(r"[A-J]\b|π", inner):
            assert right(dataset, f"<answer>{changed}</answer>", truth, details) == expected


REASONING = [
    "I first thought {0}.", "The answer is {0}? No.", "\\boxed{{{0}}} is what many would say.", "({0}) looks good.",
    "<answer>{0}</answer>", "Option {0}: right.", "{0}\n{0}\n{0}", "{0} is correct, {1} is wrong.", "Answer: {0}.",
]  # fmt: skip
COMMITS = [
    r"\boxed{{{1}}}",
    "<answer>{1}</answer>",
    "The answer is {1}.",
    "**Answer:** ({1})",
    "\\boxed{{\\text{{{1}}}}}",
]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(["mathvision", "vstar", "hrbench_4k", "hrbench_8k", "deepeyes", "virl39k"]),
    st.lists(st.sampled_from("ABCDE"), min_size=2, max_size=2, unique=True),
    st.lists(st.sampled_from(REASONING), max_size=3),
    st.sampled_from(COMMITS),
    st.booleans(),
)
def test_a_wrong_letter_is_never_right_for_the_right_one_in_the_reasoning(dataset, letters, lines, commit, listed):
    details = {"options": list("ABCDE")} if listed else {}
    truth, wrong = letters
    text = "\n".join([*lines, commit]).format(truth, wrong)
    marks = "".join(lines)
    if "box" in marks + commit or "answer>" in marks + commit:
        if "box" not in commit and "answer>" not in commit:
            return  # a mark outranks a sentence: what it says counts
    assert not right(dataset, text, truth, details)
    assert right(dataset, text, wrong, details)


@settings(max_examples=100, deadline=None)
@given(st.permutations("ABCD"), st.sampled_from([", ", " or ", " and ", "/", "", " "]), st.integers(2, 4))
def test_several_letters_are_no_choice(letters, glue, number):
    answer = glue.join(letters[:number])
    for truth in "ABCD":
        assert not right("vstar", f"<answer>{answer}</answer>", truth)
        assert not right("hrbench_4k", answer, truth, {"options": ["red", "blue", "green", "white"]})


@settings(max_examples=80, deadline=None)
@given(
    st.integers(-(10**6), 10**6), st.sampled_from(["cm", "apples", "^\\circ", "\\text{ m}^2", "km/h", "degrees", ""])
)
def test_units_and_spellings_of_a_number(number, unit):
    for spelling in (str(number), f"{number:,}", f"{number}.0", f"x = {number}", f"{number:,}".replace(",", "{,}")):
        for dataset in ("mathvision", "geometry3k", "dynamath"):
            text = f"\\boxed{{{spelling} {unit}}}"
            assert right(dataset, text, str(number)), (dataset, text)
            assert not right(dataset, text, str(number + 1)), (dataset, text)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(DEFAULTS)), st.one_of(st.text(max_size=60), WORDS), st.one_of(st.text(), WORDS))
def test_no_text_is_an_error(dataset, text, truth):
    for solution in (text, said(text), said(f"<answer>{text}</answer>"), said(f"\\boxed{{{text}}}")):
        if not truth.strip():
            with pytest.raises(RowError):
                score(dataset, solution, truth)
            continue
        result = score(dataset, solution, truth)
        assert result["score"] in (0.0, 1.0) and isinstance(result["extracted"], str)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(list(LETTERS) + ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "}", "\n"]))
)
def test_extract_takes_nothing_from_an_open_thought(parts):
    text = "".join(parts)
    found = extract(text)
    after = text.rpartition("</think>")[2]
    assert found.text in after and (found.text == "" or "<think>" not in after)
    assert not (extract(text, "required").text and "</think>" not in text)
