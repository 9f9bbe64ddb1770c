# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Start what answers: Ray, verl's standalone rollout servers, its reward workers, and the evaluation's own workers."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from omegaconf import DictConfig, OmegaConf
from verl.experimental.reward_loop import RewardLoopManager
from verl.trainer.constants_ppo import get_ppo_ray_runtime_env
from verl.workers.rollout.llm_server import LLMServerManager
from verl.workers.rollout.replica import RolloutReplicaRegistry

from recipe.axpo.main_axpo import load_sglang_replica
from recipe.axpo.plugins import load_plugins, resolve_config
from run_scripts.check import compose_rl
from run_scripts.evaluation.drive import EvaluationError, Task
from run_scripts.evaluation.endpoint import EndpointClient
from run_scripts.evaluation.record import INFRASTRUCTURE, Sample
from run_scripts.evaluation.settings import EvaluationSettings
from run_scripts.evaluation.worker import EvaluationWorker
from run_scripts.settings import SettingError
from verl_ext.cpu.launch import remove_stale_segments


def compose(settings: EvaluationSettings) -> DictConfig:
    """Compose the whole configuration, and check what an evaluation needs of it.

    Raises:
        SettingError: something is wrong; the message has every problem with its fix.
    """
    from recipe.axpo.config import AXPOConfig, ConfigError
    from recipe.axpo.plugins import config_problems
    from recipe.axpo.preflight import data_problems, existing_files, vision_problems

    config = compose_rl(settings.hydra_overrides())
    found = []
    try:
        AXPOConfig.from_config(config)
        load_plugins(config)
    except (ConfigError, ValueError) as error:
        raise SettingError(str(error)) from error
    # an evaluation may leave out tools that a row names
    left_out = ("no tool is configured", "ask for the tool")
    found += [problem for problem in data_problems(config) if not any(text in problem for text in left_out)]
    found += vision_problems(config)
    found += config_problems(config, list(existing_files(config)))
    if found:
        raise SettingError("\n       ".join(dict.fromkeys(found)))
    resolve_config(config)
    return config


@contextmanager
def ray_session(config: DictConfig) -> Iterator[None]:
    """Start Ray, or join the cluster that RAY_ADDRESS names; leave nothing behind."""
    started = time.time()
    given = OmegaConf.to_container(config.ray_kwargs.get("ray_init") or OmegaConf.create({}), resolve=True)
    runtime = OmegaConf.merge(get_ppo_ray_runtime_env(config), given.pop("runtime_env", None) or {})
    folder = None
    if not os.environ.get("RAY_ADDRESS") and "_temp_dir" not in given:
        folder = given["_temp_dir"] = tempfile.mkdtemp(prefix="axpo-", dir="/tmp")  # short: Ray puts sockets there
    ray.init(**given, runtime_env=OmegaConf.to_container(runtime), log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
            remove_stale_segments(started)


class Servers:
    """Hold the language model and the reward workers, which serve any number of evaluations one after the other."""

    def __init__(self, config: DictConfig, settings: EvaluationSettings):
        """Start the servers, unless an endpoint is named.

        Raises:
            EvaluationError: they do not start.
        """
        self.replicas, self.client, self.addresses = 1, None, []
        if settings.endpoint:
            self.client = EndpointClient(
                settings.endpoint, settings.endpoint_model or "", settings.api_key_env, settings.model
            )
        else:
            RolloutReplicaRegistry.register("sglang", load_sglang_replica)
            try:
                manager = LLMServerManager.create(config=config)
            except Exception as error:  # whatever the engine raises
                raise EvaluationError(f"the rollout servers do not start: {_last_line(error)}") from error
            self.replicas, self.addresses = len(manager.get_replicas()), manager.get_addresses()
            self.client = manager.get_client()
            self._manager = manager
        self.rewards = RewardLoopManager(config).reward_loop_worker_handles


class Pool:
    """Share samples out among workers, and replace a worker that has died."""

    def __init__(self, config: DictConfig, settings: EvaluationSettings, servers: Servers):
        files = {benchmark.name: benchmark.files for benchmark in settings.benchmarks}
        own = {"directory": settings.output, "files": files, "added_tools": settings.added_tools}
        self._start = lambda: ray.remote(EvaluationWorker).remote(config, servers.client, None, servers.rewards, **own)
        self._workers = [self._start() for _ in range(config.actor_rollout_ref.rollout.agent.num_workers)]
        self._load = [0] * len(self._workers)
        ray.get([worker.alive.remote() for worker in self._workers])

    async def __call__(self, task: Task) -> Sample:
        """Make a sample on the worker that has the fewest. A worker that dies makes it a failure of infrastructure."""
        number = min(range(len(self._workers)), key=self._load.__getitem__)
        worker = self._workers[number]
        self._load[number] += 1
        try:
            return await worker.sample.remote(task.benchmark, task.row, task.sample)
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayActorError) and self._workers[number] is worker:
                self._workers[number] = self._start()
            reason = f"its worker has failed: {_last_line(error)}"
            return Sample(task.benchmark, task.question, task.sample, 0, status=INFRASTRUCTURE, error=reason)
        finally:
            self._load[number] -= 1

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            ray.kill(worker)


def in_flight(config: DictConfig, settings: EvaluationSettings, servers: Servers) -> int:
    """Return the number of samples at a time."""
    return settings.in_flight or int(config.actor_rollout_ref.rollout.max_num_seqs) * servers.replicas


def _last_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:500]
