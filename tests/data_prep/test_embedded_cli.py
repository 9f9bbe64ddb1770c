# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m data_prep embedded``: files, splits, proportions, errors."""

import io
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.embedded import cli
from data_prep.embedded.scene import SceneConfig, make_scene, scene_rng
from data_prep.embedded.sft import BEFORE_CALL, PolicyRates, embedded_sft_row

SMALL = ["--grid", "2", "--image-size", "256"]


def prepare(folder, *options):
    main(["embedded", "--output", str(folder), *SMALL, *options])
    return {path.stem: pq.read_table(path).to_pylist() for path in sorted(folder.glob("*"))}


def test_writes_rows_in_verl_layout(tmp_path):
    files = prepare(tmp_path / "new" / "folder", "--train", "6", "--val", "3", "--kinds", "colour,count,glyph")
    assert {name: len(rows) for name, rows in files.items()} == {"train": 6, "val": 3}
    for rows in files.values():
        for index, row in enumerate(rows):
            info = row["extra_info"]
            assert row["data_source"] == f"axpo/embedded_{info['kind']}" and row["agent_name"] == "axpo_tool_agent"
            assert row["reward_model"] == {"style": "rule", "ground_truth": info["answer"]}
            assert row["prompt"][0]["content"] == f"<image>\n{info['question']}"
            assert info["index"] == index and info["tool_selection"] == ["image_zoom_in"]
            (image,) = row["images"]
            assert Image.open(io.BytesIO(image["bytes"])).size == (256, 256) and image["max_pixels"] == 64 * 64
            x1, y1, x2, y2 = info["target_box"]
            assert info["contents"][y1 // 500][x1 // 500] == info["answer"]


def test_seed_makes_rows_and_splits_share_no_image(tmp_path):
    options = ["--train", "8", "--val", "8", "--sft", "8"]
    one, same = prepare(tmp_path / "one", *options), prepare(tmp_path / "same", *options)
    other, longer = prepare(tmp_path / "other", *options, "--seed", "1"), prepare(tmp_path / "longer", "--train", "12")
    assert one == same and one["train"] == longer["train"][:8]
    images = [row["images"][0]["bytes"] for files in (one, other) for s in ("train", "val") for row in files[s]]
    assert len(set(images)) == 32


def test_text_rows_have_no_image_and_the_python_tool_finds_their_answer(tmp_path):
    files = prepare(tmp_path / "one", "--text", "--train", "200", "--val", "5")
    assert files == prepare(tmp_path / "same", "--text", "--train", "200", "--val", "5")
    rows = files["train"] + files["val"]
    for row in rows:
        info, (turn,) = row["extra_info"], row["prompt"]
        assert row["images"] == [] and "<image>" not in turn["content"] and info["tool_selection"] == ["python"]
        start, steps, add = map(int, re.search(r"with (\d+)\. Do this (\d+) .* add (\d+),", turn["content"]).groups())
        for _ in range(steps):
            start = (start**2 + add) % 9973
        assert str(start % 10) == row["reward_model"]["ground_truth"] == info["answer"]
        assert row["data_source"] == "axpo/embedded_text" and f"{info['hint']}." in turn["content"]
    hints = [row["extra_info"]["hint"] == row["reward_model"]["ground_truth"] for row in rows]
    assert 0.65 < np.mean(hints) < 0.85
    assert {row["reward_model"]["ground_truth"] for row in rows} == set("0123456789")
    assert len({row["prompt"][0]["content"] for row in rows}) == len(rows)  # the splits share none


def test_image_in_two_splits_is_an_error(monkeypatch):
    monkeypatch.setattr(cli, "scene_rng", lambda seed, split, index: scene_rng(seed, "train", index))
    splits = cli.Splits(SceneConfig(256, 2), ("colour",), 0)
    list(splits.scenes("train", 3))
    with pytest.raises(RuntimeError, match="row 0 of val shows an image of train"):
        list(splits.scenes("val", 3))


@pytest.mark.parametrize(
    "tool_rate, box_accuracy, guess_accuracy", [(0.3, 0.32, 0.75), (1.0, 1.0, 0.5), (0.0, 0.5, 1.0)]
)
def test_sft_proportions_are_the_parameters(tool_rate, box_accuracy, guess_accuracy):
    count, config = 300, SceneConfig(256, 2, guess_accuracy)
    rows = [
        embedded_sft_row(
            make_scene("colour", config, scene_rng(0, "sft", i)),
            i,
            PolicyRates(tool_rate, box_accuracy),
            scene_rng(0, "sft", i, stream=1),
            tools=[],
        )["extra_info"]
        for i in range(count)
    ]
    calls = [r for r in rows if r["used_tool"]]
    guesses = [r for r in rows if not r["used_tool"]]

    def close(hits, of, rate):
        return not of or abs(sum(hits) / len(of) - rate) <= 4 * np.sqrt(rate * (1 - rate) / len(of))

    assert close([r["used_tool"] for r in rows], rows, tool_rate)
    assert close([r["right_box"] for r in calls], calls, box_accuracy)
    assert close([r["right_answer"] for r in guesses], guesses, guess_accuracy)
    assert all(r["right_box"] == r["right_answer"] for r in calls)


def test_sft_conversation_is_what_tool_and_loop_would_make():
    config = SceneConfig()
    scene = make_scene("colour", config, scene_rng(0, "sft", 0))
    row = embedded_sft_row(scene, 0, PolicyRates(1.0, 0.0), scene_rng(0, "sft", 0, stream=1), tools=[])
    assert [m["role"] for m in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    first, reply, last = (m["content"] for m in row["messages"][1:])
    assert first.startswith(f"<think>\n{BEFORE_CALL['colour']}\n</think>\n\n<tool_call>\n")
    call = json.loads(first.split("<tool_call>")[1].split("</tool_call>")[0])
    x1, y1, x2, y2 = call["arguments"]["bbox_2d"]
    assert call["name"] == "image_zoom_in" and [x1, y1, x2, y2] != scene.box(scene.target)
    assert reply == f"<image>Image 1: the region [{x1}, {y1}, {x2}, {y2}] of image 0."
    crop = Image.open(io.BytesIO(row["images"][1]["bytes"]))
    assert crop.size == (128, 128) and np.array_equal(crop, scene.crop((y1 // 250, x1 // 250)))
    assert last.endswith(f"<answer>{scene.contents[y1 // 250][x1 // 250]}</answer>")
    assert not any(character.isdigit() for character in BEFORE_CALL["colour"])


@pytest.mark.parametrize(
    "options, named",
    [
        (["--train", "-1"], "--train"),
        (["--train", "0", "--val", "0"], "--train"),
        (["--kinds", "colour,taste"], "--kinds"),
        (["--kinds", ""], "--kinds"),
        (["--tool-rate", "2"], "--tool-rate"),
        (["--box-accuracy", "-0.1"], "--box-accuracy"),
        (["--guess-accuracy", "7"], "--guess-accuracy"),
        (["--image-size", "300"], "--image-size"),
        (["--grid", "1"], "--grid"),
        (["--seed", "-3"], "--seed"),
        (["--sft", "1", "--tool-config", "nothing"], "--tool-config"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(tmp_path, capsys, options, named):
    with pytest.raises(SystemExit) as stop:
        prepare(tmp_path / "out", *options)
    assert stop.value.code == 2 and named in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_help_lists_datasets_and_options(capsys):
    for arguments, expected in ((["--help"], "embedded"), (["embedded", "--help"], "--box-accuracy")):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0 and expected in capsys.readouterr().out
