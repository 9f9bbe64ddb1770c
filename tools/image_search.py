# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Find images like one of the conversation: ``image_search``, through an HTTP API or in a directory of images.

The service is not trusted: titles lose control tokens, and images are decoded with limits.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import math
import time
from io import BytesIO
from typing import Any, Literal

import pydantic
from PIL import Image

from tools.base import AgentTool, Answer
from tools.images import check_index, conversation_images, open_image, promise_pixels, tool_pixels
from tools.search.pictures import HASH_BITS, PictureIndex
from tools.search.refusals import STATUSES, refuses
from tools.search.thumbnails import MIN_PIXELS, check_picture, may_be_asked, open_thumbnail
from verl_ext.service.http import api_key
from verl_ext.service.json_answer import field_of, form_of, read_json
from verl_ext.service.options import Check, SearchOptions, address, check_cache
from verl_ext.service.text import CUT_MARK, neutralise, one_line
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError

THUMBNAIL_TIMEOUT_S = 10.0  # A slow image host costs its image, not the call.
MAX_TITLE_READ = 10_000  # What is further back is not even looked at.
NO_RESULTS = "No matching images were found."
NO_PIXELS = "cannot show more: no pixels are left. Answer from what you have seen."


class ImageSearchOptions(SearchOptions):
    """Choose where to search. Sizes are in pixels."""

    backend: Literal["http", "offline"] = "http"
    max_results: int = pydantic.Field(5, ge=1, le=10)
    max_pixels: int = pydantic.Field(65_536, ge=MIN_PIXELS)
    """Area of one thumbnail."""
    max_pixels_per_trajectory: int | None = pydantic.Field(None, ge=MIN_PIXELS)
    """Area of all images that tools have returned in one trajectory, see ``image_zoom_in``. None sets no limit."""
    max_title_chars: int = pydantic.Field(200, ge=8)
    url: str | None = None
    """URL for backend ``http``, which receives a POST of ``{"image": base64, "max_results": n}``."""
    api_key_env: str | None = pydantic.Field(None, min_length=1)
    """Environment variable with a key, sent as ``Authorization: Bearer``. None sends no key."""
    upload_format: Literal["jpeg", "png"] = "jpeg"
    upload_max_pixels: int = pydantic.Field(1_048_576, ge=MIN_PIXELS)
    """Area of an uploaded image. Larger images are scaled down."""
    results_field: str = pydantic.Field("results", min_length=1)
    """Field of the answer that holds the results. A dot leads into an object (``data.items``)."""
    title_field: str = pydantic.Field("title", min_length=1)
    """Field of a result that holds the title."""
    thumbnail_field: str = pydantic.Field("image", min_length=1)
    """Field of a result that holds the image as base64 or as a ``data:`` URL."""
    thumbnail_url_field: str = pydantic.Field("image_url", min_length=1)
    """Field of a result that holds the image's URL. It is used where ``thumbnail_field`` is missing."""
    folder: str | None = pydantic.Field(None, min_length=1)
    """Directory of images for backend ``offline``, subdirectories included."""
    titles: str | None = pydantic.Field(None, min_length=1)
    """JSON lines or CSV with ``file`` and ``title``. None uses the file names."""
    index_dir: str | None = pydantic.Field(None, min_length=1)
    """Directory for the hashes of the images. None uses ``folder``."""
    max_distance: int = pydantic.Field(12, ge=0, le=HASH_BITS)
    """Bits of 64 by which the perceptual hashes of a match may differ."""

    @pydantic.field_validator("url")
    @classmethod
    def _url(cls, value):
        return None if value is None else address(value)

    @pydantic.model_validator(mode="after")
    def _backend(self):
        if self.backend == "http" and self.asks and self.url is None:
            raise ValueError(
                "url: backend http needs the address of an image search API; or replay recorded answers (cache, "
                "cache_mode: replay), or search a folder of your own (backend: offline, folder)"
            )
        if self.backend == "offline" and self.folder is None:
            raise ValueError("folder: backend offline needs a folder of pictures")
        if self.backend == "offline" and self.cache_mode != "off":
            raise ValueError("cache_mode: backend offline needs no cache")
        if self.backend == "http" and (self.folder or self.titles or self.index_dir):
            raise ValueError("folder, titles and index_dir are for backend offline")
        self.answer_form()
        return self

    def answer_form(self) -> type:
        """Return the form of the service's answer.

        Raises:
            ValueError: two fields contradict each other.
        """
        result = dict.fromkeys((self.title_field, self.thumbnail_field, self.thumbnail_url_field), str)
        return form_of("answer", {self.results_field: list[form_of("result", result)]})


class ImageSearchTool(AgentTool):
    """Search with an earlier image and return titles and thumbnails, which become images of the conversation.

    ``create_kwargs={"images": [...]}`` serves prompts whose messages hold no image.

    Raises:
        ValueError: at start, without a URL, key, recorded cache or directory of images.
    """

    Options = ImageSearchOptions

    def __init__(self, config, tool_schema):
        super().__init__(config, tool_schema)
        options = self.options
        self._index, self._key = None, None
        if options.backend == "offline":
            self._index = PictureIndex(options.folder, options.titles, options.index_dir)
            return
        if options.asks and options.api_key_env is not None:
            self._key = api_key("api_key_env", options.api_key_env)
            if self._key is None:
                raise ValueError(
                    f"{self.name}: the environment variable {options.api_key_env} is not set (api_key_env)"
                )
        self._cache = options.make_cache(self.name, options.url)
        self._rate = options.make_rate_limit(self.name)
        self._http = options.make_client(self.name, self._key)
        self._form = options.answer_form()

    async def call(self, parameters: dict[str, Any], agent_data: Any, create_kwargs: dict[str, Any]) -> Answer:
        """Search.

        Args:
            parameters: ``img_idx``, counted from 0 over all images of the conversation so far.
            agent_data: verl's trajectory.
            create_kwargs: see the class.

        Returns:
            A line for each result and the thumbnails, with metrics ``results``, ``image_index`` (of the first
            thumbnail) and ``thumbnails_missing``. If a thumbnail is unavailable, its title remains. Concurrent calls of
            one turn count from the same images and announce the same indices.

        Raises:
            BadArgument: an argument is wrong, the service refuses the image, or no pixels are left.
            ToolInfrastructureError: the service, the cache, the rate limit or the image itself failed.
        """
        started = time.monotonic()
        images = conversation_images(agent_data, create_kwargs.get("images"))
        img_idx = check_index(parameters.get("img_idx"), len(images))
        reserved = self._reserve(agent_data)
        shown: list[Image.Image] = []
        try:
            image = await asyncio.to_thread(open_image, images[img_idx])
            if self._index is not None:
                options = self.options
                found = await asyncio.to_thread(self._index.search, image, options.max_results, options.max_distance)
                results: list[tuple[str, Any]] = list(found)
            else:
                results = await self._search(image, started)
            thumbnails = await asyncio.to_thread(self._thumbnails, [source for _, source in results], reserved)
            shown = [thumbnail for thumbnail in thumbnails if thumbnail is not None]
        finally:  # Return the pixels that were not needed.
            promise_pixels(agent_data, sum(i.width * i.height for i in shown) - reserved)
        if not results:
            return Answer(NO_RESULTS, metrics={"results": 0})
        lines, truncated, index = [], False, len(images)
        for (title, _), thumbnail in zip(results, thumbnails, strict=True):
            clean = neutralise(one_line(title[:MAX_TITLE_READ])) or "(no title)"
            short, limit = clean, self.options.max_title_chars
            if len(clean) > limit:
                short, truncated = f"{clean[: limit - len(CUT_MARK)].rstrip()}{CUT_MARK}", True
            lines.append(f"Without image: {short}" if thumbnail is None else f"Image {index}: {short}")
            index += thumbnail is not None
        figures = {"results": len(results), "thumbnails_missing": len(results) - len(shown)}
        figures |= {"image_index": len(images)} if shown else {}
        return Answer("\n".join(lines), shown, truncated=truncated, metrics=figures)

    def _reserve(self, agent_data: Any) -> int:
        """Reserve the area for this call's thumbnails. Concurrent calls of the turn count it as used."""
        area = self.options.max_results * self.options.max_pixels
        budget = self.options.max_pixels_per_trajectory
        if budget is not None:
            area = min(area, budget - tool_pixels(agent_data))
            if area < MIN_PIXELS:
                raise BadArgument("image_search", NO_PIXELS)
        promise_pixels(agent_data, area)
        return area

    def _thumbnails(self, sources: list[Any], area: int) -> list[Image.Image | None]:
        """Decode and resize the thumbnails within ``area`` pixels together.

        Return None for each one that cannot be shown.
        """
        thumbnails: list[Image.Image | None] = []
        for number, source in enumerate(sources):
            limit = min(self.options.max_pixels, area // (len(sources) - number))
            limit = limit if limit >= MIN_PIXELS else min(area, MIN_PIXELS)  # Show the first results rather than none.
            thumbnail = None if source is None or limit < MIN_PIXELS else open_thumbnail(source, limit)
            area -= 0 if thumbnail is None else thumbnail.width * thumbnail.height
            thumbnails.append(thumbnail)
        return thumbnails

    # ---------------------------------------------------------------- backend http

    async def _search(self, image: Image.Image, started: float) -> list[tuple[str, BytesIO | None]]:
        options = self.options
        request = {
            "pixels_sha256": await asyncio.to_thread(lambda: hashlib.sha256(image.tobytes()).hexdigest()),
            "size": list(image.size),
            "max_results": options.max_results,
            "upload": [options.upload_format, options.upload_max_pixels],
        }
        left = options.budget_s - (time.monotonic() - started)
        body = await self._cache.answer("http", request, lambda: self._ask(image, left))
        try:
            results = self._parse(body)
        except ValueError as error:
            if refuses(body, "image"):
                raise BadArgument("img_idx", "was refused by the search service. Choose another image.") from None
            # Otherwise the answer was recorded with other field names.
            raise ToolInfrastructureError(f"{self.name}: cache {options.cache}: {error}", "cache") from None
        left = min(THUMBNAIL_TIMEOUT_S, options.budget_s - (time.monotonic() - started))
        thumbnails = await asyncio.gather(*(self._fetch(inline, url, left) for _, inline, url in results))
        return [(title, data) for (title, _, _), data in zip(results, thumbnails, strict=True)]

    async def _ask(self, image: Image.Image, deadline_s: float) -> bytes:
        started = time.monotonic()
        payload = {"image": await asyncio.to_thread(self._encode, image), "max_results": self.options.max_results}
        return await self._http.request(
            "POST",
            self.options.url,
            json=payload,
            headers={} if self._key is None else {"Authorization": f"Bearer {self._key}"},
            deadline_s=deadline_s - (time.monotonic() - started),
            max_bytes=self.options.max_response_bytes,
            check=lambda body: refuses(body, "image") or self._parse(body),
            # A refusal is an answer, too: it is recorded, and a replay tells the model the same.
            answers=lambda status, body: status in STATUSES and refuses(body, "image"),
            rate=self._rate,
        )

    def _encode(self, image: Image.Image) -> str:
        area = image.width * image.height
        if area > self.options.upload_max_pixels:
            scale = math.sqrt(self.options.upload_max_pixels / area)
            size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
            image = image.resize(size, Image.Resampling.BICUBIC)
        buffer = BytesIO()
        image.save(
            buffer, self.options.upload_format, **({"quality": 90} if self.options.upload_format == "jpeg" else {})
        )
        return base64.b64encode(buffer.getvalue()).decode()

    def _parse(self, body: bytes) -> list[tuple[str, str | None, str | None]]:
        """Return the title, the image as base64 and the image's URL of each result.

        Raises:
            ValueError: the answer does not have this form.
        """
        options = self.options
        results = field_of(read_json(body, self._form), options.results_field)
        if results is None:
            raise ValueError(f"no list of objects in results_field {options.results_field}")
        names = (options.title_field, options.thumbnail_field, options.thumbnail_url_field)
        found = [tuple(field_of(result, name) for name in names) for result in results[: options.max_results]]
        return [(title or "", inline or None, url or None) for title, inline, url in found]

    async def _fetch(self, inline: str | None, url: str | None, deadline_s: float) -> BytesIO | None:
        """Return a thumbnail's file, or None if it is unavailable. A missing thumbnail does not fail the call."""
        if inline is not None:
            data = inline.partition("base64,")[2] if inline.startswith("data:") else inline
            try:
                return BytesIO(base64.b64decode(data))
            except (ValueError, binascii.Error):
                return None
        if url is None or not may_be_asked(url, self.options.url):
            return None
        try:
            data = await self._cache.answer("thumbnail", {"url": url}, lambda: self._ask_thumbnail(url, deadline_s))
        except ToolInfrastructureError as error:
            if error.kind == "cache":
                raise
            return None
        return BytesIO(data) if data else None

    async def _ask_thumbnail(self, url: str, deadline_s: float) -> bytes:
        try:
            return await self._http.request(
                "GET",
                url,
                deadline_s=deadline_s,
                max_bytes=self.options.max_response_bytes,
                check=check_picture,
            )
        except ToolInfrastructureError:
            if self.options.cache_mode != "record":
                raise
            return b""  # Record the failure, so that the replay shows the same as this run.

    def check(self) -> list[Check]:
        """Report the URL, the key, the cache or the directory. Send no request."""
        options = self.options
        if self._index is not None:
            skipped = f", {self._index.skipped} cannot be read" if self._index.skipped else ""
            return [Check("folder", len(self._index) > 0, f"{options.folder}, {len(self._index)} images{skipped}")]
        lines = [Check("address", True, f"{options.url} (not tried)")] if options.asks else []
        if self._key is not None:
            lines.append(Check("key", True, f"{options.api_key_env} is set (not tried)"))
        return lines + check_cache(self._cache)
