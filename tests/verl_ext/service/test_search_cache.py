# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded answers, and the rate limit: both shared by processes."""

import asyncio
import json
import pickle
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tools.api_server import ApiServer, Reply, tavily_answer
from tests.tools.corpora import call, call_async, load
from verl_ext.service.cache import AnswerCache
from verl_ext.service.rate import RateLimit
from verl_ext.tool_calls import ToolInfrastructureError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("TAVILY_API_KEY", "geheim")


def processes(code, *arguments, number=2):
    """Run `code` in several processes at once; what each printed, from JSON."""
    started = [
        subprocess.Popen([sys.executable, "-c", code, *arguments, str(i)], cwd=ROOT, stdout=subprocess.PIPE)
        for i in range(number)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * number
    return [json.loads(output) for output in outputs]


def test_replay_gives_the_recorded_run_byte_for_byte(tmp_path, monkeypatch):
    body = b' { "results" : [ {"title": "A\\u00e9", "url": "u", "content": "1.0\\n2", "score": 1e-3} ] }\n'
    cache = str(tmp_path / "answers")
    queries = [{"query": "a"}, {"query": "a", "max_results": 2}, {"query": "b"}, {"query": "a"}]
    monkeypatch.setenv("TAVILY_API_KEY", "geheim")
    with ApiServer([Reply(body), Reply(tavily_answer()), Reply({"results": []})]) as server:
        tool = load("tavily-search.yaml", base_url=server.url, cache=cache, cache_mode="record")
        recorded = [call(tool, query) for query in queries]
        assert len(server.requests) == 3  # the fourth was the first again
    again = [call(tool, query) for query in queries]  # the server is gone
    monkeypatch.delenv("TAVILY_API_KEY")
    replay = load("tavily-search.yaml", cache=cache, cache_mode="replay")
    assert [call(replay, query) for query in queries] == again == recorded
    assert recorded[0][0].text == "[1] A\u00e9 (u)\n1.0\n2"
    raw = [row[0] for row in sqlite3.connect(tmp_path / "answers" / "cache.db").execute("SELECT value FROM Cache")]
    answers = [body, json.dumps(tavily_answer()).encode(), b'{"results": []}']
    assert sorted(raw) == sorted([*answers, server.url.encode()])
    assert [(line.what, line.ready) for line in replay.check()] == [("cache", True)]
    assert "3 answers" in replay.check()[0].detail


def test_what_was_not_recorded(tmp_path, key):
    cache = str(tmp_path)
    with ApiServer([Reply(b"", 500)]) as server:
        tool = load("tavily-search.yaml", base_url=server.url, cache=cache, cache_mode="record", attempts=1)
        with pytest.raises(ToolInfrastructureError):
            call(tool, {"query": "a"})
    replay = load("tavily-search.yaml", cache=cache, cache_mode="replay")
    assert not replay.check()[0].ready  # failures are not kept
    with pytest.raises(ToolInfrastructureError, match="cache_mode: record") as caught:
        call(replay, {"query": "a"})
    assert caught.value.kind == "cache_miss" and cache in str(caught.value)


def test_one_question_asked_side_by_side_is_paid_once(tmp_path, key):
    async def many(tool):
        return await asyncio.gather(*(call_async(tool, {"query": "a"}) for _ in range(8)))

    with ApiServer([Reply(tavily_answer(), delay=0.1)]) as server:
        tool = load("tavily-search.yaml", base_url=server.url, cache=str(tmp_path), cache_mode="record")
        answers = asyncio.run(many(tool))
        asyncio.run(many(tool))  # in another event loop
    assert len(server.requests) == 1 and len({response.text for response, _ in answers}) == 1


WRITER = """
import asyncio, json, sys
from verl_ext.service.cache import AnswerCache
async def main(path, name):
    cache = AnswerCache("tool", path, "record")
    async def ask(i):
        await asyncio.sleep(0.002)
        return f"{name} {i} ".encode() * 20_000
    async def one(i):
        return (await cache.answer("api", {"i": i}, lambda: ask(i))).decode()
    print(json.dumps([(answer[:40], len(answer)) for answer in await asyncio.gather(*map(one, range(40)))]))
asyncio.run(main(*sys.argv[1:]))
"""


def test_processes_that_write_the_same_keys_agree(tmp_path):
    first, second = processes(WRITER, str(tmp_path))
    assert first == second
    cache = AnswerCache("tool", str(tmp_path), "replay")
    assert len(cache) == 40

    async def read(i):
        return (await cache.answer("api", {"i": i}, None)).decode()

    for i, (start, length) in enumerate(first):
        body = asyncio.run(read(i))
        assert (body[:40], len(body)) == (start, length) and body == body[: body.index(" ", 2) + 1] * 20_000


def test_pickles_in_a_foreign_cache_are_not_read(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    cache = AnswerCache("tool", str(tmp_path), "record")

    async def ask():
        return b"good"

    assert asyncio.run(cache.answer("api", {}, ask)) == b"good"
    for mode in (1, 2, 3, 4):
        with sqlite3.connect(tmp_path / "cache.db") as database:
            database.execute("UPDATE Cache SET mode = ?, value = ?", (mode, pickle.dumps(Bomb())))
        asyncio.run(AnswerCache("tool", str(tmp_path), "replay").answer("api", {}, ask))
    with sqlite3.connect(tmp_path / "cache.db") as database:
        database.execute("UPDATE Cache SET filename = '../secret', value = NULL")
    (tmp_path.parent / "secret").write_bytes(b"secret")
    with pytest.raises(ToolInfrastructureError) as caught:
        asyncio.run(cache.answer("api", {}, ask))
    assert caught.value.kind == "cache" and not (tmp_path / "exploded").exists()


def test_a_damaged_cache_is_a_failure_of_ours(tmp_path):
    (tmp_path / "cache.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ValueError, match="cache: cannot open"):
        AnswerCache("tool", str(tmp_path), "replay")


def test_nothing_is_evicted_and_keys_do_not_depend_on_order(tmp_path):
    cache = AnswerCache("tool", str(tmp_path), "record")
    settings = dict(sqlite3.connect(tmp_path / "cache.db").execute("SELECT key, value FROM Settings"))
    assert settings["eviction_policy"] == "none" and settings["cull_limit"] == 0 and settings["size_limit"] > 2**60
    assert cache.key("api", {"a": 1, "b": 2}) == cache.key("api", {"b": 2, "a": 1})
    keys = {cache.key("api", {"a": value})[1] for value in (1, "1", 1.5, None)} | {cache.key("b", {"a": 1})[1]}
    assert len(keys) == 5 and AnswerCache("other", None, "off").key("api", {"a": 1})[1] not in keys


# ---------------------------------------------------------------- rate limit

TAKER = """
import asyncio, json, sys, time
from verl_ext.tool_calls import ToolInfrastructureError
from verl_ext.service.rate import RateLimit
async def main(path, name):
    limit, times = RateLimit("tool", path, 6, period_s=0.5), []
    async def take():
        await limit.acquire(30)
        times.append(time.time())
    await asyncio.gather(*(take() for _ in range(10)))
    print(json.dumps(times))
asyncio.run(main(*sys.argv[1:]))
"""


def test_processes_share_a_rate_limit(tmp_path):
    times = sorted(sum(processes(TAKER, str(tmp_path / "rate")), []))
    assert len(times) == 20
    # the seventh after any one comes half a second later, but for the time between its turn and its stamp
    assert min(later - earlier for earlier, later in zip(times, times[6:], strict=False)) > 0.4
    assert times[-1] - times[0] > 1.4


def test_waiting_for_a_turn_does_not_block_the_loop(tmp_path):
    async def main():
        limit = RateLimit("tool", str(tmp_path / "rate"), 1, period_s=0.4)
        await limit.acquire(1)
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticker = asyncio.create_task(tick())
        waited = await limit.acquire(5)
        ticker.cancel()
        return waited, ticks

    waited, ticks = asyncio.run(main())
    assert 0.3 < waited < 2 and ticks > 15


def test_no_turn_in_time_is_said_at_once(tmp_path):
    async def main():
        limit = RateLimit("tool", str(tmp_path / "rate"), 1)
        await limit.acquire(1)
        await limit.acquire(1)

    started = time.monotonic()
    with pytest.raises(ToolInfrastructureError, match="1 requests in 60 s") as caught:
        asyncio.run(main())
    assert caught.value.kind == "rate_limit" and time.monotonic() - started < 1
