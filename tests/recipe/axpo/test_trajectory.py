# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Forks of a two-turn trajectory, in readable token ids: 1000 prompt, 2001 thinking, 2002 call, 3000 tool answer."""

from dataclasses import FrozenInstanceError

import pytest
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput

from recipe.axpo.forks import ToolCallSpan, find_tool_call_spans
from recipe.axpo.trajectory import Trajectory, TurnSnapshot, make_fork

OPEN, CLOSE = 90, 91
TURN_1 = [2001, 2001, OPEN, 2002, CLOSE, 99]
TOOL = [3000, 3000, 3000]
TURN_2 = [2001, OPEN, 2002, 2002, CLOSE, 99]
ANSWER = [2003, 99]


def output(*pieces):
    """Pieces that start with 3000 are tool answers, the others were generated."""
    ids = [token for piece in pieces for token in piece]
    mask = [int(piece[0] != 3000) for piece in pieces for _ in piece]
    return AgentLoopOutput(
        prompt_ids=[1000, 1001],
        response_ids=ids,
        response_mask=mask,
        response_logprobs=[-0.01 * i if m else 0.0 for i, m in enumerate(mask)],
        num_turns=4,
        metrics=AgentLoopMetrics(),
    )


def snapshot(length, turn):
    return TurnSnapshot(length, ({"role": "user", "content": f"turn {turn}"},), (f"image {turn}",), turn, turn)


SOURCE = output(TURN_1, TOOL, TURN_2, TOOL, ANSWER)
TRAJECTORY = Trajectory(turns=[snapshot(0, 0), snapshot(9, 1), snapshot(18, 2)])
FIRST, SECOND = find_tool_call_spans(
    SOURCE.response_ids, SOURCE.response_mask, SOURCE.response_logprobs, open_id=OPEN, close_id=CLOSE
)


@pytest.mark.parametrize(
    "span, turn, prefix, turn_prefix",
    [
        (FIRST, 0, TURN_1[:3], TURN_1[:3]),
        (SECOND, 1, TURN_1 + TOOL + TURN_2[:2], TURN_2[:2]),
    ],
    ids=["first call", "second call"],
)
def test_state_as_it_was_at_the_cut(span, turn, prefix, turn_prefix):
    fork = make_fork(3, span, TRAJECTORY, SOURCE)
    assert fork.source_session == 3
    assert fork.request_id != make_fork(3, span, TRAJECTORY, SOURCE).request_id  # placed by load, not with its source
    assert fork.snapshot is TRAJECTORY.turns[turn]
    assert list(fork.prompt_ids) == SOURCE.prompt_ids
    assert list(fork.response_ids) == prefix and fork.response_ids[-1] == OPEN
    assert list(fork.response_mask) == SOURCE.response_mask[: len(prefix)]
    assert list(fork.response_logprobs) == SOURCE.response_logprobs[: len(prefix)]
    assert list(fork.turn_prefix) == turn_prefix


def test_a_turn_that_opens_with_the_call():
    """The span starts where the turn does: its own snapshot, not the one before."""
    source = output(TURN_1, TOOL, [OPEN, 2002, CLOSE, 99])
    span = ToolCallSpan(turn=2, start=9, end=12, fork=10, confidence=0.5)
    fork = make_fork(0, span, TRAJECTORY, source)
    assert fork.snapshot.response_length == 9
    assert fork.turn_prefix == (OPEN,)


def test_a_continuation_can_be_forked_again():
    """Its first snapshot is the fork's own."""
    trajectory = Trajectory(turns=[TRAJECTORY.turns[1], TRAJECTORY.turns[2]])
    assert make_fork(8, SECOND, trajectory, SOURCE).snapshot is TRAJECTORY.turns[1]
    with pytest.raises(ValueError, match="session 8: nothing recorded before the call at token 2"):
        make_fork(8, FIRST, trajectory, SOURCE)


def test_nothing_recorded():
    with pytest.raises(ValueError, match="session 5: nothing recorded before the call at token 2"):
        make_fork(5, FIRST, Trajectory(), SOURCE)
    without = SOURCE.model_copy(update={"response_logprobs": None})
    with pytest.raises(ValueError, match="nothing recorded"):
        make_fork(5, FIRST, TRAJECTORY, without)


def test_later_changes_of_the_source_do_not_reach_the_fork():
    source = SOURCE.model_copy(deep=True)
    fork = make_fork(0, FIRST, TRAJECTORY, source)
    source.response_ids[0] = -1
    source.response_mask[0] = 0
    assert fork.response_ids[0] == 2001 and fork.response_mask[0] == 1
    with pytest.raises(FrozenInstanceError):
        fork.source_session = 1
