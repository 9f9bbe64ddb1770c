# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the second pass: write the chosen rows in random order, with a few hundred MiB of memory for any mix.

The place of each row is drawn first. Rows are then read in file order and distributed to buckets by place. Each
bucket is sorted in memory and written.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from data_prep.core.parquet import RowWriter
from data_prep.mix.scan import Record

BUCKET_BYTES = 256 << 20
MAX_BUCKETS = 256  # number of open files


def read_rows(records: Sequence[Record]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number in ``records``, row) in the order of files. Each row group is read once."""
    groups: dict[tuple[str, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, record in enumerate(records):
        groups[record.path, record.group][record.row].append(number)
    for (path, group), wanted in groups.items():
        with pq.ParquetFile(path, pre_buffer=False) as file:
            place = 0
            for batch in file.iter_batches(batch_size=16, row_groups=[group]):
                if any(place <= row < place + batch.num_rows for row in wanted):
                    rows = batch.to_pylist()
                    for offset, row in enumerate(rows):
                        for number in wanted.get(place + offset, ()):
                            yield number, row
                place += batch.num_rows


def write_mix(
    records: Sequence[Record], path: Path, seed: int, shuffle: bool = True, bucket_bytes: int = BUCKET_BYTES
) -> None:
    """Write the rows of the records.

    ``extra_info.index`` becomes the place in the mix, so it is unique. ``extra_info.id`` and ``data_source`` still name
    the origin of a row.

    Args:
        records: records in the order of sources and files. A record that occurs twice is written twice.
        path: file to write. It replaces an older file once it is complete.
        seed: seed of the order.
        shuffle: False keeps the order of the records.
        bucket_bytes: image bytes that are sorted in memory together.
    """
    order = list(range(len(records)))
    if shuffle:
        random.Random(f"{seed}/order").shuffle(order)
    places = {number: place for place, number in enumerate(order)}
    total = sum(record.bytes for record in records)
    buckets = min(MAX_BUCKETS, max(1, -(-total // bucket_bytes)), max(1, len(records)))
    per_bucket = max(1, -(-len(records) // buckets))
    with tempfile.TemporaryDirectory(prefix=".mix-", dir=path.parent) as folder:
        files = [Path(folder) / f"{number}.parquet" for number in range(buckets)]
        with ExitStack() as open_files:
            writers = [open_files.enter_context(RowWriter(file, group_bytes=1 << 20)) for file in files]
            for number, row in tqdm(read_rows(records), total=len(records), desc="write", unit="row"):
                place = places[number]
                row = {**row, "extra_info": {**row["extra_info"], "index": place}}
                writers[place // per_bucket].write(row)
        with RowWriter(path) as writer:
            for file in files:
                for row in sorted(pq.read_table(file).to_pylist(), key=lambda row: row["extra_info"]["index"]):
                    writer.write(row)
                file.unlink()
