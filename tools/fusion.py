# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run cells on a SandboxFusion server (bytedance/SandboxFusion) through its notebook interface ``POST /run_jupyter``.

The server keeps no state between requests. Each request therefore repeats the trajectory's earlier cells in front of
the new one and carries all images. The server decides how tightly the code is held.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from io import BytesIO

from PIL import Image

from tools.images import encoded_image
from tools.sandbox.inside.pictures import SUFFIXES, as_rgb
from tools.sandbox.options import SandboxOptions
from tools.sandbox.session import CellResult, PastCell
from verl_ext.service.http import HttpClient
from verl_ext.tool_calls import ToolInfrastructureError

MAX_RESPONSE = 64 << 20  # In bytes.

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
        files = await asyncio.to_thread(_files, images)
        before = _BEFORE_ALL.format(suffixes=SUFFIXES, names=list(files))
        seconds = self._options.code_timeout_s
        again = [part for cell in earlier for part in (_BEFORE_EARLIER.format(count=cell.images), cell.code)]
        request = {
            "cells": [before, *again, _BEFORE_CELL, code, _AFTER_CELL],
            "kernel": "python3",
            "cell_timeout": seconds,
            "total_timeout": seconds * (2 if earlier else 1),
            "memory_limit_MB": self._options.memory_mb,
            "files": files,
        }
        body = await self._client.request(
            "POST",
            f"{self._url}/run_jupyter",
            json=request,
            deadline_s=self._deadline_s,
            max_bytes=MAX_RESPONSE,
            check=_check,
        )
        return await asyncio.to_thread(self._read, json.loads(body))

    def _read(self, answer: dict) -> CellResult:
        """Convert the server's answer to a cell's result.

        Raises:
            ToolInfrastructureError: the answer does not hold the cells of a notebook.
        """
        try:
            status, driver = answer["status"], answer.get("driver") or {}
            if status == "Failed" and driver.get("status") == "TimeLimitExceeded":
                return CellResult(timed_out=True, ended="time")
            if status == "Failed":  # The server's driver ended with an error, so the cells have broken the kernel.
                return CellResult(ended="died")
            cell, after = answer["cells"][-2:]
            limit = 4 * self._options.max_output_chars
            printed = cell["stdout"] + cell["stderr"]
            shown = [*cell["display"], *after["display"]]
            values = [item.get("text/plain") for item in cell["display"] if "image/png" not in item]
            error = cell["error"][0] if cell["error"] else None
            images, skipped = self._images([item["image/png"] for item in shown if "image/png" in item])
            return CellResult(
                stdout=printed[:limit],
                dropped=max(0, len(printed) - limit),
                value="\n".join(filter(None, values)) or None,
                error=None if error is None else _short_traceback(error),
                images=images,
                skipped_images=skipped,
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ToolInfrastructureError(
                f"SandboxFusion: no answer of its notebook interface: {type(error).__name__}", "garbage"
            ) from error

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


def _check(body: bytes) -> None:
    """Tell ``HttpClient`` whether to send the request again.

    Raises:
        ValueError: the server reports its own failure, or the body is not an answer.
    """
    answer = json.loads(body)
    if not isinstance(answer, dict) or answer.get("status") not in ("Success", "Failed"):
        said = f"{answer.get('status')}: {answer.get('message')}" if isinstance(answer, dict) else "no object"
        raise ValueError(said[:300])


def _files(images: list) -> dict[str, str]:
    encoded = [encoded_image(image) for image in images]
    return {f"image_{i}{suffix}": base64.b64encode(data).decode() for i, (suffix, data) in enumerate(encoded)}


def _short_traceback(error: dict) -> str:
    trace = _ANSI.sub("", "\n".join(error.get("traceback", ())))
    lines = [f"line {number}: {line.strip()}" for number, line in _ERROR_LINE.findall(trace)][-6:]
    return "\n".join([*lines, f"{error['ename']}: {error['evalue']}"])
