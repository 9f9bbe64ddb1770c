# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write parquet files in bounded memory, and define the one schema of all datasets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.core.files import replacing

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
GROUP_BYTES = 32 << 20


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema, *, encode: bool = False) -> Iterator[pq.ParquetWriter]:
    """Yield a writer of a file that replaces ``path`` once the block has ended without an error.

    Args:
        path: final name.
        schema: column types.
        encode: use dictionaries and statistics. They do not reduce the size of encoded images.
    """
    with replacing(path) as partial:
        with pq.ParquetWriter(partial, schema, use_dictionary=encode, write_statistics=encode) as writer:
            yield writer


class RowWriter:
    """Write rows to a parquet file, with one row group in memory. Use it in a ``with`` statement.

    Args:
        path: final name. The file appears there when the block has ended without an error.
        schema: column types. None takes them from the first row group.
        group_rows: rows in a row group.
        group_bytes: image bytes at which a row group is closed.
    """

    def __init__(
        self, path: Path, schema: pa.Schema | None = SCHEMA, *, group_rows: int = 256, group_bytes: float = GROUP_BYTES
    ):
        self.path, self.schema, self.group_rows, self.group_bytes = path, schema, group_rows, group_bytes
        self.count = 0
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            ValueError: the row's keys are not the schema's. pyarrow would drop other keys silently.
        """
        if self.schema is not None:
            expected = {field.name for field in self.schema.field("extra_info").type}
            if row.keys() != set(self.schema.names) or row["extra_info"].keys() != expected:
                raise ValueError(f"keys {sorted(row)} / {sorted(row['extra_info'])} are not the schema's")
        self._rows.append(row)
        self.count += 1
        self._bytes += sum(len(image["bytes"]) for image in row.get("images", ()))
        if self._bytes >= self.group_bytes or len(self._rows) >= self.group_rows:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = pa.Table.from_pylist(self._rows, schema=self._writer.schema if self._writer else None)
            if self._writer is None:
                self._open(table.schema, encode=True)
            self._writer.write_table(table)
        self._rows, self._bytes = [], 0

    def _open(self, schema: pa.Schema, encode: bool = False) -> None:
        self._writer = self._stack.enter_context(parquet_writer(self.path, schema, encode=encode))

    def __enter__(self) -> RowWriter:
        if self.schema is not None:
            self._open(self.schema)
        return self

    def __exit__(self, kind: type | None, *rest: Any) -> None:
        if kind is None:
            with self._stack:  # if the last row group cannot be written, the file does not appear
                self._flush()
        self._stack.__exit__(kind, *rest)


def write_parquet(rows: Iterable[Mapping[str, Any]], path: str | Path, *, rows_per_group: int = 256) -> int:
    """Stream rows to a parquet file, with one row group in memory. The directory is created.

    Args:
        rows: rows with the same keys.
        path: file to write. It replaces an older file once it is complete.
        rows_per_group: rows per parquet row group.

    Returns:
        Number of rows written.

    Raises:
        ValueError: there is no row.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with RowWriter(path, None, group_rows=rows_per_group, group_bytes=math.inf) as writer:
        for row in rows:
            writer.write(row)
        if not writer.count:
            raise ValueError(f"no rows for {path}")
    return writer.count


def join(shards: Sequence[Path], path: Path) -> int:
    """Concatenate parquet files, one row group at a time, and return the number of rows."""
    rows = 0
    with parquet_writer(path, SCHEMA) as writer:
        for shard in shards:
            with pq.ParquetFile(shard, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    writer.write_table(table)
                    rows += table.num_rows
    return rows
