# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert Mini-o3's cold-start trajectories to SFT rows with the zoom tool: ``python -m data_prep sft-mini-o3``.

The expected form follows the code that Mini-o3 and others publish. It was not compared with a copy of the data:

- ``conversations``: a list of ``{"from": "system" | "human" | "gpt", "value": text}`` as a Python or JSON literal;
- the first human turn holds ``<image>`` and the question. Each later one holds "After the above Action 0, here is the
  the zoom-in image (Observation 1):" and ``<image>``;
- a gpt turn is ``<think>...</think>`` and then either ``<grounding>{"bbox_2d": [x0, y0, x1, y1], "source":
  "original_image" | "observation_i"}</grounding>`` with coordinates from 0 to 1, or ``<answer>...</answer>``;
- ``images`` and ``image_names`` have one entry for each ``<image>``.

Rows of another form are dropped and counted. If they are many, nothing is written and the message says what was found.
Crops keep the size that Mini-o3 chose for its own model. Thoughts are kept, so they may mention observations and
coordinates from 0 to 1. Mini-o3 does not name objects, so all calls have the same label.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.abilities import ABILITIES, instruction
from data_prep.core.images import image_bytes
from data_prep.core.load import load_part
from data_prep.core.options import at_least, output_directory
from data_prep.core.spec import Dataset, Drop, Part
from data_prep.core.text import SLOT
from data_prep.errors import DataError
from data_prep.sft.conversation import Call, Tools, Turn, sft_row, split_thought
from data_prep.sft.write import write_sft
from data_prep.tool_schemas import load_tool_schemas

HELP = "Mini-o3's cold-start trajectories as SFT rows with tool calls."
TOOL, ABILITY, LABEL = "image_zoom_in", "perception", "region"
MAX_CHARS = 1_000_000  # of a conversation's literal; parsing it needs a multiple of this memory
FORM = "not in the expected form"
FORM_SHARE = 0.2  # a larger share of other rows means that the data has another form
_IMAGE = "<image>"
_GROUNDING = re.compile(r"<grounding>(.*?)</grounding>", re.DOTALL)
_OBSERVATION = re.compile(
    r"\s*After the above Action \d+, here is the.{0,8}?zoom-in image \(Observation (\d+)\):", re.I
)
_SOURCE = re.compile(r"observation_(\d+)")
_NAME = re.compile(r"(original)|observation_?(\d+)", re.I)
_EXPECTED = "see the top of data_prep/sft/mini_o3.py for what is expected"


def _unused(row: Mapping[str, Any], ctx: object) -> list:
    raise NotImplementedError


DATASET = Dataset(
    name="sft-mini-o3",
    help=HELP,
    licence="see the dataset's card",
    ability=ABILITY,
    parts={"train": Part("Mini-o3/Mini-o3-Coldstart-Dataset", rows="7.27k")},
    columns={
        "conversations": "str",
        "images": "list[image]",
        "image_names": "list[str]",
        "data_source": "~str?",
        "sample_index": "~any",
        "rollout_index": "~any",
    },
    rows=_unused,
)


def parse_conversations(text: str) -> list[dict[str, str]]:
    """Return the turns of a conversation. Literals are parsed without evaluation.

    Raises:
        Drop: the text is too long, no literal, or not a list of ``{"from", "value"}``.
    """
    if len(text) > MAX_CHARS:
        raise Drop("conversation too long", f"{len(text)} characters, limit {MAX_CHARS}")
    try:
        try:
            value = json.loads(text)
        except ValueError:
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Drop(FORM, f"conversations are no literal: {type(error).__name__}; {text[:80]!r}") from error
    if not isinstance(value, list) or not value:
        raise Drop(FORM, f"conversations are {type(value).__name__}, expected a list of turns")
    for turn in value:
        if not isinstance(turn, dict) or not isinstance(turn.get("value"), str) or "from" not in turn:
            keys = sorted(map(str, turn)) if isinstance(turn, dict) else type(turn).__name__
            raise Drop(FORM, f"a turn is {keys}, expected the keys 'from' and 'value'")
        if turn["from"] not in ("system", "human", "gpt"):
            raise Drop(FORM, f"a turn is from {turn['from']!r}, expected system, human or gpt")
    return value


def zoom_call(text: str) -> Call:
    """Convert the content of ``<grounding>`` to a call. Scale coordinates to 0-1000 and map the source to ``img_idx``.

    Raises:
        Drop: the content cannot be read, or the box is empty or not relative.
    """
    try:
        try:
            value = json.loads(text)
        except ValueError:
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Drop("zoom call cannot be read", text[:80]) from error
    if not isinstance(value, dict) or "bbox_2d" not in value or "source" not in value:
        raise Drop(FORM, f"a zoom call is {text[:80]!r}, expected bbox_2d and source")
    box, source = value["bbox_2d"], value["source"]
    numbers = isinstance(box, list | tuple) and len(box) == 4
    if not numbers or not all(isinstance(v, int | float) and math.isfinite(v) for v in box):
        raise Drop("zoom call cannot be read", f"bbox_2d {box!r}")
    if min(box) < -0.01 or max(box) > 1.01:
        raise Drop("zoom box is not relative from 0 to 1", f"bbox_2d {box}")
    scaled = [min(max(round(v * 1000), 0), 1000) for v in box]
    if scaled[0] >= scaled[2] or scaled[1] >= scaled[3]:
        raise Drop("zoom box is empty", f"bbox_2d {box}")
    observation = _SOURCE.fullmatch(source) if isinstance(source, str) else None
    if source != "original_image" and observation is None:
        raise Drop(FORM, f"a zoom call has the source {source!r}, expected original_image or observation_i")
    index = int(observation[1]) if observation else 0
    return Call(TOOL, {"bbox_2d": scaled, "label": LABEL, "img_idx": index})


def zoom_answer(call: Call, image_index: int) -> str:
    """Return the text that the zoom tool sends with its crop."""
    shown = ", ".join(f"{value:.6g}" for value in call.arguments["bbox_2d"])
    return f"Image {image_index}: the region [{shown}] of image {call.arguments['img_idx']}."


def in_order(images: Sequence[bytes], names: Sequence[str], wanted: int) -> list[bytes]:
    """Order images by the numbers in their names if all names have one, else keep their order.

    Raises:
        Drop: the numbers of names, images and placeholders differ. Images of turns after the last one are omitted
            instead if the names identify them.
    """
    if len(images) != len(names):
        raise Drop(FORM, f"{len(images)} images, {len(names)} image_names")
    found = [_NAME.search(name or "") for name in names]
    numbers = [int(match[2] or 0) for match in found if match]
    if len(numbers) == len(names) and sorted(numbers) == list(range(len(names))):
        by_number = dict(zip(numbers, images, strict=True))
        images = [by_number[number] for number in range(min(wanted, len(names)))]
    if len(images) != wanted:
        raise Drop("placeholders do not match the images", f"{wanted} placeholders, {len(images)} images")
    return list(images)


def to_turns(parts: Sequence[Mapping[str, str]], images: Sequence[bytes], system: str) -> list[Turn]:
    """Convert the parts of a conversation to turns.

    Args:
        parts: result of ``parse_conversations``.
        images: encoded images in the order of the placeholders.
        system: system turn, instead of the trajectory's, which describes Mini-o3's tags. An empty text omits it.

    Raises:
        Drop: a rollout cannot have one of the turns.
    """
    turns = [Turn("system", system)] if system else []
    rest = iter(images)
    call: Call | None = None
    shown = 0
    for part in parts:
        text = part["value"]
        if part["from"] == "system":
            continue
        if part["from"] == "gpt":
            thought, said = split_thought(text)
            zooms = _GROUNDING.findall(said)
            if len(zooms) > 1:
                raise Drop("several calls in a turn")
            call = zoom_call(zooms[0]) if zooms else None
            if not zooms and ("<grounding>" in said or "<answer>" not in said):
                raise Drop("neither a zoom call nor an answer", said[:80])
            turns.append(Turn("assistant", _GROUNDING.sub("", said).strip(), thought, call))
            continue
        own = [next(rest) for _ in range(text.count(_IMAGE))]
        if shown == 0:
            question = re.sub(r"^(?:Question:\s*)+", "", text.replace(_IMAGE, "").strip())
            if not own:
                raise Drop(FORM, f"the first human turn has no <image>: {text[:80]!r}")
            front = f"{SLOT}\n" * len(own)
            turns.append(Turn("user", f"{front}{question}\n\n{instruction(ABILITY, '')}", images=own))
        elif not own:
            raise Drop("a zoom that failed", text[:80])
        else:
            if not _OBSERVATION.match(text):
                raise Drop(
                    FORM, f"a further human turn starts with {text[:80]!r}, expected 'After the above Action ...'"
                )
            if call is None or len(own) != 1:
                raise Drop("tool message answers no call")
            turns.append(Turn("tool", SLOT + zoom_answer(call, shown), images=own))
        shown += len(own)
    return turns


def convert(index: int, row_id: str, row: Mapping[str, Any], tools: Tools, system: str) -> dict[str, Any]:
    """Convert one trajectory to one row.

    Raises:
        Drop: see ``to_turns``.
    """
    parts = parse_conversations(row["conversations"])
    wanted = sum(part["value"].count(_IMAGE) for part in parts if part["from"] == "human")
    try:
        encoded = [image_bytes(image) for image in row["images"] or ()]
    except ValueError as error:
        raise Drop("missing image", str(error)) from error
    images = in_order(encoded, row["image_names"] or (), wanted)
    return sft_row(to_turns(parts, images, system), tools, index, row_id, row.get("data_source") or "mini_o3")


def check_form(read: int, dropped: Counter[str]) -> None:
    """Stop if the data has another form than expected.

    Raises:
        DataError: too many rows have another form.
    """
    if dropped[FORM] > FORM_SHARE * read:
        raise DataError(f"sft-mini-o3: {dropped[FORM]} of {read} rows are {FORM}; {_EXPECTED}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    add = parser.add_argument
    add("--source", metavar="PATH_OR_ID", help="local copy, or another Hub id; the dataset's own id by default")
    add("--revision", help="commit, branch or tag on the Hub")
    add("--output", type=Path, required=True, metavar="DIR", help="directory for sft.parquet and manifest.json")
    add("--limit", type=int, metavar="N", help="first N trajectories")
    add("--system", metavar="TEXT", help="system turn instead of that of RL rows; an empty text omits it")
    add("--cache-dir", metavar="DIR", help="where `datasets` keeps its memory-mapped copy")


def run(args: argparse.Namespace) -> None:
    """Write the SFT rows.

    Raises:
        OptionError: an option is bad.
        DataError: the source has another form. The message says what was found.
    """
    at_least(1, limit=args.limit)
    output_directory(args.output)
    part = DATASET.parts["train"]
    loaded = load_part(
        DATASET, "train", part, source=args.source, revision=args.revision, cache_dir=args.cache_dir, options={}
    )
    total = len(loaded.data) if args.limit is None else min(args.limit, len(loaded.data))
    tools = Tools(load_tool_schemas([TOOL]))
    system = ABILITIES[ABILITY].system if args.system is None else args.system

    def items():
        early: list[str] = []
        for number in range(total):
            row = loaded.data[number]
            keys = [str(row[name]) for name in ("sample_index", "rollout_index") if row.get(name) is not None]
            if number < 20:
                early += _problem(row, system, tools)
                # Another form stops the run early, not after hours.
                if number == min(20, total) - 1 and len(early) > (number + 1) / 2:
                    raise DataError(f"sft-mini-o3: {loaded.source} is {FORM}: {early[0]}; {_EXPECTED}")
            yield "-".join([str(number), *keys]), row

    write_sft(
        items(),
        lambda index, row_id, row: convert(index, row_id, row, tools, system),
        tools,
        args.output,
        {"dataset": DATASET.name, "source": loaded.source, "revision": loaded.revision, "limit": args.limit},
        total=total,
        check=check_form,
    )


def _problem(row: Mapping[str, Any], system: str, tools: Tools) -> list[str]:
    """Return the row's format error, or an empty list."""
    try:
        convert(0, "", row, tools, system)
    except Drop as error:
        return [error.detail] if error.reason == FORM else []
    return []
