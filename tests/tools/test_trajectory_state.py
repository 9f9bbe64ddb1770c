# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""State of a trajectory: it is that of one object, and ends with it."""

import gc
import threading
from types import SimpleNamespace

import pytest

from tools.trajectory_state import PerTrajectory
from verl_ext.tool_calls import PastCall, past_calls


class AgentData:
    def __init__(self, request_id="r"):
        self.request_id = request_id


def states():
    """A `PerTrajectory` whose states are lists, and those that have ended."""
    ended = []
    return PerTrajectory(list, ended.append), ended


def test_one_state_for_each_trajectory():
    per, ended = states()
    source, continuation = AgentData("same"), AgentData("same")  # a continuation reuses its source's request id
    per.get(source).append("source")
    assert per.get(continuation) == [] and per.get(source) == ["source"]
    assert per.get(source) is per.get(source) and len(per) == 2 and not ended


def test_a_state_ends_once_with_its_trajectory():
    per, ended = states()
    one, other = AgentData(), AgentData()
    per.get(one).append(1)
    per.get(one), per.get(other).append(2)
    del one
    gc.collect()
    assert ended == [[1]] and len(per) == 1
    del other
    gc.collect()
    gc.collect()
    assert ended == [[1], [2]] and len(per) == 0


def test_a_trajectory_in_a_reference_cycle():
    per, ended = states()
    agent_data = AgentData()
    agent_data.myself = agent_data  # as the traceback of a failed session may be
    per.get(agent_data).append(1)
    del agent_data
    gc.collect()
    assert ended == [[1]]


def test_an_id_that_is_used_again_gets_no_old_state():
    per, ended = states()
    ids = set()
    for i in range(200):
        agent_data = AgentData()
        ids.add(id(agent_data))
        state = per.get(agent_data)
        assert state == []
        state.append(i)
        del agent_data
    assert len(ids) < 200, "no id came twice: the test has shown nothing"
    assert [state for (state,) in ended] == list(range(200)) and len(per) == 0


def test_a_state_may_be_none():
    ended = []
    per = PerTrajectory(lambda: None, ended.append)
    agent_data = AgentData()
    assert per.get(agent_data) is None
    del agent_data
    gc.collect()
    assert ended == [None]


def test_a_start_that_fails_leaves_nothing():
    outcomes = [OSError("no"), "state"]

    def start():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    ended = []
    per, agent_data = PerTrajectory(start, ended.append), AgentData()
    with pytest.raises(OSError, match="no"):
        per.get(agent_data)
    assert len(per) == 0
    assert per.get(agent_data) == "state"
    del agent_data
    gc.collect()
    assert ended == ["state"]


def test_an_object_whose_end_cannot_be_seen_gets_no_state():
    started = []
    per = PerTrajectory(lambda: started.append(1))
    with pytest.raises(TypeError):
        per.get(SimpleNamespace())  # takes no weak reference: its id could be used again
    assert not started and len(per) == 0


def test_a_trajectory_may_die_while_another_starts():
    """The garbage collector runs wherever memory is taken, inside of `get` too."""
    ended = []
    dying = AgentData()
    dying.myself = dying

    def start():
        gc.collect()
        return object()

    per = PerTrajectory(start, ended.append)
    per.get(dying)
    del dying
    alive = AgentData()
    per.get(alive)
    assert len(ended) == 1 and len(per) == 1


def test_threads_get_one_state():
    started = []
    per = PerTrajectory(lambda: started.append(1) or object())
    agent_data, found = AgentData(), []
    threads = [threading.Thread(target=lambda: found.append(per.get(agent_data))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1 and len(set(map(id, found))) == 1


def test_past_calls_are_the_trajectorys():
    one, other = AgentData("same"), AgentData("same")
    past_calls(one).append(PastCall("python", {"code": "1"}))
    assert past_calls(one) == [PastCall("python", {"code": "1"})] and past_calls(other) == []
    assert past_calls(one) is past_calls(one)
