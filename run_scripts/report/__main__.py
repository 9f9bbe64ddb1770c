# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a static page of an evaluation or of a training run: tables, plots, and every trajectory and tree.

python -m run_scripts.report outputs/evaluation/axpo --against outputs/evaluation/grpo
python -m run_scripts.report outputs/qwen3vl_8b_axpo --steps 1,50,100-110

The page opens from disk, without a server or a network, and its directory can be moved.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from run_scripts.report import figures
from run_scripts.report.entries import (
    Entry,
    ReportError,
    choose_steps,
    read_evaluation,
    read_json,
    read_training,
    steps_of,
)
from run_scripts.report.images import ImageFiles
from run_scripts.report.page import Heading, write_page
from run_scripts.summary import Metrics

SHOWN = ("actor_rollout_ref.model.path", "data.train_files", "algorithm.adv_estimator", "data.train_batch_size")
SHOWN += ("actor_rollout_ref.rollout.n", "axpo.continuations", "axpo.budget_ratio", "axpo.fork", "axpo.ranking")
SHOWN += ("actor_rollout_ref.actor.optim.lr", "axpo.seed")


def kind_of(directory: Path) -> str:
    """Return what a directory holds: "evaluation" or "training".

    Raises:
        ReportError: neither.
    """
    if any((directory / "samples").glob("*.jsonl")):
        return "evaluation"
    if steps_of(directory):
        return "training"
    raise ReportError(
        f"{directory} has neither samples/*.jsonl nor rollouts/<step>.jsonl: name the directory of an evaluation, or "
        "the OUTPUT of a training run"
    )


def check_output(output: Path) -> None:
    """Check that a directory is new, empty or an earlier page: what is in its folders is replaced.

    Raises:
        ReportError: it holds something else.
    """
    if output.exists() and not (output / "page.js").exists() and any(output.iterdir()):
        raise ReportError(f"--output: {output} holds something that is no page; name a new directory")


def names_of(directories: Sequence[Path], settings: Sequence[dict[str, Any]]) -> list[str]:
    """Return a different name for each directory: an evaluation's own, else the directory's."""
    names = [str(found.get("name") or path.resolve().name) for path, found in zip(directories, settings, strict=True)]
    return names if len(set(names)) == len(names) else [str(directory) for directory in directories]


def _table_of(settings: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    keys = dict.fromkeys(key for found in settings for key in found)
    return [(key, [text(found[key]) if key in found else "" for found in settings]) for key in keys]


def evaluation_page(directories: Sequence[Path], output: Path) -> tuple[Heading, list[Entry]]:
    """Read evaluations, and return the page's heading and entries."""
    images = ImageFiles(output / "images")
    settings = [read_json(directory / "settings.json") for directory in directories]
    models = names_of(directories, settings)
    entries = [entry for i, path in enumerate(directories) for entry in read_evaluation(path, i, images)]
    numbers = {name: read_json(directory / "metrics.json") for name, directory in zip(models, directories, strict=True)}
    for name in [name for name, found in numbers.items() if not found]:
        print(f"{name} has no metrics.json yet; its numbers are missing")
        del numbers[name]
    tables, pictures = figures.evaluation_tables(numbers), figures.evaluation_pictures(numbers)
    return Heading("evaluation", models, _table_of(settings), tables, pictures), entries


def training_page(
    directories: Sequence[Path], output: Path, steps: Sequence[int] | None, data: Sequence[Path] | None
) -> tuple[Heading, list[Entry]]:
    """Read training runs, and return the page's heading and entries.

    Args:
        steps: steps to show; None chooses some.
        data: parquet files with the images; None takes those of each run's configuration.
    """
    images = ImageFiles(output / "images")
    configs = [_config(directory) for directory in directories]
    models = names_of(directories, [{}] * len(directories))
    chosen = choose_steps(directories[0], steps)
    entries: list[Entry] = []
    for i, (directory, config) in enumerate(zip(directories, configs, strict=True)):
        files = config.get("data.train_files") if data is None else data
        files = [Path(path) for path in ([files] if isinstance(files, str) else files or ())]
        here = [step for step in chosen if step in steps_of(directory)]
        entries += read_training(directory, i, images, here, files)
    runs = {name: Metrics(directory / "metrics") for name, directory in zip(models, directories, strict=True)}
    settings = [{key: config[key] for key in SHOWN if key in config} for config in configs]
    total = len(steps_of(directories[0]))
    if len(chosen) < total:
        print(f"{len(chosen)} of {total} steps are shown; --steps chooses others")
    tables, pictures = figures.gap_table(runs), figures.training_pictures(runs)
    return Heading("training", models, _table_of(settings), tables, pictures), entries


def _config(directory: Path) -> dict[str, Any]:
    """Return the options of a run that the page needs, by their full names; none if it has left no configuration."""
    from omegaconf import OmegaConf

    path = directory / "checkpoints" / "config.yaml"
    if not path.exists():
        return {}
    config = OmegaConf.load(path)
    found = {key: OmegaConf.select(config, key) for key in SHOWN}
    return {
        key: OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        for key, value in found.items()
        if value is not None
    }


def step_list(text: str) -> list[int]:
    """Parse ``1,5,10-20``."""
    steps: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        steps += range(int(first), int(last or first) + 1)
    return steps


def main(argv: list[str] | None = None) -> int:
    """Read the command line and write the page; returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m run_scripts.report", description=__doc__.split("\n\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIR", help="an evaluation's directory, or a training's OUTPUT")
    parser.add_argument("--against", type=Path, metavar="DIR2", help="another one of the same kind, to compare")
    parser.add_argument("--output", type=Path, metavar="PAGE_DIR", help="directory of the page (default: DIR/report)")
    parser.add_argument("--steps", type=step_list, help="training: steps to show, such as 1,5,10-20")
    parser.add_argument(
        "--data", type=Path, nargs="+", metavar="FILE", help="training: parquet files with the images of the questions"
    )
    args = parser.parse_args(argv)
    directories = [path for path in (args.directory, args.against) if path is not None]
    output = args.output or args.directory / "report"
    try:
        kinds = {kind_of(directory) for directory in directories}
        if len(kinds) > 1:
            raise ReportError("--against: an evaluation cannot be compared with a training run")
        check_output(output)
        if kinds == {"evaluation"}:
            heading, entries = evaluation_page(directories, output)
        else:
            heading, entries = training_page(directories, output, args.steps, args.data)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(entries)} trajectories: {write_page(output, heading, entries)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
