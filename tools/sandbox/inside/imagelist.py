# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Show the images of the conversation to a cell: ``images``, and the files that ``image_paths`` names."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Sequence

from pictures import as_rgb
from PIL import Image

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ImageList(Sequence):
    """Hold the conversation's images as the model sees them: ``images[i]``, RGB, decoded at the first use."""

    def __init__(self):
        self._paths: list[str] = []
        self._folder = os.getcwd()  # A cell may change the directory.
        self._open: dict[int, Image.Image] = {}
        self._unwritten: dict[int, tuple[bytes, str]] = {}  # The bytes, and why they were not written.

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index not in self._open:
            kept = self._unwritten.get(index)
            self._open[index] = as_rgb(Image.open(io.BytesIO(kept[0]) if kept else self._paths[index]))
        return self._open[index]

    def __repr__(self) -> str:
        return f"<{len(self)} images: {', '.join(self._paths)}>"

    def paths(self) -> list[str]:
        """Return a copy of the paths, because a cell may change the list."""
        return list(self._paths)

    def add(self, images: list[tuple[str, bytes]]) -> bool:
        """Write more images (suffix, file) to the disk. If the disk is full, write none and return False.

        An image that cannot be written for another reason, such as too many open files, is kept in memory until it can.
        """
        for index, (data, _) in list(self._unwritten.items()):
            self._write(index, data)
        before = len(self._paths)
        for suffix, data in images:
            self._paths.append(os.path.join(self._folder, f"image_{len(self._paths)}{suffix}"))
            if not self._write(len(self._paths) - 1, data):
                for path in self._paths[before:]:
                    _remove(path)
                del self._paths[before:]
                for index in range(before, before + len(images)):
                    self._unwritten.pop(index, None)
                return False
        return True

    def problems(self) -> list[str]:
        """Return one line for each image without a file."""
        return [f"image_paths[{i}] cannot be written: {why}" for i, (_, why) in self._unwritten.items()]

    def _write(self, index: int, data: bytes) -> bool:
        """Write one image. Return False if the disk has no room for it."""
        path = self._paths[index]
        _remove(path)  # A cell may have put a directory, a link or a pipe there.
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with open(file, "wb") as stream:
                stream.write(data)
        except OSError as error:
            _remove(path)  # Leave no partial image.
            self._unwritten[index] = (data, error.strerror)
            return error.errno not in FULL
        self._unwritten.pop(index, None)
        return True


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
        return
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
