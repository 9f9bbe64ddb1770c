# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hand out samples with a bounded number in flight, try failed ones again, and say how far it is."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from run_scripts.evaluation.record import OK, Sample

GIVE_UP = 32  # samples whose first attempt failed, in a row, after which something is down for good


class EvaluationError(RuntimeError):
    """Raised if an evaluation cannot go on; what is finished is on the disk."""


@dataclass(frozen=True)
class Task:
    """Name a sample to make."""

    benchmark: str
    question: str
    row: int
    sample: int


async def drive(
    tasks: Iterable[Task],
    run: Callable[[Task], Awaitable[Sample]],
    finished: Callable[[Sample], None],
    *,
    in_flight: int,
    attempts: int = 2,
) -> int:
    """Run all tasks.

    Args:
        tasks: in the order in which they start.
        run: makes one sample. It returns failures as samples.
        finished: is given each sample once, as it ends: a good one, or the failure of the last attempt.
        in_flight: number of samples at a time.
        attempts: for each sample. A failed one is tried again when all others have been started.

    Returns:
        Number of samples that failed in all attempts.

    Raises:
        EvaluationError: the first attempts of ``GIVE_UP`` samples in a row, or of as many as are in flight, failed.
    """
    waiting = deque((task, 1) for task in tasks)
    running: dict[asyncio.Future, tuple[Task, int]] = {}
    failed, in_a_row = 0, 0
    try:
        while waiting or running:
            while waiting and len(running) < in_flight:
                task, attempt = waiting.popleft()
                running[asyncio.ensure_future(run(task))] = task, attempt
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                task, attempt = running.pop(future)
                sample = future.result()
                if attempt == 1:
                    in_a_row = 0 if sample.status == OK else in_a_row + 1
                if sample.status != OK and attempt < attempts:
                    waiting.append((task, attempt + 1))
                else:
                    failed += sample.status != OK
                    finished(sample)
                if in_a_row >= max(GIVE_UP, in_flight):
                    raise EvaluationError(
                        f"{in_a_row} samples in a row could not be finished, the last one because of {sample.error}; "
                        "mend that and give the same command again, which goes on from here"
                    )
    finally:
        for future in running:
            future.cancel()
    return failed


class Progress:
    """Print a line of throughput and time left, every few seconds.

    Args:
        done: samples that an earlier start has finished.
        total: samples of the evaluation.
        every: seconds between lines.
    """

    def __init__(self, done: int, total: int, every: float = 15.0, out: TextIO | None = None):
        self._done, self._total, self._every = done, total, every
        self._out = sys.stderr if out is None else out
        self._started = self._printed = time.monotonic()
        self._new = self._tokens = self._failed = 0

    def add(self, sample: Sample) -> None:
        """Count a finished sample."""
        self._new += 1
        self._tokens += sample.generated_tokens
        self._failed += sample.status != OK
        if time.monotonic() - self._printed >= self._every or self._done + self._new == self._total:
            self._printed = time.monotonic()
            print(self.line(self._printed - self._started), file=self._out, flush=True)

    def line(self, seconds: float) -> str:
        """Return the line after so many seconds."""
        rate = self._new / max(seconds, 1e-9)
        left = (self._total - self._done - self._new) / rate if rate else 0.0
        failed = f", {self._failed} infrastructure failures" if self._failed else ""
        return (
            f"{self._done + self._new}/{self._total} samples, {rate:.2f} samples/s, "
            f"{self._tokens / max(seconds, 1e-9):.0f} generated tokens/s, {_duration(left)} left{failed}"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
