# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Deadlines that hold even where the awaited code does not end when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class DeadlineExceeded(TimeoutError):
    """Raised when something took longer than its option allows; the message names the option."""


async def within(seconds: float, coroutine: Coroutine[Any, Any, Result], what: str, option: str) -> Result:
    """Await a coroutine for at most ``seconds``, then cancel it and go on without waiting for its end.

    ``asyncio.wait_for`` waits until the cancelled code has ended, which a tool that catches the cancellation delays
    for ever.

    Args:
        what: subject of the error, such as "session 3 of question q".
        option: option that set the limit.

    Raises:
        DeadlineExceeded: the coroutine has not returned in time.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # an abandoned error is not reported
        raise DeadlineExceeded(f"{what} took longer than {option}={seconds:g} s")
    finally:
        task.cancel()  # a task that is done ignores it
        # An error of the task refers to this frame. Without this line the frame refers back, and what the task held,
        # such as a session's images, stays until the garbage collector comes by.
        del task
