# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check loaded columns against the types that a dataset declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from data_prep.errors import DataError

if TYPE_CHECKING:
    from datasets import Features

_NUMBERS = ("int", "uint", "float", "double", "decimal")


def kind_of(feature: object) -> str:
    """Return ``str``, ``int``, ``float``, ``bool``, ``image``, ``list[...]``, ``struct``, ``null`` or the repr."""
    from datasets import ClassLabel, Image, Json, LargeList, List, Sequence, Value

    if isinstance(feature, Value):
        dtype = feature.dtype
        if "string" in dtype:
            return "str"
        if "binary" in dtype:
            return "bytes"
        return next((name for name in ("uint", "int", "float") if dtype.startswith(name)), dtype).replace("uint", "int")
    if isinstance(feature, ClassLabel):
        return "int"
    if isinstance(feature, Json):
        return "json"
    if isinstance(feature, Image):
        return "image"
    if isinstance(feature, list) and len(feature) == 1:
        return f"list[{kind_of(feature[0])}]"
    if isinstance(feature, List | LargeList | Sequence):
        return f"list[{kind_of(feature.feature)}]"
    if isinstance(feature, dict):
        return "image" if set(feature) == {"bytes", "path"} or set(feature) == {"bytes"} else "struct"
    return repr(feature)


def _fits(found: str, declared: str) -> bool:
    for wanted in declared.rstrip("?").split("|"):
        if wanted in ("any", found) or (wanted == "number" and found in ("int", "float")):
            return True
        if wanted == "float" and found == "int" or wanted == "image" and found == "bytes":
            return True
        # An empty or all-null list has no element type.
        if wanted.startswith("list") and found in ("list[null]",):
            return True
    return found == "null" and declared.endswith("?")


def check_columns(where: str, features: Features, columns: Mapping[str, str]) -> list[str]:
    """Compare loaded features with declared columns.

    Args:
        where: dataset and source, for messages.
        features: loaded features.
        columns: column -> type. A leading ``~`` allows an absent column, a trailing ``?`` allows nulls, and ``|``
            separates alternatives.

    Returns:
        The declared columns that are present.

    Raises:
        DataError: a column is missing or has another type. The message names all such columns.
    """
    problems, present = [], []
    for name, declared in columns.items():
        optional, declared = declared.startswith("~"), declared.lstrip("~")
        if name not in features:
            if not optional:
                problems.append(f"column {name!r} ({declared}) is missing")
            continue
        found = kind_of(features[name])
        if not _fits(found, declared):
            problems.append(f"column {name!r} is {found}, expected {declared}")
        present.append(name)
    if problems:
        have = ", ".join(f"{name} ({kind_of(feature)})" for name, feature in features.items())
        raise DataError(f"{where}: {'; '.join(problems)}. Found: {have}")
    return present
