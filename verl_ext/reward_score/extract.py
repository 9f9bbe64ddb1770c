# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the final answer of a response: what the model says at its end, not what it thought or a tool returned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from verl_ext.reward_score.sentence import commitment

# Answers are at the end. Only the end is read, so that a megabyte costs no more than a page.
MESSAGE_CHARS = 20_000
ANSWER_CHARS = 4_000

Thinking = Literal["auto", "required"]
How = Literal["tag", "boxed", "stated", "last_line", "none"]

# This matches the innermost tag. A match never crosses another tag, which keeps the search linear in the text.
_ANSWER = re.compile(r"<answer>([^<]*(?:<(?!/?answer>)[^<]*)*)</answer>")
_ANY_CASE = re.compile(_ANSWER.pattern, re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_CHAT_TOKEN = re.compile(r"<\|[a-z_]{1,30}\|>")
_ROLE = re.compile(r"\s*assistant\b\s*(?:\n|$)")
_TOOL_CALL = re.compile(r"<tool_call>.*?(?:</tool_call>|\Z)", re.DOTALL)
_STATED = re.compile(
    r"\b(?:answer|(?:correct|right) (?:option|choice))(?: (?:choice|option|letter))?"
    r"(?: to (?:the|this) question)? {0,3}(?:is|are|:|=|\uff1a) {0,3}[:\uff1a]? {0,3}"
    r"|\u7b54\u6848 {0,3}(?:\u662f|\u4e3a|:|\uff1a) {0,3}[:\uff1a]? {0,3}"  # "answer is" in Chinese
    # only in the last line: "the answer should be in cm" comes earlier; "if it were red, it would be A" is no answer
    r"|^(?:(?!\b(?:if|unless)\b)[^\n]){0,200}?\b(?:answer|(?:correct|right) (?:option|choice))"
    r"(?: (?:choice|option|letter))? (?:should|would|must|has to) be {0,3}:? {0,3}(?=[^\n]{0,200}\s{0,5}\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_NEGATED = re.compile(r"(?:not|n't|neither|never|unclear|unknown)\b", re.IGNORECASE)
# The stars of "4*0", "2 * 3" and "2**3" are no markup.
_MARKUP = re.compile(
    r"(?<![\d*)])(?<!\b\w)\*{1,3}(?=\S)|(?<=\S)\*{1,3}(?![\w*(])|^\s{0,8}(?:#{1,6}|>|[-*\u2022])\s+|`{1,3}",
    re.MULTILINE,
)
_NO_ANSWER = re.compile(r"[\s$\\\]\[()`*_\-=#.]*\Z")  # a line of brackets and rules


@dataclass(frozen=True)
class Extracted:
    """The answer of a response.

    Attributes:
        text: the answer, "" if there is none.
        how: the rule that found it: "tag", "boxed", "stated", "last_line" or "none".
        message: the whole final message, at most ``MESSAGE_CHARS`` characters.
    """

    text: str
    how: How
    message: str

    @property
    def marked(self) -> bool:
        """Whether the model marked where its answer begins and ends."""
        return self.how in ("tag", "boxed")


NOTHING = Extracted("", "none", "")


def final_answer(solution: str, thinking: Thinking = "auto") -> str | None:
    """Return the content of the last ``<answer>...</answer>`` of the final message, or None.

    The kind "tag" uses this rule, because its questions ask for the tag. All other kinds use ``extract``.
    """
    answers = _ANSWER.findall(_last_message(solution, thinking)[0])
    return answers[-1].strip() if answers else None


def final_message(solution: str, thinking: Thinking = "auto") -> tuple[str, bool]:
    """Return what the model says after its last tool response and its last thought.

    Args:
        solution: the decoded response of a whole trajectory. Its first turn may have no opening ``<think>``, because
            the chat template puts that into the prompt.
        thinking: "required" means that the model always thinks first, so a last turn without ``</think>`` was cut off
            in its thoughts. "auto" concludes that only if an earlier turn closed a thought or this one opened one: a
            first turn alone does not show whether it is a thought.

    Returns:
        The message, at most ``MESSAGE_CHARS`` characters of its end, "" if there is none, and whether the message holds
        a tool call.
    """
    message, acts = _last_message(solution, thinking, MESSAGE_CHARS)
    return message.strip(), acts


def _last_message(solution: str, thinking: Thinking, chars: int | None = None) -> tuple[str, bool]:
    before, _, last = solution.rpartition("</tool_response>")
    thought, closed, message = last.rpartition("</think>")
    if not closed and (thinking == "required" or "</think>" in before):
        return "", False
    if "<think>" in message:
        return "", False
    message = _CHAT_TOKEN.sub("", message if chars is None else message[-chars:])
    if before and not closed:
        message = _ROLE.sub("", message, count=1)
    acts = "<tool_call>" in message
    if acts:
        message = _TOOL_CALL.sub("", message)
    return message, acts


def extract(solution: str, thinking: Thinking = "auto") -> Extracted:
    """Find the final answer.

    In the final message, in this order:

    1. the last mark: ``<answer>...</answer>`` or ``\\boxed{...}`` (braces balanced), whichever ends last; a box inside
       of a tag is the answer of the tag;
    2. what follows the last "the answer is" or "Answer:" that is not negated, to the end of the sentence;
    3. the last line that is not empty.

    A message that calls a tool has only marked answers. Nothing here raises, whatever the text.
    """
    message, acts = final_message(solution, thinking)
    if not message:
        return NOTHING
    tag = next(iter(reversed(list(_ANY_CASE.finditer(message)))), None)
    box = _last_box(message)
    if tag is not None and (box is None or box[1] <= tag.end()):
        inner = _last_box(tag[1])
        return _extracted(tag[1] if inner is None else inner[0], "tag", message)
    if box is not None:
        return _extracted(box[0], "boxed", message)
    if acts:
        return Extracted("", "none", message)
    plain = _MARKUP.sub("", message)
    stated = _stated(plain)
    if stated is not None:
        return _extracted(stated, "stated", message)
    lines = [line for line in plain.splitlines() if not _NO_ANSWER.match(line)]
    return _extracted(lines[-1] if lines else "", "last_line", message)


def _extracted(text: str, how: How, message: str) -> Extracted:
    text = text.strip()[:ANSWER_CHARS].strip()
    return Extracted(text, how if text else "none", message)


def _last_box(text: str) -> tuple[str, int] | None:
    """Content and end of the last box whose braces are balanced, in one pass however many there are."""
    if "\\boxed" not in text and "\\fbox" not in text:
        return None
    opened: list[int] = []
    closes: dict[int, int] = {}
    escaped = False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "{":
            opened.append(position)
        elif character == "}" and opened:
            closes[opened.pop()] = position
    last = None
    for box in _BOX.finditer(text):
        start = box.end() - 1
        if start in closes:
            last = (text[start + 1 : closes[start]], closes[start] + 1)
    return last


def _stated(plain: str) -> str | None:
    for match in reversed(list(_STATED.finditer(plain))):
        rest = plain[match.end() : match.end() + ANSWER_CHARS]
        line = next((line.strip() for line in rest.splitlines() if not _NO_ANSWER.match(line)), "")
        if line and not _NEGATED.match(line):
            return commitment(line)
    return None
