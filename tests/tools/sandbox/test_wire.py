# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What comes over the wire, and what a model may write: nothing of it raises what it should not."""

import asyncio
import json
import socket
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools.sandbox.support import Trajectory, acall, call
from tools.python import parse_code
from tools.sandbox.inside import wire
from tools.sandbox.jail import Limits
from tools.sandbox.session import CellResult, _parse
from verl_ext.tool_calls import BadArgument

LIMITS = Limits(images=2, image_pixels=100)
ANSWER = {"stdout": "", "value": None, "error": None, "dropped": 0, "timed_out": False, "images": [],
          "skipped_images": 0}  # fmt: skip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=8,
)


@given(anything | st.text(st.characters()))
def test_parse_code_returns_text_or_says_what_is_wrong(value):
    try:
        code = parse_code(value, 20)
    except BadArgument as error:
        assert str(error).startswith("Error: code ") and len(str(error)) < 100
    else:
        assert code == value and len(code.encode()) > 0


@pytest.mark.parametrize("parameters", [None, 7, "code", [], {}, {"code": 3}, {"code": "  "}, {"code": None}])
def test_arguments_that_are_none(tool, parameters):
    async def run():
        return await tool.execute((await tool.create())[0], parameters)

    response, _, metrics = asyncio.run(run())
    assert response.text.startswith("Error: ") and metrics["error"] in ("code", "arguments")


LINES = ["x = 1", "x", "print(x", "def f():", "    return", "1 / 0", "import os", "[0] * 3", "class", "'é\U0001f600'"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30) | st.lists(st.sampled_from(LINES), max_size=4).map("\n".join))
def test_random_code_gets_an_answer(tool, standing_walls, code):
    response, _ = call(tool, code, FUZZED)
    assert response.text and len(response.text) < 1000


FUZZED = Trajectory()


def exchange(data, **limits):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return wire.receive(ours, **{"max_header": 1000, "max_blobs": 1000, **limits}, deadline=time.monotonic() + 5)


def frame(header, blobs=b""):
    return struct.pack("!QQ", len(header), len(blobs)) + header + blobs


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.builds(frame, st.binary(max_size=50) | anything.map(lambda x: json.dumps(x).encode()), st.binary(max_size=20))
    | st.builds(
        lambda lengths, blobs: frame(json.dumps({"blobs": lengths}).encode(), blobs),
        anything | st.lists(st.integers(-5, 20), max_size=4),
        st.binary(max_size=20),
    )
)
def test_random_bytes_are_a_message_or_an_error(data):
    try:
        header, blobs = exchange(data)
    except (wire.WireError, TimeoutError):
        return
    assert isinstance(header, dict) and sum(map(len, blobs)) <= 1000


@settings(deadline=None)
@given(
    st.fixed_dictionaries({}, optional={name: anything for name in ANSWER}),
    st.lists(st.tuples(anything, st.integers(-3, 20) | anything, st.integers(-3, 20) | anything), max_size=3),
    st.lists(st.binary(max_size=30), max_size=3),
)
def test_random_answers_are_checked(changes, images, blobs):
    for header in (ANSWER | {"images": images} | changes, changes):
        try:
            result = _parse(header, blobs, LIMITS)
        except wire.WireError:
            continue
        assert isinstance(result, CellResult) and len(result.images) <= LIMITS.images
        assert all(image.width * image.height <= LIMITS.image_pixels for _, image in result.images)
        for text in (result.stdout, result.value or "", result.error or "", *(label for label, _ in result.images)):
            text.encode()


@given(st.text(max_size=20), st.lists(st.binary(max_size=50), max_size=3))
def test_messages_arrive_as_they_were_sent(text, blobs):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(theirs, {"text": text}, blobs, time.monotonic() + 5)
        header, received = wire.receive(ours, max_header=1000, max_blobs=1000, deadline=time.monotonic() + 5)
    assert header["text"] == text and received == blobs


@pytest.mark.parametrize(
    "data, limits",
    [
        (b"", {}),
        (frame(b"{}"), {}),
        (frame(b'{"blobs": [1]}'), {}),
        (frame(b'{"blobs": []}', b"x"), {}),
        (frame(b'{"blobs": []}'), {"max_header": 12}),
        (frame(b'{"blobs": [2]}', b"xx"), {"max_blobs": 1}),
        (frame(b"[" * 900), {}),
        (frame(b'{"blobs": [true]}', b"x"), {}),
        (struct.pack("!QQ", 1 << 63, 1 << 63), {}),
    ],
)
def test_what_is_no_message(data, limits):
    with pytest.raises(wire.WireError):
        exchange(data, **limits)


def test_silence_ends_at_the_deadline():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\0" * 7)
        with pytest.raises(TimeoutError):
            wire.receive(ours, max_header=1, max_blobs=1, deadline=time.monotonic() + 0.05)
        with pytest.raises(TimeoutError):
            wire.send(ours, {}, [bytes(1 << 24)], time.monotonic() + 0.05)
    with pytest.raises(wire.WireError):
        wire.receive(ours, max_header=1, max_blobs=1, deadline=time.monotonic() + 1)


def test_answers_do_not_depend_on_the_event_loop(tool):
    async def run():
        return await asyncio.gather(*(acall(tool, f"{i} + 1", Trajectory()) for i in range(5)))

    for _ in range(2):
        assert [response.text for response, _ in asyncio.run(run())] == ["1", "2", "3", "4", "5"]
