# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the pixels of an image that a model sees, for the host and for the jail."""

from __future__ import annotations

import io

from PIL import Image

ORIENTATION = 0x0112  # The tag of EXIF data.
ORIENTATION_MARKS = (b"Exif", b"eXIf", b"EXIF", b"exif", b"tiff:Orientation")  # One is in each file that has the tag.


def as_seen(image: Image.Image) -> Image.Image:
    """Convert an image to RGB, with RGBA on white. Any other transparency, and EXIF's orientation, are ignored.

    ``qwen_vl_utils`` and verl's image processing follow the same rule.
    """
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def is_plain(data: bytes) -> bool:
    """Return True if every library reads the pixels that ``as_seen`` returns from an image file.

    Libraries differ in what they do with orientation, transparency, palettes and more than 8 bits.
    """
    with Image.open(io.BytesIO(data)) as image:
        if image.mode not in ("RGB", "L") or "transparency" in image.info or getattr(image, "n_frames", 1) != 1:
            return False
        if image.format != "TIFF" and not any(mark in data for mark in ORIENTATION_MARKS):
            return True  # Asking for the tag would decode a PNG.
        try:
            return image.getexif().get(ORIENTATION, 1) == 1
        except Exception:  # The data of EXIF are broken, and libraries do with them what they like.
            return False
