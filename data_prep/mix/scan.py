# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the first pass: make a small record of each row that passes the filters. Images are not kept."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
from tqdm import tqdm

from data_prep.core.images import BadImage
from data_prep.core.parquet import SCHEMA
from data_prep.errors import DataError
from data_prep.mix.filters import refusal
from data_prep.mix.fingerprint import Fingerprint, check_image_header, fingerprint
from data_prep.mix.recipe import Filters

COLUMNS = ["data_source", "images", "extra_info"]


@dataclass(frozen=True)
class Task:
    """Name a row group of a file."""

    path: str
    group: int


@dataclass(frozen=True)
class Record:
    """Hold the location and the fingerprint of a row. ``bytes`` is the size of its images."""

    path: str
    group: int
    row: int
    data_source: str
    id: str
    bytes: int
    print: Fingerprint | None


def tasks_of(paths: Sequence[Path]) -> list[Task]:
    """Return the row groups of the files in order.

    Raises:
        DataError: a file is not parquet, or not in the layout of the dataset commands.
    """
    tasks = []
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                schema, groups = file.schema_arrow, file.num_row_groups
        except Exception as error:
            raise DataError(f"{path} is not a parquet file: {error}") from error
        if not schema.equals(SCHEMA):
            wrong = [
                f"{field.name} ({schema.field(field.name).type if field.name in schema.names else 'missing'})"
                for field in SCHEMA
                if field.name not in schema.names or not schema.field(field.name).equals(field)
            ]
            wrong += [f"{name} (unknown)" for name in schema.names if name not in SCHEMA.names]
            raise DataError(f"{path} is not made by python -m data_prep <dataset>: {', '.join(wrong)} differ")
        tasks += [Task(str(path), group) for group in range(groups)]
    return tasks


def scan_group(task: Task, filters: Filters, compare: bool, ngram: int | None) -> tuple[list[Record], Counter[str]]:
    """Return the records of a row group, and how many rows each filter refused.

    Raises:
        DataError: a row cannot be read. The message names file and row.
    """
    records, refused = [], Counter()
    with pq.ParquetFile(task.path, pre_buffer=False) as file:
        batches = file.iter_batches(batch_size=16, row_groups=[task.group], columns=COLUMNS)
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows):
            where = f"{task.path}, row group {task.group}, row {number}"
            images = [image["bytes"] for image in row["images"] or ()]
            info = row["extra_info"]
            try:
                reason = refusal(where, filters, info, [check_image_header(image) for image in images])
                if reason:
                    refused[reason] += 1
                    continue
                mark = fingerprint(info["question"] or "", images, ngram) if compare else None
            except BadImage as error:
                raise DataError(f"{where}: {error.reason}: {error}") from error
            identity = str(info["id"] if info["id"] is not None else info["index"])
            records.append(
                Record(task.path, task.group, number, row["data_source"], identity, sum(map(len, images)), mark)
            )
    return records, refused


def scan(
    name: str, paths: Sequence[Path], filters: Filters, *, compare: bool, ngram: int | None = None, workers: int = 1
) -> tuple[list[Record], Counter[str], int]:
    """Scan files in order.

    Args:
        name: label of the progress bar.
        paths: prepared parquet files.
        filters: filters to apply. Refused rows are only counted.
        compare: make fingerprints, which decodes every image.
        ngram: words of an n-gram. None compares no overlap.
        workers: number of processes. The result does not depend on it.

    Returns:
        Records, number of rows refused by each filter, and number of rows read.
    """
    tasks = tasks_of(paths)
    work = partial(scan_group, filters=filters, compare=compare, ngram=ngram)
    records: list[Record] = []
    refused: Counter[str] = Counter()
    parallel = workers > 1 and len(tasks) > 1
    pool = multiprocessing.get_context("spawn").Pool(min(workers, len(tasks))) if parallel else nullcontext()
    with pool as processes:
        results: Iterator = processes.imap(work, tasks) if parallel else map(work, tasks)
        for found, counts in tqdm(results, total=len(tasks), desc=name, unit="group", disable=not tasks):
            records += found
            refused.update(counts)
    return records, refused, len(records) + sum(refused.values())
