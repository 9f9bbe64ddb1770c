# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One deadline and concurrency mechanism for all tools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from verl_ext.tool_calls import ToolInfrastructureError


class Gate:
    """Lets `max_concurrency` calls of this process in at a time, and gives each `timeout_s` seconds from then on.

    The wait before does not count against the call, but it ends too, after `queue_timeout_s`: a backend that hangs
    must not hold up a batch for ever. Both end in `ToolInfrastructureError`: neither is the model's fault.
    """

    def __init__(self, name: str, *, max_concurrency: int, timeout_s: float, queue_timeout_s: float):
        self.name = name
        self.max_concurrency, self.timeout_s, self.queue_timeout_s = max_concurrency, timeout_s, queue_timeout_s
        # a semaphore belongs to one event loop; a tool may serve several, one after the other
        self._semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def run(self, work: Callable[[], Awaitable[Any]], on_start: Callable[[float], None] | None = None) -> Any:
        """Await `work()` within the limits; `on_start` is told how many seconds it had to wait.

        Raises:
            ToolInfrastructureError: of kind "queue" or "deadline".
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
