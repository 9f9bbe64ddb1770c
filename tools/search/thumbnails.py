# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Handle thumbnails of an image search: which URLs may be requested, what counts as an image, and the size."""

from __future__ import annotations

import ipaddress
import threading
from io import BytesIO
from pathlib import Path

import httpx
from PIL import Image

from tools.images import MAX_ASPECT_RATIO, smart_resize
from tools.search.pictures import open_picture

MAX_THUMBNAIL_PIXELS = 16_777_216  # 64 MiB decoded.
MAX_SCANNED_PIXELS = 200_000_000  # A progressive JPEG repeats its pixels in ten scans. With thousands it takes minutes.
FACTOR = 32  # Sides of a thumbnail are multiples of it (patch size times merge size).
MIN_PIXELS = FACTOR**2
_decoding = threading.Lock()  # Bounds the memory of decoded images, whatever the number of calls.


def open_thumbnail(source: BytesIO | Path, max_pixels: int) -> Image.Image | None:
    """Open and resize a result's image. Return None if it cannot or should not be shown.

    Args:
        source: a file of the user's own directory, or the bytes that a service has sent, which have stricter limits.
        max_pixels: area of the thumbnail.
    """
    with _decoding:
        image = _open_untrusted(source) if isinstance(source, BytesIO) else open_picture(source)
        return None if image is None else thumbnail_of(image, max_pixels)


def _open_untrusted(file: BytesIO) -> Image.Image | None:
    data = file.getvalue()
    scans = data.count(b"\xff\xda") if data.startswith(b"\xff\xd8\xff") else 0
    return open_picture(file, min(MAX_THUMBNAIL_PIXELS, MAX_SCANNED_PIXELS // max(scans, 1)))


def thumbnail_of(image: Image.Image, max_pixels: int) -> Image.Image | None:
    """Resize within ``max_pixels``, to sides that are multiples of ``FACTOR``.

    Return None for a shape that image processors refuse.
    """
    if max(image.size) > MAX_ASPECT_RATIO * min(image.size):
        return None
    size = smart_resize(*image.size, FACTOR, MIN_PIXELS, max_pixels)
    return image.copy() if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def check_picture(body: bytes) -> None:
    """Tell ``HttpClient`` whether to send the request again. A page that says "blocked" is not an image.

    Raises:
        ValueError: the body is not an image.
    """
    with _decoding:
        if _open_untrusted(BytesIO(body)) is None:
            raise ValueError("no picture")


def may_be_asked(url: str, api: str | None) -> bool:
    """Return True if a URL that a service named may be requested.

    A URL on this machine or its network is refused, unless the service itself is there. Names are not resolved, so only
    explicit addresses are recognised.
    """
    try:
        parts = httpx.URL(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            return False
        if api is None or parts.host == httpx.URL(api).host:  # Without an API no request is sent, only replayed.
            return True
        host = parts.host.rstrip(".").lower()
        return ipaddress.ip_address(host).is_global
    except (httpx.InvalidURL, UnicodeError):
        return False
    except ValueError:  # The host is a name and not a number.
        last = host.rpartition(".")[2]  # 127.1 and 0x7f.1 are numbers, too.
        return host != last and last[0].isalpha() and last not in ("local", "internal", "localhost")
