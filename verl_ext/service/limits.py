# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Bound the concurrency and the duration of calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from verl_ext.tool_calls import ToolInfrastructureError


class Gate:
    """Admit at most ``max_concurrency`` calls of this process at a time and give each ``timeout_s`` seconds.

    Time in the queue does not count against ``timeout_s``. The queue has its own limit of ``queue_timeout_s`` seconds,
    because a backend that hangs must not block a batch for ever. Exceeding either limit is an infrastructure failure.
    """

    def __init__(self, name: str, *, max_concurrency: int, timeout_s: float, queue_timeout_s: float):
        self.name = name
        self.max_concurrency, self.timeout_s, self.queue_timeout_s = max_concurrency, timeout_s, queue_timeout_s
        # A semaphore belongs to one event loop, but a tool may serve several loops one after the other.
        self._semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def run(self, work: Callable[[], Awaitable[Any]], on_start: Callable[[float], None] | None = None) -> Any:
        """Await ``work()`` within the limits.

        Args:
            work: starts the work.
            on_start: receives the seconds that the call spent in the queue.

        Raises:
            ToolInfrastructureError: of kind ``"queue"`` or ``"deadline"``.
        """
        semaphore = self._semaphores.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.max_concurrency))
        queued = time.monotonic()
        try:
            async with asyncio.timeout(self.queue_timeout_s):
                await semaphore.acquire()
        except TimeoutError as error:
            raise ToolInfrastructureError(
                f"{self.name}: no free slot within queue_timeout_s={self.queue_timeout_s:g} "
                f"(max_concurrency={self.max_concurrency})",
                "queue",
            ) from error
        try:
            if on_start is not None:
                on_start(time.monotonic() - queued)
            async with asyncio.timeout(self.timeout_s) as deadline:
                return await work()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise ToolInfrastructureError(
                f"{self.name}: no answer within timeout_s={self.timeout_s:g}", "deadline"
            ) from error
        finally:
            semaphore.release()
