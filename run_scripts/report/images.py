# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Put the images of trajectories into files beside the page."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

MAX_BYTES = 1 << 20  # Larger images of training data are shown smaller: a step may have a thousand photographs.
MAX_SIDE = 2048  # px, of those

Key = tuple[str, str]  # (data_source, index) of a row of the training data


class ImageFiles:
    """Write and link images into one directory, each once.

    Attributes:
        sizes: file name -> (width, height) in pixels of the original; None where the file is no image.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.sizes: dict[str, tuple[int, int] | None] = {}
        self._linked: dict[tuple[Path, Any], str] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def link(self, root: Path, name: Any) -> str | None:
        """Link a file of an evaluation, or copy it to another disk; return its name, or None if it is not there."""
        if (root, name) in self._linked:
            return self._linked[root, name]
        source = root / str(name)
        if not source.resolve().is_relative_to(root.resolve()) or not source.is_file():
            return None
        self._linked[root, name] = source.name
        if source.name not in self.sizes:
            self.sizes[source.name] = _size(source)
            target = self.directory / source.name
            target.unlink(missing_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
        return source.name

    def write(self, data: bytes) -> str:
        """Write an image of the training data and return its name."""
        image = Image.open(io.BytesIO(data))
        size, suffix = image.size, {"JPEG": "jpg"}.get(image.format or "", (image.format or "png").lower())
        shrink = len(data) > MAX_BYTES and max(size) > MAX_SIDE
        name = f"{hashlib.sha256(data).hexdigest()[:16]}.{'jpg' if shrink else suffix}"
        if name not in self.sizes:
            self.sizes[name] = size
            if shrink:
                image.thumbnail((MAX_SIDE, MAX_SIDE))
                image.convert("RGB").save(self.directory / name, quality=85)
            else:
                (self.directory / name).write_bytes(data)
        return name


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        return None


class TrainingImages:
    """Find the images of training questions in parquet files, by ``data_source`` and ``extra_info.index``.

    Args:
        files: the run's ``data.train_files``; those that do not exist are passed over.
    """

    def __init__(self, files: Sequence[Path], into: ImageFiles):
        import pyarrow.parquet as pq

        self._into = into
        self._files = [pq.ParquetFile(path) for path in files if path.exists()]
        self._places: dict[Key, tuple[int, int, int]] = {}  # -> (file, row group, row of the group)
        self._names: dict[Key, list[str]] = {}
        for number, file in enumerate(self._files):
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=["data_source", "extra_info.index"]).to_pylist()
                for i, row in enumerate(rows):
                    self._places[row["data_source"], str(row["extra_info"]["index"])] = (number, group, i)

    def names(self, keys: Iterable[Key]) -> Mapping[Key, list[str]]:
        """Return the file names of the questions' images; those that are not in the data are left out."""
        groups: dict[tuple[int, int], list[tuple[int, Key]]] = {}
        for key in set(keys) & self._places.keys() - self._names.keys():
            number, group, i = self._places[key]
            groups.setdefault((number, group), []).append((i, key))
        for (number, group), rows in groups.items():
            images = self._files[number].read_row_group(group, columns=["images"])["images"]
            for i, key in rows:
                found = [image["bytes"] for image in images[i].as_py() or () if image.get("bytes")]
                self._names[key] = [self._into.write(data) for data in found]
        return self._names
