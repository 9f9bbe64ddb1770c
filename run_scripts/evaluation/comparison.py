# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write the files of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.core.files import write_json, write_text
from run_scripts.evaluation.compare import benchmarks_of, escape_markdown, notes, read, tables
from run_scripts.evaluation.plots import plot_all


def compare(entries: Sequence[str], output: Path, paper: str | None = "8b", seed: int = 0) -> Path:
    """Write ``comparison.md``, ``comparison.tex``, ``comparison.json`` and three plots.

    Args:
        entries: directories of evaluations, or ``name=directory``; the first is what the others are compared with.
        output: directory for the files.
        paper: size whose numbers of the paper are shown beside, or None.
        seed: of the bootstrap.

    Returns:
        The Markdown file.

    Raises:
        RecordError: one is no evaluation.
        ValueError: they have no benchmark in common, or two have the same name.
    """
    evaluations = read(entries)
    if not benchmarks_of(evaluations):
        raise ValueError("the evaluations have no benchmark with a finished sample in common")
    made = tables(evaluations, paper, seed)
    output.mkdir(parents=True, exist_ok=True)
    plots = plot_all(evaluations, output, seed)
    text = ["# " + " and ".join(escape_markdown(evaluation.name) for evaluation in evaluations), ""]
    text += ["Shares in percent. In brackets: 95 % bootstrap intervals over questions; differences are paired.", ""]
    text += [f"- {escape_markdown(note)}" for note in notes(evaluations)] + [""]
    text += [table.markdown() for table in made] + [f"![{path.stem}]({path.name})" for path in plots]
    write_text(output / "comparison.md", "\n".join(text) + "\n")
    write_text(output / "comparison.tex", "\n".join(table.latex() for table in made))
    values = [
        {"title": table.title, "head": list(table.head), "rows": [list(row) for row in table.rows]} for table in made
    ]
    write_json(output / "comparison.json", {"notes": notes(evaluations), "tables": values})
    return output / "comparison.md"
