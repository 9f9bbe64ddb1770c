# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of a dataset: where it lies, what its columns are, how one of its rows becomes rows of ours."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.core.images import image_bytes


class Drop(Exception):
    """A source row that cannot be used.

    Args:
        reason: a few words that are the same for all such rows; they are counted in the manifest.
        detail: what is particular to this row; shown when the user asked to stop at bad rows.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Part:
    """One output file: ``<part>.parquet``.

    Attributes:
        hub_id: dataset repository.
        config: its configuration, None for the default one.
        split: split of the source.
        rows: expected rows as the dataset card gives them; only shown and compared, never enforced.
        data_file: the one file of the repository that has the part's rows; all of the repository that is downloaded,
            unless it is ``loose``.
        loose: the repository is downloaded whole: its images are files that the rows name by paths.
    """

    hub_id: str
    config: str | None = None
    split: str = "train"
    rows: int | str = "?"
    data_file: str | None = None
    loose: bool = False


@dataclass(frozen=True)
class Row:
    """What a dataset makes of a source row; the core adds prompt, tools and format.

    Attributes:
        question: text with ``SLOT`` where an image goes; without any, images go in front. All else is neutralised.
        answer: ground truth; an empty one drops the row.
        images: encoded images, in the order of the slots.
        scoring: ``type`` and what is known of ``options``, ``aliases``, ``answer_type``.
        meta: JSON-able facts that only this dataset has.
        hint: sentence before the instruction about the final answer, such as the wanted precision.
        ability: key of ``data_prep.abilities.ABILITIES``; the dataset's by default.
        id: unique within the part; the source row's by default.
        data_source: ``axpo/<dataset>`` by default.
    """

    question: str
    answer: str | None
    images: Sequence[bytes] = ()
    scoring: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""
    ability: str | None = None
    id: str | None = None
    data_source: str | None = None


@dataclass(frozen=True)
class Context:
    """What ``Dataset.rows`` may look at beside the row.

    Attributes:
        part: name of the part.
        index: number of the source row.
        id: the source row's id.
        options: values of the dataset's own command-line options, by destination.
        seed: ``--seed``.
        root: folder that relative image paths start from; None for a source without one.
    """

    part: str
    index: int
    id: str
    options: Mapping[str, Any]
    seed: int = 0
    root: Path | None = None

    def image(self, value: Any) -> bytes:
        """Encoded bytes of an image column's value: bytes, ``{"bytes", "path"}``, or a path below ``root``.

        Raises:
            Drop: there is no such image.
        """
        try:
            return image_bytes(value, self.root)
        except ValueError as error:
            raise Drop("missing image", str(error)) from error

    def rng(self) -> random.Random:
        """Random stream that depends on the seed and the row's id only."""
        return random.Random(f"{self.seed}/{self.part}/{self.id}")


def column_id(*columns: str) -> Callable[[Mapping[str, Any], int], str]:
    """``id_of`` that joins columns with a dash."""

    def of(row: Mapping[str, Any], index: int) -> str:
        return "-".join("" if row[name] is None else str(row[name]) for name in columns)

    return of


@dataclass(frozen=True)
class Dataset:
    """A dataset that ``python -m data_prep <name>`` prepares.

    Attributes:
        name: subcommand; rows get ``data_source`` ``axpo/<name>``.
        help: one line.
        licence: of the data.
        ability: default of the rows.
        parts: output file -> where it comes from.
        columns: column -> type as ``data_prep.core.schema`` spells it; a trailing ``?`` allows nulls, a leading ``~``
            allows the column to be absent. Only these columns are read.
        rows: one source row to rows; raises ``Drop``. Must be a module-level function (workers pickle it).
        id_columns: their values, joined, are the source row's id; none means the row's number. Cheap ones: they are
            read for the whole source before the work starts.
        rows_per_source: most rows that one source row gives.
        default_parts: parts made without ``--split``; all by default.
        add_arguments: adds options of this dataset alone; their values are ``Context.options``.
        index: reads a folder that ``datasets`` cannot: (folder, part name, options) -> rows with ``columns``; or None
            if the folder is not in that form.
        select_part: changes a part by the dataset's own options, such as another form of the data.
        added_tools: tools after the ability's own, by the dataset's own options.
    """

    name: str
    help: str
    licence: str
    ability: str
    parts: Mapping[str, Part]
    columns: Mapping[str, str]
    rows: Callable[[Mapping[str, Any], Context], Row | Iterable[Row]]
    id_columns: tuple[str, ...] = ()
    rows_per_source: int = 1
    default_parts: tuple[str, ...] = ()
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    index: Callable[[Path, str, Mapping[str, Any]], list[dict[str, Any]] | None] | None = None
    select_part: Callable[[Part, Mapping[str, Any]], Part] | None = None
    added_tools: Callable[[Mapping[str, Any]], Sequence[str]] | None = None

    @property
    def data_source(self) -> str:
        """Key of the reward."""
        return f"axpo/{self.name}"

    def row_id(self, row: Mapping[str, Any], index: int) -> str:
        """Id of a source row."""
        return column_id(*self.id_columns)(row, index) if self.id_columns else str(index)
