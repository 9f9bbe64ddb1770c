# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl's SGLang server, token-exact with images. Importing this module imports SGLang.

verl gives SGLang the ids of a prompt and its images. SGLang decodes the ids, looks for the images in the text and
encodes it again. From 0.5.13 on it can keep the ids (SGLANG_MM_AVOID_RETOKENIZE, sglang #26555), but only of a prompt
with one placeholder for each image. verl's prompts have one for each token of an image, so that SGLang falls back to
the text, with a warning that verl's log level hides. Beside processed images SGLang takes the ids as they are: verl
sends those for videos, and this module for images.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from verl.utils.tokenizer import get_processor_token_id
from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.sglang_rollout.async_sglang_server import SGLangHttpServer, SGLangReplica
from verl.workers.rollout.utils import get_vision_placeholder_token_ids

NEVER = -1e4  # added to a logit; the prompt holds these tokens, and -inf there would make NaN of their log-probs


def image_features(processor: Any, images: list[Any], prompt_ids: list[int]) -> dict[str, Any]:
    """Process the images of one prompt into the form in which SGLang takes them beside ids.

    Args:
        processor: the model's processor.
        images: the prompt's images, in its order.
        prompt_ids: ids with one placeholder for each token of an image.

    Raises:
        ValueError: the images do not fill the placeholders.
    """
    features = processor.image_processor(images=images, return_tensors="pt")
    grids = features["image_grid_thw"]  # (images, 3): patches in time, height and width
    tokens = int(grids.prod(-1).sum()) // processor.image_processor.merge_size**2
    placeholders = list(prompt_ids).count(get_processor_token_id(processor, "image"))
    if tokens != placeholders:
        raise ValueError(
            f"the prompt has {placeholders} image placeholders, but its {len(images)} image(s) are {tokens} tokens: "
            "the agent loop and the rollout engine process images differently"
        )
    return {"format": "processor_output", "pixel_values": features["pixel_values"], "image_grid_thw": grids}


class TokenExactSGLangServer(SGLangHttpServer):
    """verl's server, but it sends processed images and never samples a placeholder, as verl's vLLM server does not."""

    async def generate(
        self,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        request_id: str,
        image_data: list[Any] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> TokenOutput:
        """Generate as verl's server does, from exactly the ids given."""
        processor = self.model_config.processor
        if image_data:
            image_data = [await asyncio.to_thread(image_features, processor, image_data, list(prompt_ids))]
        if processor is not None:
            never = {str(token): NEVER for token in get_vision_placeholder_token_ids(processor)}
            sampling_params = {**sampling_params, "logit_bias": never}
        return await super().generate(prompt_ids, sampling_params, request_id, image_data, *args, **kwargs)


class TokenExactSGLangReplica(SGLangReplica):
    """verl's replica with the server above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.server_class = ray.remote(TokenExactSGLangServer)
