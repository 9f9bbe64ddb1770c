# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Share a rate limit between all processes of one machine through a file."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
import time
from pathlib import Path
from weakref import WeakKeyDictionary

from pyrate_limiter import Rate, RateItem, SQLiteBucket

from verl_ext.tool_calls import ToolInfrastructureError

MARGIN_S = 0.005  # Clocks are read in milliseconds.


class RateLimit:
    """Admit at most ``requests`` in any ``period_s`` seconds, over all processes that use the same tool name and file.

    The file must be on a local disk, because SQLite's journal does not work over a network.

    Raises:
        ValueError: the file cannot be opened.
    """

    def __init__(self, name: str, path: str, requests: int, period_s: float = 60.0):
        self.name, self.requests, self.period_s = name, requests, period_s
        file = Path(path).expanduser()
        table = f"requests_{hashlib.sha256(name.encode()).hexdigest()[:16]}"  # Two tools may use one file.
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._bucket = SQLiteBucket.init_from_file(
                [Rate(requests, round(period_s * 1000))], table=table, db_path=str(file), use_file_lock=True
            )
        except (OSError, sqlite3.Error) as error:
            raise ValueError(f"rate_limit_path: cannot open {path}: {error}") from error
        self._lock = threading.Lock()  # The file lock works between processes, this lock between threads.
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def acquire(self, deadline_s: float) -> float:
        """Wait for a turn.

        Returns:
            Seconds waited.

        Raises:
            ToolInfrastructureError: of kind ``"rate_limit"`` if there is no turn within ``deadline_s`` seconds. It is
                raised as soon as that is certain.
        """
        # Only one caller at a time reads the file, and the others queue behind it. They keep their order and need no
        # threads.
        queue = self._queues.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        started = time.monotonic()
        try:
            async with asyncio.timeout(deadline_s) as limit, queue:
                while wait := await asyncio.to_thread(self._try):
                    if time.monotonic() - started + wait > deadline_s:
                        raise self._no_turn(deadline_s)
                    await asyncio.sleep(wait)
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._no_turn(deadline_s) from None
        except (OSError, sqlite3.Error) as error:
            raise ToolInfrastructureError(f"{self.name}: rate limit: {error}", "rate_limit") from error
        return time.monotonic() - started

    def _no_turn(self, deadline_s: float) -> ToolInfrastructureError:
        allowed = f"{self.requests} requests in {self.period_s:g} s"
        return ToolInfrastructureError(f"{self.name}: no turn within {deadline_s:.3g} s at {allowed}", "rate_limit")

    def _try(self) -> float:
        """Take a turn. Return 0.0, or the seconds until the next attempt can succeed."""
        # The library's Limiter is not used, because it sleeps in threads and leaves one of them running.
        bucket = self._bucket
        with self._lock, bucket.lock:
            item = RateItem("request", bucket.now())
            bucket.leak(item.timestamp)
            if bucket.put(item):
                return 0.0
            return max(bucket.waiting(item) / 1000, 0.0) + MARGIN_S
