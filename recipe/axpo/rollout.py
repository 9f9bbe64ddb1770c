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
"""Prefix-branching rollout on verl's V1 TransferQueue: a manager and its workers.

One question on one worker:

    N sessions -> settled group -> coordinator (budget of the whole batch) -> K continuations of each selected prefix
    -> rows, with masks and roles derived from that small tree in one place (``rows.build_rows``) -> TransferQueue

With ``algorithm.adv_estimator=grpo`` and in validation verl's own code runs, and only the figures are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, field
from typing import Any

import ray
import transfer_queue as tq
from tensordict import TensorDict
from verl.trainer.ppo.v1.agent_loop_tq import (
    AgentLoopManagerTQ,
    AgentLoopWorkerTQ,
    apply_greedy_sampling_params,
)
from verl.utils.tokenizer import get_processor_token_id

import recipe.axpo.agent_loop  # noqa: F401  registers the agent loop in the worker's process
from recipe.axpo.agent_loop import TRAJECTORY_KEY
from recipe.axpo.config import AXPOConfig, branching_enabled
from recipe.axpo.coordinator import get_coordinator, start_coordinator
from recipe.axpo.forks import NoForkReason, ToolCallSpan, find_tool_call_spans, used_tool, why_no_fork
from recipe.axpo.rows import Row, Session, build_rows
from recipe.axpo.selection import SettledRollout, restrict_spans
from recipe.axpo.tags import ToolCallTags
from recipe.axpo.trajectory import Trajectory, make_fork, obstacle
from tools.metrics import drain
from verl_ext.ray_classes import undecorated

logger = logging.getLogger(__name__)


@dataclass
class _Group:
    """The settled sessions of one question, in the worker's hands until its rows are written."""

    sessions: dict[int, Session] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)


class AXPOAgentLoopWorker(undecorated(AgentLoopWorkerTQ)):
    """verl's TransferQueue agent-loop worker with branching between "all sessions settled" and "finished"."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.axpo = AXPOConfig.from_config(self.config)
        self.branching = branching_enabled(self.config)
        self.tags = ToolCallTags.from_tokenizer(self.tokenizer)
        self.image_token_id = get_processor_token_id(self.processor, "image") if self.processor else None
        self.coordinator = get_coordinator()
        self._groups: dict[str, _Group] = {}

    async def _run_prompt(self, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool = False) -> None:
        """Run one question: ``rollout.n`` sessions, then whatever the batch's budget allots it."""
        if trajectory["validate"]:
            return await super()._run_prompt(prompt, sampling_params, trajectory, trace)
        uid, step = prompt["uid"], int(trajectory["step"])
        self._groups[uid] = _Group()
        try:
            if self.branching:
                await self._run_branching_prompt(prompt, sampling_params, trajectory, trace)
            else:
                await super()._run_prompt(prompt, sampling_params, trajectory, trace)
                await self.coordinator.settle.remote(step, uid, *self._settled(uid, self.rollout_config.n))
        finally:
            del self._groups[uid]

    async def _run_branching_prompt(self, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool) -> None:
        uid, step = prompt["uid"], int(trajectory["step"])
        group, settled = self._groups[uid], False
        status, written = "failure", []
        await tq.async_kv_put(key=uid, partition_id="train", tag={"status": "running"})
        try:
            num_sessions = prompt.pop("__rollout_n__", self.rollout_config.n)
            if not prompt.pop("__do_sample__", True):
                sampling_params = dict(sampling_params)
                apply_greedy_sampling_params(sampling_params)
            common = {"trajectory": trajectory, "trace": trace, **prompt}
            await self._run_sessions(sampling_params, [{"session_id": i, **common} for i in range(num_sessions)], group)

            rollouts, no_fork = self._settled(uid, num_sessions)
            settled = True
            selected = await self.coordinator.settle.remote(step, uid, rollouts, no_fork)

            branches: dict[int, list[int]] = {}  # source session -> sessions of its continuations
            continuations = []
            for candidate in selected:
                source = group.sessions[candidate.session]
                fork = make_fork(candidate.session, candidate.span, source.trajectory, source.output)
                first = num_sessions + len(continuations)
                branches[candidate.session] = list(range(first, first + self.axpo.continuations))
                continuations += [{"session_id": i, "axpo_fork": fork, **common} for i in branches[candidate.session]]
            await self._run_sessions(sampling_params, continuations, group)

            rows, outcomes = build_rows(
                uid, group.sessions, selected, branches, correct_threshold=self.axpo.correct_threshold
            )
            for row in rows:
                written.append(f"{uid}_{row.kwargs['session_id']}_0")
                await self._write_row(row)
            if selected:
                await self.coordinator.branched.remote(step, uid, outcomes)
            self._report_errors(uid, group)
            status = "failure" if group.errors else "finished"
        except Exception:
            logger.exception(f"question {uid} failed")
            if written:  # half a tree would train continuations without their source
                await tq.async_kv_clear(keys=written, partition_id="train")
            # a question that never hands in its part would hold up the whole batch
            if not settled:
                await self.coordinator.settle.remote(step, uid, [], {})
            await self.coordinator.branched.remote(step, uid, [])
        finally:
            await tq.async_kv_put(key=uid, partition_id="train", tag={"status": status})

    @staticmethod
    def _report_errors(uid: str, group: _Group) -> None:
        """One line for each session left out; the traceback once, since one cause usually fails them all."""
        for i, (session, error) in enumerate(group.errors.items()):
            reason = str(error).strip().split("\n")[-1][:300]
            logger.error(
                f"session {session} of question {uid} left out: {type(error).__name__}: {reason}",
                exc_info=error if i == 0 else None,
            )

    async def _run_sessions(self, sampling_params: dict, sessions: list[dict[str, Any]], group: _Group) -> None:
        """Run sessions side by side; what they settled as is in ``group`` afterwards, one's failure harms no other."""
        results = await asyncio.gather(
            *(self._run_agent_loop(dict(sampling_params), **session) for session in sessions), return_exceptions=True
        )
        for session, result in zip(sessions, results, strict=True):
            if isinstance(result, BaseException):
                group.errors[session["session_id"]] = result

    async def _run_agent_loop(self, sampling_params: dict[str, Any], trajectory: dict[str, Any], **kwargs):
        if self.axpo.session_seeds and not trajectory["validate"]:
            # from what identifies the session across runs: uids are random
            key = (self.axpo.seed, trajectory["step"], trajectory["sample_index"], kwargs["session_id"])
            digest = hashlib.blake2b(repr(tuple(map(str, key))).encode(), digest_size=8).digest()
            sampling_params = {**sampling_params, "seed": int.from_bytes(digest, "big") >> 1}
        try:
            return await super()._run_agent_loop(sampling_params, trajectory, **kwargs)
        finally:
            # After each session, not each question: verl publishes a question as finished before it returns. Sessions
            # run side by side, so what is drained may be another's, of the same batch all the same.
            if calls := drain():
                await self.coordinator.tool_calls.remote(int(trajectory["step"]), calls, bool(trajectory["validate"]))

    async def _agent_loop_postprocess(self, output, validate, **kwargs) -> None:
        """Score a session. Without branching its row is written at once, as verl does; else it waits for its group."""
        trajectory = None
        if not isinstance(output, list):  # other agent loops may return several outputs: verl's business
            trajectory = output.extra_fields.pop(TRAJECTORY_KEY, None)
        fork = kwargs.pop("axpo_fork", None)
        group = None if validate else self._groups.get(kwargs["uid"])
        if group is None or isinstance(output, list):
            return await super()._agent_loop_postprocess(output, validate, **kwargs)
        self._check_images(output, kwargs["uid"])
        if self.branching:
            await self._compute_score([output], kwargs=kwargs)
            if output.reward_score is None:
                raise RuntimeError("no reward in the rollout worker: branching needs the streaming reward path")
        else:
            await super()._agent_loop_postprocess(output, validate, **kwargs)
        group.sessions[kwargs["session_id"]] = Session(
            output=output, trajectory=trajectory or Trajectory(request_id=""), kwargs=kwargs, fork=fork
        )

    def _check_images(self, output, uid: str) -> None:
        """Image placeholders must equal images, or the actor trains on features at the wrong tokens."""
        if self.image_token_id is None:
            return
        images = (output.multi_modal_data or {}).get("images") or ()
        placeholders, previous = 0, None  # a placeholder is a run of one pad token for each of the image's features
        for token_id in (*output.prompt_ids, *output.response_ids):
            placeholders += token_id == self.image_token_id and previous != self.image_token_id
            previous = token_id
        if placeholders != len(images):
            raise RuntimeError(f"question {uid}: {placeholders} image placeholders for {len(images)} images")

    def _settled(self, uid: str, num_sessions: int) -> tuple[list[SettledRollout], dict[str, int]]:
        """The group as selection sees it, and the tool-using rollouts without a fork, by reason."""
        rollouts, no_fork = [], {}
        for number in range(num_sessions):
            session = self._groups[uid].sessions.get(number)
            if session is None:
                rollouts.append(SettledRollout(session=number, reward=0.0, used_tool=False, spans=(), valid=False))
                continue
            acted, spans, reason = self._forks_of(session)
            if acted and not spans:
                no_fork[reason] = no_fork.get(reason, 0) + 1
            rollouts.append(
                SettledRollout(
                    session=number,
                    reward=float(session.output.reward_score),
                    used_tool=acted,
                    spans=restrict_spans(spans, self.axpo.fork),
                )
            )
        return rollouts, no_fork

    def _forks_of(self, session: Session) -> tuple[bool, list[ToolCallSpan], str | None]:
        """Whether a session acted, the forks it offers, and if there are none, why."""
        response, mask = session.output.response_ids, session.output.response_mask
        ids, decode = self.tags.ids, self.tokenizer.decode
        acted = session.trajectory.executed_calls > 0 or used_tool(response, mask, **ids)
        found = find_tool_call_spans(response, mask, session.output.response_logprobs, **ids, decode=decode)
        turns = self.rollout_config.multi_turn
        limits = {"max_assistant_turns": turns.max_assistant_turns, "max_user_turns": turns.max_user_turns}
        obstacles = [obstacle(s, session.trajectory, response, open_id=self.tags.open_id, **limits) for s in found]
        spans = [span for span, reason in zip(found, obstacles, strict=True) if reason is None]
        if spans or not acted:
            return acted, spans, None
        if found:
            return acted, [], obstacles[0]
        reason = why_no_fork(response, mask, **ids, decode=decode)
        # a call was executed, yet none stands outside the thinking: verl's parser reads that, too
        return acted, [], "in_thinking" if reason is NoForkReason.NO_CALL else reason.value

    async def _write_row(self, row: Row) -> None:
        """Put one row into the TransferQueue, under its session's key, with the branch column ``axpo``."""
        row.output.response_mask = list(row.response_mask)
        await super()._agent_loop_postprocess(row.output, False, **row.kwargs, axpo=row.column)


class AXPOAgentLoopManager(AgentLoopManagerTQ):
    """verl's TransferQueue manager with branching workers and a coordinator for the batch's budget."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(AXPOAgentLoopWorker)
        self.coordinator = start_coordinator(AXPOConfig.from_config(self.config), branching_enabled(self.config))

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Announce a training batch to the coordinator, then dispatch it without waiting, as verl does."""
        validate = bool(prompts["validate"]) if "validate" in prompts else False
        if not validate:
            ray.get(
                self.coordinator.open.remote(int(prompts["global_steps"]), len(prompts), int(self.rollout_config.n))
            )
        super().generate_sequences(prompts)
