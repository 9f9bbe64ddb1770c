# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define, for all datasets, what a prompt says beside the question and which tools it offers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.errors import OptionError
from data_prep.tool_schemas import TOOLS_DIR

# These tools work on an image of the conversation.
IMAGE_TOOLS = frozenset({"image_zoom_in", "image_search"})


@dataclass(frozen=True)
class Ability:
    """Hold a system turn, tools in the order of the prompt, and the instruction about the final answer.

    ``{what}`` in ``final`` becomes "letter of the right option" for multiple choice, else "final answer".
    """

    system: str
    tools: tuple[str, ...]
    final: str


_TAG = "Write the {what} inside <answer></answer>."
_BOX = "Put the {what} in \\boxed{{}}."

ABILITIES = {
    "perception": Ability(
        "Answer the question about the image. Zoom in where details are too small to see.", ("image_zoom_in",), _TAG
    ),
    "math": Ability("Solve the problem. Use Python where it helps to calculate, draw or check.", ("python",), _BOX),
    "chart": Ability(
        "Answer the question about the image. Zoom in on details and use Python to calculate.",
        ("image_zoom_in", "python"),
        _TAG,
    ),
    "search": Ability(
        "Answer the question. Search for what you do not know, and zoom in where details are too small to see.",
        ("tavily-search", "image_zoom_in"),
        _TAG,
    ),
    # for a row without an image
    "text_search": Ability("Answer the question. Search for what you do not know.", ("tavily-search",), _TAG),
}


def instruction(ability: str, scoring_type: str) -> str:
    """Return the last sentence of the user's turn, which says where the final answer goes.

    Raises:
        KeyError: no ability has the name.
    """
    what = "letter of the right option" if scoring_type == "choice" else "final answer"
    return ABILITIES[ability].final.format(what=what)


def parse_tools(text: str | None, option: str = "--tools") -> tuple[str, ...] | None:
    """Split ``"python,image_zoom_in"`` into names, each with a ``tools/<name>.yaml``. Keep None.

    Raises:
        OptionError: the list is empty, which verl would read as all tools, or a tool does not exist.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise OptionError(option, "names no tool; to train without tools, leave out the trainer's tool_config_path")
    for name in names:
        if "/" in name or not (TOOLS_DIR / f"{name}.yaml").is_file():
            known = ", ".join(sorted(path.stem for path in TOOLS_DIR.glob("*.yaml")))
            raise OptionError(option, f"there is no tool {name!r}; choose from {known}")
    return names


def select_tools(
    ability: str, image_count: int, override: Sequence[str] | None = None, added: Sequence[str] = ()
) -> list[str]:
    """Return the tools that one row offers.

    Args:
        ability: key of ``ABILITIES``.
        image_count: images of the row. If it is 0, tools that work on an image are omitted.
        override: names to return unchanged.
        added: names that follow those of the ability.
    """
    if override is not None:
        return list(override)
    names = [*ABILITIES[ability].tools, *added]
    kept = [name for name in dict.fromkeys(names) if image_count or name not in IMAGE_TOOLS]
    return kept or names  # verl would read an empty selection as all tools


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--image-search``, which all search datasets have."""
    parser.add_argument("--image-search", action="store_true", help="offer image_search too, where a row has an image")


def added_search_tools(options: Mapping[str, Any]) -> Sequence[str]:
    """Return the tools that the options of a search dataset add to those of its ability."""
    return ("image_search",) if options.get("image_search") else ()
