# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the conversation's images where an interpreter can read them, and only read.

Each interpreter has a file system in memory for them, which grows with the images. The host alone can write there, so a
cell can neither fill it nor change what is in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

from tools.sandbox.errors import SandboxError

_libc = ctypes.CDLL(None)


class ImageStore:
    """Hold the images of one interpreter: ``image_0.png`` and so on.

    Args:
        folder: the open directory. The store closes it.
    """

    def __init__(self, folder: int):
        self._folder: int | None = folder
        self._lock = threading.RLock()  # A garbage collection may end the interpreter in the thread that writes.
        self.names: list[str] = []
        self.size = 0  # In bytes.

    def add(self, images: list[tuple[str, bytes]]) -> list[str]:
        """Write more images (suffix, file). Return their names.

        Raises:
            SandboxError: an image cannot be written.
        """
        before = len(self.names)
        for suffix, data in images:
            name = f"image_{len(self.names)}{suffix}"
            try:
                with self._lock:
                    if self._folder is None:
                        raise SandboxError("the interpreter has ended")
                    _write(self._folder, name, data)
            except OSError as error:
                raise SandboxError(f"cannot store an image of the conversation: {error}", "disk") from error
            self.names.append(name)
            self.size += len(data)
        return self.names[before:]

    def close(self) -> None:
        """Give the images up. It may be called again."""
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            os.close(folder)

    def forget(self) -> None:
        """Close the copy in a process that the host has forked."""
        self._lock = threading.RLock()  # Another thread may have held it at the fork.
        self.close()


def _write(folder: int, name: str, data: bytes) -> None:
    with _as_owner(folder):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with open(file, "wb") as stream:
        stream.write(data)


@contextlib.contextmanager
def _as_owner(folder: int) -> Iterator[None]:
    """Create files as the owner of the directory, in this thread. An interpreter knows no other user, not even root."""
    status = os.fstat(folder)
    group, user = _libc.setfsgid(status.st_gid), _libc.setfsuid(status.st_uid)
    try:
        yield
    finally:
        _libc.setfsuid(user)
        _libc.setfsgid(group)
