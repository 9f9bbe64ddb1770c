# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""SFT rows in verl's dataset, and rendered as a rollout would have been."""

from pathlib import Path

import pytest

from verl_ext.cpu.bootstrap import install

install()  # before anything imports torchvision
transformers = pytest.importorskip("transformers")
pytest.importorskip("verl")
CHECKPOINT = Path(__file__).resolve().parents[3] / "run_scripts" / "tiny_model" / "checkpoint"


@pytest.fixture(scope="module")
def processor():
    return transformers.AutoProcessor.from_pretrained(CHECKPOINT)


def qwen_like(processor):
    """A processor whose template treats a lone assistant turn as Qwen's does: its thoughts are not shown."""
    import copy

    processor = copy.copy(processor)
    ours = "namespace(last_query=-1)"
    assert ours in processor.chat_template
    processor.chat_template = processor.chat_template.replace(ours, "namespace(last_query=messages|length - 1)")
    return processor


def load(cls, file, processor, **options):
    from omegaconf import OmegaConf

    config = OmegaConf.create({"pad_mode": "no_padding", "max_length": 4096, **options})
    return cls([str(file)], processor.tokenizer, config, processor)


def dataset_class(ours):
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    from data_prep.sft.dataset import ToolSFTDataset

    return ToolSFTDataset if ours else MultiTurnSFTDataset


def rollout(processor, row, tools):
    """Text of the episode as an engine sees and writes it: the prompt rendered with the tools, then turn by turn what
    the model generates and the rendered answers of the tool; and what the model wrote, turn by turn."""
    import json
    import re

    def parts(turn):
        pieces = [piece for piece in re.split("(<image>)", turn["content"]) if piece]
        content = [{"type": "image"} if piece == "<image>" else {"type": "text", "text": piece} for piece in pieces]
        return {"role": turn["role"], "content": content}

    body = row["messages"]
    start = next(number for number, turn in enumerate(body) if turn["role"] == "assistant")
    prompt = [parts(turn) for turn in body[:start]]
    text = processor.apply_chat_template(prompt, tools=tools, add_generation_prompt=True, tokenize=False)
    written = []
    for turn in body[start:]:
        if turn["role"] == "assistant":
            said = turn["content"].removeprefix("<think>\n")  # the generation prompt has it
            for call in turn["tool_calls"] or []:
                function = call["function"]
                value = {"name": function["name"], "arguments": json.loads(function["arguments"])}
                said += f"<tool_call>\n{json.dumps(value)}\n</tool_call>"
            written.append(said + "<|im_end|>")
            text += written[-1]
        else:
            answer = processor.apply_chat_template([parts(turn)], add_generation_prompt=True, tokenize=False)
            text += "\n" + answer
    return text + "\n", written


def check(dataset, rows, processor, tools):
    import re

    assert len(dataset) == len(rows)
    for number, row in enumerate(rows):
        item = dataset[number]
        ids, mask = item["input_ids"], item["loss_mask"].bool()
        text, written = rollout(processor, row, tools)
        shown = re.sub(r"(<\|image_pad\|>)+", "<|image_pad|>", processor.tokenizer.decode(ids))
        assert shown == text
        grids = item.get("multi_modal_inputs", {}).get("image_grid_thw", [])
        assert len(grids) == len(row["images"])
        # what is learnt is what the model wrote, and nothing else
        learnt = processor.tokenizer.decode(ids[mask])
        assert learnt == "".join(f"{said}\n" for said in written)


@pytest.mark.parametrize("ours", [False, True])
def test_mini_o3(mini, write_mini, sft, processor, tmp_path, ours):
    from data_prep.tool_schemas import load_tool_schemas

    one = mini.trajectory(mini.zoom([0.1, 0.2, 0.5, 0.4]), mini.answer)
    two = mini.trajectory(mini.zoom([0, 0, 1, 1]), mini.zoom([0, 0, 1, 0.5], "observation_1"), mini.answer)
    _, rows, _ = sft("sft-mini-o3", write_mini([(one, 2), (two, 3), (mini.trajectory(mini.answer), 1)]))
    dataset = load(dataset_class(ours), tmp_path / "sft" / "sft.parquet", processor)
    check(dataset, rows, processor, load_tool_schemas(["image_zoom_in"]))


def test_several_tools_need_our_dataset(chat, write_chat, sft, processor, tmp_path):
    from data_prep.tool_schemas import load_tool_schemas

    code = chat.conversation(
        acting={
            "role": "assistant",
            "content": "I count.",
            "reasoning_content": "Let me see.",
            "tool_calls": [chat.call("python", {"code": 'print("é\\n", 1 < 2)'})],
        },
        tool={"role": "tool", "tool_call_id": "c1", "content": "é\n True"},
    )
    _, rows, _ = sft("sft-openai", write_chat([chat.conversation(), code]), "--tools", "image_zoom_in,python")
    file, tools = tmp_path / "sft" / "sft.parquet", load_tool_schemas(["image_zoom_in", "python"])
    dataset = load(dataset_class(True), file, processor)
    assert dataset.tools == [tools, tools]
    item = dataset[1]
    shown = processor.tokenizer.decode(item["input_ids"])
    assert (
        '</think>\n\nI count.\n<tool_call>\n{"name": "python", "arguments": {"code": "print(' in shown and "é" in shown
    )
    assert "<tool_response>\né\n True\n</tool_response>" in shown and "null" not in shown
    check([dataset[0]], rows[:1], processor, tools)
    with pytest.raises(Exception, match="schema|list|str"):
        load(dataset_class(False), file, processor)[0]


def test_thoughts_stay_under_a_template_that_hides_them_alone(mini, write_mini, sft, processor, tmp_path):
    """verl's own class refuses such a file, as it would for Qwen3-VL-Thinking; ours trains what a rollout writes."""
    from data_prep.tool_schemas import load_tool_schemas

    turns = mini.trajectory(mini.zoom([0.1, 0.2, 0.5, 0.4]), mini.answer)
    _, rows, _ = sft("sft-mini-o3", write_mini([(turns, 2)]))
    file, hiding = tmp_path / "sft" / "sft.parquet", qwen_like(processor)
    with pytest.raises(AssertionError, match="may not equal"):
        load(dataset_class(False), file, hiding)[0]
    check(load(dataset_class(True), file, hiding), rows, hiding, load_tool_schemas(["image_zoom_in"]))
