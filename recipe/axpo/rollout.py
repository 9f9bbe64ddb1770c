# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prefix-branching rollout on verl's V1 TransferQueue: a manager and its workers.

One question on one worker:

    N sessions, each scored and written as it settles -> settled group -> coordinator (budget of the whole batch)
    -> K continuations of each selected prefix -> masks and roles of the sources, from the question's tree

With ``algorithm.adv_estimator=grpo`` and in validation verl's own code runs, and only the figures are kept. The manager
waits for both kinds of batches, so that a worker that dies or hangs never leaves the trainer waiting for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import math
import os
import time
from collections.abc import Mapping
from threading import Thread
from typing import Any
from uuid import uuid4

import ray
import recipe.axpo.agent_loop  # noqa: F401  registers the agent loop in the worker's process
import torch
import transfer_queue as tq
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from recipe.axpo.advantage import Role
from recipe.axpo.agent_loop import REWARD_KEYS, TRAJECTORY_KEY, RolloutInfrastructureError
from recipe.axpo.config import AXPOConfig, branching_enabled
from recipe.axpo.coordinator import get_coordinator, start_coordinator
from recipe.axpo.deadline import DeadlineExceeded, within
from recipe.axpo.forks import Reading, read_response
from recipe.axpo.plugins import drain_tool_calls, load_plugins
from recipe.axpo.ray_classes import undecorated
from recipe.axpo.selection import FORKS
from recipe.axpo.tags import ToolCallTags
from recipe.axpo.tree import QuestionTree, Row, check_images
from tensordict import TensorDict

from verl.trainer.ppo.v1.agent_loop_tq import (
    AgentLoopManagerTQ,
    AgentLoopWorkerTQ,
    apply_greedy_sampling_params,
)
from verl.utils.tensordict_utils import list_of_dict_to_tensordict
from verl.utils.tokenizer import get_processor_token_id

logger = logging.getLogger(__name__)

WRITERS = 2  # threads of a worker that compute image features and write rows
PLACE = "axpo_place"  # field of a dispatched batch: the places of its questions
CLEAR_SECONDS = 60.0  # for a row's write or removal, where a question is being given up
START_SECONDS = 600.0  # for a worker to load its libraries and answer
SEED_OPTION = {"sglang": "sampling_seed"}  # rollout engine -> its name for a request's seed; "seed" elsewhere


def batch_name(step: int, validate: bool) -> Any:
    """Return the coordinator's key of a batch: the global step, apart from the step's validation."""
    return f"validation at step {step}" if validate else int(step)


def row_key(question: str, session: int) -> str:
    """Return the TransferQueue key that verl gives the row of a session with one output."""
    return f"{question}_{session}_0"


def session_seed(seed: int, step: int, place: int, session: int) -> int:
    """Return the sampling seed of a session, from what identifies it across runs.

    Uids are random, and a data set may repeat an index.

    Args:
        seed: ``axpo.seed``.
        step: the trainer's global step.
        place: the question's place in its batch.
        session: number of the session.
    """
    return _seed(seed, step, place, session)


def validation_seed(seed: int, row: Mapping[str, Any], session: int) -> int:
    """Return the sampling seed of a validation or evaluation sample. It is the same at every step and for every model.

    Args:
        seed: ``axpo.seed``.
        row: the question's row, as verl's data set class gives it.
        session: number of the sample.
    """
    info = row.get("extra_info") or {}
    return _seed(seed, row.get("data_source"), info.get("split"), info.get("index"), session)


def _seed(*place: Any) -> int:
    digest = hashlib.blake2b(repr(tuple(map(str, place))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class AXPOAgentLoopWorker(undecorated(AgentLoopWorkerTQ)):
    """verl's TransferQueue agent-loop worker with branching between "all sessions settled" and "finished"."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        load_plugins(self.config)
        self.axpo = AXPOConfig.from_config(self.config)
        self.branching = branching_enabled(self.config)
        self.tags = ToolCallTags.from_tokenizer(self.tokenizer)
        self.image_token_id = get_processor_token_id(self.processor, "image") if self.processor else None
        self.coordinator = get_coordinator()
        self._trees: dict[str, QuestionTree] = {}
        self._features: dict[int, dict[str, Any] | None] = {}  # id of an output in work -> its multimodal inputs
        self._writes: dict[str, asyncio.Future] = {}  # key of a row -> the write under way
        self._writers = itertools.cycle([_LoopThread() for _ in range(WRITERS)])

    async def alive(self) -> str:
        """Answer with what names this worker in messages, once its pool of threads has answered, too."""
        await asyncio.to_thread(os.getpid)
        return f"worker {os.getpid()} on {ray.util.get_node_ip_address()}"

    async def run_until_death(self) -> None:
        """Never return: the call fails when this process dies, which tells the manager."""
        await asyncio.Event().wait()

    # ------------------------------------------------------------ question

    async def _run_prompt(self, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool = False) -> None:
        """Run one question, and tell the coordinator when nothing more will come from it, whatever has happened."""
        uid, batch = prompt["uid"], batch_name(trajectory["step"], trajectory["validate"])
        place = int(prompt.pop(PLACE, 0))
        trajectory = {**trajectory, "place": place}
        published, cached = False, []
        try:
            if trajectory["validate"]:
                await super()._run_prompt(prompt, sampling_params, trajectory, trace)
            else:
                num_sessions = int(prompt.get("__rollout_n__", self.rollout_config.n))
                tree = self._trees[uid] = self._new_tree(uid, num_sessions, place)
                if self.branching:
                    cached = await self._run_branching_prompt(tree, prompt, sampling_params, trajectory, trace)
                else:
                    try:
                        await super()._run_prompt(prompt, sampling_params, trajectory, trace)
                    finally:
                        await self.coordinator.settle.remote(batch, uid, tree.settled(), tree.no_fork())
            published = True
        except Exception:
            logger.exception("question %s failed", uid)
            await self._clear_rows(self._trees.get(uid))
        finally:
            if (tree := self._trees.pop(uid, None)) is not None:
                tree.errors.clear()  # their tracebacks refer to the tree, and to the sessions' images
            # Not awaited: it is sent even if this task is being cancelled.
            self.coordinator.finish.remote(batch, uid, published, cached)

    @staticmethod
    async def _clear_rows(tree: QuestionTree | None) -> None:
        """Remove the rows of a question that failed, as far as that is possible; the manager does it again."""
        keys = [row_key(tree.question, row.column.session) for row in tree.rows()] if tree else []
        try:
            if keys:
                await within(CLEAR_SECONDS, tq.async_kv_clear(keys=keys, partition_id="train"), "it", "CLEAR_SECONDS")
        except Exception:
            logger.exception("the rows of question %s could not be removed", tree.question)

    def _new_tree(self, uid: str, num_sessions: int, place: int = 0) -> QuestionTree:
        return QuestionTree(
            uid,
            num_sessions,
            continuations=self.axpo.continuations,
            read=self._read,
            trigger=self.axpo.trigger,
            fork=self.axpo.fork,
            correct_threshold=self.axpo.correct_threshold,
            prefix_credit=self.axpo.prefix_credit,
            tool_bonus=self.axpo.tool_bonus,
            place=place,
            branching=self.branching,
        )

    def _read(self, output: Any, executed_calls: int) -> Reading:
        turns = self.rollout_config.multi_turn
        return read_response(
            output.response_ids,
            output.response_mask,
            output.response_logprobs,
            **self.tags.ids,
            decode=self.tokenizer.decode,
            executed_calls=executed_calls,
            max_assistant_turns=turns.max_assistant_turns,
            max_user_turns=turns.max_user_turns,
            cut=FORKS[self.axpo.fork].cut,
        )

    async def _run_branching_prompt(
        self, tree: QuestionTree, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool
    ) -> list[tuple[int, int]]:
        """Run the N sessions of a question, then whatever the batch's budget allots it.

        Returns:
            (cached, all) prompt tokens of each continuation's first request, where the rollout engine tells.
        """
        uid, step = prompt["uid"], int(trajectory["step"])
        await tq.async_kv_put(key=uid, partition_id="train", tag={"status": "running"})
        prompt.pop("__rollout_n__", None)
        if not prompt.pop("__do_sample__", True):
            sampling_params = dict(sampling_params)
            apply_greedy_sampling_params(sampling_params)
        common = {"trajectory": trajectory, "trace": trace, **prompt}
        sessions = [{"session_id": session, **common} for session in range(tree.num_rollouts)]
        await self._run_sessions(tree, sampling_params, sessions)

        selected = await self.coordinator.settle.remote(step, uid, tree.settled(), tree.no_fork())
        cached = []
        if selected:
            continuations = [{"session_id": n, "axpo_fork": fork, **common} for n, fork in tree.branch(selected)]
            cached = await self._run_sessions(tree, sampling_params, continuations)
            await self._credit_sources(tree)
            await self.coordinator.branched.remote(step, uid, tree.outcomes())
        self._report_errors(tree)
        status = "failure" if tree.errors else "finished"
        await tq.async_kv_put(key=uid, partition_id="train", tag={"status": status})
        return cached

    async def _run_sessions(
        self, tree: QuestionTree, sampling_params: dict, sessions: list[dict[str, Any]]
    ) -> list[tuple[int, int]]:
        """Run sessions concurrently. Results are stored in ``tree``; a failing session does not affect the others."""
        results = await asyncio.gather(
            *(self._run_agent_loop(dict(sampling_params), **session) for session in sessions), return_exceptions=True
        )
        failed = []
        for session, result in zip(sessions, results, strict=True):
            if isinstance(result, BaseException):
                tree.fail(session["session_id"], result)
                failed.append(row_key(tree.question, session["session_id"]))
        if failed:  # a session that failed while its row was written
            await tq.async_kv_clear(keys=failed, partition_id="train")
        return [result for result in results if isinstance(result, tuple)]

    @staticmethod
    def _report_errors(tree: QuestionTree) -> None:
        """Log one line for each session left out; the traceback once, since one cause usually fails them all."""
        for i, (session, error) in enumerate(tree.errors.items()):
            reason = (str(error).strip().splitlines() or [""])[-1][:300]
            logger.error(
                "session %s of question %s left out: %s: %s",
                session,
                tree.question,
                type(error).__name__,
                reason,
                exc_info=error if i == 0 else None,
            )

    # ------------------------------------------------------------- session

    async def _run_agent_loop(self, sampling_params: dict[str, Any], trajectory: dict[str, Any], **kwargs):
        """Run one session within ``axpo.session_timeout_s``, its tools, its reward and its row included."""
        if self.axpo.session_seeds:
            option, session = SEED_OPTION.get(self.rollout_config.name, "seed"), kwargs["session_id"]
            if trajectory["validate"]:
                seed = validation_seed(self.axpo.seed, kwargs, session)
            else:
                seed = session_seed(self.axpo.seed, trajectory["step"], trajectory["place"], session)
            sampling_params = {**sampling_params, option: seed}
        try:
            return await within(
                self.axpo.session_timeout_s,
                super()._run_agent_loop(sampling_params, trajectory, **kwargs),
                f"session {kwargs.get('session_id')} of question {kwargs.get('uid')} in process {os.getpid()}",
                "axpo.session_timeout_s",
            )
        except DeadlineExceeded:
            await self._take_back(row_key(kwargs["uid"], kwargs["session_id"]), trajectory["validate"])
            raise
        finally:
            # After each session, not each question: verl publishes a question as finished before it returns. Sessions
            # run concurrently, so what is drained may be another's, of the same batch all the same.
            if calls := drain_tool_calls():
                await self.coordinator.tool_calls.remote(int(trajectory["step"]), calls, bool(trajectory["validate"]))

    async def _agent_loop_postprocess(self, output, validate, **kwargs) -> tuple[int, int] | None:
        """Score a session and write its row, off the event loop: image features take up to half a second each.

        Returns:
            (cached, all) prompt tokens of a continuation's first request, where the rollout engine tells.
        """
        writer = next(self._writers)
        tree = None if validate else self._trees.get(kwargs["uid"])
        fork = kwargs.pop("axpo_fork", None)
        several = isinstance(output, list)  # other agent loops may return them: verl's business
        trajectory = None
        for one in output if several else [output]:
            trajectory = one.extra_fields.pop(TRAJECTORY_KEY, None)
        if several and (validate or not self.branching):
            return await writer.run(super()._agent_loop_postprocess(output, validate, **kwargs))
        if several or (tree is None and not validate):
            raise RolloutInfrastructureError(
                "the agent loop returned several outputs, which have no tree" if several else "its question is over"
            )

        session, column = kwargs["session_id"], {}
        self._features[id(output)] = None
        try:
            if self.image_token_id is not None:
                check_images(output, self.image_token_id)
            if self.branching and not validate and output.response_logprobs is None:
                raise RolloutInfrastructureError("the rollout engine returned no log-probabilities")
            await self._score(writer, output, kwargs)
            for key in REWARD_KEYS:
                output.extra_fields.pop(key, None)
            if output.reward_score is None or not math.isfinite(output.reward_score):
                raise RolloutInfrastructureError(
                    f"the reward is {output.reward_score}: a finite one is needed, from the streaming reward path"
                )
            if tree is not None:
                row = tree.add(session, output, trajectory, fork)
                output.reward_score += row.bonus  # of the row alone: its tree and ``acc`` keep the outcome's
                if self.branching:
                    output.response_mask, column = list(row.response_mask), {"axpo": row.column.as_dict()}
            await self._write(
                row_key(kwargs["uid"], session),
                writer.run(super()._agent_loop_postprocess(output, validate, **kwargs, **column)),
            )
        except BaseException as error:
            if tree is not None:
                tree.fail(session, error)
            raise
        finally:
            self._features.pop(id(output), None)
        cached = output.extra_fields.get("num_cached_tokens")
        if fork is None or cached is None:
            return None
        return int(cached), len(fork.prompt_ids) + len(fork.response_ids)

    async def _score(self, writer: _LoopThread, output, kwargs: dict[str, Any]) -> None:
        """Have a session scored. A reward worker that has died is left out from then on."""
        while True:
            try:
                return await writer.run(self._compute_score([output], kwargs=kwargs))
            except RayActorError as error:
                alive = [h for h in self.reward_loop_worker_handles or () if h._actor_id.hex() != error.actor_id]
                if not alive or len(alive) == len(self.reward_loop_worker_handles):
                    raise
                logger.error("a reward worker has died, %s are left: %s", len(alive), error)
                self.reward_loop_worker_handles = alive

    async def _write(self, key: str, write) -> None:
        """Write a row to its end, even if the session's deadline passes meanwhile: half a write would be a bad row."""
        self._writes[key] = asyncio.ensure_future(write)
        try:
            await asyncio.shield(self._writes[key])
        finally:
            if self._writes[key].done():
                del self._writes[key]

    async def _take_back(self, key: str, validate: bool) -> None:
        """Remove the row of a session that was given up; first wait for the end of a write under way."""
        write = self._writes.get(key)
        if write is not None:
            await asyncio.wait({write}, timeout=CLEAR_SECONDS)
            self._writes.pop(key, None)
        await tq.async_kv_clear(keys=[key], partition_id="val" if validate else "train")

    def _compute_multi_modal_inputs(self, output, input_ids) -> dict[str, Any]:
        """Compute a session's image features once; verl asks for them to score it, and again to write its row."""
        features = self._features.get(id(output))
        if features is None:
            features = super()._compute_multi_modal_inputs(output, input_ids)
            if id(output) in self._features:
                self._features[id(output)] = features
        return dict(features)  # verl takes entries out of what it is given

    async def _credit_sources(self, tree: QuestionTree) -> None:
        """Give the sources' rows, which were written as ordinary rollouts, their prefix's mask and credit."""
        sources = [row for row in tree.rows() if row.column.role is Role.SOURCE]
        if sources:
            await tq.async_kv_batch_put(
                keys=[row_key(tree.question, row.column.session) for row in sources],
                partition_id="train",
                fields=list_of_dict_to_tensordict([_credit(row) for row in sources]),
            )


def _credit(row: Row) -> dict[str, Any]:
    """Return the fields of a row that its credit decides, in the types that verl writes."""
    mask = torch.tensor(row.response_mask, dtype=torch.int64)
    return {"response_mask": mask, "loss_mask": mask, "axpo": row.column.as_dict()}


class _LoopThread:
    """An event loop in a thread of its own, for coroutines that would hold up the worker's."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()

    async def run(self, coroutine) -> Any:
        """Await a coroutine that runs on the thread's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


class AXPOAgentLoopManager(AgentLoopManagerTQ):
    """verl's TransferQueue manager with branching workers and a coordinator for the batch's budget.

    A worker that dies is replaced; the questions it was running are left out of their batch.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.axpo = AXPOConfig.from_config(self.config)
        self.agent_loop_workers_class = ray.remote(AXPOAgentLoopWorker)
        self.coordinator = start_coordinator(self.axpo, branching_enabled(self.config))
        self._names: dict[int, str] = {}  # number of a worker -> what names it in messages
        self._deaths: dict[int, Any] = {}  # number of a worker -> a call that fails when its process dies
        self._questions: dict[Any, list[list[str]]] = {}  # batch -> questions of each worker

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Announce a batch to the coordinator, then dispatch it; waits for a validation batch, as verl does next."""
        step = int(prompts["global_steps"])
        validate = bool(prompts["validate"]) if "validate" in prompts else False
        batch = batch_name(step, validate)
        for number in range(len(self.agent_loop_workers)):
            self._ensure_worker(number)
        uids, owners = list(prompts["uid"]), []
        shares = self._questions.setdefault(batch, [[] for _ in self.agent_loop_workers])
        for worker, share in enumerate(prompts.chunk(len(self.agent_loop_workers))):  # as verl dispatches them
            shares[worker] += uids[len(owners) : len(owners) + len(share)]
            owners += [self._names[worker]] * len(share)
        ray.get(self.coordinator.open.remote(batch, len(prompts), int(self.rollout_config.n), uids, owners))
        if not validate:
            prompts[PLACE] = torch.arange(len(prompts))
        self._dispatch(batch, prompts)
        if validate:
            self.wait(step, validate=True)
            ray.get(self.coordinator.close.remote(batch))
            if not any(key not in uids and key.split("_")[0] in uids for key in tq.kv_list("val")["val"]):
                raise RuntimeError(f"{batch}: no answer could be finished; see the errors of the agent-loop workers")

    def _dispatch(self, batch: Any, prompts: TensorDict) -> None:
        """Hand the workers their shares, as verl does, but give up the share of a worker that does not take it."""
        calls = {
            worker.generate_sequences.remote(share): number
            for number, (worker, share) in enumerate(
                zip(self.agent_loop_workers, prompts.chunk(len(self.agent_loop_workers)), strict=False)
            )
        }
        ray.wait(list(calls), num_returns=len(calls), timeout=START_SECONDS)
        for call, number in calls.items():
            try:
                ray.get(call, timeout=1)
            except (RayActorError, GetTimeoutError) as error:
                reason = f"its agent-loop worker did not take it: {error}"
                ray.get(self.coordinator.give_up.remote(batch, self._questions[batch][number], reason))

    def _ensure_worker(self, number: int) -> None:
        """Have a worker that answers, a new one where the last has died, and a call at it that fails when it dies.

        Raises:
            RuntimeError: the worker does not answer, and neither does a new one.
        """
        for attempt in range(2):
            try:
                name = ray.get(self.agent_loop_workers[number].alive.remote(), timeout=START_SECONDS)
                break
            except (RayActorError, GetTimeoutError) as error:
                if attempt:
                    raise RuntimeError(f"agent-loop worker {number} does not start: {error}") from error
                logger.warning("agent-loop worker %s is replaced: %s", number, error)
                self._replace_worker(number)
        if self._names.get(number) != name:
            self._names[number] = name
            self._deaths[number] = self.agent_loop_workers[number].run_until_death.remote()

    def _replace_worker(self, number: int) -> None:
        """Start a worker as verl starts its own. (Ray's own restart loses the arguments of the first start.)"""
        ray.kill(self.agent_loop_workers[number])
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
        self.agent_loop_workers[number] = self.agent_loop_workers_class.options(
            name=f"agent_loop_worker_{number}_{uuid4().hex[:8]}",
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=nodes[number % len(nodes)], soft=True),
        ).remote(self.config, self.llm_client, self.teacher_client, self.reward_loop_worker_handles)

    def wait(self, step: int, validate: bool = False) -> None:
        """Wait until every question of a batch has been written or given up; the latter are marked as failed.

        Raises:
            RuntimeError: selecting the batch's prefixes has failed, or the coordinator has died.
        """
        batch = batch_name(step, validate)
        finished = self.coordinator.finished.remote(batch)
        alive = dict(self._deaths)
        # The coordinator keeps the batch's deadlines; this one is for a coordinator that does not answer.
        deadline = time.monotonic() + self.axpo.barrier_timeout_s + self.axpo.close_timeout_s + START_SECONDS
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready, _ = ray.wait([finished, *alive.values()], num_returns=1, timeout=left)
            if finished in ready:
                break
            if not ready:
                raise RuntimeError(f"{batch}: the batch coordinator does not answer")
            for number, death in list(alive.items()):
                if death in ready:
                    del alive[number], self._names[number]
                    reason = f"its agent-loop worker has died: {_last_line(death)}"
                    ray.get(self.coordinator.give_up.remote(batch, self._questions[batch][number], reason))
        try:
            given_up = ray.get(finished)
        except RayActorError as error:
            raise RuntimeError(f"{batch}: the batch coordinator has died") from error
        del self._questions[batch]
        self._mark_failed(given_up, "val" if validate else "train")

    @staticmethod
    def _mark_failed(questions: dict[str, str], partition: str) -> None:
        """Remove the rows of questions that were given up, and publish them as failed: verl then goes on without."""
        if not questions:
            return
        rows = [key for key in (tq.kv_list(partition) or {}).get(partition, {}) if key.split("_")[0] in questions]
        rows = [key for key in rows if key not in questions]
        if rows:
            tq.kv_clear(keys=rows, partition_id=partition)
        tq.kv_batch_put(keys=list(questions), partition_id=partition, tags=[{"status": "failure"}] * len(questions))


def _last_line(death: Any) -> str:
    """Return the last line of the error that a dead worker's call ended with."""
    try:
        ray.get(death)
    except Exception as error:
        return str(error).strip().split("\n")[-1]
    return "unknown"
