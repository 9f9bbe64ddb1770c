# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a session adds to verl's agent loop: snapshots with the calls so far, and tools that are watched."""

import asyncio
from threading import Event
from types import SimpleNamespace

import httpx
import pytest
from verl.experimental.agent_loop.tool_agent_loop import AgentData, AgentState, ToolAgentLoop
from verl.tools.function_tool import FunctionTool

import verl_ext.axpo_plugin  # noqa: F401  registers what the tools raise
from recipe.axpo.agent_loop import AXPOToolAgentLoop, RolloutInfrastructureError, _WatchedClient, watched
from recipe.axpo.config import AXPOConfig
from recipe.axpo.deadline import DeadlineExceeded
from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.trajectory import ENTROPIES_KEY, Fork, Trajectory
from tests.tools.sample_tools import SampleTool
from tools.base import Answer
from verl_ext.tool_calls import PastCall, ToolInfrastructureError, past_calls

CALLS = [PastCall("python", {"code": f"x = {i}"}) for i in range(3)]


def session(fork=None):
    """A session without verl's part of it."""
    loop = object.__new__(AXPOToolAgentLoop)
    loop._trajectory, loop._fork, loop._infrastructure_errors, loop.tool_parser = Trajectory(), fork, [], None
    loop.axpo, loop.response_length = AXPOConfig(), 100
    return loop


def agent_data():
    return AgentData([{"role": "user", "content": "?"}], None, None, None, None, {}, "r", {})


async def turns(loop, data, calls):
    """Generate an assistant turn before, between and after these calls."""
    for past in [*calls, None]:
        await loop._handle_generating_state(data, {})
        if past is not None:
            past_calls(data).append(past)


@pytest.fixture(autouse=True)
def without_verl(monkeypatch):
    async def generated(self, data, sampling_params, ignore_termination=False):
        data.asked = sampling_params["max_tokens"]
        return AgentState.TERMINATED

    monkeypatch.setattr(ToolAgentLoop, "_handle_generating_state", generated)


def fork_at(snapshot):
    return Fork(0, ToolCallSpan(1, 0, 3, 1, 0.5), "r", snapshot, (1,), (2,), (1,), (-0.1,))


def test_each_turn_remembers_the_calls_before_it():
    source = session()
    asyncio.run(turns(source, agent_data(), CALLS))
    assert [list(turn.past_calls) for turn in source._trajectory.turns] == [CALLS[:i] for i in range(4)]


@pytest.mark.parametrize("cut", range(4))
def test_a_continuation_starts_with_the_calls_at_the_cut(cut):
    source = session()
    asyncio.run(turns(source, agent_data(), CALLS))
    fork = fork_at(source._trajectory.turns[cut])
    data, other = agent_data(), agent_data()
    loop = session(fork)
    assert loop._resume(data, fork) is AgentState.GENERATING
    session(fork)._resume(other, fork)
    assert past_calls(data) == CALLS[:cut]
    more = PastCall("python", {"code": "mine"})
    asyncio.run(turns(loop, data, [more]))
    assert past_calls(other) == CALLS[:cut] and list(fork.snapshot.past_calls) == CALLS[:cut]
    # a fork of the continuation: its own snapshots go on from there
    assert [list(turn.past_calls) for turn in loop._trajectory.turns] == [CALLS[:cut], [*CALLS[:cut], more]]


def test_watched_copies_share_gate_and_state():
    running = peak = 0

    async def work(parameters):
        nonlocal running, peak
        running, peak = running + 1, max(peak, running + 1)
        await asyncio.sleep(0.005)
        running -= 1
        if parameters.get("fail"):
            raise ToolInfrastructureError("down", "http")
        return Answer("done")

    tool = SampleTool({"max_concurrency": 2}, work=work)
    sessions = [session() for _ in range(6)]

    async def run(loop, fail):
        copied = watched(tool, loop._infrastructure_errors)
        assert copied is not tool and copied.gate is tool.gate and copied.name == "sample"
        assert copied.options is tool.options and copied.check() == tool.check()
        instance, _ = await copied.create(create_kwargs={"images": [1]})
        try:
            return await copied.execute(instance, {"fail": fail}, agent_data=None)
        finally:
            await copied.release(instance)

    async def all_at_once():
        return await asyncio.gather(*(run(loop, i == 3) for i, loop in enumerate(sessions)), return_exceptions=True)

    results = asyncio.run(all_at_once())
    assert peak == 2, "each session had a gate of its own"
    assert [isinstance(result, ToolInfrastructureError) for result in results] == [i == 3 for i in range(6)]
    assert [len(loop._infrastructure_errors) for loop in sessions] == [int(i == 3) for i in range(6)]  # its own alone
    assert tool.seen_create_kwargs == [{"images": [1]}] * 6 and tool._create_kwargs == {}
    assert "execute" not in vars(tool)  # the worker's tool is left as it was


def test_a_function_tool_is_watched_too():
    async def down(text: str) -> str:
        """Fail.

        Args:
            text: any
        """
        raise OSError("disk")

    loop = session()
    tool = FunctionTool(name="down", fn=down, tool_schema=SimpleNamespace(), is_async=True)
    with pytest.raises(OSError):
        asyncio.run(watched(tool, loop._infrastructure_errors).call({"text": ""}))
    assert loop._infrastructure_errors == ["OSError: disk"]


@pytest.mark.parametrize("tools_kwargs", [None, {}, {"sample": None}, {"sample": {"create_kwargs": None}}])
def test_a_row_without_arguments_for_a_tool(tools_kwargs):
    """Parquet gives every row the columns of the others, with null in them."""
    loop = session()
    tool = SampleTool()
    loop.tools, loop.max_tool_response_length = {"sample": watched(tool, loop._infrastructure_errors)}, 100
    call = SimpleNamespace(name="sample", arguments='{"do": "count"}')
    response, _, _ = asyncio.run(loop._call_tool(call, tools_kwargs, SimpleNamespace()))
    assert response.text == "0 before, size 3" and tool.seen_create_kwargs == [{}]
    assert loop._trajectory.executed_calls == 1


@pytest.mark.parametrize("so_far, asked", [(0, 100), (60, 40), (99, 1), (100, 1), (130, 1)])
def test_a_turn_asks_for_what_is_left_of_the_response(so_far, asked):
    loop, data = session(), agent_data()
    data.response_mask = [1] * so_far
    asyncio.run(loop._handle_generating_state(data, {"temperature": 1.0}))
    assert data.asked == asked


def call_of(work, timeout=0.05):
    """Call a tool whose body is ``work``, with a limit on the call."""
    loop, tool = session(), SampleTool(work=work)
    loop.axpo = AXPOConfig(tool_timeout_s=timeout)
    loop.tools, loop.max_tool_response_length = {"sample": watched(tool, loop._infrastructure_errors)}, 100
    return loop._call_tool(SimpleNamespace(name="sample", arguments="{}"), {}, SimpleNamespace())


async def never(parameters):
    await asyncio.Event().wait()


async def deaf(parameters):
    """Go on after a cancellation, as code does that catches everything."""
    for _ in range(20):
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            continue
    return Answer("late")


@pytest.mark.parametrize("work", [never, deaf])
def test_a_call_that_hangs_ends_at_its_deadline(work):
    async def timed():
        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded, match=r"the tool 'sample' took longer than axpo.tool_timeout_s=0.05 s"):
            await call_of(work)
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(timed()) < 1.0


def test_a_tool_that_fails_for_infrastructure_reasons_ends_the_session():
    async def down(parameters):
        raise ToolInfrastructureError("the backend is down", "http")

    with pytest.raises(
        RolloutInfrastructureError, match="'sample' failed: ToolInfrastructureError: the backend is down"
    ):
        asyncio.run(call_of(down, timeout=5.0))


@pytest.mark.parametrize("stage", ["create", "execute"])
@pytest.mark.parametrize("error", [ConnectionError("down"), httpx.ConnectError("down"), TimeoutError("late")])
def test_errors_of_the_network_are_infrastructure_wherever_they_arise(stage, error):
    class Other:
        """A tool of another project."""

        name = "sample"

        async def create(self, *args, **kwargs):
            if stage == "create":
                raise error
            return "id", None

        async def execute(self, *args, **kwargs):
            raise error

        async def release(self, *args, **kwargs):
            pass

    loop = session()
    loop.tools, loop.max_tool_response_length = {"sample": watched(Other(), loop._infrastructure_errors)}, 100
    call = SimpleNamespace(name="sample", arguments="{}")
    with pytest.raises(RolloutInfrastructureError, match=type(error).__name__):
        asyncio.run(loop._call_tool(call, {}, SimpleNamespace()))


def test_synchronous_tools_that_hang_do_not_use_up_the_loops_threads():
    """verl's tokenizer needs them."""
    release = Event()

    async def run():
        loop = session()
        loop.axpo = AXPOConfig(tool_timeout_s=0.05)
        tool = FunctionTool(name="slow", fn=lambda: release.wait(20), tool_schema=SimpleNamespace())
        loop.tools, loop.max_tool_response_length = {"slow": watched(tool, loop._infrastructure_errors)}, 100
        call = SimpleNamespace(name="slow", arguments="{}")
        for _ in range(40):
            with pytest.raises(DeadlineExceeded):
                await loop._call_tool(call, {}, SimpleNamespace())
        await asyncio.wait_for(asyncio.to_thread(int), 2)

    try:
        asyncio.run(run())
    finally:
        release.set()


@pytest.mark.parametrize("text", ["a, b", ""])
def test_a_synchronous_tool_answers(text):
    tool = FunctionTool(name="split", fn=lambda text: text.split(", "), tool_schema=SimpleNamespace())
    assert asyncio.run(watched(tool, []).call({"text": text})) == text.split(", ")
    with pytest.raises(TypeError):
        asyncio.run(watched(tool, []).call({"txt": text}))


@pytest.mark.parametrize(
    "output, message",
    [
        (dict(token_ids=[1], stop_reason="aborted"), "stop_reason='aborted' and 1 tokens"),
        (dict(token_ids=[], stop_reason=None), "stop_reason=None and 0 tokens"),
        (dict(token_ids=[1, 2], stop_reason="error"), "stop_reason='error'"),
        (dict(token_ids=[1, 2], stop_reason="completed"), None),
        (dict(token_ids=[1, 2], stop_reason=None), None),
    ],
)
def test_an_aborted_request_is_no_answer(output, message):
    class Client:
        async def generate(self, request_id, *, prompt_ids, **kwargs):
            return SimpleNamespace(**output, extra_fields={ENTROPIES_KEY: [0.5] * len(output["token_ids"])})

    calls, entropies = [], []
    client = _WatchedClient(Client(), entropies, calls)
    if message is None:
        assert asyncio.run(client.generate("r", prompt_ids=[7])).token_ids == [1, 2]
        assert [(call.prompt_ids, call.token_ids) for call in calls] == [((7,), (1, 2))] and entropies == [0.5, 0.5]
    else:
        with pytest.raises(RolloutInfrastructureError, match=message):
            asyncio.run(client.generate("r", prompt_ids=[7]))
        assert calls == [] and entropies == []
