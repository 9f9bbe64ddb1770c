# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Handle thumbnails of an image search: which URLs may be requested, what counts as an image, and the size."""

from __future__ import annotations

import ipaddress
from io import BytesIO

import httpx
from PIL import Image

from tools.images import MAX_ASPECT_RATIO, smart_resize
from tools.search.pictures import open_picture

FACTOR = 32  # Sides of a thumbnail are multiples of it (patch size times merge size).
MIN_PIXELS = FACTOR**2


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
    if open_picture(BytesIO(body)) is None:
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
