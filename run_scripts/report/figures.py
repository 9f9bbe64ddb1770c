# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the page's plots as SVG elements that take the page's text colour, and make its tables."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from run_scripts.summary import ROWS, Metrics, draw

_TEXT = "#010203"  # stands for the page's text colour
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "axpo",
    "font.size": 8,
    "savefig.transparent": True,
    "legend.framealpha": 0,
    **{f"{name}.color": _TEXT for name in ("text", "xtick", "ytick")},
    **{f"axes.{name}": _TEXT for name in ("labelcolor", "edgecolor", "titlecolor")},
}


@dataclass(frozen=True)
class Table:
    """Hold a table of texts; the first column names the row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Metric = Mapping[str, Any]  # ``metrics.json`` of an evaluation
COUNTS = {"questions": "questions", "samples": "samples"}
MEANS = {"calls": "calls", "generated_tokens": "tokens", "turns": "turns"}
SHARES = {
    "worst_case": "worst case",
    "process_score": "process",
    "tool_use_rate": "tool use",
    "accuracy_with_call": "right with call",
    "accuracy_without_call": "without",
    "truncated": "cut",
}


def _value(row: Mapping[str, Any], key: str) -> float:
    found = row.get(key)
    value = found.get("value") if isinstance(found, Mapping) else found
    return math.nan if value is None else float(value)


def _cell(row: Mapping[str, Any], key: str) -> str:
    """Return a number of a benchmark; Pass@k has its interval."""
    value = _value(row, key)
    if math.isnan(value):
        return ""
    if key in COUNTS:
        return str(int(value))
    if key in MEANS:
        return f"{value:.1f}" if value < 100 else f"{value:.0f}"
    text = f"{100 * value:.1f}"
    if key.startswith("pass@") and None not in (row[key].get("low"), row[key].get("high")):
        text += f" ({100 * row[key]['low']:.1f} to {100 * row[key]['high']:.1f})"
    return text


def evaluation_tables(models: Mapping[str, Metric]) -> list[Table]:
    """Return a table for each model: benchmarks as rows, percentages with intervals of 95 %."""
    tables = []
    for model, metrics in models.items():
        rows = dict(metrics["benchmarks"])
        if len(rows) > 1:
            rows[f"mean of {len(metrics['average']['benchmarks'])}"] = metrics["average"]
        passes = dict.fromkeys(["pass@1", f"pass@{metrics['samples']}"])
        titles = COUNTS | {key: key.capitalize() for key in passes} | SHARES | MEANS
        keys = [key for key in titles if any(not math.isnan(_value(row, key)) for row in rows.values())]
        head = ["", *(titles[key] for key in keys), "failures"]
        cells = [
            [name, *(_cell(row, key) for key in keys), str(row.get("infrastructure", {}).get("samples", ""))]
            for name, row in rows.items()
        ]
        tables.append(Table(f"{model}, shares in %", head, cells))
    return tables


def gap_table(runs: Mapping[str, Metrics]) -> list[Table]:
    """Return the Thinking-Acting Gap in the first and the last steps, two columns for each run."""
    head, columns = [""], []
    for name, metrics in runs.items():
        steps = sorted(metrics.steps)
        width = max(1, min(5, len(steps) // 2))
        for part in (steps[:width], steps[-width:]) if steps else ():
            head.append(f"{name}, steps {part[0]} to {part[-1]}")
            columns.append([metrics.mean(key, part) for _, key in ROWS])
    cells = [["–" if value is None else f"{value:.2f}" for value in values] for values in zip(*columns, strict=True)]
    rows = [[name, *values] for (name, _), values in zip(ROWS, cells, strict=True)] if columns else []
    return [Table("The Thinking-Acting Gap", head, rows)] if rows else []


# --------------------------------------------------------------------- pictures


def _svg(save: Callable[[Path], None]) -> str:
    """Return a picture as an element of a page."""
    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as folder, matplotlib.rc_context(_STYLE):
        path = Path(folder) / "figure.svg"
        save(path)
        text = path.read_text()
    return text[text.index("<svg") :].replace(_TEXT, "currentColor")


@contextmanager
def _panel(path: Path, width: float = 4.2, height: float = 2.8):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height))
    axes.grid(alpha=0.3)
    yield axes
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _plain(name: str) -> str:
    return name.replace("$", r"\$")  # It is no formula.


def training_pictures(runs: Mapping[str, Metrics]) -> list[str]:
    """Return the curves of the gap."""
    runs = {_plain(name): metrics for name, metrics in runs.items() if metrics.steps}
    return [_svg(lambda path: draw(runs, path))] if runs else []


def evaluation_pictures(models: Mapping[str, Metric]) -> list[str]:
    """Return Pass@1 by benchmark with its intervals, tool use against it, and Pass@k, the mean over benchmarks."""
    names = list(dict.fromkeys(name for metrics in models.values() for name in metrics["benchmarks"]))
    if not names:
        return []

    def percent(model: str, name: str, key: str, of: str = "value") -> float:
        found = models[model]["benchmarks"].get(name, {}).get(key, {}).get(of)
        return math.nan if found is None else 100 * found

    def bars(path: Path) -> None:
        with _panel(path, max(4.2, 0.4 * len(names) * len(models))) as axes:
            width = 0.8 / len(models)
            for i, model in enumerate(models):
                places = [x + (i + 0.5) * width - 0.4 for x in range(len(names))]
                heights = [percent(model, name, "pass@1") for name in names]
                bounds = [[percent(model, name, "pass@1", of) for name in names] for of in ("low", "high")]
                apart = [[abs(h - b) for h, b in zip(heights, bound, strict=True)] for bound in bounds]
                errors = {"ecolor": _TEXT, "elinewidth": 0.7}
                axes.bar(places, heights, width, label=_plain(model), yerr=apart, error_kw=errors)
            axes.set_xticks(range(len(names)), map(_plain, names), rotation=30, ha="right")
            axes.set(title="Pass@1, %", ylim=(0, 130), yticks=range(0, 101, 20))
            axes.legend(loc="upper right", ncols=2)

    def tool_use(path: Path) -> None:
        with _panel(path) as axes:
            for model in models:
                points = [(percent(model, name, "tool_use_rate"), percent(model, name, "pass@1")) for name in names]
                axes.scatter(*zip(*points, strict=True), label=_plain(model))
                for name, point in zip(names, points, strict=True):
                    if not any(map(math.isnan, point)):
                        axes.annotate(_plain(name), point, (4, 3), textcoords="offset points", fontsize=6)
            axes.set(xlabel="samples with a call, %", ylabel="Pass@1, %", xlim=(-5, 105), ylim=(-5, 105))
            axes.legend()

    def curves(path: Path) -> None:
        with _panel(path) as axes:
            for model, metrics in models.items():
                ks = [k for k in range(1, metrics["samples"] + 1) if f"pass@{k}" in metrics["average"]]
                values = [100 * _value(metrics["average"], f"pass@{k}") for k in ks]
                axes.plot(ks, values, marker="o", markersize=3, label=_plain(model))
            axes.set(title="Pass@k, the mean over benchmarks, %", xlabel="k", ylim=(0, 105))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend()

    return [_svg(picture) for picture in (bars, tool_use, curves)]
