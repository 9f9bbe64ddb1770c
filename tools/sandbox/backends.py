# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a trajectory's cells run: here, in an interpreter of this process's pool. Elsewhere: `fusion.py`."""

from __future__ import annotations

import asyncio
import mmap
import threading
from typing import Protocol

from tools.images import encoded_image
from tools.sandbox.inside.walls import DISK_FILES
from tools.sandbox.jail import IsolationError
from tools.sandbox.options import PythonOptions
from tools.sandbox.pool import Pool, get_pool
from tools.sandbox.runtime import PackageMissing
from tools.sandbox.session import CellResult, Interpreter, InterpreterEnded, PastCell
from tools.sandbox.syscalls import SeccompMissing
from verl_ext.tool_calls import ToolInfrastructureError

MAX_ATTEMPTS = 3  # interpreters in a row that end before they run anything


class Backend(Protocol):
    """One trajectory's notebook."""

    async def run(self, code: str, earlier: list[PastCell], images: list) -> CellResult:
        """Run a cell behind the trajectory's earlier ones.

        Args:
            code: the cell.
            earlier: the cells whose variables it may use, in order; they are run again where those are gone.
            images: the conversation's images so far.

        Raises:
            ToolInfrastructureError: the sandbox failed.
        """

    def close(self) -> None:
        """The trajectory is over; quick."""


class LocalBackend:
    """An interpreter of this process's pool, forked at the first cell."""

    def __init__(self, options: PythonOptions):
        self._options = options
        self._lock = threading.Lock()  # calls of one turn share the namespace, one after the other
        self._interpreter: Interpreter | None = None
        self._images_sent = 0
        self._running: threading.Event | None = None  # the call whose cell holds the lock
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
        """See `Backend`."""
        pool, cancelled = self._pool(), threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool.executor, self._run, pool, code, earlier, images, cancelled)
        except asyncio.CancelledError:
            # The cell would run on, and leave variables that no later run of the earlier cells brings back.
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
                    return CellResult(ended="died")  # nobody waits for it
                try:
                    return self._attempt(pool, code, earlier, images)
                except InterpreterEnded:  # for somebody else's sake, right before this cell
                    continue
                finally:
                    if cancelled.is_set() and self._interpreter is not None:
                        self._interpreter.close()
            raise ToolInfrastructureError(
                f"{MAX_ATTEMPTS} Python interpreters in a row ended before they ran anything (out of memory?)",
                "sandbox",
            )

    def _attempt(self, pool: Pool, code: str, earlier: list[PastCell], images: list) -> CellResult:
        fresh = self._interpreter is None or not self._interpreter.alive
        if fresh:
            self._images_sent = 0
        new = [encoded_image(image) for image in images[self._images_sent :]]
        if self._options.isolation != "none":  # then the disk is in memory and the trajectory's own
            pages = sum(len(data) // mmap.PAGESIZE + 1 for _, data in new)
            if pages * mmap.PAGESIZE > self._options.disk_mb << 20 or len(new) >= DISK_FILES:
                raise self._images_do_not_fit()
        if fresh:
            try:
                self._interpreter = pool.take()
            except (IsolationError, PackageMissing, SeccompMissing) as error:
                raise ToolInfrastructureError(str(error), "sandbox") from error
        result = self._interpreter.run(code, earlier if fresh else [], new, self._options.code_timeout_s)
        if result.ended == "died" and not pool.running():
            raise ToolInfrastructureError("the Python sandbox ended while code was running", "sandbox")
        if not result.disk_full:
            self._images_sent = len(images)
        elif fresh:
            self._interpreter.close()
            if self._options.isolation == "none":
                raise self._images_do_not_fit()
            return CellResult(ended="died")  # they do fit: no interpreter of ours says this, a cell has said it
        pool.used(self._interpreter)
        if self._closed:
            self._interpreter.close()
        return result

    def _images_do_not_fit(self) -> ToolInfrastructureError:
        return ToolInfrastructureError(f"the conversation's images do not fit disk_mb={self._options.disk_mb}", "disk")

    def close(self) -> None:
        """See `Backend`."""
        self._closed = True
        if self._interpreter is not None:
            self._interpreter.close()
