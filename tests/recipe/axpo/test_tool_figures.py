# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of tools on their way from the rollout worker to the logger, without Ray."""

import asyncio
from types import SimpleNamespace

import pytest
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

import verl_ext.axpo_plugin  # noqa: F401  registers where call figures come from
from recipe.axpo import rollout, trainer
from recipe.axpo.config import AXPOConfig
from recipe.axpo.coordinator import BatchCoordinator
from recipe.axpo.metrics import StepReport
from recipe.axpo.ray_classes import undecorated
from recipe.axpo.selection import SettledRollout
from verl_ext.tool_calls import CallRecord, drain, record


class Remote:
    """An actor's handle, in this process: `method.remote(...)` is a coroutine."""

    def __init__(self, actor):
        self._actor = actor

    def __getattr__(self, name):
        return SimpleNamespace(remote=getattr(self._actor, name))


@pytest.fixture
def coordinator():
    drain()
    return BatchCoordinator(AXPOConfig(), branching=False)


@pytest.fixture
def worker(coordinator, monkeypatch):
    async def run_agent_loop(self, sampling_params, trajectory, calls=1, fails=False, **kwargs):
        for i in range(calls):
            await asyncio.sleep(0)  # sessions take turns
            record(CallRecord("python", None, float(i)))
        if fails:
            raise RuntimeError("our side failed")
        return "done"

    monkeypatch.setattr(undecorated(AgentLoopWorkerTQ), "_run_agent_loop", run_agent_loop)
    made = object.__new__(rollout.AXPOAgentLoopWorker)
    made.axpo, made.coordinator = AXPOConfig(), Remote(coordinator)
    return made


def trajectory(step, validate=False):
    return {"step": step, "sample_index": 0, "rollout_n": 0, "validate": validate}


def test_every_session_hands_in_before_it_is_done(worker, coordinator):
    async def run():
        await coordinator.open(5, 1, 2)
        assert await worker._run_agent_loop({}, trajectory(5), calls=3, session_id=0) == "done"
        assert len(coordinator._steps[5].tool_calls) == 3 and drain() == []

    asyncio.run(run())


def test_calls_of_a_session_that_failed_count_too(worker, coordinator):
    async def run():
        await coordinator.open(5, 1, 2)
        with pytest.raises(RuntimeError, match="our side failed"):
            await worker._run_agent_loop({}, trajectory(5), calls=2, fails=True, session_id=0)
        assert len(coordinator._steps[5].tool_calls) == 2

    asyncio.run(run())


def test_sessions_side_by_side_lose_none(worker, coordinator):
    async def run():
        await coordinator.open(5, 1, 8)
        sessions = (
            worker._run_agent_loop({}, trajectory(5), calls=i, fails=i % 3 == 0, session_id=i) for i in range(8)
        )
        await asyncio.gather(*sessions, return_exceptions=True)
        await coordinator.settle(5, "q", [SettledRollout(0, 0.0, False, ())], {})
        return await coordinator.close(5)

    assert len(asyncio.run(run()).tool_calls) == sum(range(8))


def test_validation_is_kept_apart(worker, coordinator, monkeypatch):
    async def run():
        await worker._run_agent_loop({}, trajectory(5, validate=True), calls=2, session_id=0)

    asyncio.run(run())
    assert not coordinator._steps  # a step that validation alone has touched would never be closed
    monkeypatch.setattr(PPOTrainerSync, "_validate", lambda self: {"val-core/acc": 0.5})
    monkeypatch.setattr(trainer, "get_coordinator", lambda: Remote(coordinator))
    monkeypatch.setattr(trainer.ray, "get", asyncio.run)
    made = object.__new__(trainer.AXPOTrainer)
    metrics = made._validate()
    assert metrics["val-core/acc"] == 0.5 and metrics["val-tools/python/calls"] == 2.0
    assert made._validate() == {"val-core/acc": 0.5}


def test_the_trainer_logs_the_steps_calls(coordinator, monkeypatch):
    report = StepReport({}, [], [], {}, 0, tool_calls=[CallRecord("python", "model:code", 0.5, 0.25, True)])

    async def close(step):
        assert step == 7
        return report

    coordinator.close = close
    monkeypatch.setattr(trainer, "get_coordinator", lambda: Remote(coordinator))
    monkeypatch.setattr(trainer.ray, "get", lambda call, timeout: asyncio.run(call))
    metrics, made = {}, object.__new__(trainer.AXPOTrainer)
    made.axpo = AXPOConfig()
    made._add_report(7, metrics)
    assert {key: value for key, value in metrics.items() if key.startswith("tools/")} == {
        "tools/python/calls": 1.0,
        "tools/python/failure_rate": 1.0,
        "tools/python/failures/model:code": 1.0,
        "tools/python/truncations": 1.0,
        "tools/python/latency_p50": 0.5,
        "tools/python/latency_p95": 0.5,
        "tools/python/latency_max": 0.5,
        "tools/python/wait_p95": 0.25,
    }
