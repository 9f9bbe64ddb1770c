# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert source rows to verl rows, and a range of source rows to one shard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.abilities import ABILITIES, instruction, select_tools
from data_prep.core.files import write_json
from data_prep.core.images import PIL_LIMIT, BadImage, check_image
from data_prep.core.load import Loaded
from data_prep.core.parquet import RowWriter
from data_prep.core.spec import Context, Dataset, Drop, Row
from data_prep.core.text import neutralise, with_placeholders
from data_prep.errors import DataError
from data_prep.rows import IMAGE_PLACEHOLDER, PROMPT_MAX_PIXELS, PROMPT_MIN_PIXELS, image_entry, rl_row

NAMED_DROPS = 50  # ids per reason that a manifest lists
DUPLICATE, LEFT_OUT = "duplicate id", "left out by an option"  # these reasons do not point to a broken source


@dataclass(frozen=True)
class BuildOptions:
    """Hold the options that decide the content of rows. They are part of a shard's identity.

    Attributes:
        on_error: ``drop`` counts a bad row, ``stop`` raises an error.
        max_image_pixels: largest accepted image area in pixels.
        tools: tools of every row, instead of those of the ability.
        system: system turn instead of the ability's. An empty text omits it.
        seed: seed of all draws.
        params: the dataset's own options.
        prompt_max_pixels: largest image area that the model sees. None leaves the limit to the processor.
        prompt_min_pixels: smallest image area that the model sees. None leaves the limit to the processor.
    """

    on_error: str = "drop"
    max_image_pixels: int = PIL_LIMIT
    tools: tuple[str, ...] | None = None
    system: str | None = None
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    prompt_max_pixels: int | None = PROMPT_MAX_PIXELS
    prompt_min_pixels: int | None = PROMPT_MIN_PIXELS


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def build_row(dataset: Dataset, row: Row, context: Context, index: int, options: BuildOptions) -> dict[str, Any]:
    """Return one row in verl's layout.

    Raises:
        Drop: the answer or question is empty, an image is bad, or placeholders do not match the images.
    """
    answer = (row.answer or "").strip()
    if not answer:
        raise Drop("empty answer")
    if not row.question.strip():
        raise Drop("empty question")
    for number, image in enumerate(row.images):
        try:
            check_image(image, options.max_image_pixels)
        except BadImage as error:
            raise Drop(error.reason, f"image {number}: {error}") from error
    ability = row.ability or dataset.ability
    system = ABILITIES[ability].system if options.system is None else options.system
    added = dataset.added_tools(options.params) if dataset.added_tools else ()
    tools = select_tools(ability, len(row.images), options.tools, added)
    limits = {"max_pixels": options.prompt_max_pixels, "min_pixels": options.prompt_min_pixels}
    closing = " ".join(text for text in (row.hint, instruction(ability, row.scoring.get("type", ""))) if text)
    try:
        built = rl_row(
            data_source=row.data_source or dataset.data_source,
            question=with_placeholders(row.question.strip(), IMAGE_PLACEHOLDER),
            instruction=closing,
            images=[image_entry(image, **limits) for image in row.images],
            ground_truth=answer,
            split=context.part,
            index=index,
            ability=ability,
            tools={name: {} for name in tools},
            system=neutralise(system) if system else None,
            extra={"id": row.id or context.id, "scoring": _json(row.scoring), "meta": _json(row.meta)},
        )
    except ValueError as error:
        raise Drop("placeholders do not match images", str(error)) from error
    return built


@dataclass
class ShardResult:
    """Count the rows of one shard. A JSON file beside the shard holds the counts."""

    rows_in: int = 0
    rows_out: int = 0
    dropped: Counter = field(default_factory=Counter)
    dropped_ids: dict[str, list[str]] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)  # reason -> detail of the first dropped row
    ids: list[str] = field(default_factory=list)

    def drop(self, reason: str, row_id: str, detail: str = "") -> None:
        """Count a source row that gave no row."""
        self.dropped[reason] += 1
        self.details.setdefault(reason, detail)
        named = self.dropped_ids.setdefault(reason, [])
        if len(named) < NAMED_DROPS:
            named.append(row_id)


def build_rows(
    dataset: Dataset,
    part: str,
    loaded: Loaded,
    span: range,
    duplicates: frozenset[int],
    options: BuildOptions,
    result: ShardResult,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a range of source rows and update ``result``.

    Raises:
        DataError: a row is bad, and the options say to stop.
    """
    for number in span:
        source = loaded.data[number]
        row_id = dataset.row_id(source, number)
        context = Context(part, number, row_id, options.params, options.seed, loaded.root)
        result.rows_in += 1
        try:
            if number in duplicates:
                raise Drop(DUPLICATE)
            made = dataset.rows(source, context)
            made = [made] if isinstance(made, Row) else list(made)
            if len(made) > dataset.rows_per_source:
                raise DataError(f"{dataset.name}: row {row_id} gave {len(made)} rows, not {dataset.rows_per_source}")
            first = number * dataset.rows_per_source
            if not made:
                result.drop(LEFT_OUT, row_id)
                continue
            built = [build_row(dataset, row, context, first + k, options) for k, row in enumerate(made)]
        except (Drop, BadImage) as error:
            detail = error.detail if isinstance(error, Drop) else str(error)
            if options.on_error == "stop":
                raise DataError(
                    f"{dataset.name}, part {part}, row {number} (id {row_id}): {error.reason}"
                    f"{': ' + detail if detail else ''}. --on-error drop goes on without such rows"
                ) from error
            result.drop(error.reason, row_id, detail)
            continue
        for row in built:
            result.rows_out += 1
            result.ids.append(row["extra_info"]["id"])
            yield row


def build_shard(
    dataset: Dataset,
    part: str,
    loaded: Loaded,
    span: range,
    duplicates: frozenset[int],
    options: BuildOptions,
    path: Path,
) -> int:
    """Write a shard, then its counts with the suffix ``.json``. The JSON file marks the shard as complete.

    Returns:
        Number of source rows.
    """
    result = ShardResult()
    with RowWriter(path) as writer:
        for row in build_rows(dataset, part, loaded, span, duplicates, options, result):
            writer.write(row)
    write_json(path.with_suffix(".json"), result.__dict__)
    return result.rows_in


def read_result(path: Path) -> ShardResult:
    """Read the counts of a finished shard."""
    stored = json.loads(path.with_suffix(".json").read_text())
    return ShardResult(**{**stored, "dropped": Counter(stored["dropped"])})
