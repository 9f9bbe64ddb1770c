# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m run_scripts.evaluation run|compare``; ``bash run_scripts/evaluate.sh`` calls ``run``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from verl_ext.cpu.env import REPO_ROOT, cpu_environment

RUN = """Evaluate a model on the benchmarks with the agent loop, tools and scoring of training.

    bash run_scripts/evaluate.sh --model outputs/qwen3vl_8b_axpo/huggingface
    HARDWARE=cpu bash run_scripts/evaluate.sh                 # the tiny model and the embedded task, on a CPU

The same command goes on where it was stopped. Further arguments are Hydra overrides of the training's configuration.
The environment sets HARDWARE, MODEL, DATA, OUTPUT and ENGINE, as for the training scripts."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    from run_scripts.evaluation import settings

    parser = argparse.ArgumentParser(prog="python -m run_scripts.evaluation", description=__doc__.split(";")[0])
    subparsers = parser.add_subparsers(dest="command", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    settings.add_arguments(subparsers.add_parser("run", help="evaluate a model", description=RUN, formatter_class=raw))
    text = "Compare evaluations: tables in Markdown and LaTeX, and plots."
    compare = subparsers.add_parser("compare", help=text, description=text)
    compare.add_argument("evaluations", nargs="+", metavar="DIR", help="directory of an evaluation, or NAME=DIR; the "
        "others are compared with the first")  # fmt: skip
    compare.add_argument("--output", type=Path, default=Path("outputs/comparison"), metavar="DIR", help="for the files "
        "(default: outputs/comparison)")  # fmt: skip
    compare.add_argument("--paper", choices=("2b", "4b", "8b", "none"), default="8b", help="size whose numbers of the "
        "paper are shown beside (default: 8b)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand. Returns an exit code."""
    parser = make_parser()
    args, rest = parser.parse_known_args(argv)
    if args.command == "run":
        return _run(args, rest)
    if rest:
        parser.error(f"unknown argument {rest[0]}")
    return _compare(args)


def _compare(args: argparse.Namespace) -> int:
    from run_scripts.evaluation.comparison import compare

    try:
        page = compare(args.evaluations, args.output, None if args.paper == "none" else args.paper)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(page.read_text())
    print(f"the comparison is {page}; tables for LaTeX and plots are beside it")
    return 0


def _run(args: argparse.Namespace, overrides: list[str]) -> int:
    from run_scripts.evaluation.drive import EvaluationError
    from run_scripts.evaluation.settings import SettingError, cpu_preset, read_arguments

    # verl, vLLM and Ray read the environment when they are imported, and every process inherits it
    if cpu_preset():
        from verl_ext.cpu.bootstrap import install

        os.environ.update(cpu_environment())
        install()
    paths = [str(REPO_ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, paths)))
    try:
        settings = read_arguments(args, overrides, os.environ)
        from run_scripts.evaluation.metrics import compute_metrics, metrics_table
        from run_scripts.evaluation.run import evaluate

        failed = evaluate(settings)
        print(metrics_table(compute_metrics(settings.output)))
    except (SettingError, EvaluationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    print(f"the evaluation is {settings.output}", flush=True)
    if importlib.util.find_spec("run_scripts.report") is not None:
        subprocess.run([sys.executable, "-m", "run_scripts.report", str(settings.output)])
    if failed:
        print(f"{failed} samples could not be made; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
