# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Apply the filters of a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.errors import DataError
from data_prep.mix.recipe import Filters


def _object(where: str, name: str, text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError as error:
        raise DataError(f"{where}: extra_info.{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: extra_info.{name} is {type(value).__name__}, expected an object")
    return value


def refusal(where: str, filters: Filters, info: Mapping[str, Any], sizes: Sequence[tuple[int, int]]) -> str | None:
    """Return the name of the first filter that a row fails, or None.

    Args:
        where: file and row, for messages.
        filters: filters to apply.
        info: the row's ``extra_info``.
        sizes: (width, height) of its images, px.

    Returns:
        Name of a filter, or None for a row that stays.

    Raises:
        DataError: the row holds broken JSON, or its pass rate is not a number.
    """
    if filters.images and not filters.images.holds(len(sizes)):
        return "images"
    if filters.image_side and not all(filters.image_side.holds(side) for size in sizes for side in size):
        return "image_side"
    if filters.image_pixels and not all(filters.image_pixels.holds(w * h) for w, h in sizes):
        return "image_pixels"
    if filters.question_chars and not filters.question_chars.holds(len(info["question"] or "")):
        return "question_chars"
    if filters.answer_types is not None:
        scoring = _object(where, "scoring", info["scoring"])
        if (scoring.get("type") or "unset") not in filters.answer_types:
            return "answer_types"
    if window := filters.pass_rate:
        rate = _object(where, "meta", info["meta"]).get(window.key)
        if rate is None:
            return None if window.missing == "keep" else "pass_rate"
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise DataError(f"{where}: meta.{window.key} is {rate!r}, expected a number")
        if not window.holds(rate):
            return "pass_rate"
    return None
