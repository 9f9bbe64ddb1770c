# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare several datasets in one command, and list all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from data_prep.core.cli import run_options
from data_prep.core.options import output_directory
from data_prep.errors import DataError, OptionError
from data_prep.registry import REGISTRY, load_dataset_spec


def list_datasets() -> str:
    """Return names, Hub ids, rows and licences as a table."""
    table = [("name", "Hub id", "rows", "licence")]
    for name in REGISTRY:
        dataset = load_dataset_spec(name)
        ids = ", ".join(dict.fromkeys(part.hub_id for part in dataset.parts.values()))
        counts = [part.rows for part in dataset.parts.values()]
        rows = f"{len(counts)} x {counts[0]}" if len(counts) > 1 and len(set(counts)) == 1 else ""
        table.append((name, ids, rows or " + ".join(map(str, counts)), dataset.licence))
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def _source_of(root: str | None, name: str) -> str | None:
    if root is None:
        return None
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise OptionError("--source", f"{root} is not a directory")
    if (folder / name).is_dir():
        return str(folder / name)
    if any((folder / part.hub_id.split("/")[-1]).is_dir() for part in load_dataset_spec(name).parts.values()):
        return str(folder)
    raise DataError(f"{name}: {root} holds no directory {name} and none named like its repository")


def run_many(args: argparse.Namespace, names: Iterable[str]) -> int:
    """Prepare datasets into ``--output``/<name>. A failing dataset does not stop the others.

    Returns:
        0, or 1 if a dataset failed. The last lines on stderr name the failed datasets.

    Raises:
        OptionError: an option is wrong for all datasets.
    """
    from data_prep.core.run import prepare

    failed, root = {}, args.output
    output_directory(root)
    for name in names:
        dataset = load_dataset_spec(name)
        mine = argparse.Namespace(**{**vars(args), "output": root / name})
        try:
            mine.source = _source_of(args.source, name)
            prepare(dataset, run_options(mine, dataset))
        except OptionError:
            raise
        except Exception as error:  # the other datasets are still prepared
            failed[name] = error
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    for name, error in failed.items():
        print(f"failed: {name}: {error}", file=sys.stderr)
    return int(bool(failed))
