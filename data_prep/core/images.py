# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read images as bytes from a column's value, and check that a model can be shown them."""

from __future__ import annotations

import base64
import binascii
import io
import threading
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

MAX_ASPECT = 200  # Qwen3-VL's processor refuses more
# Pixels from which PIL refuses to open an image. Training opens images with this limit, hence the default.
PIL_LIMIT = 2 * 89_478_485
_PIL_STATE = threading.Lock()


class BadImage(ValueError):
    """Report an unusable image. ``reason`` is one of a few fixed phrases, and the message has details."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


def image_bytes(value: Any, root: Path | None = None) -> bytes:
    """Return the encoded bytes of an undecoded image.

    Args:
        value: bytes, ``{"bytes", "path"}`` as ``datasets`` gives it, or a path.
        root: directory of relative paths. Paths that leave it are refused.

    Raises:
        ValueError: the image is missing, or its path leaves the directory.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes | bytearray) and value:
        return bytes(value)
    if not isinstance(value, str) or not value:
        raise ValueError(f"no image: {type(value).__name__}")
    if root is None:
        raise ValueError(f"{value}: a path without a directory to look in")
    path = (root / value).resolve()
    allowed = [root.resolve()]
    if allowed[0].parent.name == "snapshots":  # the Hub's cache links to files in ``blobs``
        allowed.append(allowed[0].parents[1] / "blobs")
    if not any(path.is_relative_to(folder) for folder in allowed):
        raise ValueError(f"{value} leaves {root}")
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    return path.read_bytes()


def base64_bytes(text: str) -> bytes:
    """Decode a base64 string, with or without the prefix ``data:image/...;base64,``.

    Raises:
        BadImage: the text is not base64.
    """
    body = text.split(",", 1)[1] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImage("corrupt image", f"not base64: {error}") from error


def check_image(data: bytes, max_pixels: int = PIL_LIMIT) -> tuple[int, int]:
    """Decode an image completely and return its size.

    Args:
        data: encoded image.
        max_pixels: area limit in pixels. Larger images are refused before they are decoded.

    Returns:
        Width and height in pixels.

    Raises:
        BadImage: the image cannot be decoded, is too large, or is too elongated for the processor.
    """
    # PIL's own limit is global. It is off while ``max_pixels`` applies.
    with _PIL_STATE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise BadImage("image over the pixel limit", f"{width} x {height} px, limit {max_pixels} px")
                image.load()
        except BadImage:
            raise
        except Exception as error:  # a decoder may raise nearly anything on broken bytes
            raise BadImage("corrupt image", f"{type(error).__name__}: {error}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = before
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage("aspect ratio over 200", f"{width} x {height} px")
    return width, height
