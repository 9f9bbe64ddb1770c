# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare data from the command line: ``python -m data_prep DATASET [options]``."""

from __future__ import annotations

import argparse
import functools
import importlib
import sys

from data_prep.core import cli as core_cli
from data_prep.errors import DataError, OptionError
from data_prep.registry import BENCHMARKS, REGISTRY, load_dataset_spec

# Subcommand -> module with ``HELP``, ``add_arguments(parser)`` and ``run(args)``. A module is imported only if its
# subcommand is called, so that the other subcommands do not need its dependencies.
MODULES = {
    "embedded": "data_prep.embedded.cli",
    "mix": "data_prep.mix.cli",
    "sft-mini-o3": "data_prep.sft.mini_o3",
    "sft-openai": "data_prep.sft.openai",
}
ALL_BENCHMARKS = "all-benchmarks"
ALL_HELP = "The nine benchmarks with the same options, each into DIR/<name>."


def _add_subcommand(subparsers: argparse._SubParsersAction, name: str) -> None:
    def parser(text: str) -> argparse.ArgumentParser:
        return subparsers.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )

    if name in MODULES:
        module = importlib.import_module(MODULES[name])
        sub, run = parser(module.HELP), module.run
        module.add_arguments(sub)
    elif name == ALL_BENCHMARKS:
        from data_prep.batch import run_many

        sub, run = parser(ALL_HELP), functools.partial(run_many, names=tuple(BENCHMARKS))
        core_cli.add_common_arguments(sub)
    else:
        dataset = load_dataset_spec(name)
        sub, run = parser(dataset.help), functools.partial(core_cli.run, dataset=dataset)
        core_cli.add_arguments(sub, dataset)
    sub.set_defaults(run=run, parser=sub)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: arguments without the program's name. Default: those of ``sys.argv``.

    Returns:
        0, or 1 if data could not be used. The message on stderr names the data and the reason. A bad option ends the
        program with status 2 and a message that names the option.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m data_prep", description="Prepare datasets as parquet for verl.")
    parser.add_argument("--list", action="store_true", help="names, Hub ids, rows and licences, then stop")
    if "--list" in argv:
        from data_prep.batch import list_datasets

        print(list_datasets())
        return 0
    subparsers = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    known = [*MODULES, *REGISTRY, ALL_BENCHMARKS]
    asked = next((arg for arg in argv if not arg.startswith("-")), None)
    for name in [asked] if asked in known else known:
        _add_subcommand(subparsers, name)
    args = parser.parse_args(argv)
    try:
        return args.run(args) or 0
    except OptionError as error:
        args.parser.error(str(error))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
