# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a question, the coordinator hears that nothing more will come from it."""

import asyncio
from types import SimpleNamespace

import pytest
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ

from recipe.axpo import rollout
from recipe.axpo.config import AXPOConfig
from recipe.axpo.coordinator import BatchCoordinator
from recipe.axpo.forks import NoForkReason, Reading
from recipe.axpo.ray_classes import undecorated

PROMPT = {"uid": "q"}
TRAJECTORY = {"step": 1, "sample_index": 0, "rollout_n": 0, "validate": False}


class Remote:
    """An actor's handle, in this process: ``method.remote(...)`` starts at once, as a call to an actor does."""

    def __init__(self, actor):
        self._actor = actor

    def __getattr__(self, name):
        method = getattr(self._actor, name)
        return SimpleNamespace(remote=lambda *args: asyncio.ensure_future(method(*args)))


@pytest.fixture
def worker(monkeypatch):
    made = object.__new__(rollout.AXPOAgentLoopWorker)
    made.axpo, made.branching, made._trees = AXPOConfig(), True, {}
    made.rollout_config = SimpleNamespace(n=2)
    made._read = lambda output, calls: Reading(False, (), NoForkReason.NO_CALL)

    async def nothing(**kwargs):
        return None

    for name in ("async_kv_put", "async_kv_clear", "async_kv_batch_put"):
        monkeypatch.setattr(rollout.tq, name, nothing)

    async def session(sampling_params, **kwargs):
        return None

    made._run_agent_loop = session
    return made


def play(worker, act=None, validate=False, branching=True):
    """Run a question; returns what the batch says was given up."""

    async def run():
        worker.branching = branching
        coordinator = BatchCoordinator(AXPOConfig(), branching)
        worker.coordinator = Remote(coordinator)
        batch = rollout.batch_name(1, validate)
        await coordinator.open(batch, 1, 2, ["q"], ["worker 0"])
        task = asyncio.ensure_future(worker._run_prompt(dict(PROMPT), {}, TRAJECTORY | {"validate": validate}))
        if act is not None:
            await asyncio.sleep(0.01)
            act(task)
        await asyncio.wait({task})
        given_up = await asyncio.wait_for(coordinator.finished(batch), 2)
        await asyncio.wait_for(coordinator.close(batch), 2)
        return given_up

    return asyncio.run(run())


def test_a_question_that_ends_well(worker):
    assert play(worker) == {} and worker._trees == {}


@pytest.mark.parametrize("name", ["async_kv_put", "async_kv_clear"])
@pytest.mark.parametrize("error", [ConnectionError("down"), MemoryError()])
def test_a_write_that_raises(worker, monkeypatch, name, error):
    async def down(**kwargs):
        raise error

    async def broken(sampling_params, **kwargs):
        raise RuntimeError("engine down")

    worker._run_agent_loop = broken  # a failed session's row is cleared
    monkeypatch.setattr(rollout.tq, name, down)
    assert play(worker) == {"q": "its worker could not finish it"} and worker._trees == {}


def test_a_status_that_cannot_be_written_at_the_end(worker, monkeypatch):
    calls = []

    async def second_fails(**kwargs):
        calls.append(kwargs["tag"])
        if len(calls) > 1:
            raise ConnectionError("down")

    monkeypatch.setattr(rollout.tq, "async_kv_put", second_fails)
    assert play(worker) == {"q": "its worker could not finish it"}
    assert [tag["status"] for tag in calls] == ["running", "finished"]


@pytest.mark.parametrize("branching", [True, False])
def test_a_question_that_is_cancelled(worker, monkeypatch, branching):
    async def never(*args, **kwargs):
        await asyncio.Event().wait()

    worker._run_agent_loop = never
    monkeypatch.setattr(undecorated(AgentLoopWorkerTQ), "_run_prompt", never)
    assert play(worker, lambda task: task.cancel(), branching=branching) == {"q": "its worker could not finish it"}


@pytest.mark.parametrize("validate", [True, False])
def test_verls_own_code_that_raises(worker, monkeypatch, validate):
    """Before its ``try`` block verl writes a status, which may fail."""

    async def down(*args, **kwargs):
        raise ConnectionError("down")

    monkeypatch.setattr(undecorated(AgentLoopWorkerTQ), "_run_prompt", down)
    assert play(worker, validate=validate, branching=False) == {"q": "its worker could not finish it"}


def test_sessions_that_fail_leave_the_others(worker):
    async def session(sampling_params, session_id, **kwargs):
        if session_id == 1:
            raise RuntimeError("engine down")
        output = SimpleNamespace(response_mask=[1], reward_score=1.0, response_ids=[5])
        worker._trees["q"].add(session_id, output, None)

    worker._run_agent_loop = session
    assert play(worker) == {}


def test_names_of_batches():
    assert rollout.batch_name(3, False) == 3 != rollout.batch_name(3, True)
