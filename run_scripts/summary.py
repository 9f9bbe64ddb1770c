# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the metrics of a finished or running training, and show the Thinking-Acting Gap as a table or a picture.

python -m run_scripts.summary outputs/qwen3vl_8b_axpo
python -m run_scripts.summary AXPO=outputs/qwen3vl_8b_axpo GRPO=outputs/qwen3vl_8b_grpo --plot gap.svg
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

ROWS = (
    ("rollouts that call the tool", "axpo/tool_use_rate"),
    ("  of these correct", "axpo/tool_accuracy"),
    ("  questions all wrong", "axpo/tool_all_wrong_rate"),
    ("rollouts without the tool, correct", "axpo/no_tool_accuracy"),
    ("  questions all wrong", "axpo/no_tool_all_wrong_rate"),
    ("rollouts correct", "axpo/accuracy"),
    ("triggered questions a step", "axpo/triggered_questions"),
    ("budget used", "axpo/budget_used"),
    ("prefixes recovered", "axpo/recovery_rate"),
    ("confidence of the calls resampled", "axpo/call_confidence/selected"),
)

PICTURE = {
    "rollouts that call the tool": "axpo/tool_use_rate",
    "of these correct": "axpo/tool_accuracy",
    "questions whose calls are all wrong": "axpo/tool_all_wrong_rate",
    "rollouts correct": "axpo/accuracy",
    "budget used": "axpo/budget_used",
    "prefixes recovered": "axpo/recovery_rate",
}
SMOOTH = 4  # steps on either side that a point of the picture is the mean of


def new_attempt(output: Path) -> Path:
    """Return the metrics file of this attempt; verl's file logger would overwrite the earlier attempt's."""
    folder = output / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"attempt-{len(list(folder.glob('attempt-*.jsonl'))):03d}.jsonl"


class Metrics:
    """Read what verl's file logger wrote into ``folder``. A later attempt's step replaces an earlier's.

    Attributes:
        steps: training step -> metrics, steps with training metrics only.
        validation: step -> accuracy on the validation questions, the mean over data sources.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.steps: dict[int, dict[str, float]] = {}
        self.validation: dict[int, float] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read everything anew; half-written lines are left for the next time."""
        self.steps, self.validation = {}, {}
        for path in sorted(self.folder.glob("attempt-*.jsonl")):
            for line in path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                data = entry["data"]
                if "training/global_step" in data:
                    self.steps[entry["step"]] = data
                accuracies = [v for k, v in data.items() if k.startswith("val-core/") and "/acc/mean@" in k]
                if accuracies:
                    self.validation[entry["step"]] = sum(accuracies) / len(accuracies)

    @property
    def last_step(self) -> int | None:
        """Return the last step that was trained."""
        return max(self.steps, default=None)

    def mean(self, key: str, steps: Sequence[int]) -> float | None:
        """Return the mean of a metric over those of ``steps`` that have it; None if none has."""
        values = [self.steps[step][key] for step in steps if key in self.steps.get(step, {})]
        return sum(values) / len(values) if values else None


def summary_table(metrics: Metrics, total_steps: int) -> str:
    """Format the Thinking-Acting Gap in the first and last steps, and validation accuracy before and after."""
    steps = sorted(metrics.steps)
    width = max(1, min(5, len(steps) // 2))
    first, last = steps[:width], steps[-width:]

    def cell(value: float | None) -> str:
        return f"{value:>14.2f}" if value is not None else f"{'-':>14}"

    def span(part: Sequence[int]) -> str:
        return f"steps {part[0]}-{part[-1]}" if part else "-"

    lines = [f"{'The Thinking-Acting Gap':<38}{span(first):>14}{span(last):>14}"]
    lines += [f"{name:<38}{cell(metrics.mean(key, first))}{cell(metrics.mean(key, last))}" for name, key in ROWS]
    before = metrics.validation.get(0)
    after = metrics.validation.get(total_steps, metrics.validation.get(max(metrics.validation, default=0)))
    lines.append(f"{'validation accuracy, before and after':<38}{cell(before)}{cell(after)}")
    return "\n".join(lines)


def draw(runs: Mapping[str, Metrics], path: Path) -> None:
    """Draw the metrics of the gap over the steps, a panel each and a line for each run.

    Args:
        runs: title -> metrics.
        path: file to write; its suffix decides the format.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "axpo", "font.size": 8}):
        figure, panels = pyplot.subplots(2, 3, figsize=(9, 4), sharex=True, sharey=True)
        for axes, (title, key) in zip(panels.flat, PICTURE.items(), strict=True):
            for name, metrics in runs.items():
                steps = sorted(step for step, row in metrics.steps.items() if key in row)
                values = [metrics.steps[step][key] for step in steps]
                smooth = [statistics.fmean(values[max(0, i - SMOOTH) : i + SMOOTH + 1]) for i in range(len(values))]
                axes.plot(steps, smooth, label=name)
            axes.set(title=title, ylim=(-0.03, 1.03))
            axes.grid(alpha=0.3)
        panels[0][0].legend()
        for axes in panels[-1]:
            axes.set_xlabel("step")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)


def main(argv: list[str] | None = None) -> None:
    """Read the command line; print a table for each run, and draw them all."""
    parser = argparse.ArgumentParser(prog="python -m run_scripts.summary", description=__doc__.split("\n\n")[0])
    parser.add_argument("runs", nargs="+", metavar="[TITLE=]OUTPUT", help="directory of a run, which holds metrics")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the runs into a file (.svg, .png, .pdf)")
    args = parser.parse_args(argv)
    runs = {}
    for run in args.runs:
        title, _, folder = run.rpartition("=")
        runs[title or Path(folder).name] = metrics = Metrics(Path(folder) / "metrics")
        if not metrics.steps:
            parser.error(f"{folder} has no metrics of a training step yet")
        print(f"{folder}\n{summary_table(metrics, metrics.last_step)}\n")
    if args.plot:
        draw(runs, args.plot)


if __name__ == "__main__":
    main()
