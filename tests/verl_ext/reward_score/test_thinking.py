# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""`thinking: auto` becomes `required` exactly where the chat template opens a thought."""

import pytest
from omegaconf import OmegaConf
from transformers import AutoTokenizer

from tests.verl_ext.reward_score.support import reward
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.reward_score.thinking import OPTION, resolve_thinking

CHECKPOINT = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"
PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}assistant:\n{% endif %}"
HYBRID = PLAIN + "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}"


def resolved(thinking="auto", template=None, path=CHECKPOINT, **kwargs):
    config = OmegaConf.create(
        {
            "data": {"apply_chat_template_kwargs": kwargs},
            "actor_rollout_ref": {"model": {"path": str(path), "custom_chat_template": template}},
            "reward": {"custom_reward_function": {"reward_kwargs": {"thinking": thinking}}},
        }
    )
    resolve_thinking(config)
    return OmegaConf.select(config, OPTION)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, "required"),  # the tiny model's template, as Qwen3-VL-Thinking's
        ({"thinking": "required", "template": PLAIN}, "required"),
        ({"template": PLAIN}, "auto"),
        ({"template": HYBRID}, "required"),
        ({"template": HYBRID, "enable_thinking": True}, "required"),
        ({"template": HYBRID, "enable_thinking": False}, "auto"),
    ],
)
def test_auto_follows_the_template(options, expected):
    assert resolved(**options) == expected


def test_stays_auto_if_decoding_hides_the_closing_tag(tmp_path, caplog):
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    tokenizer.save_pretrained(tmp_path)
    assert resolved(path=tmp_path) == "auto" and "removes </think>" in caplog.text


def test_another_reward_has_no_such_option():
    config = OmegaConf.create({"reward": {"custom_reward_function": {"path": None}}})
    resolve_thinking(config)
    assert OmegaConf.select(config, OPTION) is None


@pytest.mark.parametrize("thought", [r"Maybe \boxed{12} but wait", "So I guess the answer is 12. Wait,", "so x = 12"])
def test_unfinished_thought_has_no_answer(thought):
    def score(solution):
        return reward("axpo/mathvision", solution, "12", {}, thinking=resolved())["score"]

    assert score(thought) == 0.0
    assert score(thought + r"</think>\boxed{12}") == 1.0
