# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search images offline: a directory of images, compared by perceptual hash."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
import tempfile
from pathlib import Path

import imagehash
import numpy as np
from filelock import FileLock
from PIL import Image

from tools.images import open_image
from verl_ext.tool_calls import ToolInfrastructureError

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # None of these decoders runs programs.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
MAX_SOURCE_PIXELS = 50_000_000  # A small file can unpack to gigabytes.
FORMAT = 1  # The number is part of an index's name.
HASH_BITS = 64


def open_picture(source, max_pixels: int = MAX_SOURCE_PIXELS) -> Image.Image | None:
    """Open an untrusted image (path or file object) as RGB. Return None if it cannot or should not be decoded."""
    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                return None
            # This affects JPEG only: large files are decoded at a fraction of their size.
            image.draft("RGB", (1024, 1024))
            image.load()  # Here and not in ``open_image``, where a slow image would delay all others.
            return open_image(image)
    except (ToolInfrastructureError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, MemoryError):
        return None
    except Exception:  # noqa: BLE001  decoders raise all sorts of errors for broken files
        return None


def perceptual_hash(image: Image.Image) -> int:
    """Return 64 bits. Similar images differ in few of them."""
    bits = imagehash.phash(image).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class _Unreadable(ValueError):
    """Raised if an image file cannot be read at this time."""


class PictureIndex:
    """Index the images of a directory and its subdirectories by hash.

    Args:
        folder: directory with files that end in one of ``SUFFIXES``. Files that cannot be decoded are skipped.
        titles: .jsonl or .csv with ``file`` (relative to ``folder``) and ``title``. Other files use their name as
            title.
        index_dir: directory for the hashes. None uses ``folder``.

    Raises:
        ValueError: a path is missing, the titles cannot be read, or the index cannot be written.
    """

    def __init__(self, folder: str, titles: str | None = None, index_dir: str | None = None):
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise ValueError(f"folder: there is no folder {folder}")
        self._titles = {} if titles is None else read_titles(Path(titles).expanduser())
        parent = self.folder if index_dir is None else Path(index_dir).expanduser()
        files = self._list()
        if not files:
            raise ValueError(f"folder: {folder} holds no picture ({', '.join(SUFFIXES)})")
        key = hashlib.sha256(
            json.dumps([FORMAT, str(self.folder.resolve()), files]).encode("utf-8", "surrogatepass")
        ).hexdigest()[:16]
        hashes = self._hashes([name for name, *_ in files], parent, parent / f".image_search-{key}.json")
        self.names = [name for name, value in hashes if value is not None]
        self.skipped = len(files) - len(self.names)
        self._values = np.array([value for _, value in hashes if value is not None], np.uint64)
        if not self.names:
            raise ValueError(f"folder: none of the {len(files)} pictures in {folder} can be read")
        if unknown := len(self._titles.keys() - set(self.names)):
            logger.warning("%d titles of %s name no picture in %s", unknown, titles, folder)
        if self.skipped:
            logger.warning("%d of %d pictures in %s cannot be read", self.skipped, len(files), folder)

    def __len__(self) -> int:
        return len(self.names)

    def search(self, image: Image.Image, num_results: int, max_distance: int) -> list[tuple[str, Path]]:
        """Return titles and paths of the nearest images, in a fixed order.

        Only images at most ``max_distance`` bits away are returned.
        """
        distances = np.bitwise_count(self._values ^ np.uint64(perceptual_hash(image)))
        nearest = np.argsort(distances, kind="stable")[:num_results]
        names = [self.names[i] for i in nearest if distances[i] <= max_distance]
        return [(self._titles.get(name, Path(name).stem), self.folder / name) for name in names]

    def _list(self) -> list[tuple[str, int, int]]:
        found = []
        for root, folders, files in os.walk(self.folder):
            folders.sort()
            for file in sorted(files):
                if file.lower().endswith(SUFFIXES):
                    path = Path(root, file)
                    try:
                        stat = path.stat()
                    except FileNotFoundError:  # The file is a dangling link.
                        logger.warning("%s is a link to nowhere", path)
                        continue
                    found.append((path.relative_to(self.folder).as_posix(), stat.st_size, stat.st_mtime_ns))
        return found

    def _hashes(self, names: list[str], parent: Path, file: Path) -> list[tuple[str, int | None]]:
        """Read the hashes from the index file. If it is missing, one process computes them, one image at a time."""
        try:
            if not file.is_file():
                parent.mkdir(parents=True, exist_ok=True)
                with FileLock(parent / ".image_search.lock"):
                    if not file.is_file():
                        logger.info("hashing %d pictures in %s", len(names), self.folder)
                        _write(file, [(name, self._hash(name)) for name in names])
            return [(name, value) for name, value in json.loads(file.read_bytes())]
        except _Unreadable:
            raise
        except OSError as error:
            raise ValueError(
                f"index_dir: cannot write the index of {self.folder} to {parent}: {error}; choose another directory"
            ) from error
        except (ValueError, TypeError) as error:
            raise ValueError(f"index_dir: {file} is damaged; delete it") from error

    def _hash(self, name: str) -> int | None:
        # An image that cannot be decoded is left out for good. One that cannot be read now (too many open files, a
        # failing disk) must not be left out.
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise _Unreadable(f"folder: cannot read {self.folder / name}: {error.strerror}") from error
        image = open_picture(io.BytesIO(data))
        return None if image is None else perceptual_hash(image)


def _write(file: Path, content: list) -> None:
    handle, temporary = tempfile.mkstemp(prefix=file.name, dir=file.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            json.dump(content, stream)
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def read_titles(path: Path) -> dict[str, str]:
    """Return titles by file name.

    Raises:
        ValueError: names the line and what is wrong with it.
    """
    titles = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                rows = ((f"row {number}", row) for number, row in enumerate(csv.DictReader(file), 2))
            else:
                rows = ((f"line {number}", json.loads(line)) for number, line in enumerate(file, 1) if line.strip())
            for where, row in rows:
                if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("file", "title")):
                    found = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
                    raise ValueError(f"{where} needs file and title, it has {found}"[:300])
                titles[Path(row["file"]).as_posix()] = row["title"]
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"titles: {path}: {error}") from error
    return titles
