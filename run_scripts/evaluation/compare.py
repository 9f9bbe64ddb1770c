# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare evaluations: tables with intervals, paired differences to the first one, and the paper's numbers beside them.

A difference is computed on the questions that both have answered, and its interval under draws that both share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.registry import BENCHMARKS
from run_scripts.evaluation.metrics import averaged, by_question, figures, infrastructure, units_of
from run_scripts.evaluation.numbers import Estimate, Figure, mean_of, resample
from run_scripts.evaluation.paper import AVERAGE, reference
from run_scripts.evaluation.record import Sample, read_evaluation, read_settings

TITLES = {
    "mathvision": "MathVision",
    "dynamath": "DynaMath",
    "math_vr": "Math-VR",
    "vstar": "V*",
    "visualprobe": "VisualProbe",
    "hrbench_4k": "HR-Bench 4K",
    "hrbench_8k": "HR-Bench 8K",
    "hr_mmsearch": "HR-MMSearch",
    "mmsearch": "MMSearch",
    AVERAGE: "average",
}
METRICS = {
    "tool_use_rate": "Tool use: share of trajectories with a call",
    "calls": "Calls in a trajectory",
    "accuracy_with_call": "Accuracy of trajectories with a call",
    "accuracy_without_call": "Accuracy of trajectories without a call",
    "generated_tokens": "Generated tokens in a trajectory",
    "turns": "Turns of the model in a trajectory",
    "truncated": "Trajectories cut at their greatest length",
    "worst_case": "DynaMath: all variants right",
    "process_score": "Math-VR: process score",
}
PLAIN = ("calls", "generated_tokens", "turns")  # numbers that are no shares
MUST_AGREE = ("samples", "seed", "tools", "added_tools", "overrides", "limit")


@dataclass(frozen=True)
class Evaluation:
    """Hold an evaluation of one model.

    Attributes:
        name: of the model, unique among those that are compared.
        settings: ``settings.json``.
        samples: benchmark -> samples.
    """

    name: str
    settings: Mapping[str, Any]
    samples: Mapping[str, Sequence[Sample]]

    @cached_property
    def questions(self) -> dict[str, dict[str, list[Sample]]]:
        """Return benchmark -> question -> finished samples."""
        return {name: by_question(samples) for name, samples in self.samples.items()}

    @cached_property
    def ks(self) -> range:
        """Return the values of k."""
        return range(1, self.settings["samples"] + 1)

    @cached_property
    def figures(self) -> dict[str, dict[str, Figure]]:
        """Return benchmark -> number -> figure."""
        return {name: figures(name, found, self.ks) for name, found in self.questions.items() if found}


def read(entries: Sequence[str]) -> list[Evaluation]:
    """Read evaluations.

    Args:
        entries: directories, or ``name=directory``.

    Raises:
        RecordError: one is no evaluation.
        ValueError: two have the same name.
    """
    found = []
    for entry in entries:
        name, given, path = entry.partition("=") if "=" in entry and not Path(entry).exists() else ("", "", entry)
        directory = Path(path).expanduser()
        settings = read_settings(directory)
        found.append(Evaluation(name or settings["name"], settings, read_evaluation(directory, texts=False)))
    names = [evaluation.name for evaluation in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two evaluations are called {twice[0]}: name them, as in before=DIR after=DIR")
    return found


def benchmarks_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return the benchmarks that all evaluations have, in the order of the first."""
    return [name for name in evaluations[0].figures if all(name in other.figures for other in evaluations)]


def estimate(evaluation: Evaluation, benchmark: str, metric: str, seed: int = 0) -> Estimate | None:
    """Return a number and its interval, or None if the benchmark has no such number."""
    figure = evaluation.figures[benchmark].get(metric)
    if figure is None or np.isnan(figure.value):
        return None
    return Estimate.of(figure.value, figure.drawn(resample(len(figure.sums), seed)))


def average(evaluation: Evaluation, names: Sequence[str], metric: str, seed: int = 0) -> Estimate | None:
    """Return the mean over benchmarks with equal weight, or None if one has no such number."""
    found = [evaluation.figures[name].get(metric) for name in names]
    if not found or any(figure is None or np.isnan(figure.value) for figure in found):
        return None
    return Estimate.of(*mean_of([figure for figure in found if figure is not None], seed))


def _paired(a: Evaluation, b: Evaluation, benchmark: str, metric: str) -> tuple[Figure, Figure] | None:
    """Return both figures on the questions that both have answered, with the same units."""
    ours, theirs = a.questions[benchmark], b.questions[benchmark]
    common = {question: ours[question] for question in ours if question in theirs}
    unit = units_of(benchmark, common)
    ks = range(1, min(a.ks.stop, b.ks.stop))
    pair = [figures(benchmark, {q: found[q] for q in common}, ks, unit).get(metric) for found in (ours, theirs)]
    return None if not common or pair[0] is None or pair[1] is None else (pair[0], pair[1])


def difference(
    base: Evaluation, other: Evaluation, names: Sequence[str], metric: str, seed: int = 0
) -> Estimate | None:
    """Return how much larger a number of ``other`` is, with its paired interval.

    Args:
        base: what the difference is to.
        other: the evaluation.
        names: benchmarks; of several it is the mean with equal weight.
        metric: the number.
        seed: of the draws.

    Returns:
        None if one of the benchmarks has no such number, or no question in common.
    """
    values, draws = [], []
    for i, name in enumerate(names):
        pair = _paired(base, other, name, metric)
        if pair is None or any(np.isnan(figure.value) for figure in pair):
            return None
        weights = resample(len(pair[0].sums), seed + i)
        values.append(pair[1].value - pair[0].value)
        draws.append(pair[1].drawn(weights) - pair[0].drawn(weights))
    return Estimate.of(float(np.mean(values)), np.mean(draws, axis=0)) if values else None


# ------------------------------------------------------------------------ tables


@dataclass(frozen=True)
class Table:
    """Hold a table of texts."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.rows]
        return (
            f"## {self.title}\n\n" + "\n".join(f"| {' | '.join(map(escape_markdown, line))} |" for line in lines) + "\n"
        )

    def latex(self) -> str:
        """Return it as LaTeX, for the package booktabs."""
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        head = " & ".join(map(_latex, self.head)) + r" \\"
        body = "\n".join([r"\toprule", head, r"\midrule", *lines, r"\bottomrule"])
        columns = "l" + "r" * (len(self.head) - 1)
        return (
            f"\\begin{{table}}\n\\centering\n\\caption{{{_latex(self.title)}}}\n"
            f"\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n\\end{{table}}\n"
        )


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    for character in "\\|*_<>[]" if not text.startswith("---") else "":
        text = text.replace(character, f"\\{character}")
    return text


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)


def shown(value: Estimate | float | None, metric: str, signed: bool = False) -> str:
    """Return a number as text: a share in percent, with its interval if it has one."""
    if value is None:
        return "-"
    factor, places = (1, 2) if metric in PLAIN else (100, 1)
    sign = "+" if signed else ""

    def one(number: float) -> str:
        return f"{number * factor:{sign}.{places}f}"

    if isinstance(value, Estimate):
        return f"{one(value.value)} ({one(value.low)} to {one(value.high)})"
    return one(value)


def tables(evaluations: Sequence[Evaluation], paper: str | None = "8b", seed: int = 0) -> list[Table]:
    """Return the tables of a comparison.

    Args:
        evaluations: the first is what the others are compared with.
        paper: size whose numbers of the paper are shown beside, or None.
        seed: of the draws.
    """
    names = benchmarks_of(evaluations)
    mean_names = averaged(names)
    last = f"pass@{min(evaluation.ks.stop for evaluation in evaluations) - 1}"
    found = []
    for metric in dict.fromkeys(["pass@1", last, *METRICS]):
        rows = [name for name in names if any(metric in evaluation.figures[name] for evaluation in evaluations)]
        if not rows:
            continue
        cited = reference(paper, metric) if paper else {}
        if len(mean_names) < len(BENCHMARKS):  # the paper's average is over all nine
            cited = {method: {n: v for n, v in numbers.items() if n in names} for method, numbers in cited.items()}
        cited = {method: numbers for method, numbers in cited.items() if numbers}
        body = [[*(estimate(e, name, metric, seed) for e in evaluations)] for name in rows]
        if len(rows) == len(names):
            rows = [*rows, AVERAGE]
            body.append([average(evaluation, mean_names, metric, seed) for evaluation in evaluations])
        texts = [
            [_title(name, mean_names), *(shown(value, metric) for value in values)]
            + [shown(numbers.get(name), metric) for numbers in cited.values()]
            for name, values in zip(rows, body, strict=True)
        ]
        head = ["", *(evaluation.name for evaluation in evaluations), *(f"paper {paper}: {name}" for name in cited)]
        found.append(Table(METRICS.get(metric, metric.capitalize()), head, texts))
        if len(evaluations) > 1 and metric in ("pass@1", last, "tool_use_rate"):
            found.append(_difference_table(evaluations, rows, mean_names, metric, seed))
    return found


def _difference_table(
    evaluations: Sequence[Evaluation], rows: Sequence[str], mean_names: Sequence[str], metric: str, seed: int
) -> Table:
    base, *others = evaluations
    texts = []
    for name in rows:
        wanted = mean_names if name == AVERAGE else [name]
        values = [difference(base, other, wanted, metric, seed) for other in others]
        marks = ["" if v is None or v.low <= 0 <= v.high else " !" for v in values]
        cells = [shown(value, metric, signed=True) + mark for value, mark in zip(values, marks, strict=True)]
        texts.append([_title(name, mean_names), *cells])
    title = f"{METRICS.get(metric, metric.capitalize())}: difference to {base.name} (!: the interval leaves out 0)"
    return Table(title, ["", *(other.name for other in others)], texts)


def _title(name: str, mean_names: Sequence[str]) -> str:
    return f"average of {len(mean_names)}" if name == AVERAGE else TITLES.get(name, name)


def notes(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return what a reader must know: settings that differ, samples that are missing."""
    found = []
    for key in MUST_AGREE:
        values = {evaluation.name: evaluation.settings.get(key) for evaluation in evaluations}
        if len({repr(value) for value in values.values()}) > 1:
            found.append(f"{key} differs: " + ", ".join(f"{name} {value}" for name, value in values.items()))
    for evaluation in evaluations:
        for name, samples in evaluation.samples.items():
            asked = evaluation.settings["questions"].get(name, 0) * evaluation.settings["samples"]
            done = sum(map(len, evaluation.questions[name].values()))
            if done < asked:
                failed = infrastructure(samples)["samples"]
                found.append(
                    f"{evaluation.name}, {TITLES.get(name, name)}: {done} of {asked} samples are there, {failed} "
                    "failed for reasons of infrastructure; they are in no number"
                )
        if left := [name for name in evaluation.samples if name not in benchmarks_of(evaluations)]:
            found.append(f"only some evaluations have {', '.join(left)}: left out")
    return list(dict.fromkeys(found))
