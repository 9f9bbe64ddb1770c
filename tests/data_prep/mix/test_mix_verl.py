# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A mix in verl's RL dataset with the shipped tiny processor."""

from pathlib import Path

import pytest

from verl_ext.cpu.bootstrap import install

install()  # before anything imports torchvision
transformers = pytest.importorskip("transformers")
pytest.importorskip("verl")
CHECKPOINT = Path(__file__).resolve().parents[3] / "run_scripts" / "tiny_model" / "checkpoint"


def test_a_mix_loads_with_as_many_images_as_placeholders(toy, tmp_path, mix):
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    rows = [toy.row(i, f"What is in scene {i}?", [toy.picture(i * 9 + k) for k in range(i)]) for i in range(4)]
    toy.write(tmp_path / "a" / "train.parquet", rows)
    file = mix({"sources": [{"name": "a", "files": ["a/*.parquet"], "epochs": 2}]}) / "train.parquet"
    processor = transformers.AutoProcessor.from_pretrained(CHECKPOINT)
    config = OmegaConf.create(
        {"cache_dir": str(tmp_path), "max_prompt_length": 4096, "filter_overlong_prompts": True,
         "return_raw_chat": True, "filter_overlong_prompts_workers": None}
    )  # fmt: skip
    dataset = RLHFDataset(str(file), processor.tokenizer, config, processor)
    assert len(dataset) == 8 and sorted(dataset[i]["index"] for i in range(8)) == list(range(8))
    counts = []
    for number in range(8):
        content = dataset[number]["raw_prompt"][0]["content"]
        counts.append(sum(part["type"] == "image" for part in content) if isinstance(content, list) else 0)
    assert sorted(counts) == [0, 0, 1, 1, 2, 2, 3, 3]
