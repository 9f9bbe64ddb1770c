# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the final answer is found, and which of several it is."""

import pytest

from tests.verl_ext.reward_score.test_properties import tool
from verl_ext.reward_score import extract


@pytest.mark.parametrize(
    "message, answer, how",
    [
        (r"\boxed{\frac{3}{4}}", r"\frac{3}{4}", "boxed"),
        (r"\boxed{\boxed{3}}", "3", "boxed"),
        (r"\boxed {3}", "3", "boxed"),
        (r"\fbox{3}", "3", "boxed"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "boxed"),
        (r"\boxed{a}{b}", "a", "boxed"),
        (r"\boxed{3} and \boxed{4", "3", "boxed"),  # the last that is whole
        ("<answer>3</answer> so <answer>4</answer>", "4", "tag"),
        (r"<answer>3</answer> so \boxed{4}", "4", "boxed"),
        (r"\boxed{3} so <answer>4</answer>", "4", "tag"),
        (r"<answer>It is \boxed{4}</answer>", "4", "tag"),
        ("<ANSWER>4</ANSWER>", "4", "tag"),
        ("**The answer is 4.** I am sure.", "4", "stated"),
        ("The answer is 4. This follows from above.", "4", "stated"),
        ("The answer is St. Louis.", "St. Louis.", "stated"),
        ("The answer is 4\n\nBye", "4", "stated"),
        ("Answer:\n\n4", "4", "stated"),
        ("Final Answer: 4", "4", "stated"),
        ("The answer is:\n\n$$\n\\frac{5}{2}\n$$", r"\frac{5}{2}", "stated"),
        ("The answer is not 3. The answer is 4.", "4.", "stated"),
        ("The answer is 4. The answer is not 3.", "4", "stated"),
        ("It is\n\nred\n", "red", "last_line"),
        ("- red\n---\n", "red", "last_line"),
        ("$$\nx = 4\n$$", "x = 4", "last_line"),
        ("red<|im_end|>", "red", "last_line"),
        ("$$\n\\]\n---", "", "none"),
        ("I call it. \\boxed{4} <tool_call>{}</tool_call>", "4", "boxed"),
        ("The answer is 4. <tool_call>{}</tool_call>", "", "none"),
        ("<tool_call>\\boxed{4}</tool_call>", "", "none"),
        ("<tool_call>\\boxed{4}", "", "none"),
        ("", "", "none"),
    ],
)
def test_final_message(message, answer, how):
    found = extract(f"thought</think>\n{message}")
    assert (found.text, found.how) == (answer, how)


@pytest.mark.parametrize("thinking", ["auto", "required"])
@pytest.mark.parametrize(
    "solution",
    [
        r"</think>maybe <think> \boxed{3}",
        rf"hm</think>{tool('x')}so it is \boxed{{3}}",  # the template has opened a thought
        r"hm</think>user<tool_response>x</tool_response>assistant so it is \boxed{3}",  # the model closes its thoughts
        r"hm</think>user<tool_response>\boxed{3}</tool_response>assistant",
        r"\boxed{3}</think>",
    ],
)
def test_no_message(solution, thinking):
    assert extract(solution, thinking).text == ""


def test_a_first_turn_without_a_thought():
    assert extract(r"\boxed{3}").text == "3"  # a model that does not think
    assert extract(r"\boxed{3}", "required").text == ""  # or one that was cut off
    turns = "<tool_call>{}</tool_call>user\n<tool_response>\nx\n</tool_response>\nassistant\n"
    assert extract(turns + "Red").text == "Red"
    assert extract(turns).text == ""


def test_a_long_answer_is_cut():
    assert len(extract("</think>" + "x" * 100_000).text) == 4000
