# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make the numbers of an evaluation of its samples.

Every number is a ``Figure`` over units, so that intervals and paired differences come from one piece of code:

- ``pass@k``: the mean over questions of the unbiased estimate. Pass@1 is the mean over samples. HR-Bench: the mean over
  the option orders of each order's mean.
- ``worst_case`` (DynaMath): the mean over seed questions of the probability that all variants are answered right, the
  product of the variants' Pass@1.
- ``process_score`` (Math-VR, where the judge gives it): the mean over samples.
- ``tool_use_rate``, ``calls`` (a trajectory), ``accuracy_with_call``, ``accuracy_without_call``, ``generated_tokens``,
  ``turns``, ``truncated``: means over samples.

Samples that infrastructure has failed are in no number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.core.files import write_json
from data_prep.registry import BENCHMARKS
from run_scripts.evaluation.numbers import Estimate, Figure, mean_of, pass_at_k, resample
from run_scripts.evaluation.record import OK, Sample, read_evaluation, read_settings

HR_BENCH = ("hrbench_4k", "hrbench_8k")
PER_SAMPLE: dict[str, Callable[[Sample], tuple[float, float]]] = {
    "tool_use_rate": lambda s: (s.used_tool, 1),
    "calls": lambda s: (len(s.calls), 1),
    "accuracy_with_call": lambda s: (s.correct and s.used_tool, s.used_tool),
    "accuracy_without_call": lambda s: (s.correct and not s.used_tool, not s.used_tool),
    "generated_tokens": lambda s: (s.generated_tokens, 1),
    "turns": lambda s: (s.turns, 1),
    "truncated": lambda s: (s.truncated, 1),
}
"""Number -> what a sample adds to its sum and to its count."""


def by_question(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Return question -> its finished samples."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.status == OK:
            found.setdefault(sample.question, []).append(sample)
    return found


def unit_of(benchmark: str, sample: Sample) -> str:
    """Return the name of what is resampled as one: a DynaMath seed question, an image of HR-Bench, or the question."""
    if benchmark == "dynamath" and "seed_id" in sample.meta:
        return str(sample.meta["seed_id"])
    if benchmark in HR_BENCH and sample.images:
        return sample.images[0]
    return sample.question


def units_of(benchmark: str, questions: Mapping[str, Sequence[Sample]]) -> dict[str, str]:
    """Return question -> the name of its unit."""
    return {question: unit_of(benchmark, samples[0]) for question, samples in questions.items()}


def figures(
    benchmark: str,
    questions: Mapping[str, Sequence[Sample]],
    ks: Iterable[int],
    unit: Mapping[str, str] | None = None,
) -> dict[str, Figure]:
    """Return the numbers of a benchmark.

    Args:
        benchmark: its name.
        questions: question -> its finished samples, see ``by_question``.
        ks: values of k. A question with fewer samples is left out of the larger ones.
        unit: question -> its unit, by default ``units_of``. Units are numbered in the order of the questions.
    """
    ks, unit = tuple(ks), unit or units_of(benchmark, questions)
    units = {name: i for i, name in enumerate(dict.fromkeys(unit[question] for question in questions))}
    cycles = sorted({str(samples[0].meta.get("cycle")) for samples in questions.values()})
    groups = {cycle: i for i, cycle in enumerate(cycles)} if benchmark in HR_BENCH else {}
    entries: dict[str, list[tuple[int, int, float, float]]] = {name: [] for name in PER_SAMPLE}
    entries |= {f"pass@{k}": [] for k in ks}
    variants: dict[int, list[float]] = {}
    for question, samples in questions.items():
        place = units[unit[question]]
        group = groups.get(str(samples[0].meta.get("cycle")), 0)
        n, correct = len(samples), sum(sample.correct for sample in samples)
        for k in ks:
            if k <= n:
                entries[f"pass@{k}"].append((place, group, pass_at_k(n, correct, k), 1))
        for name, of in PER_SAMPLE.items():
            entries[name] += [(place, 0, float(total), float(count)) for total, count in map(of, samples)]
        variants.setdefault(place, []).append(correct / n)
        steps = [float(sample.details["process_score"]) for sample in samples if "process_score" in sample.details]
        if benchmark == "math_vr" and steps:
            entries.setdefault("process_score", []).append((place, 0, sum(steps), len(steps)))
    if benchmark == "dynamath":
        entries["worst_case"] = [(place, 0, float(np.prod(rates)), 1) for place, rates in variants.items()]
    return {name: Figure.of(found, len(units)) for name, found in entries.items()}


def parts(questions: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """Return Pass@1 of each part of a benchmark (VisualProbe's levels, DynaMath's variants), if it has several."""
    found: dict[str, list[float]] = {}
    for question, samples in questions.items():
        found.setdefault(question.rpartition("/")[0], []).append(float(np.mean([s.correct for s in samples])))
    return {part: float(np.mean(values)) for part, values in found.items()} if len(found) > 1 else {}


def call_failures(samples: Iterable[Sample]) -> dict[str, dict[str, int]]:
    """Return tool -> kind of failure -> calls."""
    counted = Counter((call.name, call.kind) for sample in samples for call in sample.calls if not call.ok)
    found: dict[str, dict[str, int]] = {}
    for (name, kind), count in sorted(counted.items(), key=lambda entry: (entry[0][0], -entry[1])):
        found.setdefault(name, {})[str(kind)] = count
    return found


def infrastructure(samples: Iterable[Sample]) -> dict[str, Any]:
    """Return how many samples could not be made, and the reasons."""
    errors = Counter(str(sample.error)[:120] for sample in samples if sample.status != OK)
    return {"samples": errors.total(), "reasons": dict(errors.most_common())}


def averaged(names: Iterable[str]) -> list[str]:
    """Return which benchmarks the average is over: those of the nine, or all if there is none of them."""
    names = list(names)
    return [name for name in names if name in BENCHMARKS] or names


def compute_metrics(directory: Path, seed: int = 0) -> dict[str, Any]:
    """Compute the numbers of an evaluation and write them to its ``metrics.json``.

    Args:
        directory: of the evaluation.
        seed: of the bootstrap.
    """
    settings = read_settings(directory)
    ks = range(1, settings["samples"] + 1)
    evaluation = read_evaluation(directory, texts=False)
    all_figures, benchmarks = {}, {}
    for name, samples in evaluation.items():
        questions = by_question(samples)
        found = all_figures[name] = figures(name, questions, ks)
        units = len(next(iter(found.values())).sums)
        weights = resample(units, seed)
        calls = Counter(call.name for sample in samples for call in sample.calls)
        benchmarks[name] = {
            "questions": len(questions),
            "of_questions": settings["questions"].get(name, len(questions)),
            "units": units,
            "samples": sum(map(len, questions.values())),
            **{key: Estimate.of(figure.value, figure.drawn(weights)).as_dict() for key, figure in found.items()},
            "parts": parts(questions),
            "tools": dict(calls.most_common()),
            "call_failures": call_failures(samples),
            "infrastructure": infrastructure(samples),
        }
    metrics: dict[str, Any] = {key: settings[key] for key in ("name", "model", "engine", "samples", "seed")}
    metrics["benchmarks"] = benchmarks
    metrics["average"] = average(all_figures, seed)
    write_json(directory / "metrics.json", metrics)
    return metrics


def average(all_figures: Mapping[str, Mapping[str, Figure]], seed: int = 0) -> dict[str, Any]:
    """Return the means over benchmarks, each with equal weight, of the numbers that all of them have."""
    names = [name for name in averaged(all_figures) if len(next(iter(all_figures[name].values())).sums)]
    found: dict[str, Any] = {"benchmarks": names}
    if names:
        shared = [key for key in all_figures[names[0]] if all(key in all_figures[name] for name in names)]
        for key in shared:
            value, drawn = mean_of([all_figures[name][key] for name in names], seed)
            found[key] = Estimate.of(value, drawn).as_dict()
    return found


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """Return the numbers that are read first, as text."""
    last = f"pass@{metrics['samples']}"
    columns = ["pass@1", *([last] if last != "pass@1" else []), "tool_use_rate", "calls"]
    columns += ["accuracy_with_call", "accuracy_without_call"]
    heads = {"tool_use_rate": "tool use", "accuracy_with_call": "acc. tool", "accuracy_without_call": "acc. none"}
    lines = [f"{'':<14}{'questions':>10}" + "".join(f"{heads.get(name, name):>11}" for name in columns)]
    rows = [*metrics["benchmarks"].items(), (f"mean of {len(metrics['average']['benchmarks'])}", metrics["average"])]
    for name, row in rows:
        shown = [_shown(name, row.get(name, {}).get("value")) for name in columns]
        lines.append(f"{name:<14}{row.get('questions', ''):>10}" + "".join(f"{text:>11}" for text in shown))
    return "\n".join(lines)


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if name == "calls" else f"{100 * value:.1f}"
