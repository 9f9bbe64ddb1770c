# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Fork points: where the trajectory of a tool-using rollout can be cut and sampled again.

A fork lies directly after an opening tool-call tag. Everything up to and including that tag is the shared prefix
(`t_src` in the paper); a continuation samples the call, has it executed and goes on to the answer. The uncertainty of
a fork is the mean probability that the policy gave to the tokens of the call it wrote there (AXPO, section 2, step 3).

All functions here are pure and read token ids only: nothing is decoded and encoded again, so a prefix is always
exactly what the engine produced. `decode` is used to look at a call, never to build one.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

Decode = Callable[[list[int]], str]

# A tag as chat templates write it: <tool_call>, <|tool_call|>, [TOOL_CALLS].
_LEADING_TAG = re.compile(r"\s*(?:<[^<>]*>|\[[^\[\]]*\])")


@dataclass(frozen=True)
class ToolCallSpan:
    """One complete tool call in a response, and the fork it offers. Positions are indices into `response_ids`.

    Attributes:
        turn: assistant turn that holds the call, counted from 1.
        start: position of the opening tag.
        end: one past the closing tag; the call is `[start, end)`, both tags included.
        fork: `start + 1`, the length of the prefix that ends with the opening tag.
        confidence: mean probability of the sampled tokens in `[start, end)`, in (0, 1]. Low means uncertain.
    """

    turn: int
    start: int
    end: int
    fork: int
    confidence: float


class NoForkReason(StrEnum):
    """Why a response offers no fork. The later in this list, the closer the response came to a fork."""

    NO_CALL = "no_call"  # no opening tag outside of thinking
    UNCLOSED = "unclosed"  # an opening tag, but the turn ends before the closing one
    UNPARSABLE = "unparsable"  # a closed call that is not a JSON object with a "name"
    MERGED_TAG = "merged_tag"  # the token of the opening tag also holds the start of the call


def find_tool_call_spans(
    response_ids: Sequence[int],
    response_mask: Sequence[int],
    response_logprobs: Sequence[float],
    *,
    open_id: int,
    close_id: int,
    think_open_id: int | None = None,
    think_close_id: int | None = None,
    decode: Decode | None = None,
) -> list[ToolCallSpan]:
    """Find the fork that each assistant turn of a response offers: its first closed tool call outside of thinking.

    A run of ones in `response_mask` is an assistant turn. Within a turn the call starts at the first opening tag
    whose next tag is a closing one: an opening tag that is followed by another one was abandoned by the model.

    Thinking. A completion usually has no opening think tag, because the generation prompt holds it. Therefore:
      * a turn with a closing think tag: only what follows the last one counts;
      * a turn whose last think tag is an opening one never finished thinking: nothing in it counts;
      * a turn with no think tag at all is plain text and counts. Token ids cannot tell a template that opens the
        thinking in the prompt from one that does not, so we side with the environment: verl's tool parsers read the
        whole turn and would have executed the call.

    Args:
        response_ids: (T,) token ids of the response, tool answers included.
        response_mask: (T,) 1 for generated tokens, 0 for tool answers.
        response_logprobs: (T,) log-probabilities of the sampled tokens; values under a zero mask are not read.
        open_id, close_id: ids of the opening and closing tool-call tag.
        think_open_id, think_close_id: ids of the think tags, where the model has them.
        decode: turns ids into text. With it a call must parse as a JSON object that has a string "name", and the
            token of the opening tag must hold nothing but the tag and white space; otherwise the turn gives no span.

    Returns:
        Spans in order of their position, at most one per turn.

    Raises:
        ValueError: an argument's length differs from `response_ids`, or there are no log-probabilities.
    """
    if response_logprobs is None:
        raise ValueError(
            "response_logprobs is None: forks are ranked by the rollout's probabilities, so "
            "actor_rollout_ref.rollout.calculate_log_probs must be true"
        )
    ids = _as_list(response_ids)
    logprobs = _as_list(response_logprobs)
    if len(logprobs) != len(ids):
        raise ValueError(f"response_logprobs has {len(logprobs)} entries, response_ids has {len(ids)}")

    spans = []
    for turn, call, reason in _calls(
        ids, response_mask, open_id, close_id, think_open_id, think_close_id, decode=decode
    ):
        if call is None or reason is not None:
            continue
        start, end = call
        confidence = math.fsum(math.exp(logprob) for logprob in logprobs[start:end]) / (end - start)
        spans.append(ToolCallSpan(turn=turn, start=start, end=end, fork=start + 1, confidence=confidence))
    return spans


def used_tool(
    response_ids: Sequence[int],
    response_mask: Sequence[int],
    *,
    open_id: int,
    close_id: int,
    think_open_id: int | None = None,
    think_close_id: int | None = None,
) -> bool:
    """Whether a response belongs to its question's tool-using subgroup (the trigger, section 2, step 2).

    True if any turn holds a closed call outside of thinking, parsable or not: a malformed call is an attempt, and its
    reward is part of what the subgroup earned. Arguments and errors as in `find_tool_call_spans`.
    """
    calls = _calls(_as_list(response_ids), response_mask, open_id, close_id, think_open_id, think_close_id)
    return any(call is not None for _, call, _ in calls)


def why_no_fork(
    response_ids: Sequence[int],
    response_mask: Sequence[int],
    *,
    open_id: int,
    close_id: int,
    think_open_id: int | None = None,
    think_close_id: int | None = None,
    decode: Decode | None = None,
) -> NoForkReason | None:
    """Explain why `find_tool_call_spans` finds nothing, for metrics. None if the response offers a fork.

    With several turns the reason of the one that came closest to a fork is returned. Arguments and errors as in
    `find_tool_call_spans`.
    """
    calls = _calls(
        _as_list(response_ids), response_mask, open_id, close_id, think_open_id, think_close_id, decode=decode
    )
    reasons = [reason for _, _, reason in calls]
    if None in reasons:
        return None
    closeness = list(NoForkReason)
    return max(reasons, key=closeness.index, default=NoForkReason.NO_CALL)


def _calls(
    ids: list[int],
    response_mask: Sequence[int],
    open_id: int,
    close_id: int,
    think_open_id: int | None,
    think_close_id: int | None,
    decode: Decode | None = None,
) -> Iterator[tuple[int, tuple[int, int] | None, NoForkReason | None]]:
    """Yield (turn, [start, end) of its first closed call or None, why it is no fork or None) for every turn."""
    mask = _as_list(response_mask)
    if len(mask) != len(ids):
        raise ValueError(f"response_mask has {len(mask)} entries, response_ids has {len(ids)}")
    for turn, (begin, end) in enumerate(_assistant_turns(mask), start=1):
        begin = _thinking_ends(ids, begin, end, think_open_id, think_close_id)
        call = _first_closed_call(ids, begin, end, open_id, close_id)
        if call is None:
            yield turn, None, NoForkReason.UNCLOSED if open_id in ids[begin:end] else NoForkReason.NO_CALL
        else:
            yield turn, call, None if decode is None else _inspect(ids, call, decode)


def _assistant_turns(mask: list[int]) -> Iterator[tuple[int, int]]:
    """Yield [begin, end) of every run of non-zero mask values."""
    begin = None
    for position, generated in enumerate(mask):
        if generated and begin is None:
            begin = position
        elif not generated and begin is not None:
            yield begin, position
            begin = None
    if begin is not None:
        yield begin, len(mask)


def _thinking_ends(ids: list[int], begin: int, end: int, think_open_id: int | None, think_close_id: int | None) -> int:
    """Position from which a turn is no longer thinking; `end` if it never stops (rules: `find_tool_call_spans`)."""
    for position in reversed(range(begin, end)):
        if think_close_id is not None and ids[position] == think_close_id:
            return position + 1
        if think_open_id is not None and ids[position] == think_open_id:
            return end
    return begin


def _first_closed_call(ids: list[int], begin: int, end: int, open_id: int, close_id: int) -> tuple[int, int] | None:
    """[start, end) of the first opening tag whose next tag is a closing one."""
    start = None
    for position in range(begin, end):
        if ids[position] == open_id:
            start = position
        elif ids[position] == close_id and start is not None:
            return start, position + 1
    return None


def _inspect(ids: list[int], call: tuple[int, int], decode: Decode) -> NoForkReason | None:
    start, end = call
    tag = decode([ids[start]])
    # A tokenizer may merge the tag with what follows it. White space may belong to the prefix; the first characters of
    # the call may not, since every continuation would then be forced to begin like the failed call.
    if _LEADING_TAG.sub("", tag, count=1).strip():
        return NoForkReason.MERGED_TAG
    try:
        parsed = json.loads(decode(ids[start + 1 : end - 1]))
    except (ValueError, RecursionError):
        return NoForkReason.UNPARSABLE
    if not isinstance(parsed, dict) or not isinstance(parsed.get("name"), str):
        return NoForkReason.UNPARSABLE
    return None


def _as_list(values: Sequence) -> list:
    """A list of Python numbers from a list, an array or a tensor; the last two compare and hash badly."""
    return values.tolist() if hasattr(values, "tolist") else list(values)
