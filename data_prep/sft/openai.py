# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert a teacher's trajectories in OpenAI's chat format to SFT rows: ``python -m data_prep sft-openai``.

A line holds one JSON object: ``{"messages": [...], "id": optional}``. A message is ``{role, content, tool_calls?,
tool_call_id?, reasoning_content?}``. Its content is a text, or parts of the types ``text`` and ``image_url`` with a
``data:`` URL or a path relative to the file. Thoughts are ``reasoning_content``, or ``<think>`` in the content. Images
of a tool message come before its text, as in a rollout.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from data_prep.abilities import parse_tools
from data_prep.core.images import BadImage, base64_bytes, image_bytes
from data_prep.core.options import at_least, output_directory
from data_prep.core.spec import Drop
from data_prep.core.text import SLOT
from data_prep.errors import OptionError
from data_prep.sft.conversation import Call, Tools, Turn, sft_row, split_thought
from data_prep.sft.write import write_sft
from data_prep.tool_schemas import load_tool_schemas

HELP = "Your own teacher's trajectories (OpenAI chat format) as SFT rows with tool calls."
MAX_LINE = 512 << 20  # characters; images may be inline


def image_of(url: Any, root: Path) -> bytes:
    """Return the encoded image of an ``image_url``.

    Raises:
        Drop: the image is on the web, missing, outside of ``root``, or broken base64.
    """
    if not isinstance(url, str) or not url:
        raise Drop("image without an address")
    if url.startswith("data:"):
        try:
            return base64_bytes(url)
        except BadImage as error:
            raise Drop(error.reason, str(error)) from error
    if url.startswith(("http://", "https://")):
        raise Drop("image on the web", "download it and give its path")
    path = unquote(urlsplit(url).path) if url.startswith("file://") else url
    try:
        return image_bytes(path, root)
    except ValueError as error:
        raise Drop("missing image", str(error)) from error


def read_content(content: Any, root: Path) -> tuple[str, list[bytes]]:
    """Return text with a slot for each image, and the images.

    Raises:
        Drop: a part has another type.
    """
    if content is None or isinstance(content, str):
        return (content or "").replace(SLOT, ""), []
    if not isinstance(content, Sequence):
        raise Drop("content is no text and no list of parts", type(content).__name__)
    text, images = "", []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            text += part["text"].replace(SLOT, "")
        elif kind == "image_url":
            address = part.get("image_url")
            images.append(image_of(address.get("url") if isinstance(address, Mapping) else address, root))
            text += SLOT
        else:
            raise Drop("content part of another kind", f"{kind!r}")
    return text, images


def read_call(message: Mapping[str, Any]) -> tuple[Call | None, str | None]:
    """Return the call of an assistant message and its id, or two None.

    Raises:
        Drop: there are several calls, or the arguments are not a JSON object.
    """
    calls = message.get("tool_calls") or []
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise Drop("tool_calls is no list")
    if len(calls) > 1:
        raise Drop("several calls in a turn", f"{len(calls)} calls; the agent makes one")
    if not calls:
        return None, None
    function = calls[0].get("function") if isinstance(calls[0], Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise Drop("tool call without a function")
    arguments = function.get("arguments")
    try:
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError as error:
        raise Drop("arguments are no JSON", str(error)) from error
    if not isinstance(arguments, dict):
        raise Drop("arguments are no JSON", f"{type(arguments).__name__}, expected an object")
    return Call(function["name"], arguments), calls[0].get("id")


def to_turns(messages: Any, root: Path, system: str | None) -> list[Turn]:
    """Convert messages to turns.

    Args:
        messages: messages of the file.
        root: directory of relative image paths.
        system: system turn instead of the conversation's. An empty text omits it, None keeps it.

    Raises:
        Drop: a message cannot be used.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Drop("messages is no list of messages")
    turns = [Turn("system", system)] if system else []
    open_id: str | None = None
    for message in messages:
        role = message.get("role")
        text, images = read_content(message.get("content"), root)
        if role in ("system", "developer"):
            if system is None:
                turns.append(Turn("system", text, images=images))
        elif role == "user":
            turns.append(Turn("user", text, images=images))
        elif role == "assistant":
            thought, said = split_thought(text)
            given = message.get("reasoning_content")
            if isinstance(given, str) and given.strip():
                if thought:
                    raise Drop("several thoughts in a turn")
                thought = given.strip()
            call, open_id = read_call(message)
            turns.append(Turn("assistant", said, thought, call, images))
        elif role == "tool":
            answered = message.get("tool_call_id")
            if answered is not None and open_id is not None and answered != open_id:
                raise Drop("tool message answers no call", f"{answered!r}, the call is {open_id!r}")
            turns.append(Turn("tool", SLOT * len(images) + text.replace(SLOT, ""), images=images))
        else:
            raise Drop("message of another role", f"{role!r}")
    return turns


def read_lines(path: Path, limit: int | None) -> Iterator[tuple[str, str]]:
    """Yield (line number, line) of a file without empty lines."""
    count = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 1):
            if line.strip():
                yield f"line {number}", line
                count += 1
                if count == limit:
                    return


def convert(
    index: int, row_id: str, line: str, root: Path, tools: Tools, system: str | None, source: str
) -> dict[str, Any]:
    """Convert one line to one row.

    Raises:
        Drop: the line is not a JSON object with messages, or a rollout cannot have the conversation.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Drop("line is no JSON", str(error)) from error
    if not isinstance(value, dict) or "messages" not in value:
        raise Drop("line has no messages")
    turns = to_turns(value["messages"], root, system)
    return sft_row(turns, tools, index, str(value.get("id", row_id)), source)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    add = parser.add_argument
    add("--source", type=Path, required=True, metavar="FILE.jsonl", help="one conversation per line")
    add("--output", type=Path, required=True, metavar="DIR", help="directory for sft.parquet and manifest.json")
    add("--tools", required=True, metavar="A,B", help="tools that prompts list, in the order of the trainer's tool "
        "config; calls of others drop a row")  # fmt: skip
    add("--system", metavar="TEXT", help="system turn instead of the conversations' own; an empty text omits it")
    add("--limit", type=int, metavar="N", help="first N conversations")


def run(args: argparse.Namespace) -> None:
    """Write the SFT rows.

    Raises:
        OptionError: an option is bad.
        DataError: no conversation is usable.
    """
    names = parse_tools(args.tools)
    if not args.source.is_file():
        raise OptionError("--source", f"{args.source} is not a file")
    at_least(1, limit=args.limit)
    output_directory(args.output)
    tools = Tools(load_tool_schemas(names))
    root = args.source.resolve().parent
    write_sft(
        read_lines(args.source, args.limit),
        lambda index, row_id, line: convert(index, row_id, line, root, tools, args.system, args.source.name),
        tools,
        args.output,
        {"dataset": "sft-openai", "source": str(args.source), "limit": args.limit},
    )
