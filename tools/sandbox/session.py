# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Represent one interpreter on the host's side.

What an interpreter sends is untrusted: lengths are bounded, and images are raw pixels.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import select
import signal
import socket
import threading
import time
import weakref
from dataclasses import dataclass, field, replace

from PIL import Image

from tools.sandbox.clock import CellClock
from tools.sandbox.errors import SandboxError
from tools.sandbox.inside import wire
from tools.sandbox.jail import Limits
from tools.sandbox.store import ImageStore

GRACE_SECONDS = 2.0  # After its time is up, a cell has this long to report what it has printed so far.
# A cell that waits for a CPU has this multiple of its time, and at least so many seconds. Then the host is too busy.
PATIENCE, PATIENCE_SECONDS = 5, 20.0
ANSWER_SECONDS = 30.0  # The zygote answers at once, unless the machine is very busy.
# Code may spread its memory over the address space, so that the kernel needs more for page tables than the limit on
# memory lets the code have. Nothing but the host counts these, so it looks at them while a cell runs.
MAX_PAGE_TABLES, WATCH_SECONDS = 64 << 20, 0.1
STOP = signal.SIGXCPU  # See ``inside/interpreter.py``.
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

    ``replayed`` is the number of earlier cells that were executed again, and ``replay`` is None or says how they
    differed from the first time: ``"time"``, ``"died"``, ``"error"`` or ``"output"``.
    """

    stdout: str = ""
    dropped: int = 0
    value: str | None = None
    error: str | None = None
    timed_out: bool = False
    images: list[tuple[str, Image.Image]] = field(default_factory=list)
    skipped_images: int = 0
    ended: str | None = None
    seed: int | None = None  # Of the notebook's random numbers.
    replayed: int = 0
    replay: str | None = None
    seconds: float = 0.0  # That the cells had for themselves.
    not_run: bool = False  # Other cells of the same notebook took all the time.

    @property
    def lost_variables(self) -> bool:
        """Return True if some of the earlier cells were not executed again."""
        return self.replay == "time"

    def output(self) -> str:
        """Return a hash of what the cell printed and returned. Addresses of objects do not count."""
        text = json.dumps([self.stdout, self.dropped, self.value, self.error])
        return hashlib.sha256(_ADDRESS.sub("0x", text).encode()).hexdigest()[:16]


_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")


@dataclass(frozen=True)
class PastCell:
    """Describe a cell that was executed before.

    ``images`` is the number of images that it saw. ``output`` is ``CellResult.output``. ``seed`` and ``output`` are
    None if they are not known.
    """

    code: str
    images: int
    timed_out: bool = False
    seed: int | None = None
    output: str | None = None
    failed: bool = False  # The cell ended with an exception.

    @classmethod
    def of(cls, code: str, images: int, result: CellResult) -> PastCell:
        """Describe a cell by its result."""
        return cls(code, images, result.timed_out, result.seed, result.output(), result.error is not None)

    def difference(self, result: CellResult) -> str | None:
        """Return how the result of executing the cell again differs from the first time, or None."""
        if result.ended == "died":
            return "died"
        if result.ended or (result.timed_out and not self.timed_out):
            return "time"
        if self.output is None or self.output == result.output():
            return None
        return "output" if (result.error is not None) == self.failed else "error"


class InterpreterEnded(RuntimeError):
    """Raised if an interpreter is asked to run a cell after its end."""


_interpreters: weakref.WeakSet[Interpreter] = weakref.WeakSet()


class Interpreter:
    """Hold one forked interpreter. It is stopped between cells, so that threads of an earlier cell do not continue."""

    def __init__(
        self,
        sock: socket.socket,
        pid: int,
        limits: Limits,
        images: ImageStore,
        own_disks: bool = True,
        zygote: socket.socket | None = None,
    ):
        self.pid, self.images = pid, images
        self.seed: int | None = None  # The first cell brings it along.
        self._inner_pid = _pid_in_the_jail(pid)
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
        """Return the bytes of memory taken since the fork, including files on the interpreter's disks and images."""
        # All processes share what is mapped from files. Memory that could be shared counts as this interpreter's.
        taken = self.images.size - self._shared + self._status(b"RssAnon:", b"RssShmem:", b"VmPTE:")
        with contextlib.suppress(OSError):
            for folder in ("tmp", "work") if self._own_disks else ():
                disk = os.statvfs(f"/proc/{self.pid}/root/{folder}")
                taken += (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        return max(0, taken)

    def _status(self, *names: bytes) -> int:
        """Return the sum of figures that the kernel reports of the process, in bytes."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{self.pid}/status", "rb") as file:
                return sum(int(line.split()[1]) << 10 for line in file if line.startswith(names))
        return 0

    def _exited(self) -> bool:
        with self._end_lock:
            return not self.alive or is_readable(self._pidfd)

    def run(self, code: str, earlier: list[PastCell], images: list[tuple[str, bytes]], seconds: float) -> CellResult:
        """Run a cell after the earlier cells whose variables it needs.

        The cell has ``seconds`` of its own. The earlier cells together have as much. They run silently, each with the
        images that it saw. Waiting for a CPU that others have does not count.

        Raises:
            InterpreterEnded: the interpreter ended before this call, for example because the kernel was out of memory.
            SandboxError: something outside has killed the interpreter or the zygote, an image cannot be stored, or the
                host is so busy that the code has waited for longer than it had time.
        """
        with self._lock:
            if self._exited():
                self.close()
                raise InterpreterEnded
            if self.seed is None:
                self.seed = next((cell.seed for cell in earlier if cell.seed is not None), secrets.randbits(32))
            self._signal(signal.SIGCONT)
            clock = CellClock(self.pid)
            try:
                result = self._run(code, earlier, images, seconds)
            except BaseException:
                self.close()
                raise
            result = replace(result, seed=self.seed, replayed=len(earlier), seconds=clock.own())
            if result.ended:
                self.close()
            self._signal(signal.SIGSTOP)
            return result

    def _run(self, code: str, earlier: list[PastCell], images: list[tuple[str, bytes]], seconds: float) -> CellResult:
        left, incomplete = seconds, None
        for cell in earlier:
            if left <= 0:
                incomplete = "time"
                break
            seen = max(0, cell.images - len(self.images.names))
            # A cell that did not finish the first time will not finish now, and later cells need time, too.
            result, taken = self._cell(cell.code, images[:seen], left / 2 if cell.timed_out else left, silent=True)
            images, left = images[seen:], left - taken
            difference = cell.difference(result)
            if result.ended:
                return replace(result, replay=difference)
            if difference == "time":
                incomplete = difference
                break
            incomplete = incomplete or difference
        return replace(self._cell(code, images, seconds)[0], replay=incomplete)

    def _cell(
        self, code: str, images: list[tuple[str, bytes]], seconds: float, silent: bool = False
    ) -> tuple[CellResult, float]:
        """Run one cell. Return its result and the seconds that it had for itself.

        Raises:
            SandboxError: see ``run``.
        """
        clock = CellClock(self.pid)
        request = {"code": code, "images": self.images.add(images), "silent": silent, "seed": self.seed}
        try:
            wire.send(self._sock, request, deadline=clock.started + seconds + GRACE_SECONDS)
            deadline = self._wait_or_stop(clock, seconds)
            limits = self._limits
            header, blobs = wire.receive(
                self._sock,
                max_header=max_header(limits),
                max_blobs=3 * limits.images * limits.image_pixels,
                max_count=limits.images,
                deadline=deadline,
            )
            return _parse(header, blobs, limits), clock.own()
        except TimeoutError as error:
            if clock.own() < seconds:
                said = f"the code waited {clock.waited():.1f} s of {clock.wall():.1f} s for a CPU"
                raise SandboxError(f"the host is too busy: {said}", "busy") from error
            result = CellResult(timed_out=True, ended="time")
        except wire.ConnectionLost:
            result = self._lost()
        except wire.WireError:
            result = CellResult(ended="died")
        return result, clock.own()

    def _wait_or_stop(self, clock: CellClock, seconds: float) -> float:
        """Wait for an answer and stop the cell when its own time is up. Return the deadline for the whole answer.

        Raises:
            TimeoutError: the cell does not stop, or has waited so long for a CPU that its own time is not up.
        """
        patience = max(PATIENCE * seconds, PATIENCE_SECONDS)
        while (left := min(seconds - clock.own(), patience - clock.wall())) > 0:
            if is_readable(self._sock, min(max(left, 0.005), WATCH_SECONDS)):
                return max(clock.started + seconds, time.monotonic()) + GRACE_SECONDS
            if self._own_disks and self._status(b"VmPTE:") > MAX_PAGE_TABLES + (self._limits.memory_mb << 12):
                self.close()
        deadline = time.monotonic() + GRACE_SECONDS
        if clock.own() < seconds and not is_readable(self._sock):
            raise TimeoutError
        for _ in range(2):
            self._signal(STOP)
            if is_readable(self._sock, GRACE_SECONDS / 2):
                return deadline
        raise TimeoutError

    def _lost(self) -> CellResult:
        """Return what is said about an interpreter whose connection has broken while a cell was running.

        Raises:
            SandboxError: something outside has killed the interpreter or the zygote.
        """
        with self._end_lock:
            if not self.alive:  # Another thread has ended it. Its caller does not wait for the result.
                return CellResult(ended="died")
            pidfd = os.dup(self._pidfd)
        try:
            exited = is_readable(pidfd, GRACE_SECONDS)  # Code may also close the connection and go on.
        finally:
            os.close(pidfd)
        if self._zygote is not None and has_ended(self._zygote):
            raise SandboxError("the Python sandbox ended while code was running")
        if exited and self._was_killed():
            raise SandboxError("something outside the sandbox has killed the interpreter (out of memory?)", "killed")
        return CellResult(ended="died")

    def _was_killed(self) -> bool:
        """Ask the zygote for the reason of the end, see ``inside/ends.py``. Unisolated code can kill itself."""
        if self._zygote is None or not self._own_disks:
            return False
        ours, theirs = socket.socketpair()
        try:
            with ours, theirs:
                order = wire.ORDER.pack(wire.WAS_KILLED, self._inner_pid)
                socket.send_fds(self._zygote, [order], [theirs.fileno()])
                theirs.close()
                ours.settimeout(ANSWER_SECONDS)
                answer = ours.recv(1)
        except OSError as error:
            raise SandboxError(f"the Python sandbox does not answer: {error}") from error
        if not answer:
            raise SandboxError("the Python sandbox ended while code was running")
        return answer == b"\1"

    def forget(self) -> None:
        """Give up the interpreter in a process that the host has forked. It stays the parent's and ends with it."""
        # Another thread may have held them at the fork.
        self._lock, self._end_lock = threading.Lock(), threading.RLock()
        if self.alive:
            self.alive = False
            os.close(self._pidfd)
        self._sock.close()
        self.images.forget()

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
                self.images.close()


def forget_all() -> None:
    """Call ``Interpreter.forget`` for all. Copies of the sockets would keep them alive when the host is killed."""
    for interpreter in list(_interpreters):
        interpreter.forget()


def is_readable(file, seconds: float = 0.0) -> bool:
    """Return True if a read returns within ``seconds``: data is there, or a pidfd's process has ended."""
    poll = select.poll()  # select.select supports no file numbers from 1024 on.
    poll.register(file, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def has_ended(control: socket.socket) -> bool:
    """Return True if the zygote at the other end is gone. It sends nothing between its start and its end."""
    return control.fileno() < 0 or is_readable(control)


def _pid_in_the_jail(pid: int) -> int:
    """Return the pid of an interpreter as the zygote sees it, one namespace below the host's."""
    with open(f"/proc/{pid}/status", "rb") as file:
        (line,) = [line for line in file if line.startswith(b"NSpid:")]
    pids = [int(word) for word in line.split()[1:]]
    return pids[-2] if len(pids) > 1 else pids[-1]


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
            images=images,
            **text,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise wire.WireError("no answer") from error
