# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the command-line options that all datasets share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_prep.abilities import parse_tools
from data_prep.core.images import PIL_LIMIT
from data_prep.core.options import at_least, output_directory
from data_prep.core.spec import Dataset
from data_prep.errors import OptionError
from data_prep.rows import PROMPT_MAX_PIXELS, PROMPT_MIN_PIXELS


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that do not depend on the dataset."""
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="directory for parquet, manifest and contact sheet")
    add("--source", metavar="PATH_OR_ID", help="local copy (directory, file, pattern, save_to_disk) or Hub id")
    add("--revision", help="commit, branch or tag on the Hub")
    add("--limit", type=int, metavar="N", help="first N source rows of each part")
    add("--workers", type=int, default=1, metavar="N", help="processes; the files are the same for any number")
    add("--on-error", choices=("drop", "stop"), default="drop", help="drop and count bad rows, or stop at one")
    add("--max-dropped", type=float, default=0.2, metavar="SHARE", help="stop if one reason, duplicates aside, drops "
        "more than this share of a part's rows; 1 for no limit")  # fmt: skip
    add("--shard-rows", type=int, default=256, metavar="N", help="source rows that an interruption costs at most")
    add("--max-image-pixels", type=int, default=PIL_LIMIT, metavar="N", help="larger images are bad rows; training "
        "itself refuses images above the default")  # fmt: skip
    add("--prompt-max-pixels", type=int, default=PROMPT_MAX_PIXELS, metavar="N", help="area at which the model is "
        "shown a larger image; files and tools keep the original; 0 for no limit")  # fmt: skip
    add("--prompt-min-pixels", type=int, default=PROMPT_MIN_PIXELS, metavar="N", help="area to which a smaller image "
        "is enlarged for the model; 0 for no limit")  # fmt: skip
    add("--tools", metavar="A,B", help="tools of every row, instead of those that the ability has")
    add("--system", metavar="TEXT", help="system turn instead of the ability's; an empty text omits it")
    add("--seed", type=int, default=0, help="seed of all draws, including the contact sheet")
    add("--sheet-rows", type=int, default=12, metavar="N", help="rows on the contact sheet; 0 for no sheet")
    add("--cache-dir", metavar="DIR", help="where `datasets` keeps its memory-mapped copy")


def add_arguments(parser: argparse.ArgumentParser, dataset: Dataset) -> None:
    """Add all options of one dataset's subcommand."""
    add_common_arguments(parser)
    names = ",".join(dataset.parts)
    default = ",".join(dataset.default_parts or dataset.parts)
    parser.add_argument("--split", default=default, metavar="A,B", help=f"parts to make, of {names}")
    if dataset.add_arguments:
        group = parser.add_argument_group(f"options of {dataset.name}")
        before = set(_destinations(parser))
        dataset.add_arguments(group)
        parser.set_defaults(own_options=[d for d in _destinations(parser) if d not in before])


def _destinations(parser: argparse.ArgumentParser) -> Iterable[str]:
    return [action.dest for action in parser._actions]


def default_params(dataset: Dataset) -> dict[str, Any]:
    """Return the defaults of the dataset's own options."""
    if not dataset.add_arguments:
        return {}
    parser = argparse.ArgumentParser(add_help=False)
    dataset.add_arguments(parser)
    return vars(parser.parse_args([]))


def run_options(args: argparse.Namespace, dataset: Dataset):
    """Check parsed arguments and return the options of a run.

    Raises:
        OptionError: a value is bad. Nothing has been written yet.
    """
    from data_prep.core.build import BuildOptions
    from data_prep.core.run import RunOptions

    values = vars(args)
    at_least(1, **{name: values[name] for name in ("limit", "workers", "shard_rows", "max_image_pixels")})
    at_least(0, **{name: values[name] for name in ("sheet_rows", "prompt_max_pixels", "prompt_min_pixels")})
    if 0 < args.prompt_max_pixels < args.prompt_min_pixels:
        raise OptionError(
            "--prompt-max-pixels",
            f"must be at least --prompt-min-pixels ({args.prompt_min_pixels}), got {args.prompt_max_pixels}",
        )
    if not 0 <= args.max_dropped <= 1:
        raise OptionError("--max-dropped", f"must be from 0 to 1, got {args.max_dropped}")
    names = dataset.default_parts or tuple(dataset.parts)
    if getattr(args, "split", None) is not None:
        names = tuple(dict.fromkeys(name.strip() for name in args.split.split(",") if name.strip()))
    if not names or (unknown := [name for name in names if name not in dataset.parts]):
        wrong = unknown if names else args.split
        raise OptionError("--split", f"choose from {', '.join(dataset.parts)}, got {wrong!r}")
    output_directory(args.output)
    own = getattr(args, "own_options", None)
    params = default_params(dataset) if own is None else {name: getattr(args, name) for name in own}
    build = BuildOptions(
        on_error=args.on_error,
        max_image_pixels=args.max_image_pixels,
        tools=parse_tools(args.tools),
        system=args.system,
        seed=args.seed,
        params=params,
        prompt_max_pixels=args.prompt_max_pixels or None,
        prompt_min_pixels=args.prompt_min_pixels or None,
    )
    same = ("output", "source", "revision", "limit", "workers", "shard_rows", "sheet_rows", "cache_dir", "max_dropped")
    return RunOptions(parts=names, build=build, **{name: values[name] for name in same})


def run(args: argparse.Namespace, dataset: Dataset) -> int:
    """Prepare the dataset and let errors propagate."""
    from data_prep.core.run import prepare

    prepare(dataset, run_options(args, dataset))
    return 0
