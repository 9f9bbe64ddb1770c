# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compile the system-call filter of an interpreter on the host with libseccomp, from the table in ``calltable.py``."""

from __future__ import annotations

import errno
import functools
import os
import signal
import tempfile

from tools.sandbox.calltable import ALLOWED, LIMITED, NEWEST, PRETENDED, SHARED_FUTEX_WAIT, TABLE

NEXT = range(NEWEST + 1, 512)  # Later calls. Number 512 starts another table on x86-64.
INT = 0xFFFFFFFF  # The kernel reads these bits of an int. A comparison of all 64 bits could be bypassed.
LONG = 0xFFFFFFFF_FFFFFFFF

# What a thread of the C library shares with the others: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM and three that
# name addresses. CLONE_DETACHED has no effect, but musl sets it.
THREAD_FLAGS, CLONE_DETACHED, CLONE_THREAD = 0x003D0F00, 0x00400000, 0x00010000
MAP_SHARED, MAP_ANONYMOUS, MAP_HUGETLB = 0x01, 0x20, 0x40000
# MAP_PRIVATE, FIXED, 32BIT, DENYWRITE, EXECUTABLE, NORESERVE, POPULATE, NONBLOCK, STACK, FIXED_NOREPLACE.
MAP_ORDINARY = 0x02 | 0x10 | 0x40 | 0x800 | 0x1000 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x100000
FUTEX_PRIVATE, FUTEX_CLOCK = 128, 256
FUTEX_WAITS, FUTEX_WAKES = (0, 9), (1, 10)  # WAIT and WAIT_BITSET, WAKE and WAKE_BITSET.
FUTEX_PRIVATE_ONES = (*FUTEX_WAITS, *FUTEX_WAKES, 3, 4, 5)  # Also REQUEUE, CMP_REQUEUE, WAKE_OP.
F_SETFL = 4
FCNTL = (0, 1, 2, 3, 1030)  # F_DUPFD, GETFD, SETFD, GETFL, DUPFD_CLOEXEC.
# TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
IOCTL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
MADVISE = (0, 4, 8, 14, 15, 16, 17)  # NORMAL, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP.
MADV_GUARDS = (102, 103)  # The C library tries these, and needs to read that the kernel does not know them.
PRCTL = (3, 16, 21, 39)  # GET_DUMPABLE, GET_NAME, GET_SECCOMP, GET_NO_NEW_PRIVS.
CLOSE_RANGE = (0, 4)  # No flag, and CLOSE_RANGE_CLOEXEC.
FICLONE = 0x40049409
SIGCONT = int(signal.SIGCONT)

# A condition is (number of the argument, mask, value of the bits under the mask).
Condition = tuple[int, int, int]


def _one_of(argument: int, values: tuple[int, ...]) -> list[list[Condition]]:
    return [[(argument, INT, value)] for value in values]


def _not(argument: int, value: int, bits: int = 7) -> list[list[Condition]]:
    """Return conditions of which one holds if the lowest bits differ from those of a value."""
    return [[(argument, 1 << bit, ~value & 1 << bit)] for bit in range(bits)]


# call -> alternatives, each a list of conditions that must all hold. Then the call is allowed.
CONDITIONS: dict[str, list[list[Condition]]] = {
    "open": [[(1, os.O_DIRECT, 0)]],
    "openat": [[(2, os.O_DIRECT, 0)]],
    "close_range": _one_of(2, CLOSE_RANGE),
    "fcntl": [*_one_of(1, FCNTL), [(1, INT, F_SETFL), (2, os.O_ASYNC | os.O_DIRECT, 0)]],
    "ioctl": _one_of(1, IOCTL),
    "sendto": [[(4, LONG, 0)]],
    "mmap": [
        [(3, LONG & ~(MAP_ORDINARY | MAP_ANONYMOUS), 0)],
        [(3, LONG & ~(MAP_ORDINARY | MAP_SHARED), 0)],
    ],
    "madvise": _one_of(2, MADVISE),
    "clone": [[(0, INT & ~CLONE_DETACHED, THREAD_FLAGS)]],
    "futex": [[(1, INT & ~FUTEX_CLOCK, FUTEX_PRIVATE | kind)] for kind in FUTEX_PRIVATE_ONES],
    "kill": _not(1, SIGCONT),
    "tkill": _not(1, SIGCONT),
    "tgkill": _not(2, SIGCONT),
    "prctl": _one_of(0, PRCTL),
}
# Answers other than EPERM to what the conditions refuse, because a library expects them: (call, condition, error).
OTHER_ANSWERS: list[tuple[str, Condition, int]] = [
    # pthread_join waits with a shared futex, and the kernel wakes it.
    *(("futex", (1, INT & ~FUTEX_CLOCK, kind), SHARED_FUTEX_WAIT) for kind in FUTEX_WAITS),
    *(("futex", (1, INT & ~FUTEX_CLOCK, kind), 0) for kind in FUTEX_WAKES),
    *(("madvise", (2, INT, advice), errno.EINVAL) for advice in MADV_GUARDS),
    ("ioctl", (1, INT, FICLONE), errno.EOPNOTSUPP),
]

# Arguments that the conditions refuse, for the probe: (call, arguments, error). Without the filter each fails, too, but
# with another error: there is no such file, address, process or length.
EXAMPLES: list[tuple[str, tuple[int, ...], int]] = [
    ("open", (-1, os.O_DIRECT, 0), errno.EPERM),
    ("openat", (-1, -1, os.O_DIRECT, 0), errno.EPERM),
    ("close_range", (9, 8, 2), errno.EPERM),
    # Locks of three kinds, owners and signals, leases, news of directories, sizes of pipes, seals, hints.
    *(("fcntl", (-1, command, -1), errno.EPERM) for command in (5, 6, 7, 8, 10, 15, 36, 37, 38)),
    *(("fcntl", (-1, command, -1), errno.EPERM) for command in (1024, 1026, 1031, 1033, 1036, 1 << 32 | 6)),
    *(("fcntl", (-1, F_SETFL, flag), errno.EPERM) for flag in (os.O_ASYNC, os.O_DIRECT)),
    # FIOASYNC, FIOSETOWN, SIOCGIFCONF, FS_IOC_GETFLAGS, TIOCSTI.
    *(("ioctl", (-1, command, -1), errno.EPERM) for command in (0x5452, 0x8901, 0x8912, 0x80086601, 0x5412)),
    ("sendto", (-1, -1, 0, 0, -1, 16), errno.EPERM),
    *(("mmap", (0, 0, 3, flags, -1, 0), errno.EPERM) for flags in (0x21, 0x23, 0x40022, 0x40001, 0x100000022, 0x122)),
    # RANDOM, WILLNEED, REMOVE, DONTFORK, MERGEABLE, COLD, PAGEOUT, COLLAPSE.
    *(("madvise", (1, 0, advice), errno.EPERM) for advice in (1, 3, 9, 10, 12, 20, 21, 25)),
    ("clone", (CLONE_THREAD, 0, 0, 0, 0), errno.EPERM),
    *(("futex", (-1, kind, 1, 0, 0, 0), SHARED_FUTEX_WAIT) for kind in FUTEX_WAITS),
    *(("futex", (-1, kind, 1, 0, 0, 1), 0) for kind in FUTEX_WAKES),
    *(("futex", (-1, kind, 1, 0, 0, 1), errno.EPERM) for kind in (3, 4, 5, 6, 134)),  # Also LOCK_PI, private, too.
    ("kill", (INT >> 1, SIGCONT), errno.EPERM),
    ("tkill", (-1, SIGCONT), errno.EPERM),
    ("tgkill", (-1, -1, SIGCONT | 1 << 32), errno.EPERM),
    # SET_PDEATHSIG, SET_DUMPABLE, SET_NAME, SET_SECCOMP, SET_MM, SET_CHILD_SUBREAPER, SET_VMA.
    *(("prctl", (option, -1, -1, -1, -1), errno.EPERM) for option in (1, 4, 15, 22, 35, 0x53564D41)),
]
HARMFUL = ("fork", "vfork")  # Without the filter these would succeed. The probe tries them in other ways.


class SeccompMissing(RuntimeError):
    """Raised if libseccomp is not installed."""


def _library():
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise SeccompMissing(
            "libseccomp is missing: install pyseccomp (pip) and libseccomp2 (the distribution's package; "
            f"libseccomp on Fedora): {error}"
        ) from error
    return pyseccomp


@functools.cache
def compile_filter() -> bytes:
    """Return the BPF program, 8 bytes for each instruction.

    Raises:
        SeccompMissing: the library is missing. The message says what to install.
    """
    library = _library()
    rules = library.SyscallFilter(library.ERRNO(errno.EPERM))
    # Calls of 32-bit programs.
    rules.set_attr(library.Attr.ACT_BADARCH, library.ERRNO(errno.ENOSYS))

    def add(action: int, number: int, conditions: list[Condition]) -> None:
        compared = [library.Arg(argument, library.MASKED_EQ, mask, value) for argument, mask, value in conditions]
        rules.add_rule(action, number, *compared)

    for row in TABLE:
        for name in row.names():
            number = call_number(name)
            if number is None or row.answer == errno.EPERM:
                continue
            if row.answer == LIMITED:
                for conditions in CONDITIONS[name]:
                    add(library.ALLOW, number, conditions)
            elif row.answer == ALLOWED:
                add(library.ALLOW, number, [])
            else:
                add(library.ERRNO(_error(row.answer)), number, [])
    for name, condition, error in OTHER_ANSWERS:
        add(library.ERRNO(error), call_number(name), [condition])
    for number in NEXT:
        add(library.ERRNO(errno.ENOSYS), number, [])
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def call_number(name: str) -> int | None:
    """Return the number of a call, or None if this architecture, or its libseccomp, does not have it.

    A number below zero is libseccomp's own, for a call of another architecture.
    """
    library = _library()
    try:
        number = library.resolve_syscall(library.Arch.NATIVE, name)
    except ValueError:
        return None
    return number if number >= 0 else None


def refused_calls() -> list[tuple[str, int, tuple[int, ...], int]]:
    """Return calls that the filter refuses, as (name, number, arguments, error), for the probe to try."""
    found = []
    for row in TABLE:
        if row.answer not in (ALLOWED, LIMITED):
            found += [(name, (-1,) * 6, _error(row.answer)) for name in row.names() if name not in HARMFUL]
    numbered = [(name, call_number(name), arguments, error) for name, arguments, error in found + EXAMPLES]
    newer = [(f"call {number}", number, (-1,) * 6, errno.ENOSYS) for number in NEXT[:32]]
    return [call for call in numbered if call[1] is not None] + newer


def _error(answer: str | int) -> int:
    return 0 if answer == PRETENDED else int(answer)
