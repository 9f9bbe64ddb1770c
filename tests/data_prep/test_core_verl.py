# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Every produced file in verl's own dataset, with the shipped tiny processor; all of them together."""

import asyncio
from pathlib import Path

import pytest

from data_prep.core.parquet import RowWriter
from data_prep.rows import PROMPT_MAX_PIXELS, PROMPT_MIN_PIXELS, image_entry, rl_row
from verl_ext.cpu.bootstrap import install

install()  # before anything imports torchvision
transformers = pytest.importorskip("transformers")
pytest.importorskip("verl")
CHECKPOINT = Path(__file__).resolve().parents[2] / "run_scripts" / "tiny_model" / "checkpoint"


@pytest.fixture(scope="module")
def processor():
    return transformers.AutoProcessor.from_pretrained(CHECKPOINT)


@pytest.fixture(scope="module")
def load(processor, tmp_path_factory):
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    cache = str(tmp_path_factory.mktemp("verl"))

    def loaded(files, most_tokens=2048):
        config = OmegaConf.create(
            {
                "cache_dir": cache,
                "max_prompt_length": most_tokens,
                "filter_overlong_prompts": True,
                "return_raw_chat": True,
                "filter_overlong_prompts_workers": None,
            }
        )
        return RLHFDataset([str(file) for file in files], processor.tokenizer, config, processor)

    return loaded


def test_all_files_load_together_and_alone_match_their_images(benchmarks, load, processor, table):
    files = sorted(benchmarks.glob("*/*.parquet"))
    assert len(files) == 2 + 10 + 1 + 1 + 3 + 1 + 1 + 1 + 1
    rows = [row for file in files for row in table(file)]
    dataset = load(files)
    assert len(dataset) == len(rows)  # no row failed in verl's own processing, which drops such rows
    for i, row in enumerate(rows):
        item = dataset[i]
        system, user = item["raw_prompt"]
        assert isinstance(system["content"], str) or [part["type"] for part in system["content"]] == ["text"]
        parts = user["content"]
        shown = [] if isinstance(parts, str) else [part for part in parts if part["type"] != "text"]
        assert [part["type"] for part in shown] == ["image"] * len(row["images"])
        assert item["extra_info"]["tool_selection"] == row["extra_info"]["tool_selection"]
        assert item["data_source"] == row["data_source"] and item["tools_kwargs"] == {}
        text = processor.apply_chat_template(item["raw_prompt"], add_generation_prompt=True, tokenize=False)
        assert text.count("<|image_pad|>") == len(row["images"])


def test_verl_shows_images_within_the_limits_and_keeps_the_original(load, jpeg, tmp_path):
    """A large photograph, a small drawing, and one without limits, as `RLHFDataset` and the agent loop read them."""
    limits = {"max_pixels": PROMPT_MAX_PIXELS, "min_pixels": PROMPT_MIN_PIXELS}
    sizes = {(3000, 2000): (1728, 1152), (64, 48): (320, 224)}  # multiples of 32
    with RowWriter(tmp_path / "rows.parquet") as writer:
        for index, (size, given) in enumerate([*((size, limits) for size in sizes), ((3000, 2000), {})]):
            images = [image_entry(jpeg(*size), **given)]
            extra = {"id": str(index), "scoring": "{}", "meta": "{}"}
            writer.write(
                rl_row(
                    data_source="axpo/x",
                    question="Why?",
                    images=images,
                    ground_truth="so",
                    split="train",
                    index=index,
                    ability="math",
                    tools={"image_zoom_in": {}},
                    extra=extra,
                )
            )
    dataset = load([tmp_path / "rows.parquet"], most_tokens=20_000)
    for index, (size, shown) in enumerate([*sizes.items(), ((3000, 2000), (3008, 1984))]):
        messages = dataset[index]["raw_prompt"]
        (image,), _, _ = asyncio.run(
            type(dataset).process_multi_modal_info(messages, image_patch_size=16, config=dataset.config)
        )
        assert messages[0]["content"][0]["image"].size == size and image.size == shown


def test_each_file_loads_alone(benchmarks, load, table):
    for name in ("mathvision/test", "math_vr/test", "mmsearch/end2end"):
        file = benchmarks / f"{name}.parquet"
        assert len(load([file])) == len(table(file))
