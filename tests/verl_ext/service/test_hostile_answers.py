# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What servers send to do harm: the event loop does not stall, memory does not grow, and the call fails in time."""

import asyncio
import gc
import gzip
import io
import os
import struct
import time
import zlib
from base64 import b64encode

import psutil
import pytest
from PIL import Image

from tests.tools.api_server import ApiServer, RawServer, Reply
from tests.tools.corpora import call_async, load
from tests.tools.test_image_search import png_header, trajectory
from verl_ext.service.http import HttpClient
from verl_ext.service.json_answer import LENIENT_BYTES, field_of, form_of, read_json
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError

MAX_STALL_S, MAX_GROWTH = 0.2, 160 << 20
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
MIB = 2**20


async def observed(work):
    """Run `work()`; what came of it, the longest time in which the loop did nothing else, and how memory grew.

    A stall counts as far as this process has worked meanwhile: a busy machine delays any loop.
    """
    process, stall, peak = psutil.Process(), 0.0, 0
    gc.collect()
    before = process.memory_info().rss

    async def watch():
        nonlocal stall, peak
        while True:
            started, worked = time.perf_counter(), time.process_time()
            await asyncio.sleep(0.005)
            stall = max(stall, min(time.perf_counter() - started, time.process_time() - worked))
            peak = max(peak, process.memory_info().rss)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.02)
    stall = 0.0
    try:
        result = await work()
    except ToolInfrastructureError as error:
        result = error.kind
    await asyncio.sleep(0.01)
    watching.cancel()
    return result, stall, peak - before


def harmless(work, tries=3):
    """What came of `work()`, which must not have done harm. The best of a few tries counts."""
    for left in reversed(range(tries)):
        result, stall, growth = asyncio.run(observed(work))
        if (stall <= MAX_STALL_S and growth <= MAX_GROWTH) or not left:
            assert stall <= MAX_STALL_S and growth <= MAX_GROWTH, (stall, growth >> 20)
            return result


def client(**options):
    return HttpClient(
        "probe", **{"attempts": 1, "attempt_timeout_s": 1.0, "backoff_s": 0.0, "max_connections": 32} | options
    )


def get(url, max_bytes=8 * MIB, **options):
    return client(**options).request("GET", url, deadline_s=3.0, max_bytes=max_bytes)


# ---------------------------------------------------------------- HTTP

BOMB = gzip.compress(gzip.compress(bytes(400 * MIB), 1), 9)


@pytest.mark.parametrize(
    "encoding", ["gzip, gzip", "gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip" * 9000, "?"]
)
@pytest.mark.parametrize("status, kind", [(200, "garbage"), (500, "http_500"), (401, "key"), (400, "http_400")])
def test_compressed_answers_are_never_unpacked(encoding, status, kind):
    start = (
        f"HTTP/1.1 {status} X\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(BOMB)}\r\n\r\n".encode() + BOMB
    )
    with RawServer(start) as server:
        assert harmless(lambda: get(server.url)) == kind


@pytest.mark.parametrize("encoding", ["identity", "", "Identity"])
def test_an_answer_that_is_not_compressed_is_read(encoding):
    with ApiServer([Reply(b"good", headers={"Content-Encoding": encoding})]) as server:
        assert asyncio.run(get(server.url)) == b"good"
        assert server.requests[0][1]["Accept-Encoding"] == "identity"


HOSTILE = {
    "interim responses": ((b"", b"HTTP/1.1 100 \r\n\r\n" * 4000), ("timeout",)),
    "tiny chunks": ((OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000), ("size", "timeout")),
    "chunk sizes without end": ((OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536), ("disconnect",)),
    "a huge chunk": ((OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", b"x" * MIB), ("size", "timeout")),
    "chunk extensions": ((OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 65_536), ("disconnect",)),
    "a body without end": ((OK + b"\r\n", b"x" * MIB), ("size", "timeout")),
    "headers without end": ((OK, b"a: b\r\n" * 10_000), ("disconnect",)),
    "one header without end": ((OK + b"a: ", b"x" * 65_536), ("disconnect",)),
    "slow headers": ((OK, b"a: b\r\n", None, 0.05), ("timeout",)),
    "slow bytes": ((OK + b"\r\n", b"x", None, 0.05), ("timeout",)),
    "silence": ((OK, b"", None, 0.05), ("disconnect",)),
    "no HTTP": ((os.urandom(200_000),), ("disconnect",)),
    "lies about its length": ((OK + b"Content-Length: 9999999999999999999\r\n\r\n", b"x" * MIB), ("size", "timeout")),
    "two lengths": ((OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",), ("disconnect",)),
    "a redirect to itself": ((b"HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",), ("http_302",)),
    "a redirect with a long name": (
        (b"HTTP/1.1 302 X\r\nLocation: http://" + "\u00e9".encode() * 30_000 + b"\r\nContent-Length: 0\r\n\r\n",),
        ("disconnect", "http_302"),
    ),
    "many short headers": ((OK + b"a:\r\n" * 24_000 + b"Content-Length: 1\r\n\r\nx",), (b"x",)),
    "many cookies": ((OK + b"Set-Cookie: a=b\r\n" * 5000 + b"Content-Length: 1\r\n\r\nx",), (b"x",)),
    "waits for ever": (
        (b"HTTP/1.1 429 X\r\nRetry-After: 9" + b"9" * 5000 + b"\r\nContent-Length: 0\r\n\r\n",),
        ("http_429",),
    ),
}


@pytest.mark.parametrize("sends, kinds", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers(sends, kinds):
    with RawServer(*sends) as server:
        assert harmless(lambda: get(server.url)) in kinds


@pytest.mark.parametrize(
    "name", ["interim responses", "tiny chunks", "many short headers", "many cookies", "headers without end"]
)
def test_hostile_answers_side_by_side(name):
    sends, kinds = HOSTILE[name]

    async def many():
        http = client()
        calls = [http.request("GET", server.url, deadline_s=3.0, max_bytes=MIB) for _ in range(16)]
        return await asyncio.gather(*calls, return_exceptions=True)

    with RawServer(*sends) as server:
        for result in harmless(many):
            assert getattr(result, "kind", result) in {*kinds, "timeout", "deadline"}


def test_cookies_are_not_kept():
    with ApiServer([Reply(b"x", headers={"Set-Cookie": "a=b"})]) as server:
        http = client()
        for _ in range(2):
            asyncio.run(http.request("GET", server.url, deadline_s=3.0, max_bytes=99))
        assert "Cookie" not in server.requests[1][1] and "cookie" not in server.requests[1][1]


def test_a_check_that_takes_long_does_not_stall_the_loop():
    def check(body):
        for _ in range(20_000_000):
            pass

    with ApiServer([Reply(b"x")]) as server:
        http = client()
        assert harmless(lambda: http.request("GET", server.url, deadline_s=30.0, max_bytes=9, check=check)) == b"x"


def test_a_cancelled_request_ends_its_connection():
    async def main():
        task = asyncio.create_task(get(server.url, attempt_timeout_s=30.0))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            await asyncio.sleep(0.05)
            if not [
                c
                for c in psutil.Process().net_connections("tcp")
                if c.raddr and c.raddr.port == port and c.status == "ESTABLISHED"
            ]:
                return True

    with RawServer(OK + b"\r\n", b"x", None, 0.05) as server:
        port = int(server.url.rpartition(":")[2])
        assert asyncio.run(main())


# ---------------------------------------------------------------- JSON


def filled(piece, size=8 * MIB):
    return b'{"x":[' + piece * (size // len(piece)) + b'0],"results":[]}'


JSON = {
    "lists": filled(b"[],"),
    "objects": filled(b"{},"),
    "small numbers": filled(b"1,"),
    "long numbers": filled(b"9" * 4299 + b","),
    "a giant number": b'{"x":' + b"9" * (8 * MIB) + b',"results":[]}',
    "a giant fraction": b'{"x":0.' + b"9" * (8 * MIB) + b',"results":[]}',
    "exponents": filled(b"1e999999,"),
    "escapes": b'{"x":"' + b"\\u0041" * (8 * MIB // 6) + b'","results":[]}',
    "halves of pairs": b'{"x":"' + b"\\ud800" * (8 * MIB // 6) + b'","results":[]}',
    "keys": b"{" + b",".join(b'"%d":0' % i for i in range(700_000)) + b',"results":[]}',
    "equal keys": b"{" + b'"results":[],' * (8 * MIB // 13) + b'"results":[]}',
    "depth": b"[" * (8 * MIB),
    "depth of objects": b'{"results":' * (8 * MIB // 11),
    "depth within reach": b'{"x":' + b"[" * 900 + b"]" * 900 + b',"results":[]}',
    "lists, small": filled(b"[],", LENIENT_BYTES - 100),
    "lists and NaN": filled(b"[],", LENIENT_BYTES - 100).replace(b"0]", b"NaN]"),
    "results": b'{"results":[' + b"{}," * (8 * MIB // 3) + b"{}]}",
    "results within reach": b'{"results":[' + b"{}," * 90_000 + b"{}]}",
    "one long result": b'{"results":[{"content":"' + b"a b\\n" * (8 * MIB // 6) + b'"}]}',
    "one long result, other script": b'{"results":[{"content":"' + "\u5c71".encode() * (8 * MIB // 3 - 50) + b'"}]}',
    "control tokens": b'{"results":[{"content":"' + b"<image>" * (8 * MIB // 7 - 9) + b'"}]}',
    "blanks": b'{"results":[{"title":"' + b" " * (2 * MIB) + b'","content":"' + b" \\n" * (2 * MIB) + b'"}]}',
    "utf-16": '{"results": []}'.encode("utf-16"),
    "no utf-8": b'{"results":[{"title":"\xff\xfe"}]}',
    "odd character set": b'{"results":[]}',
}


@pytest.mark.parametrize("body", JSON.values(), ids=JSON)
def test_hostile_json(monkeypatch, body):
    monkeypatch.setenv("TAVILY_API_KEY", "key")
    headers = {"Content-Type": "application/json; charset=unicode_escape"}
    with ApiServer([Reply(body[: 8 * MIB], headers=headers)]) as server:
        tool = load("tavily-search.yaml", base_url=server.url, attempts=1)
        result = harmless(lambda: call_async(tool, {"query": "x"}))
        assert result == "garbage" or result[1]["ok"], result
        image_tool = load("image_search.yaml", url=server.url, attempts=1)
        chat = trajectory(Image.new("RGB", (64, 64)))
        result = harmless(lambda: call_async(image_tool, {"img_idx": 0}, chat))
        assert result == "garbage" or result[1]["ok"], result


RESULT = form_of("result", {"meta.name": str, "thumb": str, "an odd.k\u00e9y": str})
ANSWER = form_of("answer", {"data.items": list[RESULT]})


@pytest.mark.parametrize(
    "body, titles",
    [
        ('{"data": {"items": [{"meta": {"name": "A", "x": [1]}}, {}, {"meta": null}]}}', ["A", None, None]),
        ('\ufeff{"data": {"items": [{"meta": {"name": "\\ud83d\\ude00"}}]}}', ["\U0001f600"]),
        ('{"data": {"items": [{"meta": {"name": "a\\ud800b"}}]}}', ["a?b"]),
        ('{"data": {"items": [{"meta": {"name": "A"}}], "score": NaN, "s": -Infinity}}', ["A"]),
        ('{"data": {"items": []}}', []),
        ("{}", None),
        ('{"data": null}', None),
    ],
)
def test_forms(body, titles):
    items = field_of(read_json(body.encode(), ANSWER), "data.items")
    assert titles == (None if items is None else [field_of(item, "meta.name") for item in items])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"{",
        b'{"data": []}',
        b'{"data": {"items": {}}}',
        b'{"data": {"items": ["x"]}}',
    ]
    + [
        b'{"data": {"items": [{"meta": {"name": 5}}]}}',
        b'{"data": {"items": [{"thumb": ["x"]}]}}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_other_forms(body):
    with pytest.raises(ValueError) as error:
        read_json(body, ANSWER)
    assert len(str(error.value)) < 250 and not isinstance(error.value, BadArgument)


def test_fields_that_contradict_each_other_are_told_at_start():
    with pytest.raises(ValueError, match="image_search: .*image.url leads into image"):
        load("image_search.yaml", url="http://x", thumbnail_field="image", thumbnail_url_field="image.url")


# ---------------------------------------------------------------- pictures


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def blank_png(width, height, *extra):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((width + 1) * height), 9)
    parts = chunk(b"IHDR", header), *extra, chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def many_scans(scans):
    """A progressive JPEG that repeats its last scan: a few bytes each, millions of pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(buffer, "JPEG", progressive=True, quality=30)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


PICTURES = {
    "gigapixels": png_header(60_000, 60_000),
    "many pixels": blank_png(7000, 7000),
    "as many as allowed": blank_png(4096, 4096),
    "a text that unpacks": blank_png(64, 64, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 * MIB), 9))),
    "a profile that unpacks": blank_png(64, 64, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200 * MIB), 9))),
    "scans": many_scans(20),
    "more scans": many_scans(900),
    "noise": os.urandom(500_000),
}


@pytest.mark.parametrize("data", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("inline", [True, False])
def test_hostile_pictures(data, inline):
    def route(path, _):
        return Reply(data) if path == "/thumb" else None

    with ApiServer(route=route) as server:
        result = {"title": "T", "image": b64encode(data).decode()} if inline else {"image_url": f"{server.url}/thumb"}
        server.replies = [Reply({"results": [result]})]
        tool = load("image_search.yaml", url=f"{server.url}/lens", attempts=1)
        chat = trajectory(Image.new("RGB", (64, 64)))
        started = time.monotonic()
        response, figures = harmless(lambda: call_async(tool, {"img_idx": 0}, chat))
        assert figures["ok"] and figures["results"] == 1 and time.monotonic() - started < 20
