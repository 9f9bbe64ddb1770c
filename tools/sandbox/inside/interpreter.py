# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run cells of code in one namespace, and collect what they print, return and draw."""

from __future__ import annotations

import builtins
import fcntl
import io
import os
import signal
import socket
import sys
import time
import types

import libraryhooks
import pictures
import wire
from cellcode import CellTimeout, describe, run_code
from imagelist import ImageList

CUT = "\n... (cut) ...\n"


class _Output(io.RawIOBase):
    """Keep the first and the last half of ``limit`` bytes of each cell, and drop the middle.

    The first half goes to a file in memory. The file descriptors 1 and 2 point to that file, so it also receives what C
    code prints. The last half waits in a buffer.
    """

    def __init__(self, file: int, limit: int):
        super().__init__()
        self._file, self._half = file, limit // 2
        self._taken, self._size, self._end = 0, 0, bytearray()
        for fd in (1, 2):
            os.dup2(self._file, fd)

    def writable(self) -> bool:
        """Return True: ``io`` asks before it writes."""
        return True

    def close(self) -> None:
        """Stay open, because a cell may close or drop the stream in front of it."""

    def write(self, data) -> int:
        """Keep or drop data. Return the number of bytes received."""
        data = memoryview(data).cast("B")
        size = len(data)
        kept = max(0, min(size, self._half - self._taken))
        if kept:
            self._taken += kept
            try:
                kept = os.write(self._file, data[:kept])
            except OSError:  # C code has filled the file.
                kept = 0
        if kept < size:
            self._taken = self._half  # Later output comes after this.
            self._size += size - kept
            self._end += data[max(kept, size - self._half) :]
            if len(self._end) > 2 * self._half:
                del self._end[: -self._half]
        return size

    def take(self) -> tuple[str, int]:
        """Return the text since the last call and the number of bytes dropped.

        A mark replaces a missing middle.
        """
        size = os.fstat(self._file).st_size
        start = os.pread(self._file, self._half, 0)
        behind = max(len(start), size - self._half)  # Keep the end of what C code has printed, too.
        end = bytes(os.pread(self._file, self._half, behind) + self._end)[-self._half :]
        dropped = size + self._size - len(start) - len(end)
        os.ftruncate(self._file, 0)
        self._taken, self._size = 0, 0
        self._end.clear()
        if dropped == 0:
            return (start + end).decode("utf-8", "backslashreplace"), 0
        return _decoded(start) + CUT + _decoded(end), dropped


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


class CellRunner:
    """Hold the variables, images and disk of one notebook."""

    def __init__(self, limits: dict, output: int):
        self._limits = limits
        self._home = os.getcwd()
        self._module = types.ModuleType("__main__")
        self._images = ImageList()
        self._module.__dict__.update(display=pictures.display, __builtins__=builtins)
        sys.modules["__main__"] = self._module
        self._count = 0
        self._output = _Output(output, limits["output_bytes"])
        self._start()

    def _start(self) -> None:
        """Restore print, input and the conversation's images, which the last cell may have replaced."""
        sys.stdout = sys.stderr = io.TextIOWrapper(
            self._output, encoding="utf-8", errors="backslashreplace", write_through=True
        )
        sys.stdin = io.TextIOWrapper(io.BytesIO())  # exit() closes the stream.
        self._module.__dict__.update(images=self._images, image_paths=self._images.paths())

    def num_images(self) -> int:
        """Return the number of the conversation's images that the notebook has."""
        return len(self._images)

    def add_images(self, images: list[tuple[str, bytes]]) -> bool:
        """Write the images that are new since the last cell to the disk. If it is full, write none and return False."""
        return self._images.add(images)

    def run(self, code: str, seconds: float, silent: bool = False) -> tuple[dict, list[bytes]]:
        """Run one cell.

        Returns:
            ``stdout``, ``dropped`` (bytes), ``value`` (repr of the last expression or None), ``error`` (a short
            traceback or None), ``timed_out``, ``images`` (label, width, height), ``skipped_images``, and the RGB bytes
            of the images.
        """
        self._count += 1
        name = f"<cell {self._count}>"
        self._start()
        pictures.start_cell(self._limits, silent, self._home)
        limit = self._limits["output_bytes"]
        result = {"value": None, "error": None, "timed_out": False, "images": [], "skipped_images": 0}
        value, drawing = None, False
        try:
            try:
                # The alarm may come at any point between these lines. The outer `try` handles that.
                signal.signal(signal.SIGALRM, _raise_timeout)
                signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
                value, quiet = run_code(code, name, self._module.__dict__)
                if quiet:
                    value = None
                if value is not None and not silent and not pictures.is_picture(value):
                    drawing = pictures.is_drawing(value)
                    result["value"] = _shorten(repr(value), limit)
            except CellTimeout:
                raise
            except BaseException as error:
                result["error"] = _shorten(describe(error, name), limit) or None
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except CellTimeout as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            result["timed_out"] = True
            result["error"] = _shorten(describe(error, name), limit)
        found, blobs, skipped = [], [], 0
        try:
            found, blobs, skipped = pictures.collect(value)
        except BaseException as error:
            result["error"] = result["error"] or _shorten(describe(error, name), limit)
        result["images"], result["skipped_images"] = found, skipped
        if drawing and found:
            result["value"] = None
        result["stdout"], result["dropped"] = self._output.take()
        if problems := self._images.problems():
            result["stdout"] += "".join(f"Note: {problem}\n" for problem in problems[:3])
        return result, blobs


def _raise_timeout(signum, frame):
    raise CellTimeout("time is up")


def _shorten(text: str, limit: int) -> str:
    text = str.__str__(text)  # The cell may define a subclass of str.
    return text if len(text) <= limit else text[: limit // 2] + " ... " + text[-limit // 2 :]


def prepare() -> None:
    """Prepare the zygote once, so that interpreters need not repeat the work."""
    libraryhooks.prepare()


def output_file() -> int:
    """Create the file that cells print to.

    It is in memory and not on the disk, which cells may fill. RLIMIT_FSIZE bounds it, too.
    """
    output = os.memfd_create("output")
    fcntl.fcntl(output, fcntl.F_SETFL, os.O_APPEND)
    return output


def serve(sock: socket.socket, limits: dict, output: int) -> None:
    """Answer messages until the host closes the connection.

    A message holds ``code``, the ``earlier`` cells, ``seconds``, and the new images (``suffixes`` and bytes). The
    earlier cells restore the variables of an earlier interpreter. They run silently, each with the images that it saw.
    The code has ``seconds``, and the earlier cells together have as much.
    """
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    for name in ("numpy.random", "sympy.core.random"):  # Python reseeds random itself at a fork.
        if name in sys.modules:
            sys.modules[name].seed(int.from_bytes(os.urandom(4), "little"))
    sys.argv[:], sys.orig_argv[:] = [""], [""]  # These belong to the zygote and would confuse a cell's argparse.
    sys.path[:] = [os.getcwd(), *(path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__)))]
    runner = CellRunner(limits, output)
    wire.send(sock, {"ready": True})
    while True:
        try:
            request, blobs = wire.receive(sock, max_header=1 << 30, max_blobs=1 << 40)
        except wire.WireError:
            return
        started = time.monotonic()
        images = list(zip(request["suffixes"], blobs, strict=True))
        disk_full = replay_failed = False
        for cell in request["earlier"]:
            seen = max(0, cell["images"] - runner.num_images())
            disk_full = disk_full or not runner.add_images(images[:seen])
            images = images[seen:]
            left = started + request["seconds"] - time.monotonic()
            # A cell that did not finish the first time will not finish now, and later cells need time, too.
            left = left / 2 if cell["timed_out"] else left
            timed_out = left <= 0 or runner.run(cell["code"], left, silent=True)[0]["timed_out"]
            replay_failed = timed_out and not cell["timed_out"]
            if replay_failed:
                break
        disk_full = disk_full or not runner.add_images(images)
        result, pixels = runner.run(request["code"], request["seconds"])
        result |= {"replay_failed": replay_failed, "disk_full": disk_full}
        wire.send(sock, result, pixels)
