# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Load a part with ``datasets`` from the Hub, or from a local copy in any of the usual forms."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.core.regroup import in_small_groups
from data_prep.core.schema import check_columns, kind_of
from data_prep.core.spec import Dataset, Part
from data_prep.errors import DataError, OptionError

if TYPE_CHECKING:
    import datasets

READ_ROWS = 16  # rows that are decoded together while a source is converted to memory-mapped Arrow
_FORMATS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Loaded:
    """Hold the memory-mapped rows of one part.

    Attributes:
        data: the declared columns. Images are not decoded.
        source: Hub id or path.
        revision: commit on the Hub, or None for local data.
        fingerprint: changes when the source does.
        root: directory of relative image paths.
    """

    data: datasets.Dataset
    source: str
    revision: str | None
    fingerprint: str
    root: Path | None


def load_part(
    dataset: Dataset,
    name: str,
    part: Part,
    *,
    source: str | None = None,
    revision: str | None = None,
    cache_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Loaded:
    """Load one part and check its columns.

    Args:
        dataset: the description.
        name: the part's name.
        part: location of the part.
        source: another Hub id, or a local directory (a clone, parquet or JSON files, ``save_to_disk``), file or
            pattern. A directory may hold the repositories of several parts under their names.
        revision: commit, branch or tag on the Hub.
        cache_dir: directory of the converted data. Default: the cache of ``datasets``.
        options: the dataset's own options.

    Raises:
        DataError: the part cannot be loaded, or a column is missing or has another type.
        OptionError: ``source`` is neither a path nor a Hub id.
    """
    source = source or part.hub_id
    local = Path(source).expanduser()
    where = f"{dataset.name}, part {name} of {source}"
    try:
        if local.exists() or glob.has_magic(source):
            found = _local(dataset, name, part, local, cache_dir, options or {})
        elif _HUB_ID.fullmatch(source):
            found = _hub(dataset, name, part, source, revision, cache_dir, options or {})
        else:
            raise OptionError("--source", f"{source} does not exist and is not a Hub id")
    except (DataError, OptionError):
        raise
    except Exception as error:  # ``datasets`` and the Hub client raise many types
        raise DataError(
            f"{where}: cannot be loaded ({type(error).__name__}: {error}). --source takes a local copy"
        ) from error
    present = check_columns(where, found.data.features, dataset.columns)
    data = _undecoded(found.data.select_columns(present))
    return Loaded(data, found.source, found.revision, found.fingerprint, found.root)


def _undecoded(data: datasets.Dataset) -> datasets.Dataset:
    from datasets import Image, List

    for column, feature in data.features.items():
        if isinstance(feature, Image):
            data = data.cast_column(column, Image(decode=False))
        elif kind_of(feature) == "list[image]" and isinstance(getattr(feature, "feature", None), Image):
            data = data.cast_column(column, List(Image(decode=False)))
    return data


def _parquet_options() -> dict[str, Any]:
    # Without these options a row group is read at once, and some repositories have row groups of gigabytes.
    import pyarrow.dataset as ds

    scan = ds.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=1 << 20, pre_buffer=False)
    return {"batch_size": READ_ROWS, "fragment_scan_options": scan}


def _hub(
    dataset: Dataset, name: str, part: Part, hub_id: str, revision: str | None, cache_dir: str | None, options: Mapping
) -> Loaded:
    import datasets
    import huggingface_hub

    try:
        commit = huggingface_hub.HfApi().dataset_info(hub_id, revision=revision).sha
    except Exception:  # Offline, a cached copy may exist. If it does not, ``load_dataset`` raises.
        commit = revision
    # ``load_dataset`` would take all files of a repository for one split, so the part's file is downloaded alone.
    if part.loose or part.data_file:
        wanted = None if part.loose else [part.data_file]
        folder = Path(
            huggingface_hub.snapshot_download(hub_id, repo_type="dataset", revision=commit, allow_patterns=wanted)
        )
        if part.data_file and not (folder / part.data_file).is_file():
            raise DataError(f"{dataset.name}, part {name}: {hub_id} at {commit or 'main'} has no {part.data_file}")
        loaded = _local(dataset, name, part, folder, cache_dir, options)
        return Loaded(loaded.data, hub_id, commit, loaded.fingerprint, loaded.root)
    arguments = {"split": part.split, "revision": commit, "cache_dir": cache_dir}
    try:
        data = datasets.load_dataset(hub_id, part.config, **arguments, **_parquet_options())
    except (ValueError, TypeError) as error:
        if "batch_size" not in str(error):  # only the parquet reader has these options
            raise
        data = datasets.load_dataset(hub_id, part.config, **arguments)
    return Loaded(data, hub_id, commit, data._fingerprint, None)


def _local(
    dataset: Dataset, name: str, part: Part, path: Path, cache_dir: str | None, options: Mapping[str, Any]
) -> Loaded:
    import datasets

    if path.is_dir() and (path / part.hub_id.split("/")[-1]).is_dir():
        path = path / part.hub_id.split("/")[-1]
    root = path if path.is_dir() else path.parent
    if path.is_dir() and dataset.index and (rows := dataset.index(path, name, options)) is not None:
        if not rows:
            raise DataError(f"{dataset.name}, part {name}: {path} holds no rows")
        return Loaded(datasets.Dataset.from_list(rows), str(path), None, _stamp(path, path.rglob("*")), root)
    if path.is_dir() and ((path / "state.json").is_file() or (path / "dataset_dict.json").is_file()):
        data = datasets.load_from_disk(str(path))
        if isinstance(data, datasets.DatasetDict):
            if part.split not in data:
                raise DataError(f"{dataset.name}: no split {part.split!r} in {path}, only {sorted(data)}")
            data = data[part.split]
        return Loaded(data, str(path), None, data._fingerprint, root)
    files = _files(dataset, name, part, path)
    kind = _FORMATS[files[0].suffix]
    extra, readable = {}, files
    if kind == "parquet":
        extra, readable = _parquet_options(), [in_small_groups(file, cache_dir) for file in files]
    data = datasets.load_dataset(
        kind, data_files=[str(f) for f in readable], split="train", cache_dir=cache_dir, **extra
    )
    return Loaded(data, str(path), None, _stamp(root, files), root)


def _files(dataset: Dataset, name: str, part: Part, path: Path) -> list[Path]:
    """Find the data files of a part in a directory, by their names or by the configuration of the card."""
    if path.is_file() or not path.is_dir():
        files = [path] if path.is_file() else [Path(f) for f in sorted(glob.glob(str(path)))]
        if not files or any(f.suffix not in _FORMATS for f in files):
            raise OptionError("--source", f"{path}: no file of the kinds {', '.join(_FORMATS)}")
        return files
    if part.data_file:
        if not (path / part.data_file).is_file():
            raise DataError(f"{dataset.name}, part {name}: {path / part.data_file} does not exist")
        return [path / part.data_file]
    if card := _files_of_card(path, part):
        return card
    for suffix in _FORMATS:
        files = sorted(f for f in path.rglob(f"*{suffix}") if f.name not in ("dataset_info.json", "state.json"))
        # The split is a whole word of the path: "test" differs from "testmini", "variant1" from "variant10".
        word = re.compile(rf"(?<![a-z0-9]){re.escape(part.split.lower())}(?![a-z0-9])")
        if named := [f for f in files if word.search(str(f.relative_to(path)).lower())]:
            return named
        if len(files) == 1 and len(dataset.parts) == 1:
            return files
        if files:
            names = ", ".join(str(f.relative_to(path)) for f in files[:8])
            raise DataError(f"{dataset.name}, part {name}: no file named after split {part.split!r} in {path}: {names}")
    raise DataError(f"{dataset.name}, part {name}: no {', '.join(_FORMATS)} file in {path}")


def _files_of_card(path: Path, part: Part) -> list[Path]:
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData
    from huggingface_hub.repocard import DatasetCard

    if not (path / "README.md").is_file():
        return []
    data: DatasetCardData = DatasetCard.load(path / "README.md").data
    configs = MetadataConfigs.from_dataset_card_data(data)
    config = configs.get(part.config or "default") or (next(iter(configs.values())) if len(configs) == 1 else None)
    if not config or not isinstance(config.get("data_files"), list):
        return []
    patterns: list[str] = []
    for entry in config["data_files"]:
        if isinstance(entry, dict) and entry.get("split") == part.split:
            patterns += [entry["path"]] if isinstance(entry["path"], str) else entry["path"]
    return sorted(f for pattern in patterns for f in path.glob(pattern) if f.suffix in _FORMATS)


def _stamp(root: Path, files: Any) -> str:
    """Hash names, sizes and modification times. Contents are not read, because sources may have gigabytes."""
    digest = hashlib.sha256()
    for file in sorted(f for f in files if f.is_file()):
        stat = file.stat()
        digest.update(f"{file.relative_to(root)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]
