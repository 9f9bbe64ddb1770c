# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What all tools share: options, errors of two kinds, one record for each call."""

import asyncio
import math
import pickle

import pytest

from tests.tools.sample_tools import SampleTool
from tools.base import Answer
from verl_ext import tool_calls as metrics
from verl_ext.tool_calls import BadArgument, PastCall, ToolInfrastructureError, past_calls


class AgentData:
    messages = ()


def execute(tool, parameters, agent_data=None, **create_kwargs):
    async def run():
        instance, _ = await tool.create(create_kwargs=create_kwargs)
        try:
            return await tool.execute(instance, parameters, agent_data=agent_data)
        finally:
            await tool.release(instance)

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def no_records():
    metrics.drain()


def one_record():
    (record,) = metrics.drain()
    return record


def raising(error):
    async def work(parameters):
        raise error

    return SampleTool(work=work)


# ---------------------------------------------------------------- calls


def test_an_answer():
    tool, agent_data = SampleTool(), AgentData()
    response, reward, figures = execute(tool, {"do": "count"}, agent_data, images=["one"])
    assert (response.text, response.image, reward) == ("0 before, size 3", None, 0.0)
    assert figures == {"ok": True, "error": None}
    assert tool.seen_create_kwargs == [{"images": ["one"]}] and tool._create_kwargs == {}
    record = one_record()
    assert (record.tool, record.failure, record.truncated) == ("sample", None, False)
    assert 0 <= record.seconds < 1 and 0 <= record.waited < 1
    assert past_calls(agent_data) == [PastCall("sample", {"do": "count"})]
    assert execute(tool, {"do": "count"}, agent_data)[0].text.startswith("1 before")


def test_a_cut_answer():
    _, _, figures = execute(SampleTool(), {"do": "long"})
    assert figures == {"ok": True, "error": None, "truncated": True} and one_record().truncated


@pytest.mark.parametrize("parameters", [None, [], "do", 3, [1, 2], math.nan])
def test_arguments_that_are_no_object(parameters):
    response, _, figures = execute(SampleTool(), parameters, AgentData())
    assert response.text == "Error: arguments must be an object with do."
    assert figures == {"ok": False, "error": "arguments"} and one_record().failure == "model:arguments"


def test_a_mistake_of_the_model_is_no_past_call():
    agent_data = AgentData()
    response, _, figures = execute(SampleTool(), {}, agent_data)
    assert response.text == "Error: do must be fail, bug, long or count." and figures["error"] == "do"
    assert one_record().failure == "model:do" and past_calls(agent_data) == []


def test_a_failure_the_tool_tells_in_its_own_words_is_a_past_call():
    async def work(parameters):
        return Answer("Traceback", failure="exception", lost_state=True, metrics={"images": 0})

    agent_data = AgentData()
    response, _, figures = execute(SampleTool(work=work), {"do": "x"}, agent_data)
    assert response.text == "Traceback" and figures == {"ok": False, "error": "exception", "images": 0}
    assert one_record().failure == "model:exception"
    assert past_calls(agent_data) == [PastCall("sample", {"do": "x"}, lost_state=True)]


@pytest.mark.parametrize(
    "error, kind",
    [
        (KeyError("oops"), "bug"),
        (ZeroDivisionError(), "bug"),
        (ValueError("kind"), "bug"),
        (asyncio.InvalidStateError(), "bug"),
        (TimeoutError("of a client"), "timeout"),
        (ConnectionResetError("peer"), "os"),
        (MemoryError(), "memory"),
    ],
)
def test_what_nobody_foresaw_is_a_failure_of_ours(error, kind):
    agent_data = AgentData()
    with pytest.raises(ToolInfrastructureError, match=f"sample: {type(error).__name__}") as caught:
        execute(raising(error), {}, agent_data)
    assert caught.value.kind == kind and caught.value.__cause__ is error
    assert one_record().failure == f"infrastructure:{kind}" and past_calls(agent_data) == []


def test_an_errors_own_attribute_is_no_kind():
    error = RuntimeError("odd")
    error.kind = object()
    with pytest.raises(ToolInfrastructureError) as caught:
        execute(raising(error), {})
    assert caught.value.kind == "bug" and one_record().failure == "infrastructure:bug"


def test_a_long_message_of_a_bug_is_cut():
    with pytest.raises(ToolInfrastructureError) as caught:
        execute(raising(KeyError("x" * 10**6)), {})
    assert len(str(caught.value)) <= 500


def test_a_failure_of_ours_goes_through_as_it_is():
    error = ToolInfrastructureError("the backend is down", "http")
    with pytest.raises(ToolInfrastructureError) as caught:
        execute(raising(error), {})
    assert caught.value is error and one_record().failure == "infrastructure:http"


def test_deadline_and_queue():
    async def work(parameters):
        await asyncio.sleep(0.2)

    tool = SampleTool({"timeout_s": 0.05, "max_concurrency": 1, "queue_timeout_s": 0.02}, work=work)

    async def run():
        calls = [tool.execute(str(i), {}, agent_data=None) for i in range(2)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [error.kind for error in asyncio.run(run())] == ["deadline", "queue"]
    queued, late = metrics.drain()
    assert (queued.failure, late.failure) == ("infrastructure:queue", "infrastructure:deadline")
    assert queued.seconds == 0.0 and queued.waited >= 0.02  # it never had its turn
    assert late.seconds >= 0.05 > late.waited


def test_waiting_is_no_latency():
    async def work(parameters):
        await asyncio.sleep(0.03)
        return Answer("done")

    tool = SampleTool({"max_concurrency": 1}, work=work)

    async def run():
        await asyncio.gather(*(tool.execute(str(i), {}) for i in range(8)))

    asyncio.run(run())
    *others, last = metrics.drain()
    assert last.waited == pytest.approx(sum(record.seconds for record in others), rel=0.2)
    assert 0.03 <= last.seconds + 1e-3 and last.seconds < last.waited


def test_a_cancelled_call_is_recorded():
    async def run():
        task = asyncio.create_task(SampleTool(work=lambda parameters: asyncio.sleep(10)).execute("i", {}))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert one_record().failure == "infrastructure:cancelled"


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(ToolInfrastructureError("the backend is down", "http")))
    assert (str(error), error.kind) == ("the backend is down", "http")
    mistake = BadArgument("code", "must be a string.")
    assert (str(mistake), mistake.argument) == ("Error: code must be a string.", "code")
    again = pickle.loads(pickle.dumps(mistake))
    assert (str(again), again.argument) == (str(mistake), "code")


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    "options, says",
    [
        ({"sise": 3}, "unknown option sise; known: timeout_s, max_concurrency, queue_timeout_s, size"),
        ({"size": "3"}, r"size: .*integer.*got '3'"),
        ({"size": True}, "size: .*integer"),
        ({"size": 3.0}, "size: .*integer"),
        ({"size": None}, "size: .*integer"),
        ({"timeout_s": 0}, "timeout_s: .*greater than 0"),
        ({"timeout_s": -1.0}, "timeout_s: .*greater than 0"),
        ({"timeout_s": math.nan}, "timeout_s: .*finite"),
        ({"timeout_s": math.inf}, "timeout_s: .*finite"),
        ({"timeout_s": "60"}, "timeout_s: "),
        ({"queue_timeout_s": math.nan}, "queue_timeout_s: .*finite"),
        ({"max_concurrency": 0}, "max_concurrency: .*greater than or equal to 1"),
        ({"max_concurrency": 2.5}, "max_concurrency: .*integer"),
        ({"max_concurrency": 0, "size": "x"}, "max_concurrency: .*; size: "),
    ],
)
def test_a_bad_option_is_named_at_start(options, says):
    with pytest.raises(ValueError, match=f"^sample: {says}"):
        SampleTool({"type": "native", **options})


def test_a_long_value_is_not_repeated():
    with pytest.raises(ValueError) as caught:
        SampleTool({"size": "x" * 10**6})
    assert len(str(caught.value)) < 300


def test_options():
    tool = SampleTool({"type": "native", "class_name": "x", "timeout_s": 5, "size": 4})
    assert (tool.options.timeout_s, tool.options.size, tool.options.max_concurrency) == (5.0, 4, 32)
    assert (tool.gate.timeout_s, tool.gate.max_concurrency) == (5.0, 32)
    assert [check.ready for check in tool.check()] == [True]
