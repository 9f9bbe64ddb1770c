# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Pass@k, means of ratios, and bootstrap intervals. Pure: numpy only.

Questions that share an image or a template are resampled together, as one unit: their answers are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Return the probability that one of k samples is correct, without bias, from more samples than k.

    ``1 - C(samples - correct, k) / C(samples, k)`` (Chen et al. 2021, arXiv 2107.03374).

    Raises:
        ValueError: the numbers do not fit together.
    """
    if not 0 <= correct <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} is not defined for {correct} of {samples} samples")
    wrong = samples - correct
    if wrong < k:
        return 1.0
    # The product is exact to rounding where the binomials themselves would overflow a float.
    return float(1.0 - np.prod(1.0 - k / np.arange(wrong + 1, samples + 1)))


@dataclass(frozen=True)
class Figure:
    """Hold a number as a mean over groups of ratios of sums over units.

    With one group and one question a unit it is the mean over questions.

    Attributes:
        sums: (units, groups) what is counted.
        counts: (units, groups) out of how many.
    """

    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, entries: Sequence[tuple[int, int, float, float]], units: int) -> Figure:
        """Add entries up.

        Args:
            entries: (unit, group, sum, count).
            units: number of units.
        """
        groups = 1 + max((group for _, group, _, _ in entries), default=0)
        sums, counts = np.zeros((units, groups)), np.zeros((units, groups))
        for unit, group, total, count in entries:
            sums[unit, group] += total
            counts[unit, group] += count
        return cls(sums, counts)

    @property
    def value(self) -> float:
        """Return the number; NaN if there is nothing to count."""
        return float(self.drawn(np.ones((1, len(self.sums))))[0])

    def drawn(self, weights: np.ndarray) -> np.ndarray:
        """Return the (draws,) values under (draws, units) weights; NaN where a draw has nothing to count."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = (weights @ self.sums) / (weights @ self.counts)
        empty = self.counts.sum(axis=0) == 0
        return ratios[:, ~empty].mean(axis=1) if not empty.all() else np.full(len(weights), np.nan)


def resample(units: int, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Return (draws, units) how often each unit is drawn, with replacement. Equal arguments give equal draws.

    Two models that answered the same questions are compared under the same draws.
    """
    if units == 0:
        return np.zeros((draws, 0))
    rng = np.random.default_rng([seed, units])
    return rng.multinomial(units, np.full(units, 1.0 / units), size=draws).astype(np.float64)


@dataclass(frozen=True)
class Estimate:
    """Hold a number and its bootstrap percentile interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: np.ndarray, level: float = LEVEL) -> Estimate:
        """Make an interval of (draws,) values. Draws that have no value are left out."""
        drawn = drawn[~np.isnan(drawn)]
        if not len(drawn):
            return cls(value, float("nan"), float("nan"))
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        return cls(value, float(low), float(high))

    def as_dict(self) -> dict[str, float | None]:
        """Return what JSON can hold."""
        return {
            name: None if np.isnan(value) else round(float(value), 6)
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def mean_of(figures: Sequence[Figure], seed: int, draws: int = DRAWS) -> tuple[float, np.ndarray]:
    """Return the mean of several figures with equal weight, and its (draws,) values.

    The benchmarks are drawn independently of each other.
    """
    values = [figure.value for figure in figures]
    drawn = [figure.drawn(resample(len(figure.sums), seed + i, draws)) for i, figure in enumerate(figures)]
    return float(np.mean(values)), np.mean(drawn, axis=0)
