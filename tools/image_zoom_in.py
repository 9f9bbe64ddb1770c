# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Show the model a region of an image that it has seen, at full resolution: ``image_zoom_in``.

The crop comes from the original image of the conversation. The copy that was shrunk for the model would only be
magnified blur.
"""

import asyncio
import math
from typing import Any

import pydantic
from PIL import Image

from tools.base import AgentTool, Answer
from tools.boxes import SCALE, Box, Size, parse_arguments
from tools.images import (
    MAX_ASPECT_RATIO,
    conversation_images,
    frames_of,
    image_size,
    open_image,
    promise_pixels,
    smart_resize,
    tool_pixels,
)
from verl_ext.service.options import Options
from verl_ext.tool_calls import BadArgument


class ZoomOptions(Options):
    """Define sizes in pixels.

    The upper limits are strict. The lower limit is met as far as multiples of ``factor`` allow.
    """

    min_side: int = pydantic.Field(32, ge=1)
    """Side of the smallest region. Smaller regions are grown around their centre."""
    factor: int = pydantic.Field(32, ge=1)
    """Sides of the result are multiples of it (patch size times merge size)."""
    min_pixels: int = pydantic.Field(262_144, ge=1)
    """Area of the smallest result. Smaller regions are magnified to it. The default is that of Qwen-Agent, 256 visual
    tokens of 32 x 32 pixels, or ``max_pixels`` if that is less."""
    max_pixels: int = pydantic.Field(8_294_400, ge=1)
    """Area of the largest result."""
    max_pixels_per_trajectory: int | None = pydantic.Field(None, ge=1)
    """Area of all images that tools have returned in one trajectory. Results get smaller as it runs out. If fewer than
    ``min_pixels`` are left, the model is told to answer from what it has seen. None sets no limit."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _default_min_pixels(cls, values):
        most = values.get("max_pixels")
        if "min_pixels" in values or type(most) is not int:
            return values
        return {**values, "min_pixels": max(1, min(most, cls.model_fields["min_pixels"].default))}

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        smallest = max(self.min_pixels, self.factor**2)
        if self.max_pixels < smallest:
            raise ValueError(
                f"max_pixels ({self.max_pixels}) must be at least min_pixels ({self.min_pixels}) "
                f"and factor * factor ({self.factor**2})"
            )
        budget = self.max_pixels_per_trajectory
        if budget is not None and budget < smallest:
            raise ValueError(
                f"max_pixels_per_trajectory ({budget}) must be at least min_pixels ({self.min_pixels}) "
                f"and factor * factor ({self.factor**2})"
            )
        return self


class ImageZoomInTool(AgentTool):
    """Crop a region of an earlier image and return it as a new image of the conversation.

    ``create_kwargs={"images": [...]}`` serves prompts whose messages hold no image.
    """

    Options = ZoomOptions

    async def call(self, parameters: dict[str, Any], agent_data: Any, create_kwargs: dict[str, Any]) -> Answer:
        """Crop and resize, in a thread.

        Args:
            parameters: ``bbox_2d`` [x1, y1, x2, y2], relative from 0 to 1000 and clamped if it is at least partly
                inside, see ``to_relative`` for other forms; ``label``, which names the region for the reader of a
                trajectory; ``img_idx``, counted from 0 over all images of the conversation so far, including those that
                tools returned.
            agent_data: verl's trajectory.
            create_kwargs: see the class.

        Returns:
            The region and a line that names what is shown, with metrics ``image_index``, ``width`` and ``height`` of
            the new image. Concurrent calls of one turn count from the same images and announce the same index.

        Raises:
            BadArgument: an argument is wrong.
            ToolInfrastructureError: the image itself cannot be read.
        """
        images = conversation_images(agent_data, create_kwargs.get("images"))
        box, img_idx = parse_arguments(parameters, len(images), lambda i: frames_of(images, i, agent_data))
        region, size, shown = self._plan(images[img_idx], box, self._pixels_left(agent_data))
        promise_pixels(agent_data, size[0] * size[1])
        crop = await asyncio.to_thread(_zoom, images[img_idx], region, size)
        grown = "" if shown == box else f", grown from {_text(box)}"
        return Answer(
            f"Image {len(images)}: the region {_text(shown)} of image {img_idx}{grown}.",
            [crop],
            metrics={"image_index": len(images), "width": crop.width, "height": crop.height},
        )

    def _pixels_left(self, agent_data: Any) -> int:
        """Return the area that this call's image may have."""
        budget = self.options.max_pixels_per_trajectory
        if budget is None:
            return self.options.max_pixels
        left = budget - tool_pixels(agent_data)
        if left < max(self.options.min_pixels, self.options.factor**2):
            raise BadArgument("image_zoom_in", "cannot show more: no pixels are left. Answer from what you have seen.")
        return min(self.options.max_pixels, left)

    def _plan(self, source: Any, box: Box, max_pixels: int) -> tuple[tuple[int, int, int, int], Size, Box]:
        """Compute the region in pixels of the original, the size of the result, and the relative box that it shows.

        Decode nothing.
        """
        image_width, image_height = image_size(source)
        left, right, x1, x2 = _pixels(box[0], box[2], image_width, self.options.min_side)
        top, bottom, y1, y2 = _pixels(box[1], box[3], image_height, self.options.min_side)
        width, height = right - left, bottom - top
        if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
            raise BadArgument(
                "bbox_2d", f"is too long and thin: one side may be at most {MAX_ASPECT_RATIO} times the other."
            )
        size = smart_resize(width, height, self.options.factor, self.options.min_pixels, max_pixels)
        return (left, top, right, bottom), size, (x1, y1, x2, y2)


def _text(box: Box) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in box)}]"


def _zoom(source: Any, region: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
    crop = open_image(source).crop(region)
    return crop if crop.size == size else crop.resize(size, Image.Resampling.BICUBIC)


def _pixels(low: float, high: float, length: int, min_side: int) -> tuple[int, int, float, float]:
    """Convert a relative range to pixels [low, high) of a side.

    The pixels cover the range. They are at least ``min_side`` if the side is that long.

    Returns:
        The pixels, and the relative range: the given one, or that of the pixels if they were grown.
    """
    # The tolerance absorbs the rounding of floating point.
    first, last = math.floor(low * length / SCALE + 1e-6), math.ceil(high * length / SCALE - 1e-6)
    side = min(max(last - first, min_side), length)
    if side <= last - first:
        return first, last, low, high
    first = min(max((first + last - side) // 2, 0), length - side)
    return first, first + side, round(first * SCALE / length, 1), round((first + side) * SCALE / length, 1)
