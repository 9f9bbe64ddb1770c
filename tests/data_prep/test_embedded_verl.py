# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded task's files in verl's own datasets, with the shipped tiny processor."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image

from data_prep.__main__ import main
from verl_ext.cpu.bootstrap import install

install()  # before anything imports torchvision
transformers = pytest.importorskip("transformers")
pytest.importorskip("verl")
CHECKPOINT = Path(__file__).resolve().parents[2] / "run_scripts" / "tiny_model" / "checkpoint"
IMAGE_TOKENS = 16  # 128 x 128 px, patch 16, merge 2


@pytest.fixture(scope="module")
def processor():
    return transformers.AutoProcessor.from_pretrained(CHECKPOINT)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    options = ["--train", "4", "--val", "2", "--sft", "12", "--tool-rate", "0.5", "--kinds", "colour,count,glyph"]
    main(["embedded", "--output", str(folder), *options])
    return folder


def test_rl_rows_load_and_are_scaled_for_the_model_only(files, processor):
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    config = OmegaConf.create(
        {"cache_dir": str(files), "max_prompt_length": 256, "filter_overlong_prompts": True, "return_raw_chat": True,
         "filter_overlong_prompts_workers": None}  # a fork hangs after another test has used torch's threads
    )  # fmt: skip
    dataset = RLHFDataset(str(files / "train.parquet"), processor.tokenizer, config, processor)
    assert len(dataset) == 4
    for row in (dataset[i] for i in range(4)):
        (message,) = row["raw_prompt"]
        kinds = [part["type"] for part in message["content"]]
        assert kinds == ["image", "text"]
        original = message["content"][0]["image"]
        assert isinstance(original, Image.Image) and original.size == (512, 512)
        images, _, _ = asyncio.run(
            RLHFDataset.process_multi_modal_info(row["raw_prompt"], image_patch_size=16, config=config)
        )
        assert [image.size for image in images] == [(128, 128)]
        assert row["extra_info"]["tool_selection"] == ["image_zoom_in"]


def test_sft_rows_load_turn_by_turn_without_mismatch(files, processor):
    from omegaconf import OmegaConf
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    config = OmegaConf.create({"pad_mode": "no_padding", "max_length": 400, "ignore_input_ids_mismatch": False})
    dataset = MultiTurnSFTDataset([str(files / "sft.parquet")], processor.tokenizer, config, processor)
    with_tool = 0
    for index in range(len(dataset)):
        row = dataset[index]
        ids, images = row["input_ids"], row["multi_modal_inputs"]["image_grid_thw"]
        assert (ids == processor.image_token_id).sum() == IMAGE_TOKENS * len(images)
        assert images.tolist() == [[1, 8, 8]] * len(images)
        learnt = processor.tokenizer.decode(ids[row["loss_mask"].bool()])
        turns = learnt.split("<|im_end|>")[:-1]
        assert len(turns) == len(images) and "<answer>" in turns[-1] and "<|im_start|>" not in learnt
        assert "Image 1" not in learnt and not learnt.startswith("<think>")
        with_tool += len(images) == 2
    assert 0 < with_tool < len(dataset)
