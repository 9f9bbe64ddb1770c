# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The rollout side of a training run, with a scripted engine: Ray, TransferQueue, reward worker, managers, data."""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import transfer_queue as tq
from hydra import compose, initialize_config_dir
from verl.experimental.reward_loop import RewardLoopManager
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

from data_prep.core.parquet import write_parquet
from data_prep.embedded.rl import embedded_rl_row
from data_prep.embedded.scene import SceneConfig, make_scene, scene_rng
from recipe.axpo.coordinator import coordinator_name, get_coordinator
from recipe.axpo.metrics import StepReport, thinking_acting_gap
from recipe.axpo.rollout import AXPOAgentLoopManager, session_seed
from tests.stack.forced.engine import Call, ScriptedClient, start_engine
from tests.stack.forced.faulty import FaultyManager
from tests.stack.forced.script import Question
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.cpu.launch import remove_stale_segments
from verl_ext.tool_calls import summarise

N, K = 4, 3
COMMON = (
    f"actor_rollout_ref.rollout.n={N}",
    f"axpo.continuations={K}",
    "axpo.budget_ratio=0.5",
    f"actor_rollout_ref.rollout.multi_turn.tool_config_path={REPO_ROOT / 'tests/stack/forced/tools.yaml'}",
    "data.max_response_length=384",
    "data.filter_overlong_prompts=false",
    "reward.custom_reward_function.reward_kwargs.judge.fallback=rules",
)
# Deadlines that a test can wait for. What is killed or given up must not take the other worker's questions with it.
FAULTS = (
    "actor_rollout_ref.rollout.agent.num_workers=2",
    "axpo.session_timeout_s=3",
    "axpo.tool_timeout_s=1",
    "axpo.barrier_timeout_s=60",
    "axpo.close_timeout_s=60",
)
VARIANTS = {
    "axpo": (AXPOAgentLoopManager, ("actor_rollout_ref.rollout.agent.num_workers=2",)),
    "barrier": (AXPOAgentLoopManager, ("actor_rollout_ref.rollout.agent.num_workers=2", "axpo.early_release=false")),
    "axpo_last": (AXPOAgentLoopManager, ("axpo.fork=last",)),
    "from_scratch": (AXPOAgentLoopManager, ("axpo.fork=from_scratch",)),
    "after_answer": (AXPOAgentLoopManager, ("axpo.fork=after_answer",)),
    "no_tool": (AXPOAgentLoopManager, ("axpo.trigger=no_tool_all_wrong", "axpo.fork=after_thinking")),
    "grpo": (AXPOAgentLoopManager, ("algorithm.adv_estimator=grpo",)),
    "stock": (AgentLoopManagerTQ, ("algorithm.adv_estimator=grpo",)),
    "faults": (FaultyManager, FAULTS),
}


def load_config(model: Path, *overrides: str):
    """The configuration that ``main_axpo --config-dir run_scripts/config +hardware=cpu`` would get."""
    with initialize_config_dir(str(REPO_ROOT / "recipe" / "axpo" / "config"), version_base=None):
        config = compose(
            "axpo_trainer",
            overrides=[
                f"hydra.searchpath=[pkg://verl.trainer.config,file://{REPO_ROOT / 'run_scripts' / 'config'}]",
                "+hardware=cpu",
                f"actor_rollout_ref.model.path={model}",
                "trainer.default_local_dir=unused",
                *COMMON,
                *overrides,
            ],
        )
    config.transfer_queue.enable = True
    return config


@dataclass(frozen=True)
class Row:
    """One row as the trainer would read it."""

    key: str
    tag: dict[str, Any]
    fields: dict[str, Any]

    @property
    def session(self) -> int:
        return int(self.key.rsplit("_", 2)[1])

    @property
    def column(self) -> dict[str, Any]:
        return self.fields["axpo"]

    def ids(self, name: str) -> list:
        return self.fields[name].tolist()

    @property
    def reward(self) -> float:
        return self.fields["rm_scores"].sum().item()


@dataclass(frozen=True)
class Run:
    """What one batch has left behind."""

    step: int
    uids: dict[str, str]  # question name -> uid
    answers: dict[str, str]
    status: dict[str, str]  # question name -> status of its prompt in the TransferQueue
    rows: dict[str, list[Row]]  # question name -> rows in the order of their sessions
    calls: list[Call]
    failed: list[tuple[str, str, int | None]]
    report: StepReport | None
    metrics: dict[str, float]


class World:
    """Starts what a test asks for, keeps it for the next one."""

    def __init__(self, model: Path, folder: Path):
        self.model, self.folder = model, folder
        self.started = time.time()
        self.ray_dir = tempfile.mkdtemp(prefix="axpo-", dir="/tmp")  # short: Ray puts sockets there
        ray.init(
            num_cpus=16,
            num_gpus=1,
            include_dashboard=False,
            object_store_memory=200_000_000,
            _node_ip_address="127.0.0.1",
            _temp_dir=self.ray_dir,
        )
        config = load_config(model)
        tq.init(config.transfer_queue)
        self.rewards = RewardLoopManager(config)
        self.engine = start_engine(str(model / "tokenizer.json"))
        self.variants, self.max_length = dict(VARIANTS), {}
        self.managers: dict[str, Any] = {}
        self.job = "axpo"
        for name in ("axpo", "axpo_last", "stock"):  # their processes start side by side
            self._start(name)
        model_config = omega_conf_to_dataclass(config.actor_rollout_ref.model)
        self.tokenizer, self.processor, self.config = model_config.tokenizer, model_config.processor, config
        self.step = 0

    def close(self) -> None:
        tq.close()
        ray.shutdown()
        shutil.rmtree(self.ray_dir, ignore_errors=True)
        remove_stale_segments(self.started)

    def _start(self, name: str) -> None:
        manager_class, overrides = self.variants[name]
        config = load_config(self.model, *overrides)
        self.max_length[name] = config.data.max_prompt_length + config.data.max_response_length
        self.managers[name] = manager_class.create(
            config=config,
            llm_client=ScriptedClient(self.engine),
            teacher_client=None,
            reward_loop_worker_handles=self.rewards.reward_loop_worker_handles,
        )

    def manager(self, name: str):
        """The manager, started if need be. A job has one coordinator with one set of options: they take turns."""
        job = name if name in ("grpo", "stock", "faults", "barrier", "no_tool") else "axpo"
        if job not in ("stock", self.job):
            coordinator = get_coordinator()
            for rival in set(self.managers) - {"stock"}:
                for worker in self.managers.pop(rival).agent_loop_workers:
                    ray.kill(worker)
            ray.kill(coordinator)
            self._until(self._coordinator_is_gone, "the coordinator to end")
            self.job = job
        if name not in self.managers:
            self._start(name)
        return self.managers[name]

    @staticmethod
    def _coordinator_is_gone() -> bool:
        try:
            ray.get_actor(coordinator_name())
        except ValueError:
            return True
        return False

    @staticmethod
    def _until(done, what: str, timeout: float = 240.0) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout:.0f} s for {what}")
            time.sleep(0.02)

    @staticmethod
    def _embedded_row(index: int, question: Question) -> dict[str, Any]:
        scene = make_scene("colour", SceneConfig(), scene_rng(0, "train", index))
        row = embedded_rl_row(scene, "train", index)
        row["prompt"][0]["content"] = f"<image>\n{scene.question}"
        row["extra_info"]["tool_selection"] = list(question.tools)
        return row

    def _batch(self, questions: Sequence[Question], agent: str, given: Sequence[dict[str, Any]] | None):
        """The batch as ``PPOTrainer._next_train_batch`` hands it over, and each question's right answer."""
        rows, answers = [], {}
        for index, question in enumerate(questions):
            row = copy.deepcopy(given[index]) if given else self._embedded_row(index, question)
            row["extra_info"]["index"] = index  # sessions are seeded by it
            user = row["prompt"][-1]
            user["content"] = f"Case {question.name}: {user['content']}"  # the engine knows a question by its name
            rows.append({**row, "agent_name": agent})
            answers[question.name] = row["reward_model"]["ground_truth"]
        path = self.folder / f"{uuid.uuid4().hex}.parquet"
        write_parquet(rows, path)
        dataset = RLHFDataset(str(path), self.tokenizer, self.config.data, self.processor)
        batch = collate_fn([dataset[i] for i in range(len(dataset))])
        batch["uid"] = np.array([str(uuid.uuid4()) for _ in questions], dtype=object)
        batch = tu.get_tensordict(batch)
        tu.assign_non_tensor_data(batch, "global_steps", self.step)
        return batch, answers

    def _numbers(self, questions: int) -> dict[int, tuple[int, int | None]]:
        """Sampling seed -> (session, continuation) in the script, of all that the next batch may have."""
        numbers = {}
        for place in range(questions):
            for session in range(N + N * K):
                number = (session, None) if session < N else divmod(session - N, K)
                numbers[session_seed(0, self.step, place, session)] = number
        return numbers

    def run(
        self, questions: Sequence[Question], variant: str = "axpo", rows: Sequence[dict[str, Any]] | None = None
    ) -> Run:
        """Roll one batch out and collect all there is to see; ``rows`` of a dataset instead of the embedded task's."""
        manager = self.manager(variant)
        self.step += 1
        batch, answers = self._batch(questions, "tool_agent" if variant == "stock" else "axpo_tool_agent", rows)
        script = {question.name: question for question in questions}
        ray.get(self.engine.load.remote(script, answers, self.max_length[variant], self._numbers(len(questions))))
        uids = dict(zip(answers, batch["uid"], strict=True))
        tags = [{"is_prompt": True, "status": "pending", "global_steps": self.step} for _ in questions]
        tq.kv_batch_put(keys=list(batch["uid"]), partition_id="train", tags=tags)
        manager.generate_sequences(batch)
        if variant != "stock":
            manager.wait(self.step)

        def settled() -> bool:
            listed = tq.kv_list("train")["train"]
            return all(listed[uid]["status"] in ("finished", "failure") for uid in uids.values())

        self._until(settled, "the batch to settle", timeout=240.0 if variant == "stock" else 1.0)
        report = ray.get(get_coordinator().close.remote(self.step), timeout=30) if variant != "stock" else None
        calls, violations, failed = ray.get(self.engine.record.remote())
        assert not violations, violations
        listed = tq.kv_list("train")["train"]
        rows = {name: self._rows(uid, listed) for name, uid in uids.items()}
        status = {name: listed[uid]["status"] for name, uid in uids.items()}
        metrics = {} if report is None else thinking_acting_gap(report) | summarise(report.tool_calls)
        return Run(self.step, uids, answers, status, rows, calls, failed, report, metrics)

    @staticmethod
    def _rows(uid: str, listed: dict[str, dict]) -> list[Row]:
        keys = sorted((key for key in listed if key.startswith(f"{uid}_")), key=lambda key: int(key.split("_")[1]))
        rows = []
        for key in keys:
            data = tq.kv_batch_get(keys=[key], partition_id="train")
            fields = {}
            for name in data.keys():
                value = data[name][0]
                if not isinstance(value, torch.Tensor):
                    value = getattr(value, "data", value)
                fields[name] = value
            rows.append(Row(key, listed[key], fields))
        return rows

    def forget(self) -> None:
        """Empty the TransferQueue between two batches."""
        listed = tq.kv_list("train") or {}
        if keys := list(listed.get("train", ())):
            tq.kv_clear(keys=keys, partition_id="train")
