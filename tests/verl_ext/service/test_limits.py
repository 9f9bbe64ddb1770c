# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The gate: how many calls at once, how long, and whose error it is."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_ext.service.limits import Gate
from verl_ext.tool_calls import ToolInfrastructureError


def gate(max_concurrency=2, timeout_s=5.0, queue_timeout_s=5.0):
    return Gate("sample", max_concurrency=max_concurrency, timeout_s=timeout_s, queue_timeout_s=queue_timeout_s)


async def at_once(the_gate, durations, fails=()):
    """Run calls of these durations in seconds; the most that ran side by side, and what each came to."""
    running = peak = 0

    async def work(i):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        try:
            await asyncio.sleep(durations[i])
            if i in fails:
                raise LookupError(str(i))
            return i
        finally:
            running -= 1

    calls = [the_gate.run(lambda i=i: work(i)) for i in range(len(durations))]
    results = await asyncio.gather(*calls, return_exceptions=True)
    return peak, results


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.lists(st.sampled_from([0.0, 0.001, 0.004]), min_size=1, max_size=12), st.data())
def test_bounds_concurrency_and_loses_nobody(limit, durations, data):
    fails = data.draw(st.sets(st.integers(0, len(durations) - 1)))
    peak, results = asyncio.run(at_once(gate(limit), durations, fails))
    assert peak <= limit
    for i, result in enumerate(results):
        assert isinstance(result, LookupError) if i in fails else result == i


def test_uses_all_slots():
    assert asyncio.run(at_once(gate(3), [0.01] * 9))[0] == 3


def test_deadline():
    async def run():
        the_gate = gate(1, timeout_s=0.02)
        with pytest.raises(ToolInfrastructureError, match=r"sample: no answer within timeout_s=0\.02") as caught:
            await the_gate.run(lambda: asyncio.sleep(10))
        assert caught.value.kind == "deadline"
        return await the_gate.run(lambda: asyncio.sleep(0, "usable"))

    assert asyncio.run(run()) == "usable"


def test_queue_timeout():
    async def run():
        the_gate = gate(1, queue_timeout_s=0.02)
        slow = asyncio.create_task(the_gate.run(lambda: asyncio.sleep(0.1, "slow")))
        await asyncio.sleep(0)
        started = []
        with pytest.raises(ToolInfrastructureError, match=r"queue_timeout_s=0\.02 \(max_concurrency=1\)") as caught:
            await the_gate.run(lambda: started.append(1))
        assert caught.value.kind == "queue" and not started
        assert await slow == "slow"  # the one inside is not disturbed
        return await the_gate.run(lambda: asyncio.sleep(0, "usable"))

    assert asyncio.run(run()) == "usable"


def test_many_that_give_up_leave_all_slots():
    async def run():
        the_gate = gate(2, queue_timeout_s=0.02)
        blockers = [asyncio.create_task(the_gate.run(lambda: asyncio.sleep(0.2))) for _ in range(2)]
        await asyncio.sleep(0)
        waiting = await asyncio.gather(
            *(the_gate.run(lambda: asyncio.sleep(0)) for _ in range(20)), return_exceptions=True
        )
        assert {error.kind for error in waiting} == {"queue"}
        await asyncio.gather(*blockers)
        return (await at_once(the_gate, [0.005] * 6))[0]

    assert asyncio.run(run()) == 2


def test_a_cancelled_call_gives_its_slot_back():
    async def run():
        the_gate = gate(1)
        inside = asyncio.create_task(the_gate.run(lambda: asyncio.sleep(10)))
        outside = asyncio.create_task(the_gate.run(lambda: asyncio.sleep(10)))
        await asyncio.sleep(0.01)
        for task in (outside, inside):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return await the_gate.run(lambda: asyncio.sleep(0, "usable"))

    assert asyncio.run(run()) == "usable"


def test_a_timeout_of_the_work_is_not_ours():
    async def work():
        raise TimeoutError("of an HTTP client")

    with pytest.raises(TimeoutError, match="of an HTTP client"):
        asyncio.run(gate().run(work))


def test_a_timeout_inside_the_work_is_not_ours():
    async def work():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(gate().run(work))
    assert not isinstance(caught.value, ToolInfrastructureError)


def test_waiting_does_not_count_against_the_call():
    waits = []

    async def run():
        the_gate = gate(1, timeout_s=0.5)
        return await asyncio.gather(*(the_gate.run(lambda: asyncio.sleep(0.2, "done"), waits.append) for _ in range(4)))

    assert asyncio.run(run()) == ["done"] * 4
    assert waits == sorted(waits) and waits[0] < 0.2 and waits[3] > 0.5


def test_serves_one_event_loop_after_the_other():
    the_gate = gate(1)
    for _ in range(3):  # contended: the semaphore binds itself to its loop
        assert asyncio.run(at_once(the_gate, [0.001] * 3)) == (1, [0, 1, 2])


def test_the_deadline_is_prompt():
    started = time.monotonic()
    with pytest.raises(ToolInfrastructureError):
        asyncio.run(gate(timeout_s=0.05).run(lambda: asyncio.sleep(10)))
    assert time.monotonic() - started < 2
