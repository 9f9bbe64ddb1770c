# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Binary outcome reward of whole trajectories, as verl decodes them: without <|im_start|> and <|im_end|>."""

import asyncio
import inspect
import time

import pytest
from omegaconf import OmegaConf
from verl.utils.reward_score import default_compute_score

from tests.verl_ext.reward_score.support import reward as compute_score
from verl_ext.reward_score import reward
from verl_ext.reward_score.reward import final_answer

CALL = 'look closer</think>\n\n<tool_call>\n{"name": "image_zoom_in", "arguments": {}}\n</tool_call>'


def tool(text):
    """A tool's answer and the generation prompt after it."""
    return f"user\n<tool_response>\n{text}\n</tool_response>\nassistant\n<think>\n"


@pytest.mark.parametrize(
    "solution, expected",
    [
        ("<answer>red</answer>", "red"),
        ("<answer>\n red \n</answer>", "red"),
        ("red.</think>\n\nIt is <answer>red</answer>.", "red"),
        ("maybe <answer>blue</answer></think>\n\n<answer>red</answer>", "red"),  # thinking is not the answer
        ("<answer>blue</answer> no, <answer>red</answer>", "red"),  # the last word counts
        ("<answer>blue <answer>red</answer>", "red"),  # begun anew
        ("<answer>a\nb</answer>", "a\nb"),
        ("<answer></answer>", ""),
        # several turns
        (CALL + tool("<image>") + "now I see</think>\n\n<answer>red</answer>", "red"),
        (CALL + tool("") + CALL + tool("") + "ok</think>\n\n<answer>red</answer>", "red"),
        (CALL + tool("") + "ok</think>\n\n<answer>a</answer>" + tool("") + "</think>no idea", None),
        # none
        ("", None),
        ("red", None),
        ("<answer>red", None),
        ("red</answer>", None),
        ("</answer>red<answer>", None),
        ("<ANSWER>red</ANSWER>", None),
        ("<answer>red</answer></think>", None),  # answered in its thoughts only
        # a tool that quotes an answer has not given it for the model
        (CALL + tool("<answer>red</answer>") + "no idea", None),
        (CALL + tool("<answer>red</answer>") + "hm</think>\n\nno idea", None),
        (CALL + tool("<answer>red</answer>") + "hm</think>\n\n<answer>blue</answer>", "blue"),
        (CALL + "user\n<tool_response>\n<answer>red</answer>\n</tool_response>", None),  # out of turns
        # cut off while thinking about it
        (CALL + tool("") + "perhaps <answer>red</answer>, or", None),
        ("<think>perhaps <answer>red</answer>, or", None),
    ],
)
def test_final_answer(solution, expected):
    assert final_answer(solution) == expected


@pytest.mark.parametrize(
    "answer, truth, score",
    [
        ("red", "red", 1.0),
        ("Red", "red", 1.0),
        ("red", "RED", 1.0),
        (" red ", "red", 1.0),
        ("dark  red", "dark red", 1.0),
        ("dark\nred", "dark red", 1.0),
        ("red.", "red", 1.0),
        ("red", "red.", 1.0),
        ("7", 7, 1.0),  # a ground truth that is a number
        ("STRASSE", "straße", 1.0),
        ("reddish", "red", 0.0),
        ("dark red", "red", 0.0),
        ("", "red", 0.0),
        ("7.0", "7", 0.0),
        (".7", "7", 0.0),
    ],
)
def test_embedded_task(answer, truth, score):
    result = compute_score("axpo/embedded_colour", f"hm</think>\n\n<answer>{answer}</answer>", truth)
    assert result == {"score": score, "acc": score, "extracted": answer.strip(), "method": "exact"}


@pytest.mark.parametrize("truth", ["", " ", None, float("nan")])
def test_nothing_is_no_truth(truth):
    for answer in ("I cannot tell", "<answer></answer>", "<answer>None</answer>", "<answer>nan</answer>"):
        with pytest.raises(ValueError, match=r"axpo/embedded_colour: reward_model\['ground_truth'\] must be a text"):
            compute_score("axpo/embedded_colour", answer, truth)


def test_no_answer_is_wrong():
    result = compute_score("axpo/embedded_colour", "I cannot tell", "red")
    assert result == {"score": 0.0, "acc": 0.0, "extracted": "", "method": "exact"}


@pytest.mark.parametrize("solution, truth", [("#### 72", "72"), ("#### 71", "72"), ("seventy-two", "72")])
def test_other_sources_are_verls(solution, truth):
    result = compute_score("openai/gsm8k", solution, truth, extra_info={}, unused_by_verl=1)
    score = float(default_compute_score("openai/gsm8k", solution, truth))
    assert result == {"score": score, "acc": score, "extracted": "", "method": "verl"}


@pytest.mark.parametrize("source", ["math_dapo", "math_dapo_reasoning", "aime24", "aime_2025"])
@pytest.mark.parametrize("solution, score, acc", [("Answer: 72", 1.0, 1.0), ("Answer: 71", -1.0, 0.0), ("", -1.0, 0.0)])
def test_scores_of_minus_one_are_no_accuracy(source, solution, score, acc):
    result = compute_score(source, solution, "72")
    assert result == {"score": score, "acc": acc, "extracted": "", "method": "verl"}
    assert all(type(result[name]) is float for name in ("score", "acc"))
    verl = default_compute_score(source, solution, "72")
    assert (verl["score"], verl["acc"]) == (score, bool(acc))


@pytest.mark.parametrize(
    "source, solution, truth",
    [
        ("axpo/embedded_colour", "hm</think><answer>red</answer>", "red"),
        ("axpo/vstar", "hm</think>B", "B"),
        ("axpo/fvqa", "hm</think>B", "C"),
        ("openai/gsm8k", "#### 72", "72"),
    ],
)
def test_verl_awaits_what_others_call(source, solution, truth):
    """verl looks at the function itself, and passes the options on as nodes of its configuration."""
    assert inspect.iscoroutinefunction(reward.compute_score)
    options = {"judge": OmegaConf.create({"fallback": "rules"}), "thinking": "auto", "reward_router_address": None}
    result = asyncio.run(reward.compute_score(source, solution, truth, extra_info={}, **options))
    assert result == compute_score(source, solution, truth, extra_info={}, **options)
    assert list(result) == ["score", "acc", "extracted", "method"]


def test_verls_reward_manager_gets_the_options():
    """As the reward worker loads it."""
    from verl.trainer.ppo.reward import get_custom_reward_fn

    function = {"path": "pkg://verl_ext.reward_score.reward", "name": "compute_score"}
    function["reward_kwargs"] = {"thinking": "required", "judge": {"fallback": "rules"}}
    loaded = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": function}}))
    call = {"data_source": "axpo/fvqa", "ground_truth": "red", "extra_info": {}}
    assert inspect.iscoroutinefunction(loaded)  # what the manager decides by
    assert asyncio.run(loaded(**call, solution_str="</think>red"))["score"] == 1.0
    assert asyncio.run(loaded(**call, solution_str="red"))["score"] == 0.0


def test_unknown_source_is_an_error():
    with pytest.raises(NotImplementedError, match="no_such_task"):
        compute_score("no_such_task", "x", "y")


@pytest.mark.parametrize(
    "solution, expected",
    [
        ("x" * 1_000_000 + "</think><answer>red</answer>", "red"),
        ("<answer>" * 125_000, None),
        ("<answer>" * 125_000 + "red</answer>", "red"),
        ("</answer>" * 110_000, None),
        ("<answer>a</answer>" * 55_000, "a"),
        ("<answer>" + "<" * 1_000_000, None),
        ("</think>" * 125_000, None),
        ("<answer>" + "red " * 250_000 + "</answer>", ("red " * 250_000).strip()),
    ],
    ids=lambda value: (value or "None")[:12],
)
def test_a_megabyte_is_read_at_once(solution, expected):
    """A model that repeats itself must not hold up the reward loop."""
    started = time.process_time()
    assert final_answer(solution) == expected
    assert time.process_time() - started < 1.0
