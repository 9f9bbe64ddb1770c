# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Command line of data preparation: ``python -m data_prep DATASET [options]``."""

from __future__ import annotations

import argparse
import importlib
import sys

from data_prep.errors import OptionError

# Subcommand -> module with ``HELP``, ``add_arguments(parser)`` and ``run(args)``. Modules are imported only when their
# subcommand is asked for, so that one dataset's dependencies are not everyone's.
DATASETS = {"embedded": "data_prep.embedded.cli"}


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: arguments without the program's name; ``sys.argv`` by default.

    Returns:
        0. A bad option ends the program with status 2 and a message that names the option.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m data_prep", description="Prepare datasets as parquet for verl.")
    subparsers = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    asked = next((arg for arg in argv if not arg.startswith("-")), None)
    for name in [asked] if asked in DATASETS else DATASETS:
        module = importlib.import_module(DATASETS[name])
        sub = subparsers.add_parser(
            name, help=module.HELP, description=module.HELP, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run, parser=sub)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except OptionError as error:
        args.parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
