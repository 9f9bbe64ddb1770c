# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Parquet files whose row groups are too large to be read at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq

LARGE_GROUP = 128 << 20  # bytes; ``datasets`` holds a row group in memory about twice
ROWS = 16


def in_small_groups(file: Path, cache_dir: str | None) -> Path:
    """The file itself, or a copy of it in row groups of 16 rows if a group of it is over 128 MiB.

    Scanning a file through ``datasets`` decodes a row group as a whole, whatever the batch size, and HR-Bench keeps
    gigabytes in one; ``iter_batches`` reads page by page.

    Args:
        file: parquet.
        cache_dir: where copies are kept; the cache of ``datasets`` by default.
    """
    metadata = pq.read_metadata(file)
    if all(metadata.row_group(i).total_byte_size <= LARGE_GROUP for i in range(metadata.num_row_groups)):
        return file
    import datasets.config

    stat = file.stat()
    key = hashlib.sha256(f"{file.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()[:24]
    copy = Path(cache_dir or datasets.config.HF_DATASETS_CACHE) / "regrouped" / f"{key}.parquet"
    if copy.is_file():
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = copy.with_name(copy.name + ".partial")
    with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as source:
        with pq.ParquetWriter(partial, source.schema_arrow, use_dictionary=False, write_statistics=False) as writer:
            for batch in source.iter_batches(batch_size=ROWS, use_threads=False):
                writer.write_batch(batch)
    partial.replace(copy)
    return copy
