# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Copy parquet files whose row groups are too large to be read at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from data_prep.core.parquet import parquet_writer

LARGE_GROUP = 128 << 20  # bytes; ``datasets`` holds a row group in memory about twice
ROWS = 16


def in_small_groups(file: Path, cache_dir: str | None) -> Path:
    """Return the file, or a copy with 16 rows per row group if one of its groups exceeds 128 MiB.

    ``datasets`` decodes a row group as a whole, whatever the batch size, and HR-Bench has row groups of gigabytes.
    ``iter_batches`` reads page by page.

    Args:
        file: parquet file.
        cache_dir: directory of the copies. Default: the cache of ``datasets``.
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
    with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as source:
        with parquet_writer(copy, source.schema_arrow) as writer:
            for batch in source.iter_batches(batch_size=ROWS, use_threads=False):
                writer.write_batch(batch)
    return copy
