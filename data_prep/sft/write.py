# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Writing SFT rows: one parquet file, and a manifest that counts what was left out and why."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_prep.core.lock import sole_writer
from data_prep.core.manifest import sha256, versions, write_json
from data_prep.core.spec import Drop
from data_prep.errors import DataError
from data_prep.sft.conversation import Tools

OUTPUT = "sft.parquet"
MANIFEST = "manifest.json"
NAMED_DROPS = 50
GROUP_ROWS, GROUP_BYTES = 64, 32 << 20
_CALL = pa.struct({"type": pa.string(), "function": pa.struct({"name": pa.string(), "arguments": pa.string()})})
_FIELDS = {
    "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string(), "tool_calls": pa.list_(_CALL)})),
    "images": pa.list_(pa.struct({"bytes": pa.binary()})),
    "extra_info": pa.struct(
        {"split": pa.string(), "index": pa.int64(), "id": pa.string(), "source": pa.string(), "calls": pa.int64()}
    ),
}


def tools_column(tools: Tools) -> Any:
    """Value of the ``tools`` column.

    One tool is stored as it is, which verl's own dataset class reads. Several cannot be: a parquet list has one type,
    so each tool would get the others' arguments as nulls, and the prompt would show them. They are stored as JSON, for
    ``data_prep.sft.dataset.ToolSFTDataset``; verl's class refuses such a file.
    """
    return tools.schemas if len(tools.schemas) == 1 else json.dumps(tools.schemas, ensure_ascii=False)


def write_sft(
    items: Iterable[tuple[str, Any]],
    convert: Callable[[int, str, Any], dict[str, Any]],
    tools: Tools,
    output: Path,
    facts: Mapping[str, Any],
    *,
    total: int | None = None,
    check: Callable[[int, Counter[str]], None] | None = None,
) -> dict[str, Any]:
    """Convert items and write those that can be used.

    Args:
        items: (id, source row).
        convert: number of the row, id and source row to a row; raises ``Drop``.
        tools: what prompts list.
        output: folder.
        facts: entries of the manifest that the source knows.
        total: number of items, for the progress bar.
        check: called with rows read and reasons after the last row, before the file is put in place; may raise.

    Returns:
        The manifest.

    Raises:
        DataError: no row is left, or another run writes to the folder.
    """
    with sole_writer(output):
        return _write_sft(items, convert, tools, output, facts, total, check)


def _write_sft(
    items: Iterable[tuple[str, Any]],
    convert: Callable[[int, str, Any], dict[str, Any]],
    tools: Tools,
    output: Path,
    facts: Mapping[str, Any],
    total: int | None,
    check: Callable[[int, Counter[str]], None] | None,
) -> dict[str, Any]:
    value = tools_column(tools)
    schema = pa.schema({**_FIELDS, "tools": pa.array([value]).type})
    path, partial = output / OUTPUT, output / (OUTPUT + ".partial")
    dropped: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    group: list[dict[str, Any]] = []
    read = written = size = 0
    try:
        with pq.ParquetWriter(partial, schema, use_dictionary=False, write_statistics=False) as writer:
            for row_id, item in tqdm(items, total=total, desc=str(facts.get("dataset", "sft")), unit="row"):
                read += 1
                try:
                    row = convert(written, row_id, item)
                except Drop as error:
                    dropped[error.reason] += 1
                    if len(named.setdefault(error.reason, [])) < NAMED_DROPS:
                        named[error.reason].append(f"{row_id}: {error.detail}" if error.detail else row_id)
                    continue
                group.append({**row, "tools": value})
                written += 1
                size += sum(len(image["bytes"]) for image in row["images"])
                if len(group) >= GROUP_ROWS or size >= GROUP_BYTES:
                    writer.write_table(pa.Table.from_pylist(group, schema=schema))
                    group, size = [], 0
            if group:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
        if check is not None:
            check(read, dropped)
        if not written:
            reasons = "; ".join(f"{rows[0]} ({reason})" for reason, rows in named.items())
            raise DataError(f"no row is left of {read}; dropped: {dict(dropped)}; such as {reasons or 'none'}")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    manifest = {
        **facts,
        "versions": versions(),
        "file": OUTPUT,
        "sha256": sha256(path),
        "rows_in": read,
        "rows_out": written,
        "dropped": dict(sorted(dropped.items())),
        "dropped_rows": dict(sorted(named.items())),
        "tools": [schema["function"]["name"] for schema in tools.schemas],
    }
    write_json(output / MANIFEST, manifest)
    reasons = ", ".join(f"{count} {reason}" for reason, count in manifest["dropped"].items()) or "none"
    print(f"{path}: {written} rows of {read}, dropped: {reasons}", file=sys.stderr, flush=True)
    return manifest
