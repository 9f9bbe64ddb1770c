# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write SFT rows: one parquet file, and a manifest that counts dropped rows by reason."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from data_prep.core.files import write_json
from data_prep.core.lock import sole_writer
from data_prep.core.manifest import sha256, versions
from data_prep.core.parquet import RowWriter
from data_prep.core.spec import Drop
from data_prep.errors import DataError
from data_prep.sft.conversation import Tools

OUTPUT = "sft.parquet"
MANIFEST = "manifest.json"
NAMED_DROPS = 50
GROUP_ROWS = 64
_CALL = pa.struct({"type": pa.string(), "function": pa.struct({"name": pa.string(), "arguments": pa.string()})})
_FIELDS = {
    "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string(), "tool_calls": pa.list_(_CALL)})),
    "images": pa.list_(pa.struct({"bytes": pa.binary()})),
    "extra_info": pa.struct(
        {"split": pa.string(), "index": pa.int64(), "id": pa.string(), "source": pa.string(), "calls": pa.int64()}
    ),
}


def tools_column(tools: Tools) -> Any:
    """Return the value of the ``tools`` column.

    A single tool is stored unchanged, and verl's own dataset class reads it. Several tools are stored as JSON for
    ``data_prep.sft.dataset.ToolSFTDataset``, because a parquet list has one type: each tool would get the arguments of
    the others as nulls, and the prompt would show them. verl's class refuses such a file.
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
    """Convert items and write the usable ones.

    Args:
        items: (id, source row).
        convert: converts (row number, id, source row) to a row or raises ``Drop``.
        tools: tools that prompts list.
        output: directory.
        facts: entries of the manifest about the source.
        total: number of items, for the progress bar.
        check: is called with the number of rows and the drop reasons before the file appears. It may raise.

    Returns:
        The manifest.

    Raises:
        DataError: no row is left, or another run writes to the directory.
    """
    with sole_writer(output):
        value = tools_column(tools)
        schema = pa.schema({**_FIELDS, "tools": pa.array([value]).type})
        path = output / OUTPUT
        dropped: Counter[str] = Counter()
        named: dict[str, list[str]] = {}
        read = 0
        with RowWriter(path, schema, group_rows=GROUP_ROWS) as writer:
            for row_id, item in tqdm(items, total=total, desc=str(facts.get("dataset", "sft")), unit="row"):
                read += 1
                try:
                    row = convert(writer.count, row_id, item)
                except Drop as error:
                    dropped[error.reason] += 1
                    if len(named.setdefault(error.reason, [])) < NAMED_DROPS:
                        named[error.reason].append(f"{row_id}: {error.detail}" if error.detail else row_id)
                    continue
                writer.write({**row, "tools": value})
            if check is not None:
                check(read, dropped)
            if not writer.count:
                reasons = "; ".join(f"{rows[0]} ({reason})" for reason, rows in named.items())
                raise DataError(f"no row is left of {read}; dropped: {dict(dropped)}; such as {reasons or 'none'}")
        manifest = {
            **facts,
            "versions": versions(),
            "file": OUTPUT,
            "sha256": sha256(path),
            "rows_in": read,
            "rows_out": writer.count,
            "dropped": dict(sorted(dropped.items())),
            "dropped_rows": dict(sorted(named.items())),
            "tools": [schema["function"]["name"] for schema in tools.schemas],
        }
        write_json(output / MANIFEST, manifest)
        reasons = ", ".join(f"{count} {reason}" for reason, count in manifest["dropped"].items()) or "none"
        print(f"{path}: {writer.count} rows of {read}, dropped: {reasons}", file=sys.stderr, flush=True)
        return manifest
