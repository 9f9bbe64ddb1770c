# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the questions of a benchmark in the parquet files that ``python -m data_prep`` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_prep.registry import BENCHMARKS, load_dataset_spec

META_CHARS = 100  # of one value; longer ones, such as rubrics, stay in the parquet file


class BenchmarkError(ValueError):
    """Raised for a benchmark that cannot be evaluated; the message names the option and the fix."""


@dataclass(frozen=True)
class Question:
    """Name a question.

    Attributes:
        id: ``<part>/<index>``, unique in its benchmark.
        row: its place in the benchmark's files, read one after the other.
        tools: tools that the row offers.
    """

    id: str
    row: int
    tools: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """Hold a benchmark's files and the questions to ask."""

    name: str
    files: tuple[Path, ...]
    questions: tuple[Question, ...]


def find_files(text: str, data: Path) -> tuple[str, tuple[Path, ...]]:
    """Return name and parquet files of an entry of ``--benchmarks``.

    Args:
        text: a name, whose files are in ``data/<name>``, or ``name=path`` of a file or a directory.
        data: the directory of ``--data``.

    Raises:
        BenchmarkError: there are no files.
    """
    name, named, given = text.partition("=")
    if not name or "/" in name:
        raise BenchmarkError(f"--benchmarks: {text!r} is neither a name nor name=path")
    path = Path(given).expanduser() if named else data / name
    if path.is_file():
        return name, (path,)
    files = sorted(path.glob("*.parquet"))
    if not named and name in BENCHMARKS:  # a part that was prepared on request may be a subset of another
        spec = load_dataset_spec(name)
        parts = spec.default_parts or tuple(spec.parts)
        files = [file for part in parts if (file := path / f"{part}.parquet").exists()]
    if not files:
        prepare = f"write it with python -m data_prep {name} --output {path}"
        fix = prepare if name in BENCHMARKS else f"{name}=PATH names it"
        raise BenchmarkError(f"--benchmarks: {path} holds no parquet file of {name}; {fix}")
    return name, tuple(files)


def read_benchmark(name: str, files: Sequence[Path], limit: int | None = None) -> Benchmark:
    """List the questions of a benchmark.

    Args:
        files: its parquet files.
        limit: ask so many of them, a random choice that does not depend on the seed. A larger limit keeps the choice
            of a smaller one. The variants of one DynaMath question come together.

    Raises:
        BenchmarkError: two rows have the same part and index.
    """
    found: list[tuple[str, Question]] = []
    for file in files:
        for row in pq.read_table(file, columns=["extra_info"])["extra_info"].to_pylist():
            question = Question(question_id(row), len(found), tuple(row.get("tool_selection") or ()))
            found.append((str(row_meta(row).get("seed_id", question.id)), question))
    if len({question.id for _, question in found}) < len(found):
        raise BenchmarkError(f"{name}: two rows of {', '.join(map(str, files))} have the same split and index")
    if limit is not None:
        found.sort(key=lambda entry: (sha256(f"{name}/{entry[0]}".encode()).digest(), entry[1].row))
        found = sorted(found[:limit], key=lambda entry: entry[1].row)
    return Benchmark(name, tuple(files), tuple(question for _, question in found))


def question_id(extra_info: Mapping[str, Any]) -> str:
    """Return the name of a row."""
    return f"{extra_info.get('split')}/{extra_info.get('index')}"


def row_meta(extra_info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data set says of a row, short values only."""
    meta = json.loads(extra_info.get("meta") or "{}") | {"kind": extra_info.get("kind")}
    return {
        key: value
        for key, value in meta.items()
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= META_CHARS)
    }
