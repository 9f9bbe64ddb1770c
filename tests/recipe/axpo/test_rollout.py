# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a question, the coordinator hears that nothing more will come from it."""

import asyncio
import gc
import time
import weakref
from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError
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


def test_rows_of_a_question_that_failed_are_removed(worker, monkeypatch):
    cleared = []

    async def clear(keys, partition_id):
        cleared.append((keys, partition_id))

    async def session(sampling_params, session_id, **kwargs):
        output = SimpleNamespace(response_mask=[1], reward_score=1.0, response_ids=[5])
        worker._trees["q"].add(session_id, output, None)

    async def put(key, partition_id, tag):
        if tag["status"] == "finished":
            raise ConnectionError("down")

    worker._run_agent_loop = session
    monkeypatch.setattr(rollout.tq, "async_kv_clear", clear)
    monkeypatch.setattr(rollout.tq, "async_kv_put", put)
    assert play(worker) == {"q": "its worker could not finish it"}
    assert cleared == [(["q_0_0", "q_1_0"], "train")]


# ---------------------------------------------------------------- a session's end


@pytest.fixture
def writing(worker, monkeypatch):
    """A worker whose sessions reach the write of their row, and what was written and removed."""
    events, writing_takes = [], 1.2
    base = undecorated(AgentLoopWorkerTQ)

    async def score(self, outputs, kwargs):
        outputs[0].reward_score = 1.0

    async def write(self, output, validate, **kwargs):
        events.append(("begins", kwargs["session_id"]))
        await asyncio.sleep(writing_takes)
        events.append(("written", kwargs["session_id"]))

    async def run(self, sampling_params, trajectory, **kwargs):
        output = SimpleNamespace(
            extra_fields={}, reward_score=None, response_mask=[1], response_ids=[5], response_logprobs=[-0.1]
        )
        return await self._agent_loop_postprocess(output, trajectory["validate"], **kwargs)

    async def clear(keys, partition_id):
        events.append(("removed", *keys, partition_id))

    monkeypatch.setattr(base, "_compute_score", score)
    monkeypatch.setattr(base, "_agent_loop_postprocess", write)
    monkeypatch.setattr(base, "_run_agent_loop", run)
    monkeypatch.setattr(rollout, "drain_tool_calls", list)
    monkeypatch.setattr(rollout.tq, "async_kv_clear", clear)
    del worker._run_agent_loop
    worker.image_token_id, worker._features, worker._writes = None, {}, {}
    worker._writers = iter([rollout._LoopThread() for _ in range(4)])
    worker._trees["q"] = worker._new_tree("q", 2)
    worker.axpo = AXPOConfig(session_timeout_s=0.6, tool_timeout_s=0.01)
    worker.events = events
    return worker


@pytest.mark.parametrize("validate", [True, False])
def test_a_deadline_during_a_write_leaves_no_row(writing, validate):
    """The write is let to its end, then the row is removed: a late write would be a row without its fields."""

    async def run():
        trajectory = TRAJECTORY | {"validate": validate, "place": 0}
        with pytest.raises(rollout.DeadlineExceeded, match="session 0 of question q .*axpo.session_timeout_s"):
            await writing._run_agent_loop({}, trajectory, uid="q", session_id=0)

    asyncio.run(run())
    partition = "val" if validate else "train"
    assert writing.events == [("begins", 0), ("written", 0), ("removed", "q_0_0", partition)]
    assert writing._writes == {} and writing._features == {}
    if not validate:
        assert [rollout.valid for rollout in writing._trees["q"].settled()] == [False, False]


def test_a_session_in_time_is_written(writing):
    writing.axpo = AXPOConfig()
    asyncio.run(writing._run_agent_loop({}, TRAJECTORY | {"place": 0}, uid="q", session_id=1))
    assert writing.events == [("begins", 1), ("written", 1)]
    assert [rollout.valid for rollout in writing._trees["q"].settled()] == [False, True]


@pytest.mark.parametrize("branching", [True, False])
def test_a_bonus_is_written_with_the_row_and_the_tree_keeps_the_outcome(writing, monkeypatch, branching):
    outputs = []

    async def write(self, output, validate, **kwargs):
        outputs.append(output)

    monkeypatch.setattr(undecorated(AgentLoopWorkerTQ), "_agent_loop_postprocess", write)
    writing.axpo, writing.branching = AXPOConfig(tool_bonus=0.25), branching
    writing._read = lambda output, calls: Reading(True, (), NoForkReason.UNPARSABLE)
    writing._trees["q"] = tree = writing._new_tree("q", 1)
    for validate in (False, True):
        asyncio.run(writing._run_agent_loop({}, TRAJECTORY | {"place": 0, "validate": validate}, uid="q", session_id=0))
    assert [output.reward_score for output in outputs] == [1.25, 1.0]  # a validation is the outcome's alone
    assert [rollout.reward for rollout in tree.settled()] == [1.0]


@pytest.mark.parametrize("reward", [None, float("nan"), float("inf")])
def test_a_reward_that_is_no_number_fails_the_session(writing, monkeypatch, reward):
    async def score(self, outputs, kwargs):
        outputs[0].reward_score = reward

    monkeypatch.setattr(undecorated(AgentLoopWorkerTQ), "_compute_score", score)
    writing.axpo = AXPOConfig()
    with pytest.raises(RuntimeError, match="the reward is"):
        asyncio.run(writing._run_agent_loop({}, TRAJECTORY | {"place": 0}, uid="q", session_id=0))
    assert writing.events == [] and writing._features == {}


@pytest.mark.parametrize("branching", [True, False])
def test_nothing_is_kept_of_sessions_whose_score_fails(writing, monkeypatch, branching):
    """With the collector off: an error's traceback refers to the session, and must not refer to itself."""
    outputs = []

    class Output(SimpleNamespace):
        pass

    async def score(self, outputs, kwargs):
        raise ValueError("bad row")

    async def run(self, sampling_params, trajectory, **kwargs):
        output = Output(extra_fields={}, reward_score=None, response_logprobs=[-0.1])
        outputs.append(weakref.ref(output))
        return await self._agent_loop_postprocess(output, trajectory["validate"], **kwargs)

    async def verls(self, prompt, sampling_params, trajectory, trace):
        sessions = (self._run_agent_loop({}, trajectory, uid="q", session_id=i) for i in range(2))
        await asyncio.gather(*sessions, return_exceptions=True)

    base = undecorated(AgentLoopWorkerTQ)
    monkeypatch.setattr(base, "_compute_score", score)
    monkeypatch.setattr(base, "_run_agent_loop", run)
    monkeypatch.setattr(base, "_run_prompt", verls)
    monkeypatch.setattr(rollout.logger, "disabled", True)  # pytest keeps log records, with the errors' tracebacks
    writing.axpo = AXPOConfig()
    gc.collect()
    gc.disable()
    try:
        assert play(writing, branching=branching) == {}
        # A thread that worked for a session may still be leaving its last call.
        ends = time.monotonic() + 10
        while (alive := [ref for ref in outputs if ref() is not None]) and time.monotonic() < ends:
            time.sleep(0.05)
    finally:
        gc.enable()
    assert len(outputs) == 2 and alive == [] and writing._features == {}


def test_a_dead_reward_worker_is_left_out(writing, monkeypatch):
    dead, alive = (SimpleNamespace(_actor_id=SimpleNamespace(hex=lambda name=name: name)) for name in ("dead", "ok"))
    error = RayActorError()
    error.actor_id = "dead"

    async def score(self, outputs, kwargs):
        if dead in self.reward_loop_worker_handles:
            raise error
        outputs[0].reward_score = 0.0

    monkeypatch.setattr(undecorated(AgentLoopWorkerTQ), "_compute_score", score)
    writing.axpo, writing.reward_loop_worker_handles = AXPOConfig(), [dead, alive]
    asyncio.run(writing._run_agent_loop({}, TRAJECTORY | {"place": 0}, uid="q", session_id=0))
    assert writing.reward_loop_worker_handles == [alive] and writing.events[-1] == ("written", 0)


def test_names_of_batches():
    assert rollout.batch_name(3, False) == 3 != rollout.batch_name(3, True)


def test_validation_seeds_follow_from_the_row_and_not_from_the_step():
    row = {"data_source": "axpo/vstar", "extra_info": {"split": "test", "index": 3}}
    seeds = {rollout.validation_seed(0, row, session) for session in range(4)}
    seeds |= {rollout.validation_seed(1, row, 0)}
    others = (
        {"data_source": "axpo/mmsearch"},
        *({"extra_info": {**row["extra_info"], k: 9}} for k in ("split", "index")),
    )
    for change in others:
        seeds.add(rollout.validation_seed(0, row | change, 0))
    assert len(seeds) == 8 and all(0 <= seed < 2**63 for seed in seeds)
    assert rollout.validation_seed(0, {**row, "uid": "another"}, 0) == rollout.validation_seed(0, row, 0)
