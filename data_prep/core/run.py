# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare a dataset: resumable shards, one parquet file per part, a manifest and a contact sheet."""

from __future__ import annotations

import glob
import json
import multiprocessing
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.core.build import DUPLICATE, LEFT_OUT, BuildOptions, ShardResult, build_shard, read_result
from data_prep.core.contact_sheet import write_contact_sheet
from data_prep.core.files import read_json, write_json
from data_prep.core.load import Loaded, load_part
from data_prep.core.lock import end_with_parent, sole_writer
from data_prep.core.manifest import MANIFEST, code_digest, differences, sha256, versions
from data_prep.core.parquet import join
from data_prep.core.spec import Dataset, Part
from data_prep.errors import DataError, OptionError

SHARDS = ".shards"
FEW_ROWS = 20  # in a part with fewer rows, one bad row is a large share


@dataclass(frozen=True)
class RunOptions:
    """Say how a dataset is read and written; see ``python -m data_prep <dataset> --help``."""

    output: Path
    parts: tuple[str, ...]
    source: str | None = None
    revision: str | None = None
    limit: int | None = None
    workers: int = 1
    shard_rows: int = 256
    sheet_rows: int = 12
    cache_dir: str | None = None
    max_dropped: float = 0.2
    build: BuildOptions = field(default_factory=BuildOptions)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def find_duplicates(dataset: Dataset, data: Any) -> frozenset[int]:
    """Return the numbers of source rows that repeat the id of an earlier row. Read the id columns only."""
    if not dataset.id_columns:
        return frozenset()
    seen: set[str] = set()
    again = []
    columns = data.select_columns([name for name in dataset.id_columns if name in data.column_names])
    for number, row in enumerate(columns):
        row_id = dataset.row_id(row, number)
        if row_id in seen:
            again.append(number)
        seen.add(row_id)
    return frozenset(again)


def prepare(dataset: Dataset, options: RunOptions) -> dict[str, Any]:
    """Make all requested parts.

    Returns:
        The manifest. A part is kept if an earlier run made it from the same source with the same options.

    Raises:
        DataError: the source cannot be used, a row is bad with ``on_error="stop"``, a part has no rows or more bad rows
            than ``max_dropped`` allows, or another run writes to the directory.
        OptionError: the source is bad, or one file stands for several parts.
    """
    source = options.source or ""
    local = Path(source).expanduser()
    if len(options.parts) > 1 and (local.is_file() or (glob.has_magic(source) and not local.exists())):
        raise OptionError("--split", f"{source} has the rows of one part: name it, not {', '.join(options.parts)}")
    with sole_writer(options.output):
        return _prepare(dataset, options)


def _prepare(dataset: Dataset, options: RunOptions) -> dict[str, Any]:
    path = options.output / MANIFEST
    old = read_json(path) or {}
    same_dataset = old.get("dataset") == dataset.name
    if old and not same_dataset:
        raise DataError(f"{options.output} holds {old.get('dataset')!r}: choose another directory for {dataset.name}")
    manifest = {
        "dataset": dataset.name,
        "licence": dataset.licence,
        "data_source": dataset.data_source,
        "versions": versions(),
        "parts": dict(old.get("parts", {})),
    }
    for name in options.parts:
        entry = _prepare_part(dataset, name, options, manifest["parts"].get(name))
        manifest["parts"][name] = entry
        write_json(path, manifest)
    files = {name: options.output / entry["file"] for name, entry in manifest["parts"].items()}
    write_contact_sheet(
        options.output / "contact_sheet.html", dataset.name, files, rows=options.sheet_rows, seed=options.build.seed
    )
    return manifest


def _identity(dataset: Dataset, part: Part, loaded: Loaded, options: RunOptions) -> dict[str, Any]:
    """Return all that decides the bytes of a part. Workers and directories do not."""
    identity = {
        "source": loaded.source,
        "revision": loaded.revision,
        "fingerprint": loaded.fingerprint,
        "hub_id": part.hub_id,
        "config": part.config,
        "split": part.split,
        "limit": options.limit,
        "shard_rows": options.shard_rows,
        "code": code_digest(dataset.rows),
        **asdict(options.build),
    }
    return json.loads(json.dumps(identity, default=str))  # as it will be read back


def _prepare_part(dataset: Dataset, name: str, options: RunOptions, old: Mapping[str, Any] | None) -> dict[str, Any]:
    part = dataset.parts[name]
    if dataset.select_part:
        part = dataset.select_part(part, options.build.params)
    loaded = load_part(
        dataset,
        name,
        part,
        source=options.source,
        revision=options.revision,
        cache_dir=options.cache_dir,
        options=options.build.params,
    )
    identity = _identity(dataset, part, loaded, options)
    target = options.output / f"{name}.parquet"
    if old and old["options"] == identity and target.is_file() and sha256(target) == old["sha256"]:
        _say(f"{dataset.name}/{name}: already made with these options, kept")
        return dict(old)
    folder = _shard_folder(dataset, name, options, identity)
    total = len(loaded.data) if options.limit is None else min(options.limit, len(loaded.data))
    spans = [range(at, min(at + options.shard_rows, total)) for at in range(0, total, options.shard_rows)]
    shards = [folder / f"shard-{number:05d}.parquet" for number in range(len(spans))]
    _build_missing(dataset, name, loaded, spans, shards, options)

    results = [read_result(shard) for shard in shards]
    ids = [row_id for result in results for row_id in result.ids]
    if repeated := [row_id for row_id, count in Counter(ids).items() if count > 1]:
        raise DataError(f"{dataset.name}/{name}: several rows have the id {repeated[0]!r}")
    dropped = sum((result.dropped for result in results), Counter())
    _check_losses(f"{dataset.name}/{name}", results, total, options.max_dropped)
    if not ids:
        raise DataError(f"{dataset.name}/{name}: no row is left of {total}; dropped: {dict(dropped)}{_first(results)}")
    rows = join(shards, target)
    named: dict[str, list[str]] = {}
    for result in results:
        for reason, row_ids in result.dropped_ids.items():
            named.setdefault(reason, []).extend(row_ids)
    entry = {
        "file": target.name,
        "sha256": sha256(target),
        "bytes": target.stat().st_size,
        "rows_in": total,
        "rows_in_source": len(loaded.data),
        "rows_expected": part.rows,
        "rows_out": rows,
        "dropped": dict(sorted(dropped.items())),
        "dropped_ids": {reason: row_ids[:50] for reason, row_ids in sorted(named.items())},
        "options": identity,
    }
    shutil.rmtree(folder)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    text = ", ".join(f"{count} {reason}" for reason, count in entry["dropped"].items()) or "none"
    _say(f"{dataset.name}/{name}: {rows} rows of {total}, dropped: {text}")
    if isinstance(part.rows, int) and len(loaded.data) != part.rows:
        _say(f"{dataset.name}/{name}: the source has {len(loaded.data)} rows, its card says {part.rows}")
    return entry


def _first(results: Sequence[ShardResult], reason: str | None = None) -> str:
    """Return the end of a message about the first dropped row, or an empty text if there are no details."""
    for result in results:
        for found, detail in result.details.items():
            if detail and reason in (None, found):
                return f". The first, id {result.dropped_ids[found][0]}: {detail}"
    return ""


def _check_losses(where: str, results: Sequence[ShardResult], total: int, limit: float) -> None:
    """Refuse a part that lost many rows to one reason: the source or its reader is wrong, not single rows.

    Raises:
        DataError: names the reason. The shards stay, so that a rerun with a higher limit only joins them.
    """
    dropped = sum((result.dropped for result in results), Counter())
    for reason, count in dropped.most_common():
        if total >= FEW_ROWS and reason not in (DUPLICATE, LEFT_OUT) and count > limit * total:
            raise DataError(
                f"{where}: {count} of {total} rows dropped: {reason}{_first(results, reason)}. This exceeds "
                f"--max-dropped {limit:g}. --max-dropped 1 keeps the remaining rows without repeating the work"
            )


def _shard_folder(dataset: Dataset, name: str, options: RunOptions, identity: Mapping[str, Any]) -> Path:
    """Return the directory of the shards. Empty it if they were made with other options."""
    folder = options.output / SHARDS / name
    state = folder / "state.json"
    if folder.exists() and (old := read_json(state)) != identity:
        why = differences(old, identity) if old else "no record of its options"
        _say(f"{dataset.name}/{name}: unfinished shards are from other options ({why}); starting anew")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(state, identity)
    return folder


def _build_missing(
    dataset: Dataset, name: str, loaded: Loaded, spans: Sequence[range], shards: Sequence[Path], options: RunOptions
) -> None:
    todo = [
        (s, p) for s, p in zip(spans, shards, strict=True) if not (p.is_file() and p.with_suffix(".json").is_file())
    ]
    done = sum(map(len, spans)) - sum(len(span) for span, _ in todo)
    if done:
        _say(f"{dataset.name}/{name}: going on after {len(shards) - len(todo)} finished shards ({done} rows)")
    duplicates = find_duplicates(dataset, loaded.data) if todo else frozenset()
    bar = tqdm(total=sum(map(len, spans)), initial=done, desc=f"{dataset.name}/{name}", unit="row")
    with bar:
        if options.workers == 1 or len(todo) < 2:
            for span, path in todo:
                bar.update(build_shard(dataset, name, loaded, span, duplicates, options.build, path))
            return
        # A forked process may hang because Arrow has threads, so workers are spawned.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(options.workers, len(todo)), context, initializer=end_with_parent) as pool:
            jobs = [
                pool.submit(build_shard, dataset, name, loaded, span, duplicates, options.build, path)
                for span, path in todo
            ]
            try:
                for job in as_completed(jobs):
                    bar.update(job.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
