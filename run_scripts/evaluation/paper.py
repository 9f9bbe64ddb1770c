# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that the paper reports (arXiv 2605.28774), in percent, as the reference columns of a comparison."""

from __future__ import annotations

from data_prep.registry import BENCHMARKS

_NINE = tuple(BENCHMARKS)
SIZES = ("2b", "4b", "8b")


def _nine(*values: float) -> dict[str, float]:
    return dict(zip(_NINE, values, strict=True))


# Its order is that of the registry: MathVision, DynaMath, Math-VR, V*, VisualProbe, HR-Bench 4K and 8K, HR-MMSearch,
# MMSearch. Only averages are reported for the other sizes.
_BY_BENCHMARK = {
    ("8b", "Base"): {"pass@4": _nine(63.5, 85.2, 68.3, 92.7, 55.7, 85.5, 82.5, 33.8, 59.0)},
    ("8b", "SFT+GRPO"): {
        "pass@1": _nine(55.3, 78.2, 60.4, 87.7, 40.1, 79.5, 74.9, 24.4, 44.0),
        "pass@4": _nine(75.0, 87.0, 74.3, 96.9, 63.2, 87.5, 84.5, 38.0, 59.3),
        "tool_use_rate": _nine(46.1, 30.7, 7.6, 92.1, 99.1, 73, 78, 97.0, 97.7),
    },
    ("8b", "SFT+AXPO"): {
        "pass@1": _nine(56.1, 79.0, 60.6, 87.8, 45.8, 83.3, 77.0, 25.9, 45.0),
        "pass@4": _nine(75.7, 87.0, 74.1, 95.3, 67.9, 90.0, 89.0, 42.0, 61.0),
        "tool_use_rate": _nine(75.7, 63.9, 29.1, 99.0, 100, 90, 92, 98.4, 98.3),
    },
}
_AVERAGES = {
    "Base": {"2b": (35.6, 50.7), "4b": (53.0, 66.7), "8b": (54.4, 69.6)},
    "SFT": {"2b": (46.2, 64.5), "4b": (57.6, 71.7), "8b": (58.5, 72.2)},
    "SFT+GRPO": {"2b": (50.7, 66.8), "4b": (58.8, 71.7), "8b": (60.5, 74.0)},
    "SFT+AXPO": {"2b": (51.8, 69.6), "4b": (60.2, 74.1), "8b": (62.3, 75.8)},
}
AVERAGE = "average"


def reference(size: str, metric: str) -> dict[str, dict[str, float]]:
    """Return method -> benchmark, or ``average``, -> the paper's number as a share of 1.

    Args:
        size: ``2b``, ``4b`` or ``8b``.
        metric: ``pass@1``, ``pass@4`` or ``tool_use_rate``; there is nothing for others.
    """
    found: dict[str, dict[str, float]] = {}
    for method, averages in _AVERAGES.items():
        numbers = dict(_BY_BENCHMARK.get((size, method), {}).get(metric, {}))
        if metric in ("pass@1", "pass@4"):
            numbers[AVERAGE] = averages[size][metric == "pass@4"]
        if numbers:
            found[method] = {name: round(value / 100, 4) for name, value in numbers.items()}
    return found
