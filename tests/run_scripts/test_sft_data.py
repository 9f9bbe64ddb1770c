# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What ``--check`` finds in the files of supervised fine-tuning."""

import copy
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from run_scripts import sft_data
from run_scripts.check import check, compose_sft
from run_scripts.settings import TINY_MODEL, Settings, sft_overrides
from run_scripts.sft_data import sft_data_problems


def picture(width=64, height=32):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def schema(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "required": ["code"]}}}


def call(name):
    return [{"type": "function", "function": {"name": name, "arguments": "{}"}}]


ROW = {
    "messages": [
        {"role": "user", "content": "<image>\nWhich colour?", "tool_calls": None},
        {"role": "assistant", "content": "<think>\nI look.\n</think>\n\n", "tool_calls": call("image_zoom_in")},
        {"role": "tool", "content": "<image>", "tool_calls": None},
        {"role": "assistant", "content": "<think>\nRed.\n</think>\n\n<answer>red</answer>", "tool_calls": None},
    ],
    "images": [{"bytes": picture()}, {"bytes": picture()}],
    "tools": json.dumps([schema("image_zoom_in"), schema("python")]),
}


def write(path, rows, **options):
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def problems(path, *overrides, model=TINY_MODEL):
    settings = Settings.read("8b", "sft", {"DATA": str(path.parent)})
    return list(sft_data_problems(compose_sft([*sft_overrides(settings), *overrides]), str(model)))


def changed(change):
    row = copy.deepcopy(ROW)
    change(row)
    return row


def test_good_rows(tmp_path):
    one_tool = changed(lambda row: row.update(tools=[schema("image_zoom_in")]))
    assert problems(write(tmp_path / "sft.parquet", [ROW] * 3)) == []
    assert problems(write(tmp_path / "sft.parquet", [one_tool])) == []


def test_rows_of_data_prep(embedded_data):
    assert problems(embedded_data / "sft.parquet") == []


MISTAKES = {
    "role": (lambda row: row["messages"][2].update(role="function"), "have a role other than system, user, assistant"),
    "content": (lambda row: row["messages"][3].update(content=None), "have a content that is no text"),
    "no messages": (lambda row: row.update(messages=[]), "hold no list of messages"),
    "nothing to learn": (
        lambda row: row.update(messages=row["messages"][:1], images=row["images"][:1]),
        "have no assistant message",
    ),
    "images": (lambda row: row["images"].pop(), "have other numbers of <image> and images (row 2: 2 and 1)"),
    "bytes": (
        lambda row: row["images"][1].update(bytes=b"no picture"),
        "have an image that cannot be read (row 2: image 1)",
    ),
    "tools": (lambda row: row.update(tools='{"name": "python"}'), "have tools that are no list of schemas"),
    "unlisted": (
        lambda row: row["messages"][1].update(tool_calls=call("tavily-search")),
        "call a tool that their prompt does not list (row 2: 'tavily-search'; listed: image_zoom_in, python)",
    ),
    "unlisted, as text": (
        lambda row: row["messages"][1].update(content='<tool_call>{"name": "zoom", "arguments": {}}</tool_call>'),
        "call a tool that their prompt does not list (row 2: 'zoom';",
    ),
}


@pytest.mark.parametrize("change, message", MISTAKES.values(), ids=MISTAKES)
def test_a_bad_row_is_one_line_with_its_number(change, message, tmp_path):
    bad = changed(change)
    path = write(tmp_path / "sft.parquet", [ROW, ROW, bad, ROW, bad])
    (line,) = problems(path)
    assert line.startswith(f"data.train_files: {path}: 2 of 5 rows ") and message in line
    assert "python -m data_prep sft-openai" in line


def test_files(tmp_path):
    path = tmp_path / "sft.parquet"
    assert "does not exist; write it with python -m data_prep" in problems(path)[0]
    path.write_text("no parquet")
    assert "is no parquet file" in problems(path)[0]
    write(path, [{"conversations": "x"}])
    assert "has no column 'messages', only conversations" in problems(path)[0]
    write(path, [{**ROW, "talk": ROW["messages"]}])
    assert problems(path, "data.messages_key=talk") == []
    assert (
        f"data.val_files: {tmp_path}/no.parquet: does not exist"
        in problems(path, f"data.val_files={tmp_path}/no.parquet")[0]
    )
    pq.write_table(pa.Table.from_pylist([ROW]).slice(0, 0), path)
    assert "has no row" in problems(path)[0]


def test_a_row_longer_than_max_length(tmp_path):
    """The longest row is named. An image counts, and without a tokenizer nothing else does."""
    long = changed(lambda row: row["messages"][3].update(content="<think>\n" + "red and blue " * 300 + "</think> a"))
    large = changed(lambda row: row["images"][0].update(bytes=picture(640, 640)))  # 400 tokens
    path = write(tmp_path / "sft.parquet", [ROW, large, long])
    (line,) = problems(path, "data.max_length=512")
    assert "row 2 has about " in line and "data.max_length is 512" in line and "raise data.max_length" in line
    assert problems(path, "data.max_length=512", model=tmp_path) == []
    (line,) = problems(path, "data.max_length=401", model=tmp_path)
    assert "row 1 has about 402 tokens" in line
    assert problems(path, "data.max_length=512", "data.truncation=left") == []
    assert problems(path, "data.max_length=4096") == []


def test_the_estimate_is_that_of_verls_dataset(embedded_data):
    from transformers import AutoProcessor

    from data_prep.sft.dataset import ToolSFTDataset

    path = embedded_data / "sft.parquet"
    processor = AutoProcessor.from_pretrained(TINY_MODEL)
    config = compose_sft(["data.pad_mode=no_padding", "data.max_length=4096", "data.enable_thinking_default=null"]).data
    dataset = ToolSFTDataset([str(path)], processor.tokenizer, config, processor)
    tokenizer = sft_data._tokenizer(str(TINY_MODEL))
    for number, row in enumerate(pq.read_table(path).to_pylist()):
        true = len(dataset[number]["input_ids"])
        assert sft_data._tokens(row, tokenizer) == pytest.approx(true, abs=32), number  # the template's own words


def test_a_large_file_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(sft_data, "ROWS", 8)
    path = write(tmp_path / "sft.parquet", [changed(lambda row: row.pop("images"))] * 64, row_group_size=2)
    (line,) = problems(path)
    assert ": 8 of 8 rows have other numbers of <image> and images" in line


def test_check_prints_it(embedded_data, model_dirs, tmp_path, capsys):
    write(tmp_path / "sft.parquet", [changed(lambda row: row["images"].pop())])
    environ = {"DATA": str(tmp_path), "MODEL": str(model_dirs["8b"]), "OUTPUT": str(tmp_path / "run")}
    assert check(Settings.read("8b", "sft", environ), []) == 1
    assert "have other numbers of <image> and images" in capsys.readouterr().out
    assert check(Settings.read("8b", "sft", {**environ, "DATA": "/nowhere"}), []) == 1
    assert capsys.readouterr().out.count("sft.parquet") == 1
