# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The one parquet schema of all datasets, a writer in bounded memory, and joining shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# verl concatenates files only if their features are the same, nested ones included.
SCHEMA = pa.schema(
    {
        "data_source": pa.string(),
        "agent_name": pa.string(),
        "prompt": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "images": pa.list_(pa.struct({"bytes": pa.binary(), "max_pixels": pa.int64(), "min_pixels": pa.int64()})),
        "ability": pa.string(),
        "reward_model": pa.struct({"style": pa.string(), "ground_truth": pa.string()}),
        "extra_info": pa.struct(
            {
                "split": pa.string(),
                "index": pa.int64(),
                "answer": pa.string(),
                "question": pa.string(),
                "need_tools_kwargs": pa.bool_(),
                "tool_selection": pa.list_(pa.string()),
                "id": pa.string(),
                "scoring": pa.string(),
                "meta": pa.string(),
            }
        ),
    }
)
GROUP_ROWS = 256
GROUP_BYTES = 32 << 20


class RowWriter:
    """Writes rows to ``<path>.partial`` and renames on success; memory is one row group.

    Args:
        path: final name.
        group_bytes: image bytes from which a row group is closed.
    """

    def __init__(self, path: Path, group_bytes: int = GROUP_BYTES):
        self.path, self.group_bytes = path, group_bytes
        self.partial = path.with_name(path.name + ".partial")
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0
        # neither a dictionary nor compression gains anything on encoded images
        self._writer = pq.ParquetWriter(self.partial, SCHEMA, use_dictionary=False, write_statistics=False)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row that has exactly the schema's keys.

        Raises:
            ValueError: another key; pyarrow would drop it without a word.
        """
        expected = {name.name for name in SCHEMA.field("extra_info").type}
        if row.keys() != set(SCHEMA.names) or row["extra_info"].keys() != expected:
            raise ValueError(f"keys {sorted(row)} / {sorted(row['extra_info'])} are not the schema's")
        self._rows.append(row)
        self._bytes += sum(len(image["bytes"]) for image in row["images"])
        if self._bytes >= self.group_bytes or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows, self._bytes = [], 0

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        if kind is None:
            self.partial.replace(self.path)
        else:
            self.partial.unlink(missing_ok=True)


def join(shards: Sequence[Path], path: Path) -> int:
    """Concatenate parquet files row group by row group.

    Returns:
        Number of rows. An older ``path`` is replaced once the new one is complete.
    """
    partial = path.with_name(path.name + ".partial")
    rows = 0
    with pq.ParquetWriter(partial, SCHEMA, use_dictionary=False, write_statistics=False) as writer:
        for shard in shards:
            with pq.ParquetFile(shard, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    writer.write_table(table)
                    rows += table.num_rows
    partial.replace(path)
    return rows
