# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the tools against numpy, and the list they are collected in."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_ext import tool_calls as metrics
from verl_ext.tool_calls import CallRecord, drain, record, summarise

seconds = st.floats(0, 1e6, allow_subnormal=False)
kinds = st.sampled_from([None, None, "model:code", "model:timeout", "infrastructure:deadline"])
records = st.builds(
    CallRecord,
    tool=st.sampled_from(["python", "search"]),
    failure=kinds,
    seconds=seconds,
    waited=seconds,
    truncated=st.booleans(),
    counts=st.lists(st.sampled_from(["replays", "incomplete_replays/output"]), max_size=3).map(tuple),
)


@given(st.lists(records, max_size=60))
def test_summary(calls):
    figures = summarise(calls)
    assert all(type(value) is float for value in figures.values())
    assert {key.split("/")[1] for key in figures} == {call.tool for call in calls}
    for tool in {call.tool for call in calls}:
        mine = [call for call in calls if call.tool == tool]
        failed = [call.failure for call in mine if call.failure]
        assert figures[f"tools/{tool}/calls"] == len(mine)
        assert figures[f"tools/{tool}/failure_rate"] == len(failed) / len(mine)
        assert figures[f"tools/{tool}/truncations"] == sum(call.truncated for call in mine)
        for name in ("replays", "incomplete_replays/output"):
            assert figures.get(f"tools/{tool}/{name}", 0) == sum(call.counts.count(name) for call in mine)
        head = f"tools/{tool}/failures/"
        assert {k.removeprefix(head): v for k, v in figures.items() if k.startswith(head)} == {
            kind: failed.count(kind) for kind in set(failed)
        }
        times = [call.seconds for call in mine]
        for name, value in (("p50", np.percentile(times, 50)), ("p95", np.percentile(times, 95)), ("max", max(times))):
            assert figures[f"tools/{tool}/latency_{name}"] == pytest.approx(value)
        waits = [call.waited for call in mine]
        assert figures[f"tools/{tool}/wait_p95"] == pytest.approx(np.percentile(waits, 95))


def test_prefix():
    assert set(summarise([CallRecord("python", None, 1.0)], prefix="val-tools")) == {
        f"val-tools/python/{name}"
        for name in ("calls", "failure_rate", "truncations", "latency_p50", "latency_p95", "latency_max", "wait_p95")
    }
    assert summarise([]) == {}


def test_drained_once_and_in_order():
    drain()
    calls = [CallRecord("python", None, float(i)) for i in range(5)]
    for call in calls:
        record(call)
    assert drain() == calls
    assert drain() == []


def test_every_call_is_drained_exactly_once_from_many_threads():
    drain()
    found, done = [], threading.Event()

    def write(thread):
        for i in range(500):
            record(CallRecord(f"t{thread}", None, float(i)))

    def read():
        while not done.is_set():
            found.extend(drain())

    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    found.extend(drain())
    assert len(found) == len(set(found)) == 2000
    for i in range(4):  # each thread's in its order
        assert [call.seconds for call in found if call.tool == f"t{i}"] == list(map(float, range(500)))


def test_without_a_collector_memory_is_bounded(monkeypatch):
    drain()
    for i in range(metrics.MAX_RECORDS + 10):
        record(CallRecord("python", None, float(i)))
    calls = drain()
    assert len(calls) == metrics.MAX_RECORDS and calls[0].seconds == 10.0
