# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run a notebook's cells in an interpreter of this process's pool.

``Backend`` is the interface. ``LocalBackend`` implements it here, a remote sandbox can implement it elsewhere.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from tools.sandbox.errors import SandboxError
from tools.sandbox.inside.walls import DISK_FILES
from tools.sandbox.jail import IsolationError
from tools.sandbox.options import SandboxOptions
from tools.sandbox.pool import Pool, get_pool
from tools.sandbox.runtime import PackageMissing
from tools.sandbox.session import CellResult, Interpreter, InterpreterEnded, PastCell
from tools.sandbox.syscalls import SeccompMissing

MAX_ATTEMPTS = 3  # Interpreters in a row that may end before they run anything.


Encode = Callable[[Any], tuple[str, bytes]]


def encode_image(image: Any) -> tuple[str, bytes]:
    """Return an image (PIL image or path) as a file: its suffix and its bytes.

    Raises:
        SandboxError: the image cannot be read or written.
    """
    try:
        if isinstance(image, Image.Image):
            buffer = BytesIO()
            image.save(buffer, "PNG", compress_level=1)
            return ".png", buffer.getvalue()
        return os.path.splitext(image)[1].lower(), Path(image).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise SandboxError(f"cannot read an image: {error}"[:300], "image") from error


class Backend(Protocol):
    """Define one notebook."""

    async def run(self, code: str, earlier: list[PastCell], images: list) -> CellResult:
        """Run a cell after the earlier ones.

        Args:
            code: the cell.
            earlier: the cells whose variables it may use, in order. They are executed again if those variables are
                gone.
            images: the images that the cell sees.

        Raises:
            SandboxError: the sandbox failed.
        """

    def close(self) -> None:
        """End the notebook. It returns quickly."""


class LocalBackend:
    """Run cells in an interpreter of this process's pool, forked at the first cell.

    Args:
        options: limits and packages.
        encode: turns an image into a suffix and the bytes of a file. The default is ``encode_image``.
    """

    def __init__(self, options: SandboxOptions, encode: Encode | None = None):
        self._options, self._encode = options, encode or encode_image
        self._lock = threading.Lock()  # Concurrent cells share the namespace, so they run one after the other.
        self._interpreter: Interpreter | None = None
        self._images_sent = 0
        self._running: threading.Event | None = None  # The call whose cell holds the lock.
        self._closed = False

    def _pool(self) -> Pool:
        return get_pool(
            self._options.jail(),
            spares=self._options.spares,
            threads=self._options.max_concurrency,
            max_idle=self._options.max_idle,
            max_idle_mb=self._options.max_idle_mb,
        )

    async def run(self, code: str, earlier: list[PastCell], images: list) -> CellResult:
        """Run a cell, see ``Backend``."""
        pool, cancelled = self._pool(), threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool.executor, self._run, pool, code, earlier, images, cancelled)
        except asyncio.CancelledError:
            # Otherwise the cell would continue and leave variables that a replay of the earlier cells cannot restore.
            cancelled.set()
            running = self._running
            if running is cancelled and self._interpreter is not None:
                self._interpreter.close()
            raise

    def _run(
        self, pool: Pool, code: str, earlier: list[PastCell], images: list, cancelled: threading.Event
    ) -> CellResult:
        with self._lock:
            self._running = cancelled
            for _ in range(MAX_ATTEMPTS):
                if cancelled.is_set():
                    return CellResult(ended="died")  # The caller does not wait for the result.
                try:
                    return self._attempt(pool, code, earlier, images)
                # The pool ended the interpreter right before this cell, to make room for another one.
                except InterpreterEnded:
                    continue
                finally:
                    if cancelled.is_set() and self._interpreter is not None:
                        self._interpreter.close()
            raise SandboxError(
                f"{MAX_ATTEMPTS} Python interpreters in a row ended before they ran anything (out of memory?)"
            )

    def _attempt(self, pool: Pool, code: str, earlier: list[PastCell], images: list) -> CellResult:
        fresh = self._interpreter is None or not self._interpreter.alive
        if fresh:
            self._images_sent = 0
        new = [self._encode(image) for image in images[self._images_sent :]]
        if self._options.isolation != "none":  # The disk is then in memory and belongs to this notebook.
            pages = sum(len(data) // mmap.PAGESIZE + 1 for _, data in new)
            if pages * mmap.PAGESIZE > self._options.disk_mb << 20 or len(new) >= DISK_FILES:
                raise self._images_do_not_fit()
        if fresh:
            try:
                self._interpreter = pool.take()
            except (IsolationError, PackageMissing, SeccompMissing) as error:
                raise SandboxError(str(error)) from error
        result = self._interpreter.run(code, earlier if fresh else [], new, self._options.code_timeout_s)
        if result.ended == "died" and not pool.running():
            raise SandboxError("the Python sandbox ended while code was running")
        if not result.disk_full:
            self._images_sent = len(images)
        elif fresh:
            self._interpreter.close()
            if self._options.isolation == "none":
                raise self._images_do_not_fit()
            return CellResult(ended="died")  # The images do fit, so the cell has forged this message.
        pool.used(self._interpreter)
        if self._closed:
            self._interpreter.close()
        return result

    def _images_do_not_fit(self) -> SandboxError:
        return SandboxError(f"the conversation's images do not fit disk_mb={self._options.disk_mb}", "disk")

    def close(self) -> None:
        """End the interpreter, see ``Backend``."""
        self._closed = True
        if self._interpreter is not None:
            self._interpreter.close()
