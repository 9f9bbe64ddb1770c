# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Plot evaluations: tool use against accuracy, Pass@k over k, and bars for each benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from run_scripts.evaluation.compare import TITLES, Evaluation, average, benchmarks_of, estimate
from run_scripts.evaluation.metrics import averaged


def plot_all(evaluations: Sequence[Evaluation], output: Path, seed: int = 0) -> list[Path]:
    """Draw the three plots. Return their SVG files."""
    drawn = {
        "tool_use_and_accuracy": tool_use_and_accuracy(evaluations),
        "pass_at_k": pass_at_k_curves(evaluations, seed),
        "benchmarks": bars(evaluations, seed),
    }
    files = []
    for name, figure in drawn.items():
        files.append(output / f"{name}.svg")
        with plt.rc_context({"svg.hashsalt": name}):  # equal evaluations give equal files
            figure.savefig(files[-1], bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
    return files


def tool_use_and_accuracy(evaluations: Sequence[Evaluation]) -> plt.Figure:
    """Draw a point for each benchmark and model; lines join a benchmark's points in the order of the models."""
    figure, axes = plt.subplots(figsize=(6, 5))
    points = {
        name: [[100 * e.figures[name][key].value for key in ("tool_use_rate", "pass@1")] for e in evaluations]
        for name in benchmarks_of(evaluations)
    }
    for name, path in points.items():
        axes.plot(*zip(*path, strict=True), color="0.8", zorder=1)
        axes.annotate(TITLES.get(name, name), path[-1], xytext=(4, 4), textcoords="offset points", fontsize=8)
    for i, evaluation in enumerate(evaluations):
        axes.scatter(*zip(*(path[i] for path in points.values()), strict=True), label=evaluation.name, zorder=2)
    axes.set(xlabel="trajectories with a call (%)", ylabel="Pass@1 (%)", xlim=(-5, 105), ylim=(-5, 105))
    axes.legend()
    return figure


def pass_at_k_curves(evaluations: Sequence[Evaluation], seed: int = 0) -> plt.Figure:
    """Draw the average Pass@k over k, with bands of the intervals."""
    figure, axes = plt.subplots(figsize=(6, 4))
    names = averaged(benchmarks_of(evaluations))
    for evaluation in evaluations:
        found = {k: average(evaluation, names, f"pass@{k}", seed) for k in evaluation.ks}
        known = {k: value for k, value in found.items() if value is not None}
        if not known:
            continue
        ks = list(known)
        (line,) = axes.plot(ks, [100 * known[k].value for k in ks], marker="o", label=evaluation.name)
        low, high = ([100 * getattr(known[k], side) for k in ks] for side in ("low", "high"))
        axes.fill_between(ks, low, high, alpha=0.15, color=line.get_color())
    axes.set(xlabel="k", ylabel=f"Pass@k (%), average of {len(names)}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure


def bars(evaluations: Sequence[Evaluation], seed: int = 0) -> plt.Figure:
    """Draw Pass@1 of each benchmark, with intervals."""
    names = benchmarks_of(evaluations)
    figure, axes = plt.subplots(figsize=(max(5, 1.2 * len(names)), 4))
    width = 0.8 / len(evaluations)
    for i, evaluation in enumerate(evaluations):
        found = [estimate(evaluation, name, "pass@1", seed) for name in names]
        values = np.array([[100 * v for v in (e.value, e.low, e.high)] if e else [np.nan] * 3 for e in found])
        errors = np.clip([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]], 0, None)
        places = np.arange(len(names)) + (i - (len(evaluations) - 1) / 2) * width
        axes.bar(places, values[:, 0], width, yerr=errors, capsize=2, label=evaluation.name)
    axes.set_xticks(range(len(names)), [TITLES.get(name, name) for name in names], rotation=30, ha="right")
    axes.set(ylabel="Pass@1 (%)", ylim=(0, 105))
    axes.legend()
    return figure
