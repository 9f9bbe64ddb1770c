# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""All training sets, concatenated, in verl's RL dataset with the shipped tiny processor."""

from pathlib import Path

import pytest

from verl_ext.cpu.bootstrap import install

install()  # before anything imports torchvision
transformers = pytest.importorskip("transformers")
pytest.importorskip("verl")
CHECKPOINT = Path(__file__).resolve().parents[3] / "run_scripts" / "tiny_model" / "checkpoint"


def test_rows_load_with_as_many_images_as_placeholders(prepared, tmp_path):
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    processor = transformers.AutoProcessor.from_pretrained(CHECKPOINT)
    config = OmegaConf.create(
        {"cache_dir": str(tmp_path), "max_prompt_length": 4096, "filter_overlong_prompts": True,
         "return_raw_chat": True, "filter_overlong_prompts_workers": None}
    )  # fmt: skip
    files = sorted(str(path) for path in prepared.glob("*/*.parquet"))
    dataset = RLHFDataset(files, processor.tokenizer, config, processor)
    rows = [dataset[number] for number in range(len(dataset))]
    assert len({row["data_source"] for row in rows}) == 7 and len(rows) == 21  # none was too long or broken
    for number, row in enumerate(rows):
        parts = [part for turn in row["raw_prompt"] for part in turn["content"] if isinstance(turn["content"], list)]
        assert sum(part["type"] == "image" for part in parts) == len(dataset.dataframe[number]["images"])
