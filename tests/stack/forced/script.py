# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What the scripted engine says: a question is named sessions, each a list of assistant turns, and continuations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

SURE = 0.9  # probability of every sampled token outside of a call
END = "<|im_end|>"
OPEN, CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True)
class Turn:
    """One answer of the engine; ``@right`` and ``@wrong`` in its text stand for an answer.

    ``fault``: "fails" - the engine raises instead; "hangs" - it never answers; "kills" - the worker that asked dies;
    "silent" - it answers without log-probabilities.
    """

    text: str
    confidence: float = 0.5  # probability of each token of a call, both tags included
    fault: str = ""


@dataclass(frozen=True)
class Question:
    """Script of one question; continuations by the name of the session they start from."""

    name: str
    sessions: dict[str, Sequence[Turn]]
    continuations: dict[str, Sequence[Sequence[Turn]]] = field(default_factory=dict)
    tools: tuple[str, ...] = ("image_zoom_in",)


FAILS, HANGS, KILLS = (Turn("", fault=fault) for fault in ("fails", "hangs", "kills"))


def arguments(label: str, image: int = 0, tool: str = "image_zoom_in") -> str:
    """The JSON of a call; labels make the calls of a question distinct."""
    values = {"bbox_2d": [0, 0, 250, 250], "label": label, "img_idx": image}
    return json.dumps({"name": tool, "arguments": values})


def call(label: str, confidence: float = 0.5, image: int = 0, tool: str = "image_zoom_in") -> Turn:
    """Think, then call a tool. The generation prompt has opened the thinking."""
    text = f"I am {label}.\n</think>\n\n{OPEN}\n{arguments(label, image, tool)}\n{CLOSE}{END}"
    return Turn(text, confidence)


def rest_of_call(label: str, confidence: float = 0.5, image: int = 0, tool: str = "image_zoom_in") -> Turn:
    """What a continuation samples behind the opening tag."""
    return Turn(f"\n{arguments(label, image, tool)}\n{CLOSE}{END}", confidence)


def tool_call(tool: str, values: dict, confidence: float = 0.5, thought: str = "") -> Turn:
    """Think, then call any tool."""
    call = json.dumps({"name": tool, "arguments": values})
    return Turn(f"I am {thought or tool}.\n</think>\n\n{OPEN}\n{call}\n{CLOSE}{END}", confidence)


def rest_of_tool_call(tool: str, values: dict, confidence: float = 0.5) -> Turn:
    """What a continuation samples behind the opening tag, for any tool."""
    return Turn(f"\n{json.dumps({'name': tool, 'arguments': values})}\n{CLOSE}{END}", confidence)


def answer(label: str, right: bool) -> Turn:
    """Think, then answer."""
    return Turn(f"I am {label}.\n</think>\n\n<answer>@{'right' if right else 'wrong'}</answer>{END}")


def plain(name: str, right: bool) -> dict[str, list[Turn]]:
    """A session that answers without a tool."""
    return {name: [answer(name, right)]}


def acting(name: str, right: bool, confidence: float = 0.5) -> dict[str, list[Turn]]:
    """A session that calls the zoom tool once, then answers."""
    return {name: [call(name, confidence), answer(f"{name} again", right)]}


def resampled(source: str, *rights: bool) -> list[list[Turn]]:
    """Continuations of a session: a fresh call each, then the answers given."""
    return [
        [rest_of_call(f"{source} take {k}", 0.6), answer(f"{source} take {k}", right)] for k, right in enumerate(rights)
    ]


def quiet(name: str) -> Question:
    """A question that never triggers: it adds to the batch's budget."""
    return Question(name, {**plain("a", True), **plain("b", False), **plain("c", False), **plain("d", True)})
