# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The tiny model: tokenizer, chat template, shipped checkpoint."""

from pathlib import Path

import pytest
import torch

from verl_ext.cpu.bootstrap import install

install()  # before anything imports torchvision
transformers = pytest.importorskip("transformers")

from data_prep.embedded.scene import SceneConfig, make_scene, scene_rng  # noqa: E402
from data_prep.embedded.sft import PolicyRates, embedded_sft_row  # noqa: E402
from data_prep.tool_schemas import load_tool_schemas  # noqa: E402
from run_scripts.tiny_model.build import SPECIAL, TAGS, build_model, build_processor, build_tokenizer  # noqa: E402
from run_scripts.tiny_model.corpus import tokenizer_corpus  # noqa: E402
from run_scripts.tiny_model.sft import main as sft  # noqa: E402
from run_scripts.tiny_model.sft import overrides, stages  # noqa: E402

CHECKPOINT = Path(__file__).resolve().parents[2] / "run_scripts" / "tiny_model" / "checkpoint"
THOUGHT = "<think>\nLook.\n</think>\n\n"


@pytest.fixture(scope="module", params=["built", "shipped"])
def tokenizer(request):
    if request.param == "built":
        return build_tokenizer(tokenizer_corpus())
    return transformers.AutoTokenizer.from_pretrained(CHECKPOINT)


def conversation(tool_rate=1.0):
    scene = make_scene("colour", SceneConfig(256, 2), scene_rng(0, "sft", 0))
    schemas = load_tool_schemas(["image_zoom_in_tiny"])
    row = embedded_sft_row(scene, 0, PolicyRates(tool_rate, 1.0), scene_rng(0, "sft", 0, stream=1), schemas)
    return row["messages"], row["tools"]


@pytest.mark.parametrize("text", ["colour 250, 500]\n", "Ω is new, \t tabs\n\n\nand  spaces ", "<answer>red</answer>"])
def test_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_tags_are_single_tokens_and_survive_skip_special_tokens(tokenizer):
    for token in SPECIAL + TAGS:
        assert len(tokenizer.encode(token)) == 1
    assert tokenizer.decode(tokenizer.encode("".join(SPECIAL + TAGS)), skip_special_tokens=True) == "".join(TAGS)
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"


def test_digits_are_single_tokens_and_a_call_starts_after_the_tag(tokenizer):
    tokens = [tokenizer.decode([i]) for i in tokenizer.encode('<tool_call>\n{"bbox_2d": [0, 1000]}')]
    assert tokens[:2] == ["<tool_call>", "\n"]
    assert " 1000" in "".join(tokens)
    assert tokens[tokens.index("1") :][:4] == ["1", "0", "0", "0"]
    assert len(tokenizer.encode("\n")) == 1


def test_turns_rendered_alone_add_up_to_the_conversation(tokenizer):
    for tool_rate in (0.0, 1.0):
        messages, tools = conversation(tool_rate)
        pieces = [
            tokenizer.apply_chat_template([m], tools=tools if i == 0 else None, tokenize=False)
            for i, m in enumerate(messages)
        ]
        whole = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
        assert "".join(pieces) == whole
        assert sum((tokenizer.encode(p) for p in pieces), []) == tokenizer.encode(whole)


def test_template_conventions(tokenizer):
    def render(messages, **options):
        return tokenizer.apply_chat_template(messages, tokenize=False, **options)

    ask, say = {"role": "user", "content": "Q"}, {"role": "assistant", "content": THOUGHT + "A"}
    tool = {"role": "tool", "content": [{"type": "image"}, {"type": "text", "text": "seen"}]}
    prompt = render([ask], add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n<think>\n"
    # thoughts before the last question are dropped, later ones stay, also with tool answers in between
    assert render([ask, say, ask]).count("Look.") == 0
    assert render([ask, say, tool, say]).count("Look.") == 2
    assert render([say]) == f"<|im_start|>assistant\n{THOUGHT}A<|im_end|>\n"
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    answer = f"<tool_response>\n{picture}seen\n</tool_response>"
    assert render([tool, tool]) == f"<|im_start|>user\n{answer}\n{answer}<|im_end|>\n"
    call = {"function": {"name": "f", "arguments": {"x": 1}}}
    told = render([ask, {"role": "assistant", "content": "", "reasoning_content": "Look.", "tool_calls": [call]}])
    assert told.endswith(THOUGHT + '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call><|im_end|>\n')
    system = render([{"role": "system", "content": "S"}, ask], tools=[{"name": "f"}])
    assert system.startswith('<|im_start|>system\nS\n\n<tools>\n{"name": "f"}\n</tools>')
    assert render([{"role": "system", "content": "S"}, ask]).startswith("<|im_start|>system\nS<|im_end|>\n")


def test_built_model_has_exactly_the_tokenizers_vocabulary_and_is_seeded():
    tokenizer = build_tokenizer(tokenizer_corpus())
    one, same, other = (build_model(tokenizer, seed) for seed in (0, 0, 1))
    assert one.get_input_embeddings().weight.shape[0] == one.config.text_config.vocab_size == len(tokenizer)
    assert sum(p.numel() for p in one.parameters()) < 1_000_000
    weights = [model.lm_head.weight for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert build_processor(tokenizer).image_token_id == one.config.image_token_id


def test_shipped_checkpoint_loads_and_answers():
    from run_scripts.tiny_model.measure import Policy, measure

    policy = Policy(CHECKPOINT)
    assert policy.model.config.text_config.vocab_size == len(policy.processor.tokenizer)
    assert sum(f.stat().st_size for f in CHECKPOINT.iterdir()) < 8 * 2**20
    rates = measure(CHECKPOINT, 48)
    assert 0.05 < rates["tool_rate"] < 0.65 and rates["malformed"] <= 0.1
    assert rates["read_accuracy"] >= 0.75 and rates["hint_accuracy"] >= 0.9


def test_sft_options(tmp_path, capsys):
    assert sum(stage.steps for stage in stages(650)) == 650
    assert len(overrides(stages(10)[0], tmp_path, tmp_path, tmp_path, 0, 4)) > 20
    with pytest.raises(SystemExit):
        sft(["--output", str(tmp_path / "x"), "--steps", "1"])
    assert "--steps" in capsys.readouterr().err
