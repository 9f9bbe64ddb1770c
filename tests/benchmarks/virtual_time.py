# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""An event loop with virtual time: its clock jumps to the next timer whenever nothing else is ready.

Simulated hours take as long as their callbacks need. The result depends on the program alone, never on the machine's
load.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Advance a clock by the time that the loop asks to wait, and return at once."""

    now = 0.0

    def select(self, timeout: float | None = None):
        if timeout is None:
            raise RuntimeError("deadlock in virtual time: no callback is ready and no timer is set")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Run callbacks as asyncio's loop does. ``time()`` starts at 0 and moves only from timer to timer.

    Threads and sockets would answer after no virtual time at all, so a simulation must not use them.
    """

    def __init__(self):
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time, as ``asyncio.run`` does in real time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
