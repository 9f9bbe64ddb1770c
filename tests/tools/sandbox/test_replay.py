# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Cells that are run again, at a fork or after an interpreter's end, find what they found the first time."""

import asyncio
import time

import pytest

from tests.tools.sandbox.support import Trajectory, acall, call, message, newest, picture, pool_of, say, wait_until
from verl_ext.tool_calls import past_calls

pytestmark = pytest.mark.stack


def fork_of(source):
    fork = Trajectory(*source.messages)
    past_calls(fork).extend(past_calls(source))
    return fork


def test_a_cell_that_was_stopped_and_those_behind_it(own):
    tool, source = own(code_timeout_s=1.0), Trajectory()
    response, _ = call(tool, "import time\nx = 1\ntime.sleep(60)\nx = 3", source)
    assert "Variables are kept" in response.text
    assert say(tool, "y = 2; x, y", source) == "(1, 2)"
    started = time.monotonic()
    assert say(tool, "x, y", fork_of(source)) == "(1, 2)"
    assert time.monotonic() - started < 1.5  # not all of its time once more


def test_a_cell_that_did_not_end_in_time_this_time(own):
    """What was done before is lost with it, and the model is told."""
    tool, source = own(code_timeout_s=1.0), Trajectory()
    say(tool, "import time", source)
    say(tool, "x = 1; time.sleep(0.7)", source)
    say(tool, "time.sleep(0.7); y = 2", source)
    response, _ = call(tool, "x, 'y' in globals()", fork_of(source))
    assert response.text.startswith("(1, False)") and "some variables of earlier calls are lost" in response.text


@pytest.mark.parametrize("again", ["fork", "ended"])
def test_images_that_came_later_are_not_there_yet(own, again):
    tool, source = own(), Trajectory(message(picture(320, 200)))
    assert say(tool, "w = images[-1].size; n = len(images), len(image_paths)", source) == "(no output)"
    source.messages.append(message(picture(64, 96), role="tool"))
    assert say(tool, "m = [image.size for image in images]; w, n, m", source) == (
        "((320, 200), (1, 1), [(320, 200), (64, 96)])"
    )
    source.messages.append(message(picture(32, 32), role="tool"))
    if again == "ended":
        newest(pool_of(tool)).close()
    trajectory = source if again == "ended" else fork_of(source)
    expected = "((320, 200), (1, 1), [(320, 200), (64, 96)], 3, (32, 32))"
    assert say(tool, "w, n, m, len(images), images[-1].size", trajectory) == expected


def test_a_cancelled_call_leaves_nothing(own):
    tool, trajectory = own(code_timeout_s=5.0), Trajectory()
    say(tool, "x = 1", trajectory)
    interpreter = newest(pool_of(tool))

    async def cancelled():
        task = asyncio.create_task(acall(tool, "x = 2\nimport time\ntime.sleep(4)", trajectory))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    started = time.monotonic()
    asyncio.run(cancelled())
    assert wait_until(lambda: not interpreter.alive) and time.monotonic() - started < 3  # its code does not go on
    assert say(tool, "x", trajectory) == "1"
