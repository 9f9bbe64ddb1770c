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
"""What one session leaves behind for branching: the state before each of its turns, so that any call can be resampled.

Invariant: ``Fork.prompt_ids + Fork.response_ids`` are ids the engine was given or produced, in order; nothing in this
module or its users decodes and encodes a prefix again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recipe.axpo.forks import ToolCallSpan
from tools.trajectory import PastCall


@dataclass(frozen=True)
class TurnSnapshot:
    """State of a trajectory right before it generates an assistant turn."""

    response_length: int  # tokens after the prompt so far; this turn starts there
    messages: tuple[dict, ...]
    images: tuple[Any, ...] | None
    assistant_turns: int
    user_turns: int
    turn_scores: tuple[float, ...] = ()
    tool_rewards: tuple[float, ...] = ()
    past_calls: tuple[PastCall, ...] = ()  # executed so far: a tool with a state of its own can bring it about again


@dataclass(frozen=True)
class EngineCall:
    """One request to the rollout engine: ids in, ids and log-probs out."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...] | None


@dataclass
class Trajectory:
    """Snapshots of one session's turns, in order."""

    request_id: str  # the load balancer is sticky by it: a continuation that reuses it reaches the same prefix cache
    turns: list[TurnSnapshot] = field(default_factory=list)
    executed_calls: int = 0
    engine_calls: list[EngineCall] = field(default_factory=list)  # only with axpo.trace_engine_calls


@dataclass(frozen=True)
class Fork:
    """A frozen prefix from which the call and everything after it is sampled again."""

    source_session: int
    span: ToolCallSpan
    request_id: str
    snapshot: TurnSnapshot
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]  # up to and including the opening tag
    response_mask: tuple[int, ...]  # 1 generated, 0 tool answer
    response_logprobs: tuple[float, ...]

    @property
    def turn_prefix(self) -> tuple[int, ...]:
        """The part of the forked assistant turn that lies before the fork, opening tag included."""
        return self.response_ids[self.snapshot.response_length :]


def obstacle(
    span: ToolCallSpan,
    trajectory: Trajectory,
    response_ids: Sequence[int],
    *,
    open_id: int,
    max_assistant_turns: int | None = None,
    max_user_turns: int | None = None,
) -> str | None:
    """Why no continuation of this fork could ever run its call, or None.

    - "literal_tag": the turn holds an opening tag before the call's own (in its thinking). verl's parser reads the
      whole turn and pairs that one with the first closing tag, whatever is written behind the fork.
    - "last_turn": the trajectory may not go on after this turn, so the call is never executed.
    """
    turn = _turn_of(span, trajectory)
    if turn is None:  # another agent loop's trajectory, under GRPO
        return None
    if open_id in list(response_ids[turn.response_length : span.start]):
        return "literal_tag"
    if max_assistant_turns and turn.assistant_turns + 1 >= max_assistant_turns:
        return "last_turn"
    if max_user_turns and turn.user_turns >= max_user_turns:
        return "last_turn"
    return None


def _turn_of(span: ToolCallSpan, trajectory: Trajectory) -> TurnSnapshot | None:
    """The snapshot of the turn a span lies in."""
    before = (turn for turn in trajectory.turns if turn.response_length <= span.start)
    return max(before, key=lambda turn: turn.response_length, default=None)


def make_fork(session: int, span: ToolCallSpan, trajectory: Trajectory, output) -> Fork:
    """Freeze ``output`` (verl's ``AgentLoopOutput`` of ``session``) at ``span``.

    Raises:
        ValueError: if the trajectory has no snapshot of the turn the span lies in.
    """
    snapshot = _turn_of(span, trajectory)
    if snapshot is None or output.response_logprobs is None:
        raise ValueError(f"session {session}: nothing recorded before the call at token {span.start}")
    return Fork(
        source_session=session,
        span=span,
        request_id=trajectory.request_id,
        snapshot=snapshot,
        prompt_ids=tuple(output.prompt_ids),
        response_ids=tuple(output.response_ids[: span.fork]),
        response_mask=tuple(output.response_mask[: span.fork]),
        response_logprobs=tuple(output.response_logprobs[: span.fork]),
    )
