# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Divide a trajectory's text into turns and blocks that a page can show: thinking, calls, images, answers, tags.

The texts of all blocks together are the trajectory's text. Only a run of image placeholders becomes one block without a
text. Blocks are plain dicts, as they stand in the page's files:

    k   kind: "text", "think", "call", "answer", "mark" (tags and control tokens), "image", "fork" (where a prefix ends)
    p   [[text, loss], ...]: loss is 1 where the row is trained, 0 where it is not, and absent where that is unknown
    n   of an image: its number in the trajectory, from 0
    name, arguments   of a call that can be read: the tool, and its arguments as indented JSON
    box [image, x1, y1, x2, y2] of a call of the zoom tool, relative from 0 to 1000
    region   of an image that the zoom tool returned: the same, of what it shows
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.boxes import parse_arguments
from verl_ext.tool_calls import BadArgument

Block = dict[str, Any]
Turn = dict[str, Any]  # {"by": who, "b": blocks}
Piece = tuple[str, int | None]  # (text, loss)
Sizes = Callable[[int], Sequence[tuple[int, int]]]  # number of an image -> its known sizes in pixels

ZOOM = "image_zoom_in"
_IMAGE = r"<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>"
_MARK = r"<\|im_start\|>\w*\n?|<\|im_end\|>\n?|<\|[a-z_]+\|>|</?(?:think|tool_response|tools)>\n?"
_TEMPLATE = re.compile(f"(?P<image>{_IMAGE})|(?P<mark>{_MARK})")
_MODEL = re.compile(
    r"(?P<think><think>.*?(?:</think>|(?=<tool_call>)|\Z))|(?P<call><tool_call>.*?(?:</tool_call>|\Z))"
    rf"|(?P<answer><answer>.*?(?:</answer>|\Z))|(?P<image>{_IMAGE})|(?P<mark>{_MARK})",
    re.DOTALL,
)
_THINKING_ENDS = re.compile(r"</think>|(?=<tool_call>)")
_TAGS = {"think": ("<think>", "</think>"), "call": ("<tool_call>", "</tool_call>"), "answer": ("<answer>", "</answer>")}
_TURN = re.compile(r"(?=<\|im_start\|>)")
_ROLE = re.compile(r"<\|im_start\|>(\w+)")
_TOOL_TURN = re.compile(
    r"(\n?<\|im_start\|>(?:user|tool)\n<tool_response>.*?<\|im_end\|>\n<\|im_start\|>assistant\n(?:<think>\n)?)",
    re.DOTALL,
)
_REGION = re.compile(r"the region \[([-\d.e+]+), ([-\d.e+]+), ([-\d.e+]+), ([-\d.e+]+)\] of image (\d+)")


@dataclass
class Transcript:
    """Collect turns; ``images`` counts the placeholders so far.

    Args:
        sizes: sizes in pixels of an image, for boxes that are meant in pixels.
    """

    sizes: Sizes = lambda number: ()
    images: int = 0
    thinking: bool = False  # The template opens the model's thinking: the tag stands before its text.
    turns: list[Turn] = field(default_factory=list)

    def prompt(self, text: str) -> None:
        """Add the prompt, a turn for each message."""
        for message in filter(None, _TURN.split(text)):
            role = _ROLE.match(message)
            self._add(role[1] if role else "prompt", _template(message), [(message, None)])
        self.thinking = text.endswith("<think>\n")

    def tool(self, text: str, loss: int | None = None) -> None:
        """Add what tools answered, and the template around it."""
        self._add("tool", _template(text), [(text, loss)])
        self.thinking = text.endswith("<think>\n")
        blocks = self.turns[-1]["b"]
        images = [block for block in blocks if block["k"] == "image"]
        regions = _REGION.findall("".join(piece[0] for block in blocks for piece in block.get("p", ())))
        if len(images) == len(regions):
            for block, (*box, image) in zip(images, regions, strict=True):
                block["region"] = [int(image), *map(float, box)]

    def model(self, pieces: Sequence[Piece]) -> None:
        """Add what the model wrote, in pieces that are trained or not."""
        self._add("model", _model("".join(text for text, _ in pieces), self.thinking), pieces)
        self.thinking = False
        for block in self.turns[-1]["b"]:
            if block["k"] == "call":
                block |= self._call("".join(piece[0] for piece in block["p"]))

    def _call(self, text: str) -> Block:
        """Return what can be read of a call's JSON."""
        try:
            call = json.loads(text)
            name, arguments = call["name"], call["arguments"]
            found: Block = {"name": str(name), "arguments": json.dumps(arguments, indent=2, ensure_ascii=False)}
            if name == ZOOM:
                box, image = parse_arguments(arguments, self.images, self.sizes)
                found["box"] = [image, *box]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            return found if isinstance(error, BadArgument) else {}
        return found

    def _add(self, by: str, spans: Iterator[tuple[str, str]], pieces: Sequence[Piece]) -> None:
        """Add a turn of blocks. ``spans`` are the blocks' kinds and texts, ``pieces`` the same text by its loss."""
        blocks: list[Block] = []
        left = list(pieces)
        for kind, text in spans:
            parts = []
            length = len(text)
            while length:
                head, loss = left.pop(0)
                if len(head) > length:
                    left.insert(0, (head[length:], loss))
                    head = head[:length]
                length -= len(head)
                parts.append([head] if loss is None else [head, loss])
            if kind == "image":
                blocks.append({"k": kind, "n": self.images})
                self.images += 1
            elif parts:
                blocks.append({"k": kind, "p": parts})
        self.turns.append({"by": by, "b": blocks})

    def fork(self, role: str | None) -> None:
        """Put a block where the frozen prefix ends: before the first trained text, in a source behind the last one."""
        blocks = [(turn["b"], i) for turn in self.turns if turn["by"] == "model" for i in range(len(turn["b"]))]
        trained = [place for place in blocks if any(piece[1:] == [1] for piece in place[0][place[1]].get("p", ()))]
        if not trained or len(trained) == len(blocks) or role not in ("source", "continuation"):
            return
        into, i = trained[0] if role == "continuation" else trained[-1]
        into.insert(i if role == "continuation" else i + 1, {"k": "fork"})


def _template(text: str) -> Iterator[tuple[str, str]]:
    """Yield kinds and texts of what the template and the tools wrote."""
    at = 0
    for match in _TEMPLATE.finditer(text):
        yield "text", text[at : match.start()]
        yield str(match.lastgroup), match[0]
        at = match.end()
    yield "text", text[at:]


def _model(text: str, thinking: bool) -> Iterator[tuple[str, str]]:
    """Yield kinds and texts of what the model wrote, tags apart from what they enclose."""
    at = 0
    if thinking:
        end = _THINKING_ENDS.search(text)
        at = len(text) if end is None else end.end()
        yield from _enclosed("think", text[:at])
    for match in _MODEL.finditer(text, at):
        yield "text", text[at : match.start()]
        kind = str(match.lastgroup)
        yield from _enclosed(kind, match[0]) if kind in _TAGS else [(kind, match[0])]
        at = match.end()
    yield "text", text[at:]


def _enclosed(kind: str, text: str) -> Iterator[tuple[str, str]]:
    first, last = _TAGS[kind]
    start = len(first) if text.startswith(first) else 0
    end = len(text) - len(last) if text.endswith(last) and len(text) >= start + len(last) else len(text)
    yield from (("mark", text[:start]), (kind, text[start:end]), ("mark", text[end:]))


def of_segments(segments: Sequence[dict[str, Any]], sizes: Sizes) -> list[Turn]:
    """Return the turns of an evaluation's ``segments``: {"by": "prompt", "model" or "tool", "text": ...}."""
    transcript = Transcript(sizes)
    for segment in segments:
        by, text = segment["by"], segment["text"]
        if by == "model":
            transcript.model([(text, None)])
        elif by == "tool":
            transcript.tool(text)
        else:
            transcript.prompt(text)
    return transcript.turns


def of_dump(row: dict[str, Any], sizes: Sizes) -> list[Turn]:
    """Return the turns of a row of ``rollouts/<step>.jsonl``. Qwen's template says who wrote what."""
    transcript = Transcript(sizes)
    transcript.prompt(row["input"])
    output, spans, at = row["output"], row.get("loss_spans"), 0
    for i, text in enumerate(_TOOL_TURN.split(output)):
        if i % 2:
            transcript.tool(text, None if spans is None else 0)
        elif text or i == 0:
            transcript.model(_pieces(text, at, spans))
        at += len(text)
    transcript.fork(row.get("role"))
    return transcript.turns


def _pieces(text: str, at: int, spans: Sequence[Sequence[int]] | None) -> list[Piece]:
    """Cut a text that begins at character ``at`` of the output into pieces of one loss each."""
    if spans is None:
        return [(text, None)]
    end = at + len(text)
    edges = sorted({at, end, *(edge for span in spans for edge in span if at < edge < end)})
    return [
        (text[a - at : b - at], int(any(first <= a and b <= last for first, last in spans)))
        for a, b in zip(edges, edges[1:], strict=False)
    ]
