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
import types

import libraryhooks
import pictures
import randomness
import wire
from cellcode import CellTimeout, describe, redrawn, run_code
from imagelist import ImageList

STOP = signal.SIGXCPU  # The host sends it when a cell's time is up. Cells use SIGALRM themselves.
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

    def __init__(self, limits: dict, output: int, images: str):
        self._limits = limits
        self._home = os.getcwd()
        self._module = types.ModuleType("__main__")
        self._images = ImageList(images)
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

    def add_images(self, names: list[str]) -> None:
        """Show the images that are new since the last cell."""
        self._images.add(names)

    def run(self, code: str, silent: bool = False) -> tuple[dict, list[bytes]]:
        """Run one cell until it ends or the host sends ``STOP``.

        Args:
            code: the cell.
            silent: True if nothing that the cell shows is needed.

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
                # The signal may come at any point between these lines. The outer `try` handles that.
                signal.signal(STOP, _raise_timeout)
                value, quiet = run_code(code, name, self._module.__dict__)
                if quiet:
                    value = None
                if value is not None and not pictures.is_picture(value):
                    drawing = pictures.is_drawing(value)
                    result["value"] = _shorten(repr(value), limit)
            except CellTimeout:
                raise
            except BaseException as error:
                result["error"] = _shorten(describe(error, name), limit) or None
            finally:
                _ignore_signals()
        except BaseException as error:  # The cell's own alarm may come at these points, too.
            _ignore_signals()
            result["timed_out"] = isinstance(error, CellTimeout)
            result["error"] = _shorten(describe(error, name), limit)
        found, blobs, skipped = [], [], 0
        try:
            found, blobs, skipped = pictures.collect(value)
        except BaseException as error:
            result["error"] = result["error"] or _shorten(describe(error, name), limit)
        result["images"], result["skipped_images"] = found, skipped
        if drawing and (found or silent):
            result["value"] = None
        text, result["dropped"] = self._output.take()
        result["stdout"] = redrawn(text)
        return result, blobs


def _raise_timeout(signum, frame):
    raise CellTimeout("time is up")


def _ignore_signals() -> None:
    """Let no signal interrupt what comes after a cell: neither the host's nor the cell's own alarm."""
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    signal.signal(STOP, signal.SIG_IGN)


def _shorten(text: str, limit: int) -> str:
    text = str.__str__(text)  # The cell may define a subclass of str.
    return text if len(text) <= limit else text[: limit // 2] + " ... " + text[-limit // 2 :]


def prepare() -> None:
    """Prepare the zygote once, so that interpreters need not repeat the work."""
    libraryhooks.prepare()


def output_file() -> int:
    """Create the file that cells print to without a jail. In one, ``walls.mount_output`` does."""
    output = os.memfd_create("output")
    fcntl.fcntl(output, fcntl.F_SETFL, os.O_APPEND)
    return output


def serve(sock: socket.socket, limits: dict, output: int, images: str) -> None:
    """Answer messages until the host closes the connection.

    A message holds one cell: its ``code``, the names of ``images`` that are new, whether it is ``silent``, and the
    ``seed`` of the notebook, which counts at the first cell.
    """
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    sys.argv[:], sys.orig_argv[:] = [""], [""]  # These belong to the zygote and would confuse a cell's argparse.
    sys.path[:] = [os.getcwd(), *(path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__)))]
    signal.signal(STOP, signal.SIG_IGN)
    libraryhooks.make_folders()
    runner = CellRunner(limits, output, images)
    wire.send(sock, {"ready": True})
    seeded = False
    while True:
        try:
            request, _ = wire.receive(sock, max_header=1 << 30, max_blobs=0)
        except wire.WireError:
            return
        if not seeded:
            randomness.start(request["seed"])
            seeded = True
        runner.add_images(request["images"])
        result, pixels = runner.run(request["code"], request["silent"])
        wire.send(sock, result, pixels)
