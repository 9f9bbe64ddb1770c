# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check conversations with tool calls against the form of a rollout, and convert them to rows for verl's SFT dataset.

A rollout has one question, thoughts in every assistant turn (the generation prompt opens them), at most one call per
turn, and an answer at the end. A conversation that differs is dropped with a reason, because the model would learn
turns that it can never write.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from data_prep.core.images import BadImage, check_image
from data_prep.core.spec import Drop
from data_prep.core.text import SLOT, with_placeholders
from data_prep.rows import IMAGE_PLACEHOLDER

_CALL_TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")


@dataclass(frozen=True)
class Call:
    """Hold the tool's name and the arguments of a call."""

    name: str
    arguments: dict[str, Any]


@dataclass
class Turn:
    """Hold one message.

    Attributes:
        role: system, user, assistant or tool.
        text: content with ``SLOT`` for each image. Thoughts and call of an assistant are not part of it.
        thought: thoughts of an assistant.
        call: call of an assistant.
        images: encoded images in the order of the slots.
    """

    role: str
    text: str
    thought: str = ""
    call: Call | None = None
    images: list[bytes] = field(default_factory=list)


def split_thought(text: str) -> tuple[str, str]:
    """Split ``<think>a</think>b`` into ``("a", "b")``. The opening tag may be missing, as in a completion.

    Raises:
        Drop: a tag does not close, or thoughts are in the middle of the text.
    """
    if "</think>" not in text:
        if "<think>" in text:
            raise Drop("thoughts do not close")
        return "", text.strip()
    before, after = text.split("</think>", 1)
    thought = before.split("<think>", 1)[1] if "<think>" in before else before
    if "<think>" in before and before.split("<think>", 1)[0].strip():
        raise Drop("text before the thoughts")
    if "<think>" in thought or "<think>" in after or "</think>" in after:
        raise Drop("several thoughts in a turn")
    return thought.strip(), after.strip()


class Tools:
    """Hold the schemas of the tools that prompts list."""

    def __init__(self, schemas: Sequence[dict[str, Any]]):
        self.schemas = list(schemas)
        self._parameters = {item["function"]["name"]: item["function"]["parameters"] for item in schemas}

    def check(self, call: Call, images: int) -> None:
        """Check that a rollout could have made the call.

        Args:
            call: name and arguments.
            images: number of images so far.

        Raises:
            Drop: the tool is unknown, its schema or the tool refuses the arguments, or they name a missing image.
        """
        if call.name not in self._parameters:
            raise Drop("call of an unknown tool", f"{call.name!r}; known: {', '.join(self._parameters)}")
        parameters = self._parameters[call.name]
        if unknown := call.arguments.keys() - parameters.get("properties", {}).keys():
            raise Drop("arguments do not fit the schema", f"{call.name} has no {sorted(unknown)}")
        error = jsonschema.Draft202012Validator(parameters).iter_errors(call.arguments)
        if first := next(error, None):
            raise Drop("arguments do not fit the schema", f"{call.name}: {first.message}")
        if call.name == "image_zoom_in":  # the schema does not define a box
            from tools.image_zoom_in import parse_arguments
            from verl_ext.tool_calls import BadArgument

            try:
                parse_arguments(call.arguments, max(images, call.arguments["img_idx"] + 1))
            except BadArgument as refused:
                raise Drop("arguments that the zoom tool refuses", str(refused)) from refused
        index = call.arguments.get("img_idx")
        if index is not None and not 0 <= index < images:
            raise Drop("call names an image that is not there", f"img_idx {index}, {images} images")


def check_turns(turns: Sequence[Turn], tools: Tools) -> None:
    """Check that a rollout could have had these turns.

    Raises:
        Drop: it could not. The reason says why.
    """
    body = list(turns[1:] if turns and turns[0].role == "system" else turns)
    if not body or body[0].role != "user":
        raise Drop("does not start with a question")
    if sum(turn.role == "user" for turn in body) > 1:
        raise Drop("more than one user turn")
    if body[-1].role != "assistant" or body[-1].call is not None or not body[-1].text:
        raise Drop("does not end with an answer")
    images = 0
    for number, turn in enumerate(turns):
        if turn.text.count(SLOT) != len(turn.images):
            raise Drop("placeholders do not match the images")
        before = turns[number - 1] if number else None
        if turn.role == "tool" and (before is None or before.role != "assistant" or before.call is None):
            raise Drop("tool message answers no call")
        if before is not None and before.call is not None and turn.role != "tool":
            raise Drop("call without an answer")
        if turn.role == "assistant":
            if before is not None and before.role == "assistant":
                raise Drop("two assistant turns in a row")
            if not turn.thought:
                raise Drop("assistant turn without thoughts")
            if turn.images:
                raise Drop("assistant turn with an image")
            if any(tag in turn.text or tag in turn.thought for tag in _CALL_TAGS):
                raise Drop("call written as text")
            if turn.call is not None:
                tools.check(turn.call, images)
        elif turn.role == "system" and number:
            raise Drop("system turn in the middle")
        images += len(turn.images)
        for image in turn.images:
            try:
                check_image(image)
            except BadImage as error:
                raise Drop(error.reason, str(error)) from error


def message(turn: Turn) -> dict[str, Any]:
    """Return a turn as verl's SFT dataset reads it. Arguments are JSON, so the calls of all tools have one type."""
    content = with_placeholders(turn.text, IMAGE_PLACEHOLDER)
    calls = None
    if turn.role == "assistant":
        content = f"<think>\n{with_placeholders(turn.thought, '')}\n</think>\n\n{content}"
        if turn.call is not None:
            arguments = json.dumps(turn.call.arguments, ensure_ascii=False)
            calls = [{"type": "function", "function": {"name": turn.call.name, "arguments": arguments}}]
    return {"role": turn.role, "content": content, "tool_calls": calls}


def sft_row(turns: Sequence[Turn], tools: Tools, index: int, row_id: str, source: str) -> dict[str, Any]:
    """Return a row without its tools, which are equal for all rows of a file.

    Raises:
        Drop: see ``check_turns``.
    """
    check_turns(turns, tools)
    return {
        "messages": [message(turn) for turn in turns],
        "images": [{"bytes": image} for turn in turns for image in turn.images],
        "extra_info": {
            "split": "sft",
            "index": index,
            "id": row_id,
            "source": source,
            "calls": sum(turn.call is not None for turn in turns),
        },
    }
