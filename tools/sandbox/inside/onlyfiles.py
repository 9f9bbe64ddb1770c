# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Let the standard library do without what the filter refuses: pairs of sockets, locks of files, shared memory."""

from __future__ import annotations

import asyncio.selector_events
import contextlib
import functools
import mmap
import os
import urllib.parse


def prepare() -> None:
    """Replace what needs a refused call by what does the same within one process."""
    asyncio.selector_events.BaseSelectorEventLoop._make_self_pipe = _make_self_pipe
    mmap.mmap = _mmap
    with contextlib.suppress(ImportError):
        _prepare_sqlite()
    with contextlib.suppress(ImportError):
        import dbm.dumb

        dbm._names, dbm._modules, dbm._defaultmod = ["dbm.dumb"], {"dbm.dumb": dbm.dumb}, None  # Others lock files.


class _Waker:
    """Wake an event loop that waits for files, as both ends of its pair of sockets do elsewhere."""

    def __init__(self):
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """Return the number of the open file, or -1 if it is closed."""
        return self._fd

    def send(self, data: bytes) -> int:
        """Wake the loop."""
        os.eventfd_write(self._fd, 1)
        return len(data)

    def recv(self, size: int) -> bytes:
        """Return one byte if the loop has been woken since the last call.

        Raises:
            BlockingIOError: it has not.
        """
        os.eventfd_read(self._fd)
        return b"\0"

    def close(self) -> None:
        """Close the file. It may be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _make_self_pipe(loop) -> None:
    loop._ssock = loop._csock = _Waker()
    loop._internal_fds += 1
    loop._add_reader(loop._ssock.fileno(), loop._read_from_self)


class _mmap(mmap.mmap):
    """Map memory. Without a file it is private, which is no difference where no process can be forked."""

    def __new__(cls, fileno, length, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE, access=0, offset=0):
        if fileno == -1:
            flags = flags & ~mmap.MAP_SHARED | mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            if access not in (mmap.ACCESS_DEFAULT, mmap.ACCESS_COPY):
                prot, access = (mmap.PROT_READ if access == mmap.ACCESS_READ else prot), mmap.ACCESS_DEFAULT
        if access != mmap.ACCESS_DEFAULT:
            return super().__new__(cls, fileno, length, access=access, offset=offset)
        return super().__new__(cls, fileno, length, flags=flags, prot=prot, offset=offset)


_mmap.__name__ = _mmap.__qualname__ = "mmap"
_mmap.__module__ = "mmap"


def _prepare_sqlite() -> None:
    """Open databases without locks. Nothing but this process can open them."""
    import sqlite3
    import sqlite3.dbapi2

    connect = sqlite3.connect

    @functools.wraps(connect)
    def without_locks(database, *args, **kwargs):
        *args, uri = args if len(args) == 7 else (*args, kwargs.pop("uri", False))
        database = os.fsdecode(database)
        if not (uri and database.startswith("file:")):
            database = "file:" + urllib.parse.quote(database)
        if "vfs=" not in database:
            database += ("&" if "?" in database else "?") + "vfs=unix-none"
        return connect(database, *args, uri=True, **kwargs)

    sqlite3.connect = sqlite3.dbapi2.connect = without_locks
