# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the images of a conversation, count them as the model does, and compute sizes that image processors accept."""

from __future__ import annotations

import base64
import contextlib
import math
import os
import re
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image

from tools.sandbox.inside.seenpixels import as_seen, is_plain
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError

MAX_ASPECT_RATIO = 200  # Qwen's image processors refuse a longer image.

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\s*")

# Sessions of one question share the images of its prompt. Two threads must not decode one lazy image at once.
_load_lock = threading.Lock()


def conversation_images(agent_data: Any, given_images: list | None = None) -> list:
    """Return the original images of a conversation, in the order in which the model saw them.

    The images are taken from ``agent_data.messages``. If the prompt's messages hold none, ``given_images`` stand for
    the prompt's images. Without those, ``agent_data.image_data`` is used, where the prompt's images are already
    resized.

    Returns:
        What holds each image: a PIL image, a path, bytes or a dict with one of them, see ``open_image``.
    """
    found = list(_walk(getattr(agent_data, "messages", None) or []))
    if any(role != "tool" for role, _ in found):
        return [image for _, image in found]
    if given_images is not None:
        return list(given_images) + [image for _, image in found]
    resized = getattr(agent_data, "image_data", None)
    if resized is None:
        return [image for _, image in found]
    return list(resized) if isinstance(resized, list | tuple) else [resized]


def frames_of(images: list, index: int, agent_data: Any) -> list[tuple[int, int]]:
    """Return the sizes in which the model may know an image: the original's, and that of the copy that it was shown.

    Raises:
        ToolInfrastructureError: the image cannot be read.
    """
    shown = getattr(agent_data, "image_data", None)
    copies = [shown[index]] if isinstance(shown, list | tuple) and len(shown) == len(images) else []
    return [image_size(images[index]), *(copy.size for copy in copies if isinstance(copy, Image.Image))]


def tool_pixels(agent_data: Any) -> int:
    """Return the area in pixels of all images that tools have returned in this conversation.

    It is counted from the messages, so it is right at a fork, too. Calls of the current turn count as promised.
    """
    messages = getattr(agent_data, "messages", None) or []
    sizes = [image_size(image) for role, image in _walk(messages) if role == "tool"]
    return sum(width * height for width, height in sizes) + _promised(agent_data, len(messages))


def promise_pixels(agent_data: Any, pixels: int) -> None:
    """Count an image that a call is about to return, because concurrent calls of one turn see the same messages."""
    if agent_data is not None:
        num_messages = len(getattr(agent_data, "messages", None) or [])
        agent_data.promised_pixels = num_messages, _promised(agent_data, num_messages) + pixels


def _promised(agent_data: Any, num_messages: int) -> int:
    """Return the area promised since the last message. Earlier promises have become messages."""
    since, pixels = getattr(agent_data, "promised_pixels", (num_messages, 0))
    return pixels if since == num_messages else 0


def _walk(messages: Any) -> Iterator[tuple[str, Any]]:
    for message in messages:
        content = message.get("content")
        if content is None or isinstance(content, str):
            continue
        for element in content:
            if isinstance(element, dict) and element.get("type") in ("image", "image_url"):
                yield message.get("role"), element


def open_image(source: Any) -> Image.Image:
    """Open and decode an image as RGB, with RGBA on white: the pixels that ``qwen_vl_utils`` shows to the model.

    The orientation in EXIF data is ignored, as verl does. In a turned image, the model's box would select another
    place.

    Args:
        source: PIL image, path (also ``file://``), ``data:`` URL, bytes, or a dict with one of these under ``bytes``,
            ``image``, ``path`` or ``image_url``. Bytes take precedence, because sessions share a dict's PIL image.

    Raises:
        ToolInfrastructureError: the image cannot be read.
    """
    with _reading():
        image = _find(source)
        with _load_lock:
            image.load()
        return image if image.mode == "RGB" else as_seen(image)


def image_size(source: Any) -> tuple[int, int]:
    """Return width and height in pixels, read from the file's header alone.

    Raises:
        ToolInfrastructureError: the image cannot be read.
    """
    with _reading():
        return _find(source).size


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except ToolInfrastructureError:
        raise
    except Exception as error:  # Decoders raise many kinds of errors. The model caused none of them.
        raise ToolInfrastructureError(
            f"cannot read an image: {type(error).__name__}: {error}"[:300], "image"
        ) from error


def _find(source: Any) -> Image.Image:
    if isinstance(source, dict):
        values = (source.get(key) for key in ("bytes", "image", "path", "image_url", "url"))
        return _find(next((value for value in values if value is not None), None))
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return Image.open(BytesIO(source))
    if isinstance(source, str) and source.startswith("data:"):
        return Image.open(BytesIO(base64.b64decode(source.partition("base64,")[2], validate=True)))
    if isinstance(source, str | os.PathLike):
        return Image.open(os.fspath(source).removeprefix("file://"))
    raise TypeError(f"no image in a {type(source).__name__}")


SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}


def encoded_image(source: Any) -> tuple[str, bytes]:
    """Return an image as a file: its suffix and its bytes.

    The original bytes are used where they exist and every library reads the pixels of ``open_image`` from them.

    Raises:
        ToolInfrastructureError: the image cannot be read.
    """
    with _reading():
        image = _find(source)
        file = getattr(image, "fp", None)
        if file is not None and image.format in SUFFIXES and image is not source:
            with _load_lock:  # Another thread may decode a dict's shared PIL image from this file right now.
                position = file.tell()
                file.seek(0)
                data = file.read()
                file.seek(position)
            if is_plain(data):
                return SUFFIXES[image.format], data
        buffer = BytesIO()
        open_image(image).save(buffer, "PNG", compress_level=1)
        return ".png", buffer.getvalue()


def check_index(value: Any, num_images: int, argument: str = "img_idx") -> int:
    """Return an index into the conversation's images, as the model wrote it.

    Raises:
        BadArgument: names the valid indices.
    """
    if num_images == 0:
        raise BadArgument(argument, "has nothing to point at: there is no image in this conversation.")
    index = finite_number(value)
    if index is None or index != int(index) or not 0 <= index < num_images:
        allowed = "0, the only image" if num_images == 1 else f"an integer from 0 to {num_images - 1}"
        raise BadArgument(argument, f"must be {allowed}.")
    return int(index)


def finite_number(value: Any) -> float | None:
    """Return a JSON number, or one that is written as a string, as a float.

    Return None for anything else: other text, true, NaN, an integer beyond all floats.
    """
    if isinstance(value, str):
        return float(value) if len(value) <= 32 and _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON integers have no size limit.
        return None
    return number if math.isfinite(number) else None


def smart_resize(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Return a size in pixels near the shape of (width, height), within the limits of area.

    Both sides are multiples of ``factor``. The rule is that of ``qwen_vl_utils.smart_resize``: round the sides, and
    scale down or up only if the area is outside its limits. That function is not used, because its results can break
    the limits: a thin region can get a side of 0 or exceed ``max_pixels``, and so can any region if both limits are
    close. Here ``max_pixels`` always holds.
    """

    def multiples(scale: float, rounding) -> tuple[int, int]:
        # Floating point may shift a side that is an exact multiple. The tolerance prevents a gain or loss of one
        # factor.
        shift = {math.ceil: -1e-6, math.floor: 1e-6}.get(rounding, 0.0)
        sides = (max(factor, rounding(side * scale / factor + shift) * factor) for side in (width, height))
        return tuple(sides)

    size = multiples(1.0, round)
    if size[0] * size[1] < min_pixels:
        size = multiples(math.sqrt(min_pixels / (width * height)), math.ceil)
    if size[0] * size[1] > max_pixels:
        size = multiples(math.sqrt(max_pixels / (width * height)), math.floor)
    # Rounding can make a thin region thinner or keep its short side too long. Only the long side can still be reduced.
    short = min(size)
    longest = min(max_pixels // short, short * MAX_ASPECT_RATIO) // factor * factor
    return min(size[0], longest), min(size[1], longest)
