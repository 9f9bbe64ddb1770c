# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a suite's report from its runs: a table with intervals over seeds, curves, and a CSV of all steps."""

from __future__ import annotations

import csv
import math
import statistics
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from run_scripts.lab.dumps import DRAWS, read_questions, step_figures
from run_scripts.lab.suites import ARMS, SUITES
from run_scripts.summary import Metrics

WINDOW = 10  # steps that a figure is the mean of
QUESTIONS = 8  # of a step, in config/hardware/cpu.yaml
# Student's t, two-sided 95 %, by degrees of freedom
_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}

FIGURES = {
    "tool use": "axpo/tool_use_rate",
    "tool accuracy": "axpo/tool_accuracy",
    "questions whose calls are all wrong": "axpo/tool_all_wrong_rate",
    "accuracy": "axpo/accuracy",
}


# what a run's summary keeps of each step
KEYS = (
    *FIGURES.values(),
    "axpo/no_tool_accuracy", "axpo/no_tool_all_wrong_rate", "axpo/recovery_rate", "axpo/selected_prefixes",
    "axpo/triggered_questions", "axpo/resampled_tokens", "axpo/continuation_tokens_ratio", "axpo/infra_failures",
    "axpo/original/response_length/mean", "response_length/mean", "timing_s/gen", "timing_s/axpo/barrier_wait",
    "timing_s/step", "actor/grad_norm", "actor/kl_loss", "training/rollout_probs_diff_max",
    "lab/triggered", "lab/offered", "lab/recovered", "lab/extra_tokens", "lab/distinct_calls",
    *(f"lab/found{n}" for n in DRAWS),
)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Hold one run.

    Attributes:
        steps: metrics by step, from 1, without a gap; those of ``KEYS`` that the run has.
        rollouts: rollouts of a question.
        validation: (accuracy before, accuracy after) training; None where it is missing.
    """

    steps: Sequence[Mapping[str, float]]
    rollouts: int
    validation: tuple[float | None, float | None]

    @classmethod
    def read(cls, folder: Path, rollouts: int) -> Curve | None:
        """Read a run's directory; None if it has trained no step."""
        metrics = Metrics(folder / "metrics") if (folder / "metrics").exists() else None
        if metrics is None or not metrics.steps:
            return None
        last = max(metrics.steps)
        rows = []
        for step in range(1, last + 1):
            found = dict(metrics.steps.get(step, {}))
            if found and (dump := folder / "rollouts" / f"{step}.jsonl").exists():
                found |= step_figures(read_questions(dump))
            rows.append({key: float(f"{found[key]:.5g}") for key in KEYS if key in found})
        return cls([row for row in rows if row], rollouts, (metrics.validation.get(0), metrics.validation.get(last)))

    def to_json(self) -> dict[str, Any]:
        """Return the run as columns, None where a step lacks a metric."""
        keys = [key for key in KEYS if any(key in row for row in self.steps)]
        columns = {key: [row.get(key) for row in self.steps] for key in keys}
        return {"rollouts": self.rollouts, "validation": self.validation, "steps": columns}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Curve:
        """Read what ``to_json`` returned."""
        columns = found["steps"]
        rows = [
            {key: value for key, value in zip(columns, values, strict=True) if value is not None}
            for values in zip(*columns.values(), strict=True)
        ]
        return cls(rows, found["rollouts"], tuple(found["validation"]))

    def total(self, key: str) -> float:
        """Return the sum of a metric over the steps."""
        return sum(row.get(key, 0.0) for row in self.steps)

    @property
    def tokens(self) -> list[float]:
        """Return response tokens sampled up to and including each step; what tools return is counted, too."""

        def spent(row: Mapping[str, float]) -> float:
            ordinary = row.get("axpo/original/response_length/mean", row["response_length/mean"])
            return ordinary * QUESTIONS * self.rollouts + row.get("axpo/resampled_tokens", 0.0)

        return list(accumulate(map(spent, self.steps)))

    @property
    def seconds(self) -> list[float]:
        """Return wall time up to and including each step, start-up left out."""
        return list(accumulate(row["timing_s/step"] for row in self.steps))

    def window(self, key: str, first: int) -> float:
        """Return the mean of a metric over ``WINDOW`` steps from ``first`` (from 0); NaN if none has it."""
        values = [row[key] for row in self.steps[first : first + WINDOW] if key in row]
        return statistics.fmean(values) if values else math.nan


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and half width of the 95 % interval of the mean, by Student's t; NaN of one value."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan, math.nan
    if len(known) == 1:
        return known[0], math.nan
    spread = statistics.stdev(known) / math.sqrt(len(known))
    return statistics.fmean(known), _T95.get(len(known) - 1, 1.96) * spread


def read_suite(suite: str, root: Path) -> dict[str, dict[int, Curve]]:
    """Return arm -> seed -> run, for what has been run."""
    found: dict[str, dict[int, Curve]] = {}
    for arm in SUITES[suite].arms:
        for folder in sorted((root / "runs" / arm).glob("seed*")):
            if (curve := Curve.read(folder, ARMS[arm].rollouts)) is not None:
                found.setdefault(arm, {})[int(folder.name.removeprefix("seed"))] = curve
    return found


def table(runs: Mapping[str, Mapping[int, Curve]]) -> str:
    """Return a Markdown table: a row for each arm and window, mean +- 95 % interval over seeds."""
    lines = ["| arm | seeds | steps | " + " | ".join(FIGURES) + " |", "|---" * (3 + len(FIGURES)) + "|"]
    for arm, seeds in runs.items():
        longest = max(len(curve.steps) for curve in seeds.values())
        for first in range(0, longest - WINDOW + 1, WINDOW):
            there = [curve for curve in seeds.values() if len(curve.steps) >= first + WINDOW]
            cells = [cell([curve.window(key, first) for curve in there]) for key in FIGURES.values()]
            title = ARMS[arm].title if first == 0 else ""
            lines.append(f"| {title} | {len(there)} | {first + 1}-{first + WINDOW} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(runs: Mapping[str, Mapping[int, Curve]]) -> str:
    """Return a Markdown table of the ends: validation, tokens and time."""
    lines = [
        "| arm | seeds | validation before | after | gain | response tokens | seconds a step |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm, seeds in runs.items():
        pairs = [curve.validation for curve in seeds.values() if None not in curve.validation]
        before, after = ([pair[i] for pair in pairs] for i in (0, 1))
        gains = [late - early for early, late in pairs]
        tokens = statistics.fmean(curve.tokens[-1] for curve in seeds.values())
        pace = statistics.median(
            row["timing_s/step"] for curve in seeds.values() for row in curve.steps[2:] or curve.steps
        )
        cells = [cell(before), cell(after), cell(gains)]
        lines.append(f"| {ARMS[arm].title} | {len(seeds)} | {' | '.join(cells)} | {tokens:,.0f} | {pace:.1f} |")
    return "\n".join(lines)


def differences(runs: Mapping[str, Mapping[int, Curve]]) -> str:
    """Return a Markdown table of each arm against the suite's first one, paired by seed, over the last window."""
    arms = list(runs)
    lines = [
        "| against " + ARMS[arms[0]].title + " | pairs | " + " | ".join(FIGURES) + " |",
        "|---" * (2 + len(FIGURES)) + "|",
    ]
    for arm in arms[1:]:
        both = sorted(runs[arm].keys() & runs[arms[0]].keys())
        cells = []
        for key in FIGURES.values():
            gaps = []
            for seed in both:
                one, other = runs[arm][seed], runs[arms[0]][seed]
                first = min(len(one.steps), len(other.steps)) - WINDOW
                if first >= 0:
                    gaps.append(one.window(key, first) - other.window(key, first))
            cells.append(cell(gaps, sign=True))
        lines.append(f"| {ARMS[arm].title} | {len(both)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values: Sequence[float], sign: bool = False) -> str:
    """Format mean and interval of a table's cell; "-" without values."""
    mean, half = interval(values)
    if math.isnan(mean):
        return "-"
    text = f"{mean:+.2f}" if sign else f"{mean:.2f}"
    return text if math.isnan(half) else f"{text} ± {half:.2f}"


def plot(runs: Mapping[str, Mapping[int, Curve]], path: Path, *, short: bool = False) -> None:
    """Draw every figure against steps, response tokens and wall time; means over seeds, single seeds thin.

    Args:
        short: draw tool use and all-wrong questions against steps only, side by side.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    scales: Mapping[str, Callable[[Curve], Sequence[float]]] = {
        "step": lambda curve: range(1, len(curve.steps) + 1),
        "thousand response tokens": lambda curve: [value / 1000 for value in curve.tokens],
        "minutes": lambda curve: [value / 60 for value in curve.seconds],
    }
    names = ["tool use", "questions whose calls are all wrong"] if short else list(FIGURES)
    panels = [(name, label) for name in names for label in (["step"] if short else scales)]
    shape = (1, 2) if short else (len(names), len(scales))
    figure, grid = pyplot.subplots(*shape, figsize=(9, 3) if short else (13, 2.7 * len(names)), squeeze=False)
    for axes, (name, label) in zip(grid.flat, panels, strict=True):
        for number, (arm, seeds) in enumerate(runs.items()):
            curves = list(seeds.values())
            length = min(len(curve.steps) for curve in curves)
            smooth = [_smooth([step.get(FIGURES[name], math.nan) for step in curve.steps]) for curve in curves]
            for curve, line in zip(curves, smooth, strict=True):
                axes.plot(scales[label](curve), line, color=f"C{number}", alpha=0.2, linewidth=0.8)
            middle = [_mean([line[i] for line in smooth]) for i in range(length)]
            across = [_mean([scales[label](curve)[i] for curve in curves]) for i in range(length)]
            axes.plot(across, middle, color=f"C{number}", linewidth=2, label=f"{ARMS[arm].title} ({len(curves)})")
        axes.grid(alpha=0.3)
        axes.set_ylim(0, 1)
        axes.set_xlabel(label, fontsize=9)
        axes.set_ylabel(textwrap.fill(name, 24), fontsize=9)
    grid[0][0].legend(fontsize=8, title="arm (seeds)", title_fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=75)
    pyplot.close(figure)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


def _smooth(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its four neighbours on either side."""
    return [_mean(values[max(0, i - 4) : i + 5]) for i in range(len(values))]


def write_csv(runs: Mapping[str, Mapping[int, Curve]], path: Path) -> None:
    """Write a line for every step of every run, so that the report can be checked without the runs."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arm", "seed", "step", *KEYS])
        for arm, seeds in runs.items():
            for seed, curve in seeds.items():
                for step, row in enumerate(curve.steps, 1):
                    values = (f"{row[key]:.5g}" if key in row else "" for key in KEYS)
                    writer.writerow([arm, seed, step, *values])


def write_report(suite: str, root: Path) -> str:
    """Write ``report/<suite>.{md,png,csv}`` below the lab's directory and return the Markdown.

    Raises:
        SystemExit: nothing of the suite has been run.
    """
    runs = read_suite(suite, root)
    if not runs:
        raise SystemExit(f"nothing of {suite} has been run in {root}; python -m run_scripts.lab run {suite}")
    folder = root / "report"
    folder.mkdir(parents=True, exist_ok=True)
    parts = [f"# {suite}", SUITES[suite].help, "## Ends", summary(runs)]
    if len(runs) > 1:
        parts += [f"## Differences, last {WINDOW} steps, paired by seed", differences(runs)]
    parts += ["## Curves", f"![{suite}]({suite}.png)", table(runs), "Mean and 95 % interval over seeds (Student's t)."]
    text = "\n\n".join(parts) + "\n"
    (folder / f"{suite}.md").write_text(text)
    plot(runs, folder / f"{suite}.png")
    write_csv(runs, folder / f"{suite}.csv")
    return text
