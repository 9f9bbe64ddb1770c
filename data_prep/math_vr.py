# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hold what the benchmark and the training split of Math-VR share."""

from __future__ import annotations

import re
from collections.abc import Mapping

from data_prep.core import SLOT, Drop

IMAGES = 8
TAG = re.compile(r"<image(\d+)>")
# The judge reads the whole final message, because an answer has several parts.
SCORING = {"type": "judge", "fallback": "math", "judge_reads": "message"}


def named_images(text: str) -> set[int]:
    """Return the numbers of the images that a text names."""
    return {int(number) for number in TAG.findall(text)}


def place_images(question: str, images: Mapping[int, bytes]) -> tuple[str, list[bytes]]:
    """Replace the first tag of each image by a slot. Images that no tag names go in front.

    The returned images follow the order of the slots.

    Raises:
        Drop: a tag names a missing image.
    """
    order: list[int] = []

    def slot(match: re.Match) -> str:
        number = int(match.group(1))
        if number not in images:
            raise Drop("missing image", f"tag <image{number}>, images {sorted(images)}")
        if number in order:
            return f"[image {order.index(number) + 1}]"
        order.append(number)
        return SLOT

    text = TAG.sub(slot, question)
    untold = [number for number in images if number not in order]
    text = f"{SLOT}\n" * len(untold) + text
    return text, [images[number] for number in [*untold, *order]]
