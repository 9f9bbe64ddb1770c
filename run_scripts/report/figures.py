# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the page's plots as SVG elements that take the page's text colour, and compute its tables."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

import matplotlib

from run_scripts.report.entries import INFRASTRUCTURE, RIGHT, Entry
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


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


@dataclass
class Tally:
    """Count the samples of a model on a benchmark."""

    samples: int = 0
    right: int = 0
    used: int = 0
    used_right: int = 0
    failed: int = 0
    questions: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def add(self, entry: Entry) -> None:
        """Count a sample; an infrastructure failure is counted apart."""
        if entry.verdict == INFRASTRUCTURE:
            self.failed += 1
            return
        right, used = entry.verdict == RIGHT, entry.calls > 0
        self.samples += 1
        self.right += right
        self.used += used
        self.used_right += used and right
        self.questions[entry.question].append(right)

    @property
    def accuracy(self) -> float:
        """Return the right share of the samples."""
        return _share(self.right, self.samples)

    @property
    def tool_use(self) -> float:
        """Return the share of the samples that call a tool."""
        return _share(self.used, self.samples)

    def pass_at(self, k: int) -> float:
        """Return the chance that one of ``k`` samples is right, the mean over questions with so many samples."""
        chances = [1 - comb(len(r) - sum(r), k) / comb(len(r), k) for r in self.questions.values() if len(r) >= k]
        return statistics.fmean(chances) if chances else math.nan

    @property
    def most(self) -> int:
        """Return the samples of the question that has most."""
        return max(map(len, self.questions.values()), default=0)


Tallies = Mapping[str, Mapping[str, Tally]]  # model -> benchmark -> counts


def tally(entries: Iterable[Entry], models: Sequence[str]) -> dict[str, dict[str, Tally]]:
    """Count the entries of each model and benchmark."""
    found: dict[str, dict[str, Tally]] = {model: {} for model in models}
    for entry in entries:
        found[models[entry.model]].setdefault(entry.group, Tally()).add(entry)
    return found


def evaluation_tables(tallies: Tallies) -> list[Table]:
    """Return the counts of the samples that the page holds, a table for each model."""
    head = ["benchmark", "questions", "samples", "right %", "tool use %", "right with %", "right without %", "failures"]
    tables = []
    for model, benchmarks in tallies.items():
        rows = [
            [
                name,
                str(len(counts.questions)),
                str(counts.samples),
                _percent(counts.accuracy),
                _percent(counts.tool_use),
                _percent(_share(counts.used_right, counts.used)),
                _percent(_share(counts.right - counts.used_right, counts.samples - counts.used)),
                str(counts.failed),
            ]
            for name, counts in benchmarks.items()
        ]
        tables.append(Table(f"Samples of {model}", head, rows))
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


def evaluation_pictures(tallies: Tallies) -> list[str]:
    """Return the right share by benchmark, tool use against it, and Pass@k, the mean over benchmarks."""
    names = list(dict.fromkeys(name for benchmarks in tallies.values() for name in benchmarks))
    if not names:
        return []

    def bars(path: Path) -> None:
        with _panel(path, max(4.2, 0.4 * len(names) * len(tallies))) as axes:
            width = 0.8 / len(tallies)
            for i, (model, found) in enumerate(tallies.items()):
                heights = [100 * found[name].accuracy if name in found else math.nan for name in names]
                axes.bar([x + (i + 0.5) * width - 0.4 for x in range(len(names))], heights, width, label=_plain(model))
            axes.set_xticks(range(len(names)), [_plain(name.split("/")[-1]) for name in names], rotation=30, ha="right")
            axes.set(title="right, % of the samples", ylim=(0, 100))
            axes.legend()

    def tool_use(path: Path) -> None:
        with _panel(path) as axes:
            for model, found in tallies.items():
                points = [(100 * c.tool_use, 100 * c.accuracy, name) for name, c in found.items() if c.samples]
                axes.scatter([x for x, *_ in points], [y for _, y, _ in points], label=_plain(model))
                for x, y, name in points:
                    axes.annotate(_plain(name.split("/")[-1]), (x, y), (4, 3), textcoords="offset points", fontsize=6)
            axes.set(xlabel="samples that call a tool, %", ylabel="right, %", xlim=(-5, 105), ylim=(-5, 105))
            axes.legend()

    def curves(path: Path) -> None:
        with _panel(path) as axes:
            for model, found in tallies.items():
                ks = range(1, 1 + min((counts.most for counts in found.values() if counts.samples), default=0))
                means = [statistics.fmean(c.pass_at(k) for c in found.values() if c.samples) for k in ks]
                axes.plot(list(ks), [100 * mean for mean in means], marker="o", markersize=3, label=_plain(model))
            axes.set(title="Pass@k, the mean over benchmarks", xlabel="k", ylim=(0, 100))
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
            axes.legend()

    return [_svg(picture) for picture in (bars, tool_use, curves)]
