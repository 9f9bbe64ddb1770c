# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Paint ink that only a close look can read: colour specks whose block mean is exactly the background.

A *block* is the square of full-resolution pixels that one pixel of the down-scaled image stands for. An inked block
holds saturated specks on a quarter of its pixels. The other three quarters are shifted the other way, so that the mean
of the block is exactly the background's grey in every channel.
"""

from __future__ import annotations

import numpy as np

# One speck in each row and each column of 4 x 4 pixels. Of all layouts of four specks this one leaks least through a
# bicubic filter: 0 grey levels inside an inked area, 1 at its edge. A 2 x 2 speck in the middle would leak 13.
_ROOKS = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]], dtype=bool)
PERIOD = _ROOKS.shape[0]

# Channels are 0 or 255, which are divisible by 3. If the background is as well, the compensation is an integer.
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
}
WHITE = (255, 255, 255)

# 5 x 7 letters and digits that differ from one another in many places.
GLYPHS = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "C": "01111 10000 10000 10000 10000 10000 01111",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "X": "10001 10001 01010 00100 01010 10001 10001",
    "2": "11110 00001 00001 01110 10000 10000 11111",
    "4": "10010 10010 10010 11111 00010 00010 00010",
}


def glyph_bitmap(glyph: str) -> np.ndarray:
    """Return the (7, 5) bool bitmap of a letter or digit.

    Raises:
        KeyError: the glyph is not in ``GLYPHS``.
    """
    return np.array([[pixel == "1" for pixel in row] for row in GLYPHS[glyph].split()])


def enlarge(array: np.ndarray, factor: int) -> np.ndarray:
    """Repeat every entry of the first two axes: (H, W, ...) -> (H * factor, W * factor, ...)."""
    return array.repeat(factor, axis=0).repeat(factor, axis=1)


def compensation(background: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return the value of the pixels around the specks that restores a block's mean to the background.

    Args:
        background: (...) grey levels, each divisible by 3 and from 64 to 191.
        colour: (..., 3) speck colours, channels 0 or 255.

    Returns:
        (..., 3) integers from 0 to 255.

    Raises:
        ValueError: a level cannot be compensated exactly.
    """
    total = 4 * background[..., None].astype(int) - colour.astype(int)
    value = total // 3
    if (total % 3).any() or value.min() < 0 or value.max() > 255:
        raise ValueError("background levels must be divisible by 3 and lie from 64 to 191 to hide ink")
    return value


def ink(background: np.ndarray, colour: np.ndarray, inked: np.ndarray, factor: int) -> np.ndarray:
    """Paint blocks at full resolution.

    Args:
        background: (H, W) grey level of each block.
        colour: (H, W, 3) speck colour of each block, used where ``inked`` is True.
        inked: (H, W) bool.
        factor: pixels along a block's side, a multiple of 4.

    Returns:
        (H * factor, W * factor, 3) uint8.
    """
    around = enlarge(np.where(inked[..., None], compensation(background, colour), background[..., None]), factor)
    speck = np.tile(_ROOKS, (background.shape[0] * factor // PERIOD, background.shape[1] * factor // PERIOD))
    speck = speck & enlarge(inked, factor)
    return np.where(speck[..., None], enlarge(colour, factor), around).astype(np.uint8)
