# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run cells on a SandboxFusion server (bytedance/SandboxFusion) through its notebook interface ``POST /run_jupyter``.

The server keeps no state between requests. Each request therefore repeats the trajectory's earlier cells in front of
the new one and carries all images. The server decides how tightly the code is held.

An answer without results does not say whose fault that is: a server that cannot start a kernel reports the same time
limit as a cell that never ends, and a cell can write whatever the server reports. ``FusionBackend`` therefore asks the
server to run cells of its own. If these fail, too, the infrastructure has failed. Otherwise the model's code has.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import msgspec
from PIL import Image

from tools.images import encoded_image
from tools.sandbox.inside.pictures import SUFFIXES, as_rgb
from tools.sandbox.options import SandboxOptions
from tools.sandbox.session import CellResult, PastCell
from verl_ext.service.http import HttpClient
from verl_ext.service.json_answer import read_json
from verl_ext.service.text import one_line
from verl_ext.tool_calls import ToolInfrastructureError

MAX_RESPONSE = 32 << 20  # In bytes.
DRIVER_GRACE_S = 10.0  # The server adds this to ``total_timeout``.
PROBE_S = 10.0  # A kernel starts in 2 to 5 seconds.
PROBE_SIZE = (8, 6)
MAX_OBJECTS = 1_000_000  # A cell may print as many braces.
MAX_TRACE_BYTES = 1 << 18
_PROBE = "import numpy\nprint(numpy.asarray(images[-1]).shape)\nimages[-1].save('probe.png')"

# The names begin with an underscore, so that a cell does not use them by accident.
_BEFORE_ALL = """
import os as _os
from PIL import Image as _Image
def _as_rgb(image):
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = _Image.alpha_composite(_Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
def _image_files():
    found = {{}}
    for entry in _os.scandir("."):
        if entry.name.lower().endswith({suffixes!r}) and entry.is_file():
            found[entry.name] = entry.stat().st_mtime_ns
    return found
image_paths = [_os.path.abspath(name) for name in {names!r}]
images = [_as_rgb(_Image.open(path)) for path in image_paths]
_images, _image_paths = images, image_paths
"""
_BEFORE_EARLIER = "images, image_paths = _images[:{count}], _image_paths[:{count}]"
_BEFORE_CELL = "_files = _image_files()\nimages, image_paths = _images, _image_paths"
_AFTER_CELL = """
for _name, _time in _image_files().items():
    if _files.get(_name) != _time:
        try:
            display(_as_rgb(_Image.open(_name)))
        except Exception:
            pass
"""
_ERROR_LINE = re.compile(r"^-+> *(\d+) (.*)$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class FusionBackend:
    """Run one trajectory's notebook on a server.

    Args:
        options: limits of the cells.
        client: sends the requests.
        url: URL of the server.
        deadline_s: seconds for one cell, retries included.
    """

    def __init__(self, options: SandboxOptions, client: HttpClient, url: str, deadline_s: float):
        self._options, self._client = options, client
        self._url, self._deadline_s = url.rstrip("/"), deadline_s

    def close(self) -> None:
        """Do nothing: the server keeps no state."""

    async def run(self, code: str, earlier: list[PastCell], images: list) -> CellResult:
        """Run a cell, see ``Backend``."""
        started = time.monotonic()

        def left() -> float:
            return self._deadline_s - (time.monotonic() - started)

        try:
            return await self._run(code, earlier, images, left())
        except _Doubt as doubt:
            first = doubt
        await self.probe(images, left())
        # A busy server may have failed to start a kernel once. The second time, the cell has forged the report.
        if first.no_kernel and left() > 3 * (self._options.code_timeout_s + DRIVER_GRACE_S):
            try:
                return await self._run(code, earlier, images, left())
            except _Doubt:
                await self.probe(images, left())
        return CellResult(timed_out=first.ended == "time", ended=first.ended)

    async def probe(self, images: list, deadline_s: float | None = None) -> None:
        """Run cells that need what every cell needs: a kernel, Pillow, numpy, and images in both directions.

        Args:
            images: images of the conversation, which the server's Pillow must be able to read.
            deadline_s: seconds. None uses those of a cell.

        Raises:
            ToolInfrastructureError: the server cannot run them. The message says what it has answered.
        """
        images = [*images, Image.new("RGB", PROBE_SIZE, "white")]
        try:
            result = await self._run(_PROBE, [], images, deadline_s or self._deadline_s, PROBE_S)
        except _Doubt as doubt:
            raise ToolInfrastructureError(f"SandboxFusion: cannot run a cell: {doubt}", doubt.kind) from None
        shape = f"({PROBE_SIZE[1]}, {PROBE_SIZE[0]}, 3)"
        if (
            result.error is not None
            or result.stdout.strip() != shape
            or len(result.images) != min(1, self._options.max_images)
        ):
            said = result.error or f"printed {result.stdout[:80]!r}, {len(result.images)} images"
            said = one_line(said)[:300]
            raise ToolInfrastructureError(f"SandboxFusion: this tool's own cell fails there: {said}", "sandbox")

    async def _run(
        self, code: str, earlier: list[PastCell], images: list, deadline_s: float, seconds: float | None = None
    ) -> CellResult:
        """Send the cells once.

        Raises:
            _Doubt: the answer holds no results.
            ToolInfrastructureError: the server cannot be reached or reports its own failure.
        """
        files = await asyncio.to_thread(_files, images)
        before = _BEFORE_ALL.format(suffixes=SUFFIXES, names=list(files))
        again = [part for cell in earlier for part in (_BEFORE_EARLIER.format(count=cell.images), cell.code)]
        seconds = self._options.code_timeout_s if seconds is None else seconds
        # Enough time must be left to find out whose fault a time limit is.
        longest = self._deadline_s - 2 * DRIVER_GRACE_S - PROBE_S
        total = min(seconds * (2 if earlier else 1), max(longest, seconds))
        cells = [before, *again, _BEFORE_CELL, code, _AFTER_CELL]
        request = {
            "cells": cells,
            "kernel": "python3",
            "cell_timeout": seconds,
            "total_timeout": total,
            "memory_limit_MB": self._options.memory_mb,
            "files": files,
        }
        try:
            body = await self._client.request(
                "POST",
                f"{self._url}/run_jupyter",
                json=request,
                deadline_s=deadline_s,
                max_bytes=MAX_RESPONSE,
                check=_check,
            )
        except ToolInfrastructureError as error:
            if error.kind == "size":
                raise _Doubt(str(error), "died", kind="size") from None
            raise
        return await asyncio.to_thread(self._read, body, len(cells))

    def _read(self, body: bytes, num_cells: int) -> CellResult:
        """Convert the server's answer to a cell's result.

        Raises:
            _Doubt: the answer does not hold the results of all cells.
        """
        _raise_failure(_report(body))
        try:
            results = read_json(body, _Results, MAX_OBJECTS).cells
        except ValueError as error:
            raise _Doubt(f"no answer of its notebook interface: {error}", "died", kind="garbage") from None
        if len(results) != num_cells:
            message = f"no answer of its notebook interface: {len(results)} results of {num_cells} cells"
            raise _Doubt(message, "died", kind="garbage")
        if results[0].error:  # The cell that prepares the notebook comes before all cells of the model.
            raise _Doubt(f"the notebook cannot be prepared: {_short_traceback(results[0].error[0])}", "died")
        cell, after = results[-2:]
        limit = 4 * self._options.max_output_chars
        printed = cell.stdout + cell.stderr
        shown = [_text(item.png) for item in (*cell.display, *after.display) if item.png]
        values = [_text(item.plain) for item in cell.display if not item.png]
        images, skipped = self._images(shown)
        return CellResult(
            stdout=printed[:limit],
            dropped=max(0, len(printed) - limit),
            value="\n".join(filter(None, values)) or None,
            error=_short_traceback(cell.error[0]) if cell.error else None,
            images=images,
            skipped_images=skipped,
        )

    def _images(self, encoded: list[str]) -> tuple[list[tuple[str, Image.Image]], int]:
        images = []
        for data in encoded[: self._options.max_images]:
            try:
                image = Image.open(BytesIO(base64.b64decode(data)), formats=["PNG"])
                if image.width * image.height > 16 * self._options.max_pixels:
                    continue
                image = as_rgb(image)
                image.thumbnail((self._options.max_pixels, self._options.max_pixels))
                images.append(("image", image))
            except Exception:  # The model's code has created the image, so any error is possible.
                continue
        return images, len(encoded) - len(images)


def server_failure(backend: FusionBackend) -> str | None:
    """Return why a server cannot run cells, or None if it can. Work inside of a running event loop, too."""
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(backend.probe([]))).result()
    except ToolInfrastructureError as error:
        return str(error)
    return None


class _Doubt(Exception):
    """Raised if an answer holds no results. Either the model's code or the server is at fault."""

    def __init__(self, message: str, ended: str, *, kind: str = "sandbox", no_kernel: bool = False):
        super().__init__(one_line(message)[:400])
        self.ended, self.kind, self.no_kernel = ended, kind, no_kernel


class _Driver(msgspec.Struct):
    status: str | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class _Report(msgspec.Struct):
    """The part of an answer that the server writes by itself."""

    status: str
    message: str | None = None
    driver: _Driver | None = None


class _Shown(msgspec.Struct):
    # The model's code chooses the values. They are read only where they are text.
    png: msgspec.Raw = msgspec.field(name="image/png", default=msgspec.Raw(b""))
    plain: msgspec.Raw = msgspec.field(name="text/plain", default=msgspec.Raw(b""))


class _Error(msgspec.Struct):
    ename: msgspec.Raw = msgspec.Raw(b"")
    evalue: msgspec.Raw = msgspec.Raw(b"")
    traceback: msgspec.Raw = msgspec.Raw(b"")


class _Cell(msgspec.Struct):
    stdout: str
    stderr: str
    display: list[_Shown]
    error: list[_Error]


class _Results(msgspec.Struct):
    cells: list[_Cell]


def _text(raw: msgspec.Raw, form: Any = str, default: Any = "") -> Any:
    try:
        return read_json(bytes(raw), form, max_objects=MAX_OBJECTS)
    except ValueError:
        return default


def _check(body: bytes) -> None:
    """Tell ``HttpClient`` whether to send the request again.

    Raises:
        ValueError: the server reports its own failure, or the body is not an answer.
    """
    report = _report(body)
    # The server cannot represent what a cell has displayed. Asking again would not help.
    unreadable = report.status == "SandboxError" and "validation error" in (report.message or "")
    if report.status not in ("Success", "Failed") and not unreadable:
        raise ValueError(f"{report.status}: {report.message}"[:300])


def _report(body: bytes) -> _Report:
    # A cell may print any number of braces. The report holds few objects, whatever else is there.
    return read_json(body, _Report, max_objects=len(body))


def _raise_failure(report: _Report) -> None:
    """Raise ``_Doubt`` unless the server reports success."""
    if report.status == "Success":
        return
    driver = report.driver or _Driver()
    said = f"{driver.stdout or ''}\n{driver.stderr or ''}\n{report.message or ''}".strip()
    # The server first prints the request as JSON, so no cell begins a line there.
    no_kernel = "\nkernel failed to start" in f"\n{said}"
    if driver.status == "TimeLimitExceeded":
        reason = "its kernel does not start" if no_kernel else "it does not answer within the time limit"
        raise _Doubt(f"{reason}: {said[-200:]}", "time", no_kernel=no_kernel)
    raise _Doubt(f"{driver.status}, return code {driver.return_code}: {said[-200:]}", "died", no_kernel=no_kernel)


def _files(images: list) -> dict[str, str]:
    encoded = [encoded_image(image) for image in images]
    return {f"image_{i}{suffix}": base64.b64encode(data).decode() for i, (suffix, data) in enumerate(encoded)}


def _short_traceback(error: _Error) -> str:
    short = len(bytes(error.traceback)) <= MAX_TRACE_BYTES
    trace = _ANSI.sub("", "\n".join(_text(error.traceback, list[str], []) if short else ()))
    lines = [f"line {number}: {line.strip()}" for number, line in _ERROR_LINE.findall(trace)][-6:]
    return "\n".join([*lines, f"{_text(error.ename)}: {_text(error.evalue)}"])
