# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the time that a cell had for itself: a busy host's time does not count against the model's code."""

from __future__ import annotations

import contextlib
import os
import time

CPUCLOCK_SCHED = 2  # The CPU time of a process with all its threads, including those that have ended.

Seconds = dict[int, tuple[float, float]]  # Of each thread: seconds on a CPU, and seconds in which it waited for one.


class CellClock:
    """Measure wall time, and how much of it the code waited for a CPU that others had.

    A thread may also wait because other threads of the same interpreter have the CPUs, which is the code's own doing.
    So the CPU time of all other threads is subtracted from what a thread has waited. The result is a lower bound of the
    time in which the thread was ready and none of the interpreter's threads ran. On an idle host it is 0, whatever the
    code does. Code cannot raise it on a busy host either: the system-call filter refuses to lower a priority, to choose
    CPUs and to give them up.
    """

    def __init__(self, pid: int):
        self._pid = pid
        self.started = time.monotonic()
        self._cpu, self._threads = self._read()

    def wall(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def own(self) -> float:
        """Return the seconds since the start in which the code could run or chose to sleep."""
        return self.wall() - self.waited()

    def waited(self) -> float:
        """Return the seconds in which the code waited for others. 0.0 where the kernel does not count them."""
        cpu, threads = self._read()
        return waited_for_others(cpu - self._cpu, self._threads, threads)

    def _read(self) -> tuple[float, Seconds]:
        """Return the CPU time of the process, and the times of each thread."""
        threads: Seconds = {}
        cpu = 0.0
        with contextlib.suppress(OSError):  # The process has ended.
            cpu = time.clock_gettime(~self._pid << 3 | CPUCLOCK_SCHED)
            for thread in os.listdir(f"/proc/{self._pid}/task"):
                with contextlib.suppress(OSError, ValueError):  # The thread has ended, or nothing is counted here.
                    with open(f"/proc/{self._pid}/task/{thread}/schedstat") as file:
                        ran, waited, _ = (int(word) / 1e9 for word in file.read().split())
                    threads[int(thread)] = ran, waited
        return cpu, threads


def waited_for_others(cpu: float, before: Seconds, after: Seconds) -> float:
    """Return a lower bound of the time in which a thread was ready while no thread of its process ran.

    Args:
        cpu: seconds of CPU time that the whole process has taken meanwhile.
        before: the threads at the start. A thread that is not among them has started later.
        after: the threads at the end.
    """
    longest = 0.0
    for thread, (ran, waited) in after.items():
        ran_before, waited_before = before.get(thread, (0.0, 0.0))
        others = cpu - (ran - ran_before)
        longest = max(longest, waited - waited_before - max(0.0, others))
    return longest
