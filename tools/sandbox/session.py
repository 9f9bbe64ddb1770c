# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One interpreter as the host sees it. What it sends is untrusted: lengths are bounded, images are raw pixels."""

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

from tools.sandbox.inside import wire
from tools.sandbox.jail import Limits
from verl_ext.tool_calls import ToolInfrastructureError

GRACE_SECONDS = 2.0  # after its time is up, for a cell to say what it has printed so far
MAX_COUNT = 1 << 53  # of bytes, too: a cell that prints without end drops gigabytes
MAX_JSON_BYTE, MAX_JSON_CHARACTER = 6, 12  # of JSON: \\u0000 for a byte, two such for a character


def max_header(limits: Limits) -> int:
    """Bytes of the longest answer that keeps to the limits. A model may send as much nonsense; to parse it takes time.

    The text printed counts in bytes, the value and the error in characters.
    """
    text = (MAX_JSON_BYTE + 2 * MAX_JSON_CHARACTER) * limits.output_bytes
    return text + 2048 * limits.images + (1 << 18)  # labels; the rest is for lines of code in a traceback


@dataclass(frozen=True)
class CellResult:
    """What a cell left behind; the text is the model's own and may be anything.

    `ended` is None, or why the interpreter and its variables are gone: "time", "died" (memory, a crash, os._exit).
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
    disk_full: bool = False  # no room for the conversation's new images; the cell was run without them


@dataclass(frozen=True)
class PastCell:
    """A cell that has been run before: `images` is how many the conversation had then."""

    code: str
    images: int
    timed_out: bool = False


class InterpreterEnded(RuntimeError):
    """An interpreter was asked to run a cell after its end."""


_interpreters: weakref.WeakSet[Interpreter] = weakref.WeakSet()


class Interpreter:
    """One forked interpreter. Between cells it is stopped: threads that a cell has left behind do not run on."""

    def __init__(
        self, sock: socket.socket, pid: int, limits: Limits, own_disks: bool = True, zygote: socket.socket | None = None
    ):
        self.pid = pid
        self._sock = sock
        self._zygote = zygote  # its control socket
        self._pidfd = os.pidfd_open(pid)
        self._limits, self._own_disks = limits, own_disks
        self._lock = threading.Lock()  # one cell at a time
        # The end may come from any thread, a garbage collection too, and a closed file's number is soon another's.
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
        """Bytes of memory that it has taken since it was forked, files on its disks in memory included."""
        taken = -self._shared
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{self.pid}/status", "rb") as file:
                lines = file.read().split(b"\nRss")[1:]
            # what is mapped from files is everybody's; memory that could be shared is this interpreter's all the same
            taken += sum(int(line.split()[1]) << 10 for line in lines if line.startswith((b"Anon:", b"Shmem:")))
            for folder in ("tmp", "work") if self._own_disks else ():
                disk = os.statvfs(f"/proc/{self.pid}/root/{folder}")
                taken += (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        return max(0, taken)

    def _exited(self) -> bool:
        with self._end_lock:
            return not self.alive or is_readable(self._pidfd)

    def run(self, code: str, earlier: list[PastCell], images: list[tuple[str, bytes]], seconds: float) -> CellResult:
        """Run a cell, and before it those whose variables it needs, with `seconds` for it and as much for all of them.

        Raises:
            InterpreterEnded: before this call, be it with our doing or without (the kernel was out of memory).
            ToolInfrastructureError: its zygote has ended, and with it all that is in the jail.
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
                    raise ToolInfrastructureError(
                        "the Python sandbox ended while code was running", "sandbox"
                    ) from error
                return CellResult(ended="died")
            self._signal(signal.SIGSTOP)
            return result

    def forget(self) -> None:
        """In a process that the host has forked: the interpreter stays the parent's, and ends with it."""
        self._lock, self._end_lock = threading.Lock(), threading.RLock()  # somebody may have held them
        if self.alive:
            self.alive = False
            os.close(self._pidfd)
        self._sock.close()

    def close_if_idle(self) -> bool:
        """End it unless a cell is running; returns whether it has ended."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self.close()
            return True
        finally:
            self._lock.release()

    def close(self) -> None:
        """End it, and all its threads; quick, and safe to repeat."""
        with self._end_lock:
            if self.alive:
                self._signal(signal.SIGKILL)
                self.alive = False
                os.close(self._pidfd)
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)  # closed with the last reference: a thread may be reading


def forget_all() -> None:
    """`Interpreter.forget` for all; else a copy of the sockets would keep them alive when the host is killed."""
    for interpreter in list(_interpreters):
        interpreter.forget()


def is_readable(file) -> bool:
    """Whether a read would return at once: a socket's other end is gone, a pidfd's process has ended."""
    poll = select.poll()  # not select.select: it knows no files from 1024 on
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


def has_ended(control: socket.socket) -> bool:
    """Whether the zygote at the other end is gone: between its start and its end it sends nothing."""
    return control.fileno() < 0 or is_readable(control)


def _text(value) -> str:
    """Text that a tokenizer takes: half of a surrogate pair is written out."""
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
        WireError: it is none.
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
