# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Show the images of the conversation to a cell: ``images``, and the files that ``image_paths`` names."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Sequence

from PIL import Image
from seenpixels import as_seen


class ImageList(Sequence):
    """Hold the conversation's images as the model sees them: ``images[i]``, RGB, decoded at the first use.

    The files are in the host's store, ``folder``. Links to them stand in the directory in which cells start. Each gives
    way to a file that a cell writes in its place.
    """

    def __init__(self, folder: str):
        self._folder, self._home = folder, os.getcwd()  # A cell may change the directory.
        self._files: list[str] = []
        self._paths: list[str] = []
        self._open: dict[int, Image.Image] = {}
        sys.addaudithook(self._make_way)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        try:
            index = range(len(self))[index]
        except IndexError:
            count = f"{len(self)} image{'s' * (len(self) != 1)}"
            raise IndexError(f"images[{index}]: the conversation has {count}") from None
        if index not in self._open:
            self._open[index] = as_seen(Image.open(self._files[index]))
        return self._open[index]

    def __repr__(self) -> str:
        return f"<{len(self)} images: {', '.join(self._paths)}>"

    def paths(self) -> list[str]:
        """Return a copy of the paths, because a cell may change the list."""
        return list(self._paths)

    def add(self, names: list[str]) -> None:
        """Add images that the host has stored. Where a link cannot be made, the path is that of the store."""
        for name in names:
            file, path = os.path.join(self._folder, name), os.path.join(self._home, name)
            _remove(path)  # A cell may have put a directory, a link or a pipe there.
            try:
                os.symlink(file, path)
            except OSError:  # The cell's own disk is full.
                path = file
            self._files.append(file)
            self._paths.append(path)

    def _make_way(self, event: str, arguments: tuple) -> None:
        """Remove the link that Python is about to write through, because the store is read-only."""
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            with contextlib.suppress(Exception):  # The cell may have opened a number, or changed this module.
                path = os.path.abspath(os.fsdecode(arguments[0]))
                if path in self._paths and os.path.islink(path):
                    os.unlink(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
        return
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
