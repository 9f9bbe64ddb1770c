# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl's tool agent loop, able to say where it could be forked and to resume from a fork."""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import time
from concurrent.futures import Future
from threading import Thread
from typing import Any

from recipe.axpo.config import AGENT_LOOP, AXPOConfig
from recipe.axpo.deadline import within
from recipe.axpo.plugins import infrastructure_errors, past_calls
from recipe.axpo.trajectory import ENTROPIES_KEY, EngineCall, ExecutedCall, Fork, Trajectory, TurnSnapshot

from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.tool_agent_loop import AgentData, AgentState, ToolAgentLoop
from verl.tools.function_tool import FunctionTool

TRAJECTORY_KEY = "axpo_trajectory"
# What only the reward reads, of ``output.extra_fields``: the texts of the assistant turns, and the prompt with images.
REWARD_KEYS = ("model_turns", "raw_prompt")


class RolloutInfrastructureError(RuntimeError):
    """A session that could not be finished for reasons that are not the model's."""


class _PrefixedToolParser:
    """verl's parser, shown the frozen part of the turn in front of the first tokens generated after it.

    A continuation starts behind the opening tag: parsed alone it would hold no call.
    """

    def __init__(self, parser, turn_prefix: tuple[int, ...]):
        self._parser = parser
        self._turn_prefix = list(turn_prefix)

    def __getattr__(self, name):
        return getattr(self._parser, name)

    async def extract_tool_calls(self, responses_ids, tools=None):
        prefix, self._turn_prefix = self._turn_prefix, []
        return await self._parser.extract_tool_calls([*prefix, *responses_ids], tools)


class _WatchedClient:
    """verl's LLM client, with aborted requests raised as errors, entropies and, if wanted, requests recorded.

    verl takes an aborted request for the end of a turn, and the trajectory would be scored as it stands.
    """

    def __init__(self, client, entropies: list[float], calls: list[EngineCall] | None):
        self._client = client
        self._entropies = entropies
        self._calls = calls

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def generate(self, request_id, *, prompt_ids, **kwargs):
        given = tuple(prompt_ids)
        output = await self._client.generate(request_id, prompt_ids=prompt_ids, **kwargs)
        if output.stop_reason in ("aborted", "abort", "error") or not output.token_ids:
            raise RolloutInfrastructureError(
                f"the rollout engine ended a request with stop_reason={output.stop_reason!r} and "
                f"{len(output.token_ids)} tokens"
            )
        self._entropies += output.extra_fields.pop(ENTROPIES_KEY, ())
        if self._calls is not None:
            self._calls.append(EngineCall(given, tuple(output.token_ids)))
        return output


@register(AGENT_LOOP)
class AXPOToolAgentLoop(ToolAgentLoop):
    """``ToolAgentLoop`` with four additions; one instance serves one session.

    - Before each assistant turn it records a ``TurnSnapshot`` (in ``output.extra_fields[TRAJECTORY_KEY]``, which the
      rollout worker takes out again before the row is written).
    - Given ``axpo_fork`` it starts from that fork instead of the prompt: state as it was *at the cut*, not at the
      source's end, and prefix plus new tokens parsed as one assistant turn.
    - A tool that fails for infrastructure reasons, or takes longer than ``axpo.tool_timeout_s``, ends the session with
      ``RolloutInfrastructureError``. verl would show the model the exception's text and score what it makes of it.
    - A turn generates at most what is left of the response; verl lets the engine go on and throws the rest away.

    verl's tool parser reads the whole turn: a call that the model writes inside its thinking is executed, but it is
    never a fork (``forks.read_response``).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._trajectory = Trajectory()
        self._fork: Fork | None = None
        # The wrapped tools write here. They must not refer to the loop: that cycle would keep every session's images
        # alive until the garbage collector comes by.
        self._infrastructure_errors: list[str] = []
        self.tools = {name: watched(tool, self._infrastructure_errors) for name, tool in self.tools.items()}
        self.axpo = AXPOConfig.from_config(self.config)

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs):
        """Run one session; ``axpo_fork`` (a ``Fork``) in ``kwargs`` resumes from there."""
        self._fork = kwargs.pop("axpo_fork", None)
        recorded = self._trajectory.engine_calls if self.axpo.trace_engine_calls else None
        self.server_manager = _WatchedClient(self.server_manager, self._trajectory.entropies, recorded)
        output = await super().run(sampling_params, priority, **kwargs)
        output.extra_fields[TRAJECTORY_KEY] = self._trajectory
        turns = await asyncio.to_thread(model_turns, output.response_ids, output.response_mask, self.tokenizer)
        output.extra_fields |= dict(zip(REWARD_KEYS, (turns, kwargs.get("raw_prompt")), strict=True))
        return output

    async def _handle_pending_state(self, agent_data: AgentData, sampling_params: dict[str, Any]) -> AgentState:
        if self._fork is None:
            return await super()._handle_pending_state(agent_data, sampling_params)
        return self._resume(agent_data, self._fork)

    def _resume(self, agent_data: AgentData, fork: Fork) -> AgentState:
        """Put ``agent_data`` where the source stood when it had just written the opening tag."""
        snapshot = fork.snapshot
        agent_data.request_id = fork.request_id
        agent_data.messages = list(snapshot.messages)
        agent_data.image_data = None if snapshot.images is None else list(snapshot.images)
        agent_data.prompt_ids = [*fork.prompt_ids, *fork.response_ids]
        agent_data.response_mask = list(fork.response_mask)
        agent_data.response_logprobs = list(fork.response_logprobs)
        agent_data.assistant_turns = snapshot.assistant_turns
        agent_data.user_turns = snapshot.user_turns
        agent_data.turn_scores = list(snapshot.turn_scores)
        agent_data.tool_rewards = list(snapshot.tool_rewards)
        past_calls(agent_data)[:] = snapshot.past_calls
        self.tool_parser = _PrefixedToolParser(self.tool_parser, fork.turn_prefix)
        return AgentState.GENERATING

    async def _handle_generating_state(
        self, agent_data: AgentData, sampling_params: dict[str, Any], ignore_termination: bool = False
    ) -> AgentState:
        resuming = self._fork is not None and not self._trajectory.turns
        self._trajectory.turns.append(
            self._fork.snapshot
            if resuming
            else TurnSnapshot(
                response_length=len(agent_data.response_mask),
                messages=tuple(agent_data.messages),
                images=None if agent_data.image_data is None else tuple(agent_data.image_data),
                assistant_turns=agent_data.assistant_turns,
                user_turns=agent_data.user_turns,
                turn_scores=tuple(agent_data.turn_scores),
                tool_rewards=tuple(agent_data.tool_rewards),
                past_calls=tuple(past_calls(agent_data)),
            )
        )
        left = self.response_length - len(agent_data.response_mask)
        sampling_params = {**sampling_params, "max_tokens": max(1, left)}
        return await super()._handle_generating_state(agent_data, sampling_params, ignore_termination)

    async def _call_tool(self, tool_call, tools_kwargs: dict[str, Any] | None, agent_data: AgentData):
        # rows of other tools have null here: columns of a parquet file are the same for all rows
        tools_kwargs = {name: value or {} for name, value in (tools_kwargs or {}).items()}
        started = time.monotonic()
        result = await within(
            self.axpo.tool_timeout_s,
            super()._call_tool(tool_call, tools_kwargs, agent_data),
            f"a call of the tool {tool_call.name!r}",
            "axpo.tool_timeout_s",
        )
        if self._infrastructure_errors:
            raise RolloutInfrastructureError(f"tool {tool_call.name!r} failed: {self._infrastructure_errors[0]}")
        self._trajectory.executed_calls += 1
        response, _, figures = result
        seconds = time.monotonic() - started
        call = ExecutedCall(tool_call.name, tool_call.arguments, response.text or "", dict(figures or {}), seconds)
        self._trajectory.calls.append(call)
        return result


def model_turns(ids: list[int], mask: list[int], tokenizer: Any) -> list[str]:
    """Return the texts that the model generated, one for each turn. The last one is empty if a tool has the last word.

    The mask tells them from what tools returned, whatever the chat template and the texts are.
    """
    runs = [
        (generated, [token for token, _ in run])
        for generated, run in itertools.groupby(zip(ids, mask, strict=True), key=lambda pair: bool(pair[1]))
    ]
    turns = [tokenizer.decode(run, skip_special_tokens=True) for generated, run in runs if generated]
    return turns if runs and runs[-1][0] else [*turns, ""]


def watched(tool: Any, errors: list[str]) -> Any:
    """Copy a tool so that its infrastructure failures are noted in ``errors`` before verl turns them into text.

    The copy is shallow: limits on concurrency and what a tool keeps are those of the worker, not of the session.
    """
    copied = copy.copy(tool)
    if isinstance(tool, FunctionTool):
        call = tool.call if tool.is_async else functools.partial(_call_in_thread, tool.fn)
        methods = {"call": call}
    else:
        methods = {"create": tool.create, "execute": tool.execute}
    for name, method in methods.items():
        object.__setattr__(copied, name, _noting(method, errors))
    return copied


def _noting(function: Any, errors: list[str]) -> Any:
    async def noting(*args, **kwargs):
        try:
            return await function(*args, **kwargs)
        except infrastructure_errors() as error:
            errors.append(f"{type(error).__name__}: {error}")
            raise

    return noting


async def _call_in_thread(function: Any, parameters: dict[str, Any]) -> Any:
    """Call a synchronous function in a thread of its own.

    verl calls it in the loop's shared pool of threads. Calls that never return would use that up in the course of a
    run, and verl's tokenizer, which needs the pool, would wait for ever.
    """
    done: Future = Future()

    def run() -> None:
        try:
            result = function(**parameters)
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)
