# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write train.parquet, val.parquet (RL) and sft.parquet of the embedded task: ``python -m data_prep embedded``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from data_prep.core.options import at_least, output_directory
from data_prep.core.parquet import write_parquet
from data_prep.embedded.rl import TOOL_CONFIG, embedded_rl_row
from data_prep.embedded.scene import KINDS, Scene, SceneConfig, make_scene, scene_rng
from data_prep.embedded.sft import PolicyRates, embedded_sft_row
from data_prep.embedded.text import embedded_text_row
from data_prep.errors import OptionError
from data_prep.tool_schemas import TOOLS_DIR, load_tool_schemas

HELP = "Synthetic perception task: the answer is visible in a full-resolution crop only."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory for the parquet files")
    parser.add_argument("--train", type=int, default=512, metavar="N", help="RL training rows; 0 writes no file")
    parser.add_argument("--val", type=int, default=128, metavar="N", help="RL validation rows; 0 writes no file")
    parser.add_argument("--sft", type=int, default=0, metavar="N", help="SFT conversations; 0 writes no file")
    parser.add_argument("--seed", type=int, default=0, help="row i of a split depends on the seed and i only")
    parser.add_argument("--image-size", type=int, default=512, help="side of the square image in pixels")
    parser.add_argument("--grid", type=int, default=4, help="cells along a side; the model sees 32 px of each")
    parser.add_argument("--kinds", default="colour", help=f"comma-separated question kinds: {', '.join(KINDS)}")
    parser.add_argument("--guess-accuracy", type=float, default=0.75, help="share of scenes whose hint is true")
    parser.add_argument("--text", action="store_true", help="RL rows without images: a computation for the python tool")
    parser.add_argument("--tool-rate", type=float, default=0.3, help="share of SFT conversations that call the tool")
    parser.add_argument("--box-accuracy", type=float, default=0.32, help="share of SFT tool calls with the right box")
    parser.add_argument(
        "--tool-config", default=TOOL_CONFIG, metavar="NAME", help="tools/NAME.yaml whose schemas SFT prompts list"
    )


def parse_kinds(text: str) -> tuple[str, ...]:
    """Split ``"colour,count"`` into ``("colour", "count")``.

    Raises:
        OptionError: a kind is unknown, or there is none.
    """
    kinds = tuple(kind.strip() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise OptionError("--kinds", f"choose from {', '.join(KINDS)}, got {text!r}")
    return kinds


class Splits:
    """Make the scenes of all splits, and check that splits never share an image."""

    def __init__(self, config: SceneConfig, kinds: tuple[str, ...], seed: int):
        self.config, self.kinds, self.seed = config, kinds, seed
        self._digests: dict[str, str] = {}

    def scenes(self, split: str, count: int) -> Iterator[tuple[int, Scene]]:
        """Yield (index, scene). The kinds take turns.

        Raises:
            RuntimeError: an image occurs in two splits.
        """
        for index in tqdm(range(count), desc=split, unit="row", disable=count == 0):
            rng = scene_rng(self.seed, split, index)
            scene = make_scene(self.kinds[index % len(self.kinds)], self.config, rng)
            other = self._digests.setdefault(scene.digest(), split)
            if other != split:
                raise RuntimeError(f"row {index} of {split} shows an image of {other}")
            yield index, scene


def run(args: argparse.Namespace) -> None:
    """Write the requested parquet files.

    Raises:
        OptionError: an option is bad. Nothing has been written yet.
    """
    at_least(0, train=args.train, val=args.val, sft=args.sft, seed=args.seed)
    if not (args.train or args.val or args.sft):
        raise OptionError("--train", "nothing to write: --train, --val and --sft are all 0")
    if args.text and args.sft:
        raise OptionError("--text", "there are no SFT rows without images: --sft must be 0")
    config = SceneConfig(args.image_size, args.grid, args.guess_accuracy)
    rates = PolicyRates(args.tool_rate, args.box_accuracy)
    splits = Splits(config, parse_kinds(args.kinds), args.seed)
    output_directory(args.output)
    tools = []
    if args.sft:
        if not (TOOLS_DIR / f"{args.tool_config}.yaml").is_file():
            raise OptionError("--tool-config", f"there is no {args.tool_config}.yaml in tools/")
        tools = load_tool_schemas([args.tool_config])

    for split in ("train", "val"):
        if count := getattr(args, split):
            rows = (embedded_rl_row(scene, split, index) for index, scene in splits.scenes(split, count))
            if args.text:
                rows = (
                    embedded_text_row(scene_rng(args.seed, split, index), args.guess_accuracy, split, index)
                    for index in range(count)
                )
            write_parquet(rows, args.output / f"{split}.parquet")
    if args.sft:
        rows = (
            embedded_sft_row(scene, index, rates, scene_rng(args.seed, "sft", index, stream=1), tools)
            for index, scene in splits.scenes("sft", args.sft)
        )
        write_parquet(rows, args.output / "sft.parquet")
