# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Choose how many rows each source gives, and which."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from data_prep.errors import DataError
from data_prep.mix.recipe import Recipe, Source


def shares(size: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Divide ``size`` rows by weight. The largest remainders get the remaining rows, earlier sources first."""
    total = sum(weights.values())
    exact = {name: size * weight / total for name, weight in weights.items()}
    counts = {name: math.floor(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: size - sum(counts.values())]:
        counts[name] += 1
    return counts


def wanted(recipe: Recipe, available: Mapping[str, int]) -> dict[str, int]:
    """Return the requested number of rows of each source, before ``on_shortage`` applies."""
    weights = {source.name: source.weight for source in recipe.sources if source.weight is not None}
    counts = shares(recipe.size, weights) if weights else {}
    for source in recipe.sources:
        if source.count is not None:
            counts[source.name] = source.count
        elif source.epochs is not None:
            counts[source.name] = round(source.epochs * available[source.name])
    return {source.name: counts[source.name] for source in recipe.sources}


def choose(source: Source, count: int, available: int, seed: int) -> list[int]:
    """Return the numbers of the chosen rows, ascending. Rows that are chosen twice occur twice.

    Each source has its own random stream, so an added source does not change the others.

    Raises:
        DataError: the source has too few rows. The message names both numbers.
    """
    rng = random.Random(f"{seed}/{source.name}")
    if count and not available:
        if source.on_shortage == "fewer":
            return []
        raise DataError(f"source {source.name}: no row is left, {count} are asked for")
    if source.epochs is not None:
        passes, part = divmod(count, available) if available else (0, 0)
        return sorted([*range(available)] * passes + rng.sample(range(available), part))
    if source.replacement:
        return sorted(rng.choices(range(available), k=count))
    if count > available:
        if source.on_shortage == "error":
            raise DataError(
                f"source {source.name}: {available} rows are left, {count} are asked for; lower count, weight or size, "
                "or set on_shortage: fewer, or replacement: true, or epochs"
            )
        count = available
    return sorted(rng.sample(range(available), count))
