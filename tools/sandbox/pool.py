# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""The host's side: one zygote for each configuration and process, and the interpreters it forks.

Everything here blocks and is meant for threads. What an interpreter sends is untrusted: lengths are bounded, images are
raw pixels, and a peer that breaks the format is ended.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import socket
import struct
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image

from tools.errors import ToolInfrastructureError
from tools.sandbox import probe
from tools.sandbox.inside import wire
from tools.sandbox.jail import IsolationError, JailConfig, bubblewrap_version, start_zygote

logger = logging.getLogger(__name__)

START_SECONDS = 120.0  # for the libraries' import, on a busy machine
FORK_SECONDS = 30.0
GRACE_SECONDS = 2.0  # after its time is up, for a cell to say what it has printed so far
MAX_HEADER = 4 << 20
_CREDENTIALS = struct.Struct("3i")


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


class Interpreter:
    """One forked interpreter. Between cells it is stopped: threads that a cell has left behind do not run on."""

    def __init__(self, sock: socket.socket, pid: int, limits):
        self.pid = pid
        self._sock = sock
        self._pidfd = os.pidfd_open(pid)
        self._limits = limits
        self._lock = threading.Lock()
        self.alive = True
        self._signal(signal.SIGSTOP)
        self._shared = 0
        self._shared = self.memory()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def memory(self) -> int:
        """Bytes of memory that it has taken since it was forked."""
        try:
            with open(f"/proc/{self.pid}/statm") as file:
                pages = file.read().split()
            return max(0, (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") - self._shared)
        except (OSError, IndexError):
            return 0

    def run(self, cells: list[str], images: list[tuple[str, bytes]], seconds: float) -> CellResult:
        """Run cells, of which only the last one's output counts, with `seconds` for each.

        Raises:
            RuntimeError: it has ended already.
        """
        with self._lock:
            if not self.alive:
                raise RuntimeError("the interpreter has ended")
            deadline = time.monotonic() + seconds * len(cells) + GRACE_SECONDS
            self._signal(signal.SIGCONT)
            try:
                request = {"cells": cells, "seconds": seconds, "suffixes": [suffix for suffix, _ in images]}
                wire.send(self._sock, request, [data for _, data in images], deadline)
                max_blobs = 3 * self._limits.images * self._limits.image_pixels
                header, blobs = wire.receive(self._sock, max_header=MAX_HEADER, max_blobs=max_blobs, deadline=deadline)
                result = _parse(header, blobs, self._limits)
            except TimeoutError:
                self.close()
                return CellResult(timed_out=True, ended="time")
            except wire.WireError:
                self.close()
                return CellResult(ended="died")
            self._signal(signal.SIGSTOP)
            return result

    def close(self) -> None:
        """End it, and all its threads; quick, and safe to repeat."""
        if self.alive:
            self.alive = False
            self._signal(signal.SIGKILL)
            os.close(self._pidfd)
            self._sock.close()


def _parse(header: dict, blobs: list[bytes], limits) -> CellResult:
    """Check an answer of the jail.

    Raises:
        WireError: it is none.
    """
    try:
        text = {name: header[name] for name in ("value", "error")}
        if not all(value is None or isinstance(value, str) for value in text.values()):
            raise TypeError
        images = []
        for (label, width, height), data in zip(header["images"], blobs, strict=True):
            if not 0 < width * height <= limits.image_pixels or len(data) != 3 * width * height:
                raise ValueError
            images.append((str(label)[:100], Image.frombytes("RGB", (width, height), data)))
        return CellResult(
            stdout=str(header["stdout"]),
            dropped=int(header["dropped"]),
            timed_out=bool(header["timed_out"]),
            skipped_images=int(header["skipped_images"]),
            replay_failed=bool(header["replay_failed"]),
            images=images,
            **text,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise wire.WireError("no answer") from error


class Pool:
    """Forks interpreters on demand and keeps `spares` ready."""

    def __init__(self, config: JailConfig, spares: int = 2, threads: int = 8):
        self.config, self.spares = config, spares
        self.executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="python-tool")
        self.checks: list[probe.Wall] = []  # what the probe has shown
        self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="python-spares")
        self._ready: deque[Interpreter] = deque()
        self._lock = threading.RLock()
        self._control: socket.socket | None = None
        self._process = None
        self._log = None
        self._folder: tempfile.TemporaryDirectory | None = None
        self._closed = False
        atexit.register(self.close)

    # ---------------------------------------------------------------- zygote

    def start(self) -> None:
        """Start the zygote and probe the walls, unless that has been done.

        Raises:
            IsolationError: this machine cannot build the jail, or a wall does not stand.
            ToolInfrastructureError: the zygote does not start.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._stop()
            ours, theirs = socket.socketpair()
            self._log = tempfile.TemporaryFile()
            self._folder = tempfile.TemporaryDirectory(prefix="axpo-python-", ignore_cleanup_errors=True)
            try:
                self._process = start_zygote(self.config, theirs.fileno(), self._log, self._folder.name)
                theirs.close()
                wire.receive(ours, max_header=1 << 16, max_blobs=0, deadline=time.monotonic() + START_SECONDS)
            except (wire.WireError, TimeoutError, OSError) as error:
                said = self._said()
                ours.close()
                self._stop()
                raise ToolInfrastructureError(f"the Python sandbox does not start: {error}: {said}", "sandbox") from error
            self._control = ours
            try:
                self._probe()
            except BaseException:
                self._stop()
                raise
        self._refill()

    def _probe(self) -> None:
        if self.config.isolation == "none":
            logger.warning("the python tool runs code of the model UNISOLATED (isolation: none): it can do what you can")
            return
        interpreter = self._fork()
        try:
            self.checks = probe.probe_walls(interpreter, self.config.limits)
        finally:
            interpreter.close()
        fallen = [f"{wall.name} ({wall.detail})" for wall in self.checks if not wall.stands]
        if fallen:
            raise IsolationError(f"the Python sandbox is not tight on this machine: {'; '.join(fallen)}")
        logger.info(f"python sandbox: {bubblewrap_version()}; walls: {', '.join(wall.name for wall in self.checks)}")

    def _said(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace").strip()[-500:]

    def _stop(self) -> None:
        for interpreter in self._ready:
            interpreter.close()
        self._ready.clear()
        if self._control is not None:
            self._control.close()
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

    def _fork(self) -> Interpreter:
        ours, theirs = socket.socketpair()
        try:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            socket.send_fds(self._control, [b"f"], [theirs.fileno()])
            theirs.close()
            ours.settimeout(FORK_SECONDS)
            # the kernel says who is there: its pid as the host sees it
            _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_PEEK)
            header, _ = wire.receive(ours, max_header=1 << 16, max_blobs=0, deadline=time.monotonic() + FORK_SECONDS)
            if "failed" in header:
                raise ToolInfrastructureError(f"the Python sandbox cannot be built: {header['failed']}", "sandbox")
            pids = [_CREDENTIALS.unpack(data)[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS]
            return Interpreter(ours, pids[0], self.config.limits)
        except ToolInfrastructureError:
            ours.close()
            raise
        except (OSError, wire.WireError, IndexError) as error:
            ours.close()
            raise ToolInfrastructureError(
                f"the Python sandbox does not fork: {type(error).__name__}: {error}: {self._said()}", "sandbox"
            ) from error

    def take(self) -> Interpreter:
        """A fresh interpreter, a spare one if there is any.

        Raises:
            IsolationError, ToolInfrastructureError: see `start`.
        """
        with self._lock:
            if self._closed:
                raise ToolInfrastructureError("the Python sandbox is closed", "sandbox")
            self.start()
            while self._ready:
                interpreter = self._ready.popleft()
                if interpreter.alive:
                    break
            else:
                interpreter = self._fork()
        self._refill()
        return interpreter

    def _refill(self) -> None:
        if not self._closed and len(self._ready) < self.spares:
            with contextlib.suppress(RuntimeError):  # shutting down
                self._background.submit(self._add_spares)

    def _add_spares(self) -> None:
        while True:
            with self._lock:
                if self._closed or self._control is None or len(self._ready) >= self.spares:
                    return
                try:
                    self._ready.append(self._fork())
                except ToolInfrastructureError as error:
                    logger.warning(f"no spare interpreter: {error}")
                    return

    def running(self) -> bool:
        """Whether the zygote is up."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the zygote and with it every interpreter."""
        with self._lock:
            self._closed = True
            self._stop()
        self._background.shutdown(wait=False, cancel_futures=True)
        self.executor.shutdown(wait=False, cancel_futures=True)
        atexit.unregister(self.close)


_pools: dict[tuple, Pool] = {}
_pools_lock = threading.Lock()


def get_pool(config: JailConfig, spares: int, threads: int) -> Pool:
    """This process's pool for a configuration: tools are made anew often, the zygote is not."""
    key = (os.getpid(), config, spares, threads)
    with _pools_lock:
        if key not in _pools or _pools[key]._closed:
            _pools[key] = Pool(config, spares, threads)
        return _pools[key]
