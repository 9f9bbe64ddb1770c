# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Manage one zygote for each configuration and process, and the interpreters that it forks.

All functions block and are meant for threads.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import socket
import struct
import tempfile
import threading
import time
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from tools.sandbox import probe
from tools.sandbox.errors import SandboxError
from tools.sandbox.inside import wire
from tools.sandbox.jail import IsolationError, JailConfig, bubblewrap_version, start_zygote
from tools.sandbox.session import Interpreter, forget_all, has_ended
from tools.sandbox.store import ImageStore

logger = logging.getLogger(__name__)

START_SECONDS = 120.0  # A busy machine may need this long to import the libraries.
FORK_SECONDS = 30.0
_CREDENTIALS, _FILE = struct.Struct("3i"), struct.Struct("i")


class Pool:
    """Fork interpreters on demand and keep ``spares`` of them ready.

    An interpreter that waits for its next cell costs memory. If more than ``max_idle`` wait, or they have taken more
    than ``max_idle_mb``, the pool ends the one that has waited longest. Its owner executes its cells again.
    """

    def __init__(
        self, config: JailConfig, spares: int = 2, threads: int = 8, max_idle: int = 64, max_idle_mb: int = 4096
    ):
        self.config, self.spares = config, spares
        self.max_idle, self.max_idle_mb = max_idle, max_idle_mb
        self._idle: dict[Interpreter, int] = {}  # Memory of each interpreter, in the order of waiting.
        self.executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="python-tool")
        self.checks: list[probe.Wall] = []  # The results of the probe.
        self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="python-spares")
        self._ready: deque[Interpreter] = deque()
        self._lock = threading.RLock()  # Guards the zygote's start and end, and the spares.
        self._idle_lock = threading.Lock()  # Taken after every cell, so it must not wait for a start.
        self._control: socket.socket | None = None
        self._process = None
        self._log = None
        self._folder: tempfile.TemporaryDirectory | None = None
        self.closed = False
        self._owner = os.getpid()
        atexit.register(self.close)
        _living.add(self)

    # ---------------------------------------------------------------- zygote

    def start(self) -> None:
        """Start the zygote and probe the walls, unless both have been done.

        Raises:
            IsolationError: this machine cannot build the jail, or a wall does not stand.
            SandboxError: the zygote does not start.
        """
        with self._lock:
            if self.running():
                return
            self._stop()
            ours, theirs = socket.socketpair()
            self._log = tempfile.TemporaryFile()
            self._folder = tempfile.TemporaryDirectory(prefix="python-sandbox-", ignore_cleanup_errors=True)
            try:
                self._process = start_zygote(self.config, theirs.fileno(), self._log, self._folder.name)
                theirs.close()
                wire.receive(ours, max_header=1 << 16, max_blobs=0, deadline=time.monotonic() + START_SECONDS)
            except (wire.WireError, TimeoutError, OSError) as error:
                said = self._said()
                ours.close()
                self._stop()
                raise SandboxError(f"the Python sandbox does not start: {error}: {said}") from error
            self._control = ours
            try:
                self._probe()
            except BaseException:
                self._stop()
                raise
        self._refill()

    def _probe(self) -> None:
        if self.config.isolation == "none":
            logger.warning("the sandbox runs code UNISOLATED (isolation: none): it has all rights of this process")
            return
        interpreter = self._fork(self._control)
        try:
            self.checks = probe.probe_walls(interpreter, self.config.limits)
        finally:
            interpreter.close()
        fallen = [f"{wall.name} ({wall.detail})" for wall in self.checks if not wall.stands]
        if fallen:
            raise IsolationError(f"the Python sandbox is not tight on this machine: {'; '.join(fallen)}")
        names = ", ".join(wall.name for wall in self.checks)
        logger.info("python sandbox: %s; walls: %s", bubblewrap_version(), names)

    def _said(self) -> str:
        try:
            log = self._log.fileno()  # The zygote writes to the same open file, so its position must not change.
            data = os.pread(log, 2000, max(0, os.fstat(log).st_size - 2000))
        except (AttributeError, ValueError, OSError):  # The log was not opened, or was closed just now.
            return ""
        return data.decode(errors="replace").strip()[-500:]

    def _stop(self) -> None:
        for interpreter in self._ready:
            interpreter.close()
        self._ready.clear()
        if self._control is not None:
            # The last reference closes the socket: a thread may be forking, and the number of a closed file is soon
            # reused.
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except Exception:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    # ---------------------------------------------------------- interpreters

    def _fork(self, control: socket.socket) -> Interpreter:
        """Fork one more interpreter of the zygote behind ``control``.

        This takes milliseconds and no lock, so several interpreters may be built concurrently.
        """
        ours, theirs = socket.socketpair()
        images = None
        try:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            with theirs:
                socket.send_fds(control, [wire.ORDER.pack(wire.FORK, 0)], [theirs.fileno()])
            ours.settimeout(FORK_SECONDS)
            # The kernel reports the pid as the host sees it. The directory for images comes with the same byte.
            space = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_FILE.size)
            flags = socket.MSG_PEEK | socket.MSG_CMSG_CLOEXEC
            first, ancillary, _, _ = ours.recvmsg(1, space, flags)
            parts = {kind: data for _, kind, data in ancillary}
            if socket.SCM_RIGHTS in parts:
                images = ImageStore(_FILE.unpack(parts[socket.SCM_RIGHTS])[0])
            if first == wire.FOLDER:
                ours.recv(1)
            header, _ = wire.receive(ours, max_header=1 << 16, max_blobs=0, deadline=time.monotonic() + FORK_SECONDS)
            if "failed" in header or images is None:
                raise SandboxError(f"the Python sandbox cannot be built: {header.get('failed')}")
            (pid, _, _) = _CREDENTIALS.unpack(parts[socket.SCM_CREDENTIALS])
            own_disks = self.config.isolation != "none"
            return Interpreter(ours, pid, self.config.limits, images, own_disks, control)
        except BaseException as error:
            ours.close()
            if images is not None:
                images.close()
            if not isinstance(error, OSError | wire.WireError | LookupError | ValueError):
                raise
            raise SandboxError(
                f"the Python sandbox does not fork: {type(error).__name__}: {error}: {self._said()}"
            ) from error

    def take(self) -> Interpreter:
        """Return a fresh interpreter, a spare one if possible.

        Raises:
            IsolationError, SandboxError: see ``start``.
        """
        with self._lock:
            if self.closed:
                raise SandboxError("the Python sandbox is closed")
            self.start()
            while self._ready:
                interpreter = self._ready.popleft()
                if interpreter.alive:
                    break
            else:
                interpreter = None
            control = self._control
        if interpreter is None:
            try:
                interpreter = self._fork(control)
            except SandboxError:
                with self._lock:
                    if self.closed or not has_ended(control):
                        raise
                    self.start()  # The zygote ended just now.
                    control = self._control
                interpreter = self._fork(control)
        self._refill()
        return interpreter

    def used(self, interpreter: Interpreter) -> int:
        """Note that an interpreter has run a cell and waits for the next. Return how many others were ended for it."""
        ended = 0
        with self._idle_lock:
            own = interpreter.memory()
            self._idle = {other: memory for other, memory in self._idle.items() if other.alive}
            self._idle.pop(interpreter, None)
            for other in list(self._idle):
                taken = sum(self._idle.values()) + own
                if len(self._idle) < self.max_idle and taken <= self.max_idle_mb << 20:
                    break
                if other.close_if_idle():
                    del self._idle[other]
                    ended += 1
            if interpreter.alive:
                self._idle[interpreter] = own
        return ended

    def _refill(self) -> None:
        if not self.closed and len(self._ready) < self.spares:
            with contextlib.suppress(RuntimeError):  # The executor is shutting down.
                self._background.submit(self._add_spares)

    def _add_spares(self) -> None:
        while True:
            with self._lock:
                if self.closed or self._control is None or len(self._ready) >= self.spares:
                    return
                control = self._control
            try:
                interpreter = self._fork(control)
            except SandboxError as error:
                logger.warning("no spare interpreter: %s", error)
                return
            with self._lock:
                if control is self._control:
                    self._ready.append(interpreter)
                else:  # The zygote has ended meanwhile.
                    interpreter.close()

    def running(self) -> bool:
        """Return True if the zygote is up.

        When it ends, its socket closes first, the processes in the jail end next, and bubblewrap ends last.
        """
        control = self._control
        return control is not None and not has_ended(control)

    def close(self) -> None:
        """End the zygote and every interpreter. In a forked process, the copy leaves the parent's processes alone."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self.closed = True
            self._stop()
        self._background.shutdown(wait=False, cancel_futures=True)
        self.executor.shutdown(wait=False, cancel_futures=True)
        atexit.unregister(self.close)

    def _forget(self) -> None:
        """Give up a pool in a process that the host has forked. The pool belongs to the parent."""
        # Another thread may have held them at the fork.
        self._lock, self._idle_lock = threading.RLock(), threading.Lock()
        self.closed = True
        self._ready.clear()
        if self._control is not None:
            self._control.close()


_living: weakref.WeakSet[Pool] = weakref.WeakSet()
_pools: dict[tuple, Pool] = {}
_pools_lock = threading.Lock()


def _after_fork() -> None:
    """Close the copies of the sockets in a forked child. They would keep the zygotes running if the host is killed."""
    global _pools_lock
    _pools_lock = threading.Lock()
    forget_all()
    for pool in list(_living):
        pool._forget()


def _at_exit() -> None:
    for pool in list(_living):
        pool.close()


os.register_at_fork(after_in_child=_after_fork)
# The executors' threads are joined before atexit runs, and would wait for running cells.
if hasattr(threading, "_register_atexit"):
    with contextlib.suppress(RuntimeError):  # The interpreter is shutting down.
        threading._register_atexit(_at_exit)


def get_pool(config: JailConfig, **options: int) -> Pool:
    """Return this process's pool for a configuration. Tools are created often, so the zygote outlives them."""
    key = (os.getpid(), config, *sorted(options.items()))
    with _pools_lock:
        if key not in _pools or _pools[key].closed:
            _pools[key] = Pool(config, **options)
        return _pools[key]
