# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Describe a dataset: its location, its columns, and how a source row becomes verl rows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.core.images import image_bytes
from data_prep.errors import DataError

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


class Drop(Exception):
    """Report a source row that cannot be used.

    Args:
        reason: a few fixed words. The manifest counts the rows by reason.
        detail: facts about this row. They are shown if the run stops at bad rows.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Part:
    """Locate the source of one output file, ``<part>.parquet``.

    Attributes:
        hub_id: dataset repository.
        config: configuration of the repository. None: the default one.
        split: split of the source.
        rows: number of rows on the dataset card. A run reports a difference and continues.
        data_file: file of the repository with the part's rows. Only this file is downloaded, unless ``loose`` is set.
        loose: download the whole repository, because the rows name image files by their paths.
    """

    hub_id: str
    config: str | None = None
    split: str = "train"
    rows: int | str = "?"
    data_file: str | None = None
    loose: bool = False


@dataclass(frozen=True)
class Row:
    """Hold what a dataset makes of a source row. The core adds prompt, tools and format.

    Attributes:
        question: text with a ``SLOT`` for each image. Without slots, images go in front. Other tags are neutralised.
        answer: reference answer. An empty answer drops the row.
        images: encoded images, in the order of the slots.
        scoring: how the row is scored, a ``type`` and its keys as in ``verl_ext.reward_score.row.Scoring``. They are
            all that the reward knows of the row; a ``tolerance`` is absolute.
        meta: further JSON-able facts.
        hint: sentence before the instruction about the final answer, such as the required precision.
        ability: key of ``data_prep.abilities.ABILITIES``. Default: that of the dataset.
        id: unique within the part. Default: that of the source row.
        data_source: default ``axpo/<dataset>``.
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
    """Hold what ``Dataset.rows`` may read beside the row.

    Attributes:
        part: name of the part.
        index: number of the source row.
        id: id of the source row.
        options: values of the dataset's own command-line options, by destination.
        seed: ``--seed``.
        root: directory of relative image paths, or None.
    """

    part: str
    index: int
    id: str
    options: Mapping[str, Any]
    seed: int = 0
    root: Path | None = None

    def image(self, value: Any) -> bytes:
        """Return the encoded bytes of a value: bytes, ``{"bytes", "path"}``, or a path below ``root``.

        Raises:
            Drop: the image does not exist.
        """
        try:
            return image_bytes(value, self.root)
        except ValueError as error:
            raise Drop("missing image", str(error)) from error

    def stored_image(self, *paths: str) -> bytes:
        """Return the first image that exists at one of the paths.

        Raises:
            DataError: no path exists, and the directory holds packed archives, or no images at all.
            Drop: no path exists.
        """
        for path in paths:
            try:
                return self.image(path)
            except Drop as drop:
                missing = drop
        root, folders = self.root, {path.split("/")[0] for path in paths if "/" in path}
        if root is not None and not any((root / folder).is_dir() for folder in folders):
            if archives := sorted(path.name for path in root.iterdir() if path.name.endswith(_ARCHIVES)):
                raise DataError(
                    f"{root} holds images in {', '.join(archives)}: unpack a copy and name it with --source; "
                    f"expected {paths[0]} in it"
                )
            if folders and not any(path.is_dir() and not path.name.startswith(".") for path in root.iterdir()):
                raise DataError(
                    f"{root} holds no images, expected {paths[0]} in it: download the whole repository, unpack its "
                    "archives, and name the folder with --source"
                )
        raise missing


@dataclass(frozen=True)
class Dataset:
    """Describe a dataset that ``python -m data_prep <name>`` prepares.

    Attributes:
        name: subcommand. Rows get ``data_source`` ``axpo/<name>``.
        help: one line.
        licence: licence of the data.
        ability: default ability of the rows.
        parts: name of the output file -> source.
        columns: column -> type; see ``data_prep.core.schema.check_columns``. Only these columns are read.
        rows: converts a source row to rows or raises ``Drop``. Workers pickle it, so it is a module-level function.
        id_columns: columns whose joined values are the source row's id. Default: the row's number. They are read for
            the whole source before the work starts, so they should be small.
        rows_per_source: maximum number of rows from one source row.
        default_parts: parts made without ``--split``. Default: all parts.
        add_arguments: adds options of this dataset. Their values are in ``Context.options``.
        index: reads a directory that ``datasets`` cannot read: (directory, part name, options) -> rows with
            ``columns``, or None if the directory has another form.
        select_part: changes a part according to the dataset's own options.
        added_tools: maps the dataset's own options to tools that follow those of the ability.
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
        """Return the default data source of the rows."""
        return f"axpo/{self.name}"

    def row_id(self, row: Mapping[str, Any], index: int) -> str:
        """Return the id of a source row."""
        values = ["" if row[name] is None else str(row[name]) for name in self.id_columns]
        return "-".join(values) if values else str(index)
