# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Reap the interpreters that have ended, in the zygote, and remember which of them something outside has killed.

An interpreter is the first process of its own pid namespace. Linux ignores a SIGKILL that such a process sends to
itself, by whatever call, and a system-call filter that is already there keeps it out of seccomp's strict mode, whose
only penalty is SIGKILL. It can end by an exit status or by any other signal. One way to SIGKILL is left to it: the hard
limit on CPU time, which it may lower. The kernel compares that limit with a clock, and both can be read until the
process is reaped. All other SIGKILLs come from outside: the kernel without memory, an operator, a container's end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque

CPUCLOCK_PROF = 0  # User and system time, as the kernel counts them for RLIMIT_CPU.


class Ends:
    """Reap children and keep the pids of the last ones that were killed from outside."""

    def __init__(self):
        self._killed: deque[int] = deque(maxlen=1024)

    def watch(self) -> None:
        """Reap each child as soon as it ends."""
        signal.signal(signal.SIGCHLD, lambda *_: self._reap())

    def forget(self) -> None:
        """Give everything up in a fork, which must learn nothing about other interpreters."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._killed.clear()

    def was_killed(self, pid: int) -> bool:
        """Return True if a child has been killed from outside."""
        self._reap()
        return pid in self._killed

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                by_signal = ended.si_code == os.CLD_KILLED and ended.si_status == signal.SIGKILL
                if by_signal and not _reached_cpu_limit(ended.si_pid):
                    self._killed.append(ended.si_pid)
                os.waitpid(ended.si_pid, 0)


def _reached_cpu_limit(pid: int) -> bool:
    """Return True if a process that has ended, but is not reaped, used up its hard limit, or if that is unknown."""
    try:
        with open(f"/proc/{pid}/limits") as file:
            (hard,) = [line.split()[4] for line in file if line.startswith("Max cpu time")]
        return hard != "unlimited" and time.clock_gettime(~pid << 3 | CPUCLOCK_PROF) >= int(hard)
    except (OSError, ValueError, IndexError):
        return True
