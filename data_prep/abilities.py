# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a prompt says beside the question, and which tools it offers: one place for all datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.errors import OptionError
from data_prep.tool_schemas import TOOLS_DIR

# Tools that need an image of the conversation to work on.
IMAGE_TOOLS = frozenset({"image_zoom_in", "image_search"})


@dataclass(frozen=True)
class Ability:
    """System turn, tools in the order of the prompt, and how a final answer is to be written.

    ``{what}`` in ``final`` becomes "final answer", or "letter of the right option" where there are options.
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
    # of a row without an image
    "text_search": Ability("Answer the question. Search for what you do not know.", ("tavily-search",), _TAG),
}


def instruction(ability: str, scoring_type: str) -> str:
    """Last sentence of the user's turn: where the final answer goes.

    Raises:
        KeyError: no such ability.
    """
    what = "letter of the right option" if scoring_type == "choice" else "final answer"
    return ABILITIES[ability].final.format(what=what)


def parse_tools(text: str | None, option: str = "--tools") -> tuple[str, ...] | None:
    """``"python,image_zoom_in"`` -> names, each with a ``tools/<name>.yaml``; None stays None.

    Raises:
        OptionError: no name, or a name without a tool. An empty list is refused because verl reads it as all tools.
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
    """Tools that one row offers.

    Args:
        ability: key of ``ABILITIES``.
        image_count: images of the row; without one, tools that work on an image are left out.
        override: names that are taken as they are.
        added: names that come after the ability's own.
    """
    if override is not None:
        return list(override)
    names = [*ABILITIES[ability].tools, *added]
    kept = [name for name in dict.fromkeys(names) if image_count or name not in IMAGE_TOOLS]
    return kept or names  # an empty selection would offer every tool
