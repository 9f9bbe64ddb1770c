# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run a notebook's cells in an interpreter of this process's pool.

``Backend`` is the interface. ``LocalBackend`` implements it here, a remote sandbox can implement it elsewhere.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from tools.sandbox.errors import SandboxError
from tools.sandbox.inside.seenpixels import as_seen, is_plain
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
        if not isinstance(image, Image.Image):
            data = Path(image).read_bytes()
            if is_plain(data):
                return os.path.splitext(image)[1].lower(), data
            image = Image.open(BytesIO(data))
        buffer = BytesIO()
        as_seen(image).save(buffer, "PNG", compress_level=1)
        return ".png", buffer.getvalue()
    except (OSError, TypeError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
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
        turn_s: seconds that a cell waits while other cells of the notebook run. Then it is not run (``not_run``).
    """

    def __init__(self, options: SandboxOptions, encode: Encode | None = None, turn_s: float = math.inf):
        self._options, self._encode, self._turn_s = options, encode or encode_image, turn_s
        self._used_s = 0.0  # Seconds of all cells so far.
        self._ends = 0  # Cells so far that ended their interpreter.
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
        ends = self._ends
        if not self._wait_for_others(cancelled):
            return CellResult(timed_out=True, not_run=True)
        try:
            self._running = cancelled
            if ends != self._ends:
                earlier = []  # A cell has ended the interpreter meanwhile, and all variables are lost.
            for _ in range(MAX_ATTEMPTS):
                if cancelled.is_set():
                    return CellResult(ended="died")  # The caller does not wait for the result.
                try:
                    result = self._attempt(pool, code, earlier, images)
                    # A cancelled cell leaves no trace, so the earlier cells bring its variables back.
                    self._ends += result.ended is not None and not cancelled.is_set()
                    return result
                # The pool ended the interpreter right before this cell, to make room for another one.
                except InterpreterEnded:
                    continue
                finally:
                    if cancelled.is_set() and self._interpreter is not None:
                        self._interpreter.close()
            raise SandboxError(
                f"{MAX_ATTEMPTS} Python interpreters in a row ended before they ran anything (out of memory?)"
            )
        finally:
            self._lock.release()

    def _wait_for_others(self, cancelled: threading.Event) -> bool:
        """Take the lock. Return False if other cells of this notebook have used up the time to wait for them."""
        limit = self._used_s + self._turn_s
        while not self._lock.acquire(timeout=0.5):
            if cancelled.is_set() or self._used_s > limit:
                return False
        if self._used_s > limit:
            self._lock.release()
            return False
        return True

    def _attempt(self, pool: Pool, code: str, earlier: list[PastCell], images: list) -> CellResult:
        fresh = self._interpreter is None or not self._interpreter.alive
        if fresh:
            self._images_sent = 0
        new = [self._encode(image) for image in images[self._images_sent :]]
        if fresh:
            try:
                self._interpreter = pool.take()
            except (IsolationError, PackageMissing, SeccompMissing) as error:
                raise SandboxError(str(error)) from error
        result = self._interpreter.run(code, earlier if fresh else [], new, self._options.code_timeout_s)
        if result.ended == "died" and not pool.running():
            raise SandboxError("the Python sandbox ended while code was running")
        self._used_s += result.seconds
        self._images_sent = len(images)
        pool.used(self._interpreter)
        if self._closed:
            self._interpreter.close()
        return result

    def close(self) -> None:
        """End the interpreter, see ``Backend``."""
        self._closed = True
        if self._interpreter is not None:
            self._interpreter.close()
