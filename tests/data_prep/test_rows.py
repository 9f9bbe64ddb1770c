# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The shared row builder."""

import pyarrow.parquet as pq
import pytest

from data_prep.core.parquet import write_parquet
from data_prep.rows import image_entry, rl_row

ROW = {
    "data_source": "axpo/x",
    "question": "Why?",
    "images": [image_entry(b"a"), image_entry(b"b")],
    "ground_truth": "so",
    "split": "train",
    "index": 3,
    "ability": "math",
    "tools": {"python": {}},
}


def test_placeholders_are_put_in_front_once():
    assert rl_row(**ROW)["prompt"] == [{"role": "user", "content": "<image>\n<image>\nWhy?"}]
    inline = rl_row(**{**ROW, "question": "<image> or <image>?"})
    assert inline["prompt"][0]["content"] == "<image> or <image>?"
    with pytest.raises(ValueError, match="1 placeholders, 2 images"):
        rl_row(**{**ROW, "question": "<image>?"})


def test_system_turn_and_tool_arguments():
    row = rl_row(**{**ROW, "system": "Be brief.", "tools": {"python": {"timeout": 3}, "image_zoom_in": {}}})
    assert [m["role"] for m in row["prompt"]] == ["system", "user"]
    info = row["extra_info"]
    assert info["tools_kwargs"] == {"python": {"create_kwargs": {"timeout": 3}}} and info["need_tools_kwargs"]
    assert info["tool_selection"] == ["python", "image_zoom_in"]
    assert not rl_row(**ROW)["extra_info"]["need_tools_kwargs"]


def test_extra_must_not_hide_standard_keys():
    with pytest.raises(ValueError, match="answer"):
        rl_row(**ROW, extra={"answer": "other"})


def test_parquet_in_groups_and_only_whole_files(tmp_path):
    path = tmp_path / "deep" / "rows.parquet"
    assert write_parquet(({"i": i} for i in range(7)), path, rows_per_group=3) == 7
    assert pq.read_table(path)["i"].to_pylist() == list(range(7)) and pq.ParquetFile(path).num_row_groups == 3

    def broken():
        yield {"i": 1}
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_parquet(broken(), path, rows_per_group=1)
    assert pq.read_table(path).num_rows == 7
    with pytest.raises(ValueError, match="no rows"):
        write_parquet([], tmp_path / "empty.parquet")
