# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the metrics of a finished or running training, and print the Thinking-Acting Gap as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
