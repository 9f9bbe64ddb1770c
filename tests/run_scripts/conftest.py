# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-VL directories of the true dimensions that hold a configuration and no weights."""

import pytest

SIZES = {
    "2b": {"hidden": 2048, "layers": 28, "intermediate": 6144, "heads": 16, "tied": True, "vision": (1024, 4096, 24)},
    "4b": {"hidden": 2560, "layers": 36, "intermediate": 9728, "heads": 32, "tied": True, "vision": (1024, 4096, 24)},
    "8b": {"hidden": 4096, "layers": 36, "intermediate": 12288, "heads": 32, "tied": False, "vision": (1152, 4304, 27)},
}


@pytest.fixture(scope="session")
def model_dirs(tmp_path_factory):
    """Return size -> directory with ``config.json``."""
    from transformers import Qwen3VLConfig

    root = tmp_path_factory.mktemp("models")
    for name, size in SIZES.items():
        width, inner, depth = size["vision"]
        vision = {"hidden_size": width, "intermediate_size": inner, "depth": depth, "out_hidden_size": size["hidden"]}
        text = {
            "hidden_size": size["hidden"],
            "num_hidden_layers": size["layers"],
            "intermediate_size": size["intermediate"],
            "num_attention_heads": size["heads"],
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
            "tie_word_embeddings": size["tied"],
        }
        config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=size["tied"])
        config.save_pretrained(root / name)
    return {name: root / name for name in SIZES}


@pytest.fixture(scope="session")
def embedded_data(tmp_path_factory):
    """Return a directory with a few rows of the embedded task in each of the three files."""
    from data_prep.__main__ import main as data_prep

    folder = tmp_path_factory.mktemp("embedded")
    assert data_prep(["embedded", "--output", str(folder), "--train=8", "--val=2", "--sft=8"]) == 0
    return folder
