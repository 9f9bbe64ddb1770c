# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Represent one interpreter on the host's side.

What an interpreter sends is untrusted: lengths are bounded, and images are raw pixels.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
import weakref
from dataclasses import asdict, dataclass, field

from PIL import Image

from tools.sandbox.errors import SandboxError
from tools.sandbox.inside import wire
from tools.sandbox.jail import Limits

GRACE_SECONDS = 2.0  # After its time is up, a cell has this long to report what it has printed so far.
MAX_COUNT = 1 << 53  # A cell that prints without end drops gigabytes.
MAX_JSON_BYTE, MAX_JSON_CHARACTER = 6, 12  # JSON writes a byte as \\u0000 and a character as up to two of those.


def max_header(limits: Limits) -> int:
    """Return the size in bytes of the longest answer that keeps to the limits.

    A model may send as much nonsense, and parsing it takes time. Printed text counts in bytes. The value and the error
    count in characters.
    """
    text = (MAX_JSON_BYTE + 2 * MAX_JSON_CHARACTER) * limits.output_bytes
    # Labels take 2 KiB each. The rest is for lines of code in a traceback.
    return text + 2048 * limits.images + (1 << 18)


@dataclass(frozen=True)
class CellResult:
    """Hold what a cell returned. The text is untrusted and may be anything.

    ``ended`` is None, or the reason why the interpreter and its variables are gone: ``"time"``, or ``"died"`` (memory,
    a crash, os._exit).
    """

    stdout: str = ""
    dropped: int = 0
    value: str | None = None
    error: str | None = None
    timed_out: bool = False
    images: list[tuple[str, Image.Image]] = field(default_factory=list)
    skipped_images: int = 0
    replay_failed: bool = False
    ended: str | None = None
    disk_full: bool = False  # The conversation's new images did not fit, and the cell was run without them.


@dataclass(frozen=True)
class PastCell:
    """Describe a cell that was executed before. ``images`` is the number of images that it saw."""

    code: str
    images: int
    timed_out: bool = False


class InterpreterEnded(RuntimeError):
    """Raised if an interpreter is asked to run a cell after its end."""


_interpreters: weakref.WeakSet[Interpreter] = weakref.WeakSet()


class Interpreter:
    """Hold one forked interpreter. It is stopped between cells, so that threads of an earlier cell do not continue."""

    def __init__(
        self, sock: socket.socket, pid: int, limits: Limits, own_disks: bool = True, zygote: socket.socket | None = None
    ):
        self.pid = pid
        self._sock = sock
        self._zygote = zygote  # The zygote's control socket.
        self._pidfd = os.pidfd_open(pid)
        self._limits, self._own_disks = limits, own_disks
        self._lock = threading.Lock()  # Allows one cell at a time.
        # The end may come from any thread, even a garbage collection, and the number of a closed file is soon reused.
        self._end_lock = threading.RLock()
        self.alive = True
        self._signal(signal.SIGSTOP)
        self._shared = 0
        self._shared = self.memory()
        _interpreters.add(self)

    def _signal(self, number: int) -> None:
        with self._end_lock, contextlib.suppress(ProcessLookupError):
            if self.alive:
                signal.pidfd_send_signal(self._pidfd, number)

    def memory(self) -> int:
        """Return the bytes of memory taken since the fork, including files on the interpreter's disks in memory."""
        taken = -self._shared
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{self.pid}/status", "rb") as file:
                lines = file.read().split(b"\nRss")[1:]
            # All processes share what is mapped from files. Memory that could be shared counts as this interpreter's.
            taken += sum(int(line.split()[1]) << 10 for line in lines if line.startswith((b"Anon:", b"Shmem:")))
            for folder in ("tmp", "work") if self._own_disks else ():
                disk = os.statvfs(f"/proc/{self.pid}/root/{folder}")
                taken += (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        return max(0, taken)

    def _exited(self) -> bool:
        with self._end_lock:
            return not self.alive or is_readable(self._pidfd)

    def run(self, code: str, earlier: list[PastCell], images: list[tuple[str, bytes]], seconds: float) -> CellResult:
        """Run a cell after the earlier cells whose variables it needs.

        The cell has ``seconds``. The earlier cells together have as much.

        Raises:
            InterpreterEnded: the interpreter ended before this call, for example because the kernel was out of memory.
            SandboxError: the zygote has ended, and all processes in the jail with it.
        """
        with self._lock:
            if self._exited():
                self.close()
                raise InterpreterEnded
            deadline = time.monotonic() + seconds * (2 if earlier else 1) + GRACE_SECONDS
            self._signal(signal.SIGCONT)
            try:
                request = {
                    "code": code,
                    "earlier": [asdict(cell) for cell in earlier],
                    "seconds": seconds,
                    "suffixes": [suffix for suffix, _ in images],
                }
                wire.send(self._sock, request, [data for _, data in images], deadline)
                max_blobs = 3 * self._limits.images * self._limits.image_pixels
                header, blobs = wire.receive(
                    self._sock,
                    max_header=max_header(self._limits),
                    max_blobs=max_blobs,
                    max_count=self._limits.images,
                    deadline=deadline,
                )
                result = _parse(header, blobs, self._limits)
            except TimeoutError:
                self.close()
                return CellResult(timed_out=True, ended="time")
            except wire.WireError as error:
                self.close()
                if self._zygote is not None and has_ended(self._zygote):
                    raise SandboxError("the Python sandbox ended while code was running") from error
                return CellResult(ended="died")
            self._signal(signal.SIGSTOP)
            return result

    def forget(self) -> None:
        """Give up the interpreter in a process that the host has forked. It stays the parent's and ends with it."""
        # Another thread may have held them at the fork.
        self._lock, self._end_lock = threading.Lock(), threading.RLock()
        if self.alive:
            self.alive = False
            os.close(self._pidfd)
        self._sock.close()

    def close_if_idle(self) -> bool:
        """End the interpreter unless a cell is running. Return True if it has ended."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self.close()
            return True
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the interpreter and all its threads. It returns quickly and may be called again."""
        with self._end_lock:
            if self.alive:
                self._signal(signal.SIGKILL)
                self.alive = False
                os.close(self._pidfd)
                with contextlib.suppress(OSError):
                    # The last reference closes the socket, because a thread may be reading.
                    self._sock.shutdown(socket.SHUT_RDWR)


def forget_all() -> None:
    """Call ``Interpreter.forget`` for all. Copies of the sockets would keep them alive when the host is killed."""
    for interpreter in list(_interpreters):
        interpreter.forget()


def is_readable(file) -> bool:
    """Return True if a read would return at once: a socket's other end is gone, or a pidfd's process has ended."""
    poll = select.poll()  # select.select supports no file numbers from 1024 on.
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


def has_ended(control: socket.socket) -> bool:
    """Return True if the zygote at the other end is gone. It sends nothing between its start and its end."""
    return control.fileno() < 0 or is_readable(control)


def _text(value) -> str:
    """Return text that a tokenizer accepts. Half of a surrogate pair is written out."""
    if not isinstance(value, str):
        raise TypeError
    return value.encode("utf-8", "backslashreplace").decode()


def _count(value) -> int:
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise ValueError
    return value


def _parse(header: dict, blobs: list[bytes], limits) -> CellResult:
    """Check an answer of the jail.

    Raises:
        WireError: the answer is invalid.
    """
    try:
        text = {name: None if header[name] is None else _text(header[name]) for name in ("value", "error")}
        if len(blobs) > limits.images:
            raise ValueError
        images = []
        for (label, width, height), data in zip(header["images"], blobs, strict=True):
            if not 0 < _count(width) * _count(height) <= limits.image_pixels or len(data) != 3 * width * height:
                raise ValueError
            images.append((_text(label)[:100], Image.frombytes("RGB", (width, height), data)))
        return CellResult(
            stdout=_text(header["stdout"]),
            dropped=_count(header["dropped"]),
            timed_out=bool(header["timed_out"]),
            skipped_images=_count(header["skipped_images"]),
            replay_failed=bool(header["replay_failed"]),
            disk_full=bool(header["disk_full"]),
            images=images,
            **text,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise wire.WireError("no answer") from error
