# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the summaries of finished runs, and write the tables and pictures of the evidence page from them alone.

The page's text is written by hand. What stands between ``<!-- NAME -->`` and ``<!-- end -->`` is written here.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from run_scripts.lab.dumps import DRAWS
from run_scripts.lab.report import Curve, cell, differences, plot, summary, table
from run_scripts.lab.suites import ARMS, SUITES
from verl_ext.cpu.env import REPO_ROOT

PAGE = REPO_ROOT / "recipe" / "axpo" / "docs" / "evidence.md"
KEPT = PAGE.with_suffix("")  # the directory of summaries and pictures

Runs = Mapping[str, Mapping[int, Curve]]  # arm -> seed -> run


def collect(root: Path, kept: Path = KEPT) -> None:
    """Copy the summaries of finished runs below ``root`` into ``kept``; summaries of other runs stay as they are."""
    for arm in ARMS:
        path = kept / f"{arm}.json"
        seeds = json.loads(path.read_text()) if path.exists() else {}
        for folder in sorted((root / "runs" / arm).glob("seed*")):
            curve = Curve.read(folder, ARMS[arm].rollouts)
            if curve is not None and curve.validation[1] is not None:
                seeds[folder.name.removeprefix("seed")] = curve.to_json()
        if seeds:
            kept.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(seeds, separators=(",", ":"), sort_keys=True) + "\n")


def read_kept(kept: Path = KEPT) -> dict[str, dict[int, Curve]]:
    """Return arm -> seed -> run from the summaries."""
    found = {}
    for arm in ARMS:
        if (path := kept / f"{arm}.json").exists():
            seeds = json.loads(path.read_text())
            found[arm] = {int(seed): Curve.from_json(seeds[seed]) for seed in sorted(seeds, key=int)}
    return found


def _suite(runs: Runs, name: str) -> dict[str, Mapping[int, Curve]]:
    return {arm: runs[arm] for arm in SUITES[name].arms if arm in runs}


def _tables(name: str) -> Callable[[Runs], str]:
    def write(runs: Runs) -> str:
        found = _suite(runs, name)
        parts = [summary(found), *([differences(found)] if len(found) > 1 else []), table(found)]
        return "\n\n".join(parts)

    return write


def cost_table(runs: Runs) -> str:
    """Return tokens, time and what the additional tokens of an arm found, per run."""
    lines = [
        "| arm | seeds | response tokens | beyond the groups | recovered subgroups of | per 1,000 such tokens "
        "| seconds a step | of these barrier |",
        "|---" * 8 + "|",
    ]
    for arm, seeds in _suite(runs, "gap").items():
        curves = list(seeds.values())
        extra, recovered, offered = (
            sum(curve.total(f"lab/{key}") for curve in curves) for key in ("extra_tokens", "recovered", "offered")
        )
        rates = [
            1000 * curve.total("lab/recovered") / curve.total("lab/extra_tokens")
            for curve in curves
            if curve.total("lab/extra_tokens")
        ]
        seconds = statistics.median(row["timing_s/step"] for curve in curves for row in curve.steps[2:])
        waits = [row["timing_s/axpo/barrier_wait"] for curve in curves for row in curve.steps[2:] if arm[0] == "a"]
        lines.append(
            f"| {ARMS[arm].title} | {len(seeds)} | {statistics.fmean(c.tokens[-1] for c in curves):,.0f} "
            f"| {extra / len(curves):,.0f} | {recovered:.0f} of {offered:.0f} | {cell(rates)} | {seconds:.1f} "
            f"| {f'{statistics.median(waits):.1f}' if waits else '-'} |"
        )
    return "\n".join(lines)


def probe_table(runs: Runs) -> str:
    """Return the chance that one of n draws recovers an all-wrong subgroup, by resampling and by fresh rollouts."""
    lines = ["| draws | questions | " + " | ".join(map(str, DRAWS)) + " | different calls of 16 |"]
    lines.append("|---" * (3 + len(DRAWS)) + "|")
    for arm in SUITES["probe"].arms:
        for curve in runs.get(arm, {}).values():
            offered = curve.total("lab/offered")
            shares = [f"{curve.total(f'lab/found{n}') / offered:.2f}" for n in DRAWS]
            calls = [row["lab/distinct_calls"] for row in curve.steps if "lab/distinct_calls" in row]
            different = f"{statistics.fmean(calls):.1f}" if calls else "-"
            lines.append(f"| {ARMS[arm].title} | {offered:.0f} | {' | '.join(shares)} | {different} |")
    return "\n".join(lines)


def confidence_table(kept: Path = KEPT) -> str:
    """Return the correlations of confidence with negative entropy."""
    found = json.loads((kept / "confidence.json").read_text())
    lines = ["| | calls | correlation | 95 % interval |", "|---|---|---|---|"]
    for name in ("pearson", "spearman"):
        value, low, high = found[name]
        lines.append(f"| {name.title()} | {found['calls']} | {value:.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines)


SECTIONS: Mapping[str, Callable[[Runs], str]] = {
    **{name: _tables(name) for name in SUITES if name != "probe"},
    "cost": cost_table,
    "probe": probe_table,
    "confidence": lambda runs: confidence_table(),
}


def render(text: str, runs: Runs) -> str:
    """Return the page with every marked part written anew.

    Raises:
        KeyError: a marker names no section.
    """

    def write(match: re.Match) -> str:
        return f"<!-- {match[1]} -->\n\n{SECTIONS[match[1]](runs)}\n\n<!-- end -->"

    return re.sub(r"<!-- (?!end)(\w+) -->.*?<!-- end -->", write, text, flags=re.DOTALL)


def write_page(root: Path) -> Path:
    """Collect the runs below ``root``, and write page and pictures. Returns the page's path."""
    collect(root)
    runs = read_kept()
    for name in re.findall(r"!\[[^]]*\]\(evidence/(\w+)\.png\)", PAGE.read_text()):
        plot(_suite(runs, name), KEPT / f"{name}.png")
    plot({arm: runs[arm] for arm in ("grpo-g50", "axpo-g50")}, KEPT / "short.png", short=True)
    PAGE.write_text(render(PAGE.read_text(), runs))
    return PAGE
