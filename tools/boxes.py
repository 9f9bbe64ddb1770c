# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the box of a call of ``image_zoom_in``, without verl: a page draws it on the image."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from tools.images import check_index, finite_number
from verl_ext.tool_calls import BadArgument

SCALE = 1000  # Coordinates of bbox_2d are relative, from 0 to SCALE.
MAX_LABEL_CHARS = 1000
MAX_BOX_CHARS = 200  # of a box that is written as a string

Box = tuple[float, float, float, float]
Size = tuple[int, int]


def parse_arguments(
    parameters: dict[str, Any], num_images: int, frames: Callable[[int], Sequence[Size]] = lambda index: ()
) -> tuple[Box, int]:
    """Check the arguments that the model sent. The error never repeats them, so it stays short.

    Args:
        parameters: the call's arguments.
        num_images: number of images in the conversation so far.
        frames: returns the sizes in pixels in which the model may have seen an image.

    Returns:
        The box, relative and clamped to 0..1000, and the index of the image.

    Raises:
        BadArgument: names the argument and what is allowed.
    """
    box = _parse_box(parameters.get("bbox_2d"))
    label = parameters.get("label")
    if not isinstance(label, str) or len(label) > MAX_LABEL_CHARS:
        raise BadArgument("label", f"must be a string of at most {MAX_LABEL_CHARS} characters.")
    index = check_index(parameters.get("img_idx"), num_images)
    x1, y1, x2, y2 = to_relative(box, frames(index))
    if min(x2, y2) <= 0 or max(x1, y1) >= SCALE:
        raise BadArgument("bbox_2d", f"lies outside of the image: coordinates are relative, from 0 to {SCALE}.")
    return (max(x1, 0.0), max(y1, 0.0), min(x2, float(SCALE)), min(y2, float(SCALE))), index


def _parse_box(value: Any) -> Box:
    if isinstance(value, str) and len(value) <= MAX_BOX_CHARS:
        value = re.sub(r"[\[\](),]", " ", value).split()
    numbers = [finite_number(item) for item in value] if isinstance(value, list | tuple) and len(value) == 4 else [None]
    if None in numbers:
        raise BadArgument("bbox_2d", f"must be [x1, y1, x2, y2], four numbers from 0 to {SCALE}.")
    x1, y1, x2, y2 = numbers
    if x1 >= x2 or y1 >= y2:
        raise BadArgument("bbox_2d", "is empty: [x1, y1, x2, y2] needs x1 < x2 and y1 < y2.")
    return x1, y1, x2, y2


def to_relative(box: Box, frames: Sequence[Size]) -> Box:
    """Return a box in coordinates from 0 to 1000.

    A box within 0..1 is relative to 1: in thousandths it would be smaller than a pixel. A box beyond 1000 that fits
    into the image is in pixels. Slightly beyond 1000 it may be either, and so may pixels where the model has seen the
    image in another size. Everything else is relative to 1000.

    Args:
        box: the four numbers of the model.
        frames: sizes of the image in pixels: of the original, and of what the model has seen.

    Raises:
        BadArgument: the box may be meant in two ways.
    """
    if -0.01 <= min(box) and max(box) <= 1.01:
        x1, y1, x2, y2 = (SCALE * value for value in box)
        return x1, y1, x2, y2
    fitting = [(width, height) for width, height in frames if box[2] <= width and box[3] <= height]
    if max(box) <= 1.01 * SCALE or min(box) < 0 or not fitting:
        return box
    apart = max(abs(side - other) for size in fitting for side, other in zip(size, fitting[0], strict=True))
    slightly = max(box) <= 1.1 * SCALE and max(box[:2]) < SCALE
    if slightly or apart > 32:  # A processor rounds the sides of an image to multiples of at most 32.
        raise BadArgument("bbox_2d", f"must be relative, from 0 to {SCALE} on both axes, and not in pixels.")
    width, height = fitting[0]
    x1, x2 = (SCALE * value / width for value in box[::2])
    y1, y2 = (SCALE * value / height for value in box[1::2])
    return x1, y1, x2, y2
