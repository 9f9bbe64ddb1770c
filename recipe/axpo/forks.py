# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Fork points: where the trajectory of a tool-using rollout can be cut and sampled again.

A fork lies directly after an opening tool-call tag. Everything up to and including that tag is the shared prefix
(``t_src`` in the paper). A continuation samples the call, executes it and goes on to the answer. The uncertainty of a
fork is the mean probability that the policy gave to the tokens of the call it wrote there (AXPO, section 2, step 3).

Two ablations cut elsewhere (``cut`` of ``read_response``): behind a tool's answer, where ARPO branches, and behind a
turn's thinking, which a rollout without a call has, too. Their uncertainty is that of the tokens sampled there.

``read_response`` is the one reading of a response: whether the rollout acted, which forks it offers, and if it offers
none, why. All functions are pure and read token ids: a prefix is always exactly what the engine produced. ``decode``
is used to look at a call, never to build one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate

CUTS = ("call", "answer", "thinking")
ANSWER_TOKENS = 20  # of a turn behind a tool's answer, whose mean probability is the uncertainty of a fork before it

Decode = Callable[[list[int]], str]

# A tag as chat templates write it: <tool_call>, <|tool_call|>, [TOOL_CALLS].
_LEADING_TAG = re.compile(r"\s*(?:<[^<>]*>|\[[^\[\]]*\])")


@dataclass(frozen=True)
class ToolCallSpan:
    """One complete tool call in a response, and the fork it offers. Positions are indices into ``response_ids``.

    With another ``cut`` than "call" (``read_response``), the tokens that are sampled again first take the call's place.

    Attributes:
        turn: assistant turn that holds the call, counted from 1.
        start: position of the opening tag.
        end: one past the closing tag; the call is ``[start, end)``, both tags included.
        fork: the length of the prefix. It ends with the opening tag (``start + 1``); with another cut it is ``start``.
        confidence: mean probability of the sampled tokens in ``[start, end)``, in (0, 1]. Low means uncertain.
        entropy: mean entropy of the policy at the same tokens, in nats; NaN if the engine returned none.
    """

    turn: int
    start: int
    end: int
    fork: int
    confidence: float
    entropy: float = field(default=math.nan, compare=False)  # it says nothing of where the fork is


class NoForkReason(StrEnum):
    """Name the reason why a response offers no fork. The later in this list, the closer the response came to a fork."""

    UNREADABLE = "unreadable"  # reading the response raised an error
    NO_CALL = "no_call"  # no opening tag outside of thinking
    NO_ANSWER = "no_answer"  # cut "answer": no turn behind a tool's answer
    NO_THINKING = "no_thinking"  # cut "thinking": no closing think tag with anything behind it
    IN_THINKING = "in_thinking"  # a call was executed, but none stands outside of thinking
    UNCLOSED = "unclosed"  # an opening tag, but the turn ends before the closing one
    UNPARSABLE = "unparsable"  # a closed call that is not a JSON object with a "name"
    MERGED_TAG = "merged_tag"  # the token of the opening tag also holds the start of the call
    NO_LOG_PROBS = "no_log_probs"  # the rollout engine returned no log-probabilities to rank the call by
    NAN = "nan"  # the log-probabilities of the call are not finite numbers
    LITERAL_TAG = "literal_tag"  # an opening tag before the call's own, which verl pairs with the call's closing tag
    LAST_TURN = "last_turn"  # the trajectory may not go on after this turn, so the call is never executed


@dataclass(frozen=True)
class Reading:
    """Hold what one reading of a response finds.

    Attributes:
        acted: whether the rollout belongs to its question's tool-using subgroup (the trigger, section 2, step 2): it
            executed a call, or it closed one outside of thinking. A malformed call is an attempt.
        spans: the forks it offers, in order of position, at most one per turn.
        reason: why it offers none; None if it offers one.
    """

    acted: bool
    spans: tuple[ToolCallSpan, ...]
    reason: NoForkReason | None


def read_response(
    response_ids: Sequence[int],
    response_mask: Sequence[int],
    response_logprobs: Sequence[float] | None,
    *,
    open_id: int,
    close_id: int,
    think_open_id: int | None = None,
    think_close_id: int | None = None,
    decode: Decode | None = None,
    executed_calls: int = 0,
    max_assistant_turns: int | None = None,
    max_user_turns: int | None = None,
    cut: str = "call",
) -> Reading:
    """Read a response once: did the rollout act, which forks does it offer, and if none, why.

    A run of ones in ``response_mask`` is an assistant turn. Each turn offers at most one fork: its first closed call
    outside of thinking. The call starts at the first opening tag whose next tag is a closing one; an opening tag that
    is followed by another one was abandoned by the model.

    Thinking. A completion usually has no opening think tag, because the generation prompt holds it. Therefore:
      * a turn with a closing think tag: only what follows the last one counts;
      * a turn whose last think tag is an opening one never finished thinking: nothing in it counts;
      * a turn with no think tag at all is plain text and counts. Token ids cannot tell a template that opens the
        thinking in the prompt from one that does not, so the reading agrees with verl's tool parser, which reads the
        whole turn and would have executed the call.

    verl's parser reads the thinking, too: a call written there is executed, but it is never a fork.

    Cuts. "call" is the paper's, and the rules above are its. With "answer" the turns behind a tool's answer offer a
    fork where they begin, whose tokens are their first ``ANSWER_TOKENS``. With "thinking" a turn that has finished
    thinking offers one behind its last closing think tag, whose tokens are the rest of the turn. ``acted`` is the same
    with any cut.

    Args:
        response_ids: (T,) token ids of the response, tool answers included.
        response_mask: (T,) 1 for generated tokens, 0 for tool answers.
        response_logprobs: (T,) log-probabilities of the sampled tokens; values under a zero mask are not read. Without
            them a response offers no fork.
        open_id, close_id: ids of the opening and closing tool-call tag.
        think_open_id, think_close_id: ids of the think tags, where the model has them.
        decode: turns ids into text. With it a call must parse as a JSON object that has a string "name", and the
            token of the opening tag must hold nothing but the tag and white space; otherwise the turn offers no fork.
        executed_calls: tool calls that the agent loop has executed in this rollout.
        max_assistant_turns, max_user_turns: limits of the trajectory (None or 0: no limit). A call in the last turn
            that they allow is never executed and offers no fork.
        cut: one of ``CUTS``.

    Raises:
        ValueError: an unknown cut, or the length of ``response_mask`` or ``response_logprobs`` differs from that of
            ``response_ids``.
    """
    logprobs = None if response_logprobs is None else _as_list(response_logprobs)
    ids, turns = _read_turns(
        response_ids, response_mask, logprobs, open_id, close_id, think_open_id, think_close_id, decode, cut
    )
    spans, reasons, closed = [], [], False
    for number, turn in enumerate(turns, start=1):
        closed = closed or turn.closed
        span, reason = turn.span, turn.reason
        if span is not None and cut == "call":
            last = (max_assistant_turns and number >= max_assistant_turns) or (
                max_user_turns and number > max_user_turns
            )
            if open_id in ids[turn.begin : span.start]:
                reason = NoForkReason.LITERAL_TAG
            elif last:
                reason = NoForkReason.LAST_TURN
        if reason is not None:
            reasons.append(reason)
        elif span is not None:
            spans.append(span)

    acted = closed or executed_calls > 0
    if spans:
        return Reading(acted, tuple(spans), None)
    reason = max(reasons, key=list(NoForkReason).index, default=NoForkReason.NO_CALL)
    if reason is NoForkReason.NO_CALL and executed_calls > 0:
        reason = NoForkReason.IN_THINKING
    return Reading(acted, (), reason)


def entropy(logprobs: Iterable[float]) -> float:
    """Return the entropy, in nats, of a distribution whose most likely tokens are known.

    The probability that they leave is taken for that of one more token, so this is a lower bound. It is exact
    where they leave none, and close to it wherever the policy is at all sure.

    Args:
        logprobs: log-probabilities of different tokens.
    """
    known = [value for value in logprobs if value > -math.inf]
    rest = max(0.0, 1.0 - math.fsum(map(math.exp, known)))
    return math.fsum(-math.exp(value) * value for value in known) - (rest * math.log(rest) if rest else 0.0)


def with_entropies(
    spans: Sequence[ToolCallSpan], response_mask: Sequence[int], entropies: Sequence[float]
) -> tuple[ToolCallSpan, ...]:
    """Return the spans with their mean entropies.

    Args:
        spans: as ``read_response`` finds them.
        response_mask: (T,) 1 for generated tokens, 0 for tool answers.
        entropies: (at least as many as there are ones,) of the generated tokens, in order. verl may cut the response
            after the engine has returned, so there may be more.

    Raises:
        ValueError: there are fewer entropies than generated tokens.
    """
    mask = _as_list(response_mask)
    before = [0, *accumulate(map(bool, mask))]
    if before[-1] > len(entropies):
        raise ValueError(f"{before[-1]} generated tokens have {len(entropies)} entropies")
    return tuple(
        replace(span, entropy=math.fsum(entropies[before[span.start] : before[span.end]]) / (span.end - span.start))
        for span in spans
    )


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
    """Find the first closed tool call outside of thinking of every turn, in order of position.

    Arguments and rules as in ``read_response``, but what verl's agent loop would do with the call is not considered.
    A call whose log-probabilities are not finite is left out.

    Raises:
        ValueError: an argument's length differs from ``response_ids``, or there are no log-probabilities.
    """
    if response_logprobs is None:
        raise ValueError(
            "response_logprobs is None: forks are ranked by the rollout's probabilities, so "
            "actor_rollout_ref.rollout.calculate_log_probs must be true"
        )
    _, turns = _read_turns(
        response_ids,
        response_mask,
        _as_list(response_logprobs),
        open_id,
        close_id,
        think_open_id,
        think_close_id,
        decode,
    )
    return [turn.span for turn in turns if turn.span is not None]


@dataclass(frozen=True)
class _Turn:
    """An assistant turn: where it begins, whether it closed a call, its fork, and why it has none."""

    begin: int
    closed: bool
    span: ToolCallSpan | None
    reason: NoForkReason | None


def _read_turns(
    response_ids: Sequence[int],
    response_mask: Sequence[int],
    logprobs: list[float] | None,
    open_id: int,
    close_id: int,
    think_open_id: int | None,
    think_close_id: int | None,
    decode: Decode | None,
    cut: str = "call",
) -> tuple[list[int], list[_Turn]]:
    """Return the token ids as a list, and every assistant turn with its fork."""
    if cut not in CUTS:
        raise ValueError(f"cut must be one of {', '.join(CUTS)}; got {cut!r}")
    ids, mask = _as_list(response_ids), _as_list(response_mask)
    for name, values in (("response_mask", mask), ("response_logprobs", logprobs)):
        if values is not None and len(values) != len(ids):
            raise ValueError(f"{name} has {len(values)} entries, response_ids has {len(ids)}")
    turns = []
    for number, (begin, end) in enumerate(_assistant_turns(mask), start=1):
        text = _thinking_ends(ids, begin, end, think_open_id, think_close_id)
        call = _first_closed_call(ids, text, end, open_id, close_id)
        closed = call is not None
        if cut == "answer":
            start, stop, reason = begin, min(begin + ANSWER_TOKENS, end), None if begin else NoForkReason.NO_ANSWER
        elif cut == "thinking":
            start, stop, reason = text, end, None if begin < text < end else NoForkReason.NO_THINKING
        elif call is None:
            unclosed = open_id in ids[text:end]
            start, stop, reason = begin, end, NoForkReason.UNCLOSED if unclosed else NoForkReason.NO_CALL
        else:
            (start, stop), reason = call, None if decode is None else _inspect(ids, call, decode)
        span = None
        if reason is None:
            values = None if logprobs is None else logprobs[start:stop]
            confidence = math.nan if values is None else _mean_probability(values)
            if values is None or not math.isfinite(confidence):
                reason = NoForkReason.NO_LOG_PROBS if logprobs is None else NoForkReason.NAN
            else:
                span = ToolCallSpan(number, start, stop, start + (cut == "call"), confidence)
        turns.append(_Turn(begin, closed, span, reason))
    return ids, turns


def _mean_probability(logprobs: list[float]) -> float:
    """Return the mean probability of some tokens; not a finite number if the log-probabilities are broken."""
    try:
        return math.fsum(math.exp(logprob) for logprob in logprobs) / len(logprobs)
    except (OverflowError, ValueError):  # log-probabilities far above 0, or infinities of both signs
        return math.nan


def _assistant_turns(mask: list[int]) -> Iterator[tuple[int, int]]:
    """Yield ``[begin, end)`` of every run of non-zero mask values."""
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
    """Return where a turn stops thinking; ``end`` if it never does (rules: ``read_response``)."""
    for position in reversed(range(begin, end)):
        if think_close_id is not None and ids[position] == think_close_id:
            return position + 1
        if think_open_id is not None and ids[position] == think_open_id:
            return end
    return begin


def _first_closed_call(ids: list[int], begin: int, end: int, open_id: int, close_id: int) -> tuple[int, int] | None:
    """Return ``[start, end)`` of the first opening tag whose next tag is a closing one."""
    start = None
    for position in range(begin, end):
        if ids[position] == open_id:
            start = position
        elif ids[position] == close_id and start is not None:
            return start, position + 1
    return None


def _inspect(ids: list[int], call: tuple[int, int], decode: Decode) -> NoForkReason | None:
    """Return why the text of a call forbids a fork there, or None."""
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
    """Make a list of Python numbers from a list, an array or a tensor; the last two compare and hash badly."""
    return values.tolist() if hasattr(values, "tolist") else list(values)
