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
"""Runs cells of code in one namespace, and collects what they print, return and draw."""

from __future__ import annotations

import ast
import builtins
import fcntl
import io
import linecache
import os
import signal
import socket
import sys
import time
import traceback
import types

import pictures
import wire

MAX_FRAMES = 6


class CellTimeout(BaseException):
    """Raised inside of a cell whose time is up; no `except Exception` holds it."""


class _Output(io.RawIOBase):
    """File descriptor of a file in memory that takes `limit` bytes for each cell and drops the rest."""

    def __init__(self, file: int, limit: int):
        super().__init__()
        self._file = file
        self._limit, self._taken, self.dropped = limit, 0, 0
        for fd in (1, 2):  # what C code prints comes along
            os.dup2(self._file, fd)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Stay open: a cell may close or drop the stream in front of it."""

    def write(self, data) -> int:
        size = len(data)
        kept = max(0, min(size, self._limit - self._taken))
        if kept:
            try:
                os.write(self._file, bytes(data[:kept]))
            except OSError:  # C code has filled the file
                kept = 0
        self._taken += kept
        self.dropped += size - kept
        return size

    def take(self) -> tuple[str, int]:
        """The text since the last time, and how many bytes were dropped."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, self._limit, 0)
        dropped = self.dropped + size - len(data)
        os.ftruncate(self._file, 0)
        self._taken = self.dropped = 0
        return data.decode("utf-8", "backslashreplace"), dropped


class Notebook:
    """One trajectory's variables, images and disk."""

    def __init__(self, limits: dict, output: int):
        self._limits = limits
        self._module = types.ModuleType("__main__")
        self._images = pictures.ImageList()
        self._module.__dict__.update(images=self._images, image_paths=self._images.paths, __builtins__=builtins)
        sys.modules["__main__"] = self._module
        self._count = 0
        self._output = _Output(output, limits["output_bytes"])
        self._stream()

    def _stream(self) -> None:
        """Give print its place back, whatever the last cell has put there."""
        sys.stdout = sys.stderr = io.TextIOWrapper(
            self._output, encoding="utf-8", errors="backslashreplace", write_through=True
        )

    def add_images(self, images: list[tuple[str, bytes]]) -> bool:
        """Write the images of the conversation that are new since the last cell to the disk: all, or none and False."""
        before = len(self._images)
        try:
            for suffix, data in images:
                self._images.add(suffix, data)
        except OSError:
            self._images.keep(before)
            return False
        return True

    def run(self, code: str, seconds: float, silent: bool = False) -> tuple[dict, list[bytes]]:
        """Run one cell.

        Returns:
            `stdout`, `dropped` (bytes), `value` (repr of the last expression or None), `error` (a short traceback or
            None), `timed_out`, `images` (label, width, height), `skipped_images`; and their RGB bytes.
        """
        self._count += 1
        self._stream()
        pictures.start_cell()
        result = {"value": None, "error": None, "timed_out": False, "images": [], "skipped_images": 0}
        value = None
        try:
            try:
                # the alarm may come at any point between these lines: the outer `try` is for that
                signal.signal(signal.SIGALRM, _raise_timeout)
                signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
                value = self._execute(code)
                if value is not None and not silent and not pictures.is_picture(value):
                    result["value"] = _shorten(repr(value), self._limits["output_bytes"])
            except CellTimeout:
                raise
            except SystemExit:
                pass
            except BaseException as error:
                result["error"] = _shorten(short_traceback(error), self._limits["output_bytes"])
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except CellTimeout as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            result["timed_out"] = True
            result["error"] = short_traceback(error)
        found, blobs, skipped = [], [], 0
        try:
            found, blobs, skipped = pictures.collect(value, self._limits, silent)
        except BaseException as error:
            result["error"] = result["error"] or short_traceback(error)
        result["images"], result["skipped_images"] = found, skipped
        result["stdout"], result["dropped"] = self._output.take()
        return result, blobs

    def _execute(self, code: str):
        name = f"<cell {self._count}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        tree = ast.parse(code, name)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, name, "exec"), self._module.__dict__)
        if last is None:
            return None
        return eval(compile(last, name, "eval"), self._module.__dict__)


def _raise_timeout(signum, frame):
    raise CellTimeout("time is up")


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit // 2] + " ... " + text[-limit // 2 :]


def short_traceback(error: BaseException) -> str:
    """The error and the lines of the model's own code that led to it."""
    if isinstance(error, SyntaxError):
        where = f"line {error.lineno}: {(error.text or '').strip()}\n" if error.lineno else ""
        return f"{where}{type(error).__name__}: {error.msg}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<cell ")]
    lines = [f"line {f.lineno}: {f.line}" for f in frames[-MAX_FRAMES:]]
    if len(frames) > MAX_FRAMES:
        lines.insert(0, f"... {len(frames) - MAX_FRAMES} more lines ...")
    try:
        message = str(error)
    except BaseException:
        message = "?"
    return "\n".join([*lines, f"{type(error).__name__}: {message}" if message else type(error).__name__])


def prepare() -> None:
    """Once in the zygote: what every interpreter would have to do again."""
    pictures.prepare()


def output_file() -> int:
    """Where cells print to: a file in memory and not on the disk, which they may fill. RLIMIT_FSIZE bounds it, too."""
    output = os.memfd_create("output")
    fcntl.fcntl(output, fcntl.F_SETFL, os.O_APPEND)
    return output


def serve(sock: socket.socket, limits: dict, output: int) -> None:
    """Answer messages until the host closes the connection.

    A message holds `cells` (code), of which all but the last are run without a word to bring back the variables of an
    earlier interpreter; `seconds` for the last and as much for all others; and the new images, `suffixes` and bytes.
    """
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    if "numpy" in sys.modules:  # random itself is seeded anew at a fork
        sys.modules["numpy"].random.seed(int.from_bytes(os.urandom(4), "little"))
    notebook = Notebook(limits, output)
    wire.send(sock, {"ready": True})
    while True:
        try:
            request, blobs = wire.receive(sock, max_header=1 << 30, max_blobs=1 << 40)
        except wire.WireError:
            return
        started = time.monotonic()
        disk_full = not notebook.add_images(list(zip(request["suffixes"], blobs, strict=True)))
        *earlier, code = request["cells"]
        replay_failed = False
        for cell in earlier:
            left = started + request["seconds"] - time.monotonic()
            replay_failed = left <= 0 or notebook.run(cell, left, silent=True)[0]["timed_out"]
            if replay_failed:
                break
        result, pixels = notebook.run(code, request["seconds"])
        result |= {"replay_failed": replay_failed, "disk_full": disk_full}
        wire.send(sock, result, pixels)
