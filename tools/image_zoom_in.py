# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""`image_zoom_in`: show the model a region of one of the images it has seen, at full resolution.

The crop comes from the original image as the conversation holds it, not from the copy that was shrunk for the model:
enlarging that one would only magnify blur. A mistake of the model gets a short text that names the argument; broken
data on our side raises `ToolInfrastructureError`.
"""

import asyncio
import base64
import math
import os
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from uuid import uuid4

from PIL import Image
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from tools.errors import ToolInfrastructureError

SCALE = 1000  # bbox_2d is relative, from 0 to SCALE
MAX_ASPECT_RATIO = 200  # beyond it Qwen's image processors refuse an image
MAX_LABEL_CHARS = 1000
DEFAULTS = {"min_side": 32, "factor": 32, "min_pixels": 65_536, "max_pixels": 8_294_400}

# The sessions of one question share the images of its prompt, and two threads must not decode one lazy image at once.
_load_lock = threading.Lock()


class BadArgument(ValueError):
    """A mistake of the model: `argument` names it, the message is what the model is told."""

    def __init__(self, argument: str, rule: str):
        super().__init__(f"Error: {argument} {rule}")
        self.argument = argument


class ImageZoomInTool(BaseTool):
    """Crop a region of an earlier image and return it as a new image of the conversation.

    Options of the tool's config, in pixels: `min_side`, smaller regions are grown around their centre; `factor`,
    sides of the result are multiples of it (patch size times merge size); `min_pixels`, `max_pixels`, area of the
    result. The upper limit is strict, the lower one is met as far as whole multiples allow.

    Raises:
        ValueError: at start, for an option that is unknown or out of range.
    """

    def __init__(self, config: dict, tool_schema: OpenAIFunctionToolSchema):
        super().__init__(config, tool_schema)
        options = {name: value for name, value in config.items() if name not in ("type", "class_name")}
        if unknown := sorted(options.keys() - DEFAULTS.keys()):
            raise ValueError(f"image_zoom_in: unknown option {unknown[0]}; known: {', '.join(DEFAULTS)}")
        for name, value in options.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"image_zoom_in: {name} must be an integer >= 1, got {value!r}")
        options = DEFAULTS | options
        self.min_side, self.factor = options["min_side"], options["factor"]
        self.min_pixels, self.max_pixels = options["min_pixels"], options["max_pixels"]
        if not max(self.min_pixels, self.factor**2) <= self.max_pixels:
            raise ValueError(
                f"image_zoom_in: max_pixels ({self.max_pixels}) must be at least min_pixels ({self.min_pixels}) "
                f"and factor * factor ({self.factor**2})"
            )
        self._given_images: dict[str, list] = {}

    async def create(self, instance_id: str | None = None, **kwargs) -> tuple[str, ToolResponse]:
        """Start a call. `create_kwargs={"images": [...]}` serves prompts whose messages hold no image."""
        instance_id = instance_id or str(uuid4())
        images = (kwargs.get("create_kwargs") or {}).get("images")
        if images is not None:
            self._given_images[instance_id] = list(images)
        return instance_id, ToolResponse()

    async def release(self, instance_id: str, **kwargs) -> None:
        """End a call and forget its images."""
        self._given_images.pop(instance_id, None)

    @rollout_trace_op
    async def execute(self, instance_id: str, parameters: dict[str, Any], **kwargs) -> tuple[ToolResponse, float, dict]:
        """Crop and resize, in a thread.

        Args:
            instance_id: as returned by `create`.
            parameters: `bbox_2d` [x1, y1, x2, y2] relative from 0 to 1000, clamped if at least partly inside; `label`,
                which names the region for the reader of a trajectory; `img_idx`, counted from 0 over all images of
                the conversation so far, those that tools returned included.
            agent_data: verl's trajectory (keyword).

        Returns:
            The response (image and text, or the text of an error), a reward of 0.0, and metrics: `ok`, `error` (the
            argument that was wrong, or None), and on success `image_index`, `width`, `height` of the new image.
            Calls that run side by side in one turn count from the same images and announce the same index.

        Raises:
            ToolInfrastructureError: the image itself cannot be read.
        """
        images = conversation_images(kwargs.get("agent_data"), self._given_images.get(instance_id))
        try:
            box, img_idx = parse_arguments(parameters, len(images))
            crop = await asyncio.to_thread(self._zoom, images[img_idx], box)
        except BadArgument as error:
            return ToolResponse(text=str(error)), 0.0, {"ok": False, "error": error.argument}
        shown = ", ".join(f"{value:.6g}" for value in box)
        text = f"Image {len(images)}: the region [{shown}] of image {img_idx}."
        metrics = {"ok": True, "error": None, "image_index": len(images), "width": crop.width, "height": crop.height}
        return ToolResponse(image=[crop], text=text), 0.0, metrics

    def _zoom(self, source: Any, box: tuple[float, float, float, float]) -> Image.Image:
        image = open_image(source)
        left, right = _pixels(box[0], box[2], image.width, self.min_side)
        top, bottom = _pixels(box[1], box[3], image.height, self.min_side)
        width, height = right - left, bottom - top
        if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
            raise BadArgument(
                "bbox_2d", f"is too long and thin: one side may be at most {MAX_ASPECT_RATIO} times the other."
            )
        size = smart_resize(width, height, self.factor, self.min_pixels, self.max_pixels)
        crop = image.crop((left, top, right, bottom))
        return crop if crop.size == size else crop.resize(size, Image.Resampling.BICUBIC)


def parse_arguments(parameters: Any, num_images: int) -> tuple[tuple[float, float, float, float], int]:
    """Check what the model sent; the reply never repeats it, so it stays short.

    Args:
        parameters: the call's arguments, any JSON value.
        num_images: images in the conversation so far.

    Returns:
        The box, clamped to 0..1000, and the index of the image.

    Raises:
        BadArgument: names the argument and what is allowed.
    """
    if not isinstance(parameters, dict):
        raise BadArgument("arguments", "must be an object with bbox_2d, label and img_idx.")
    box = _parse_box(parameters.get("bbox_2d"))
    label = parameters.get("label")
    if not isinstance(label, str) or len(label) > MAX_LABEL_CHARS:
        raise BadArgument("label", f"must be a string of at most {MAX_LABEL_CHARS} characters.")
    if num_images == 0:
        raise BadArgument("img_idx", "has nothing to point at: there is no image in this conversation.")
    index = _number(parameters.get("img_idx"))
    if index is None or index != int(index) or not 0 <= index < num_images:
        allowed = "0, the only image" if num_images == 1 else f"an integer from 0 to {num_images - 1}"
        raise BadArgument("img_idx", f"must be {allowed}.")
    return box, int(index)


def _parse_box(value: Any) -> tuple[float, float, float, float]:
    numbers = [_number(item) for item in value] if isinstance(value, list | tuple) and len(value) == 4 else [None]
    if None in numbers:
        raise BadArgument("bbox_2d", f"must be [x1, y1, x2, y2], four numbers from 0 to {SCALE}.")
    x1, y1, x2, y2 = numbers
    if x1 >= x2 or y1 >= y2:
        raise BadArgument("bbox_2d", "is empty: [x1, y1, x2, y2] needs x1 < x2 and y1 < y2.")
    if min(x2, y2) <= 0 or max(x1, y1) >= SCALE:
        raise BadArgument("bbox_2d", f"lies outside of the image: coordinates are relative, from 0 to {SCALE}.")
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(SCALE)), min(y2, float(SCALE))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON has integers of any length
        return None
    return number if math.isfinite(number) else None


def _pixels(low: float, high: float, length: int, min_side: int) -> tuple[int, int]:
    """Relative to pixel range [low, high) of a side: whole pixels that cover it, at least `min_side` if there are."""
    first, last = math.floor(low * length / SCALE), math.ceil(high * length / SCALE)
    side = min(max(last - first, min_side), length)
    first = min(max((first + last - side) // 2, 0), length - side)
    return first, first + side


def smart_resize(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Size in pixels, multiples of `factor`, nearest to the shape of (width, height) within the limits of area.

    The rule of `qwen_vl_utils.smart_resize`, which rounds the sides and scales down or up only if the area is outside
    of its limits. Its results differ where they would leave the contract: there a thin region can get a side of 0 or
    exceed `max_pixels`, and so can any region when both limits are close. Here `max_pixels` always holds.
    """

    def multiples(scale: float, rounding) -> tuple[int, int]:
        # The small shift keeps a side that is a multiple but for floating point from gaining or losing a whole factor.
        shift = {math.ceil: -1e-6, math.floor: 1e-6}.get(rounding, 0.0)
        sides = (max(factor, rounding(side * scale / factor + shift) * factor) for side in (width, height))
        return tuple(sides)

    size = multiples(1.0, round)
    if size[0] * size[1] < min_pixels:
        size = multiples(math.sqrt(min_pixels / (width * height)), math.ceil)
    if size[0] * size[1] > max_pixels:
        size = multiples(math.sqrt(max_pixels / (width * height)), math.floor)
    # Rounding can make a thin region thinner or keep its short side up; only the long side can still give way.
    short = min(size)
    longest = min(max_pixels // short, short * MAX_ASPECT_RATIO) // factor * factor
    return min(size[0], longest), min(size[1], longest)


def conversation_images(agent_data: Any, given_images: list | None = None) -> list:
    """Original images of a conversation, in the order in which the model saw them.

    They are taken from `agent_data.messages`. If the prompt's messages hold none, `given_images` stand for the
    prompt's images; without those `agent_data.image_data` is used, where the prompt's images are already resized.

    Returns:
        Whatever holds each image: a PIL image, a path, bytes or a dict with one of them; see `open_image`.
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


def _walk(messages: Any) -> Iterator[tuple[str, Any]]:
    for message in messages:
        content = message.get("content")
        if content is None or isinstance(content, str):
            continue
        for element in content:
            if isinstance(element, dict) and element.get("type") in ("image", "image_url"):
                yield message.get("role"), element


def open_image(source: Any) -> Image.Image:
    """Open and decode an image as RGB, RGBA on white: the pixels that `qwen_vl_utils` shows to the model.

    An orientation in EXIF data is left alone: verl ignores it too, and a turned image would put the model's box on
    another place than the one it saw.

    Args:
        source: PIL image, path (also `file://`), `data:` address, bytes, or a dict with one of these under "bytes",
            "image", "path" or "image_url". Bytes come first: a dict's PIL image is shared between sessions.

    Raises:
        ToolInfrastructureError: it cannot be read.
    """
    try:
        image = _find(source)
        with _load_lock:
            image.load()
        if image.mode == "RGB":
            return image
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")
    except Exception as error:  # decoders raise all sorts of errors, and none of them is the model's fault
        raise ToolInfrastructureError(
            f"image_zoom_in cannot read an image: {type(error).__name__}: {error}"[:300]
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
