# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What one session leaves behind for branching: the state before each of its turns, so that any call can be resampled.

Invariant: ``Fork.prompt_ids + Fork.response_ids`` are ids the engine was given or produced, in order; nothing in this
module or its users decodes and encodes a prefix again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from recipe.axpo.forks import ToolCallSpan

ENTROPIES_KEY = "axpo_entropies"  # of an engine's output: (tokens,) entropies of its tokens, in nats


@dataclass(frozen=True)
class TurnSnapshot:
    """Hold the state of a trajectory right before it generates an assistant turn."""

    response_length: int  # tokens after the prompt so far; this turn starts there
    messages: tuple[dict, ...]
    images: tuple[Any, ...] | None
    assistant_turns: int
    user_turns: int
    turn_scores: tuple[float, ...] = ()
    tool_rewards: tuple[float, ...] = ()
    past_calls: tuple[Any, ...] = ()  # calls executed so far; a stateful tool replays them to restore its state


@dataclass(frozen=True)
class EngineCall:
    """Record one request to the rollout engine: ids in, ids and log-probs out."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class ExecutedCall:
    """Record one executed tool call.

    Attributes:
        name: as the model wrote it. There may be no such tool.
        arguments: the JSON text that the model wrote.
        text: what the model was answered.
        figures: what the tool returned beside its answer; empty if verl answered in its place.
        seconds: from the call to its answer.
    """

    name: str
    arguments: str
    text: str
    figures: dict[str, Any]
    seconds: float


@dataclass
class Trajectory:
    """Record the snapshots of one session's turns and its executed calls, in order."""

    turns: list[TurnSnapshot] = field(default_factory=list)
    executed_calls: int = 0
    calls: list[ExecutedCall] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)  # of the generated tokens; only with axpo.ranking=entropy
    engine_calls: list[EngineCall] = field(default_factory=list)  # only with axpo.trace_engine_calls


@dataclass(frozen=True)
class Fork:
    """Freeze a prefix from which the call and everything after it is sampled again.

    All continuations of a prefix share ``request_id``, which is new: verl's load balancer is sticky by it, so it places
    them together on the least loaded replica and the prefix is computed there once. The source's own replica would
    still hold the prefix only while its KV cache has room.
    """

    source_session: int
    span: ToolCallSpan
    request_id: str
    snapshot: TurnSnapshot
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]  # up to the fork: its last token is the opening tag, with the paper's forks
    response_mask: tuple[int, ...]  # 1 generated, 0 tool answer
    response_logprobs: tuple[float, ...]

    @property
    def turn_prefix(self) -> tuple[int, ...]:
        """Return the part of the forked assistant turn before the fork, which is empty where the fork begins a turn."""
        return self.response_ids[self.snapshot.response_length :]


def make_fork(session: int, span: ToolCallSpan, trajectory: Trajectory, output: Any) -> Fork:
    """Freeze ``output`` (verl's ``AgentLoopOutput`` of ``session``) at ``span``.

    Raises:
        ValueError: if the trajectory has no snapshot of the turn the span lies in.
    """
    before = (turn for turn in trajectory.turns if turn.response_length <= span.fork)
    snapshot = max(before, key=lambda turn: turn.response_length, default=None)
    if snapshot is None or output.response_logprobs is None:
        raise ValueError(f"session {session}: nothing recorded before the call at token {span.start}")
    return Fork(
        source_session=session,
        span=span,
        request_id=uuid4().hex,
        snapshot=snapshot,
        prompt_ids=tuple(output.prompt_ids),
        response_ids=tuple(output.response_ids[: span.fork]),
        response_mask=tuple(output.response_mask[: span.fork]),
        response_logprobs=tuple(output.response_logprobs[: span.fork]),
    )
