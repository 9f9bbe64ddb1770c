# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the images of a question in its prompt, and encode them for a judge."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image

MAX_PICTURES = 8
_QUALITY = 90
_JPEG_SIDE = 65_500


@dataclass(frozen=True)
class Picture:
    """Hold an image of a question.

    Attributes:
        source: an entry of verl's prompt, with ``bytes`` or ``image`` (a PIL image or a path).
        max_pixels: greatest area that is sent.
    """

    source: Mapping[str, Any]
    max_pixels: int

    @cached_property
    def digest(self) -> str:
        """Identify what is sent, for the key of a recorded verdict."""
        data = self.source.get("bytes")
        if data is None:
            image = self._open()
            data = f"{image.mode} {image.size} ".encode() + image.tobytes()
        return f"{hashlib.sha256(data).hexdigest()} {self.max_pixels}"

    def data_uri(self) -> str:
        """Return the image as a JPEG of at most ``max_pixels``."""
        image = self._open()
        size = _bounded(image.size, self.max_pixels)
        if size != image.size and image is not self.source.get("image"):
            image.draft("RGB", size)  # A JPEG is decoded at a fraction of its size, where one suffices.
        image = image.convert("RGB")
        if image.size != size:
            image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=_QUALITY)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    def _open(self) -> Image.Image:
        data, image = self.source.get("bytes"), self.source.get("image")
        if data is not None:
            return Image.open(io.BytesIO(data))
        return image if isinstance(image, Image.Image) else Image.open(str(image).removeprefix("file://"))


def _bounded(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Return the size of an image that is scaled down to an area."""
    scale = min(1.0, math.sqrt(max_pixels / (size[0] * size[1])))
    # A narrow image keeps a side of one pixel, so the other side is bounded, too. JPEG has a greatest side.
    width = min(max(1, int(size[0] * scale)), max_pixels, _JPEG_SIDE)
    return width, min(max(1, int(size[1] * scale)), max_pixels // width, _JPEG_SIDE)


def pictures_of(prompt: Any, max_pixels: int) -> tuple[Picture, ...]:
    """Return the images of a prompt in verl's form, at most ``MAX_PICTURES``.

    Args:
        prompt: messages whose ``content`` may be a list of parts.
        max_pixels: greatest area of an image that is sent.
    """
    contents = [message.get("content") for message in _listed(prompt) if isinstance(message, Mapping)]
    parts = [part for content in contents for part in _listed(content) if isinstance(part, Mapping)]
    found = [part for part in parts if part.get("bytes") is not None or part.get("image") is not None]
    return tuple(Picture(part, max_pixels) for part in found[:MAX_PICTURES])


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else ()
