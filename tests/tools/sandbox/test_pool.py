# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Interpreters and their pool: what is kept, what ends, what is brought back, and how fast it is."""

import asyncio
import gc
import os
import signal
import statistics
import threading
import time

import pytest

from tests.tools.sandbox.support import (
    Trajectory,
    acall,
    call,
    cpu_seconds,
    family,
    is_alive,
    load,
    memory_mb,
    newest,
    pool_of,
    say,
    wait_until,
    zygote_of,
)
from tools.sandbox import jail, pool, syscalls
from tools.sandbox.errors import SandboxError
from verl_ext.tool_calls import PastCall, ToolInfrastructureError, past_calls

pytestmark = pytest.mark.stack


# ---------------------------------------------------------------- variables


def test_variables_last_for_one_trajectory_only(tool):
    first, second = Trajectory(request_id="same"), Trajectory(request_id="same")
    assert say(tool, "x = 1", first) == "(no output)"
    assert say(tool, "x + 1", first) == "2"
    assert "NameError" in say(tool, "x", second)
    assert say(tool, "print('as'); 'value'", first) == "as\n'value'"
    assert "NameError" in say(tool, "x")  # no trajectory: every call on its own
    assert say(tool, "__name__", first) == "'__main__'"


def test_error_names_the_line(tool):
    response, metrics = call(tool, "def f(x):\n    return 1 / x\n\nf(0)", Trajectory())
    assert response.text == "line 4: f(0)\nline 2: return 1 / x\nZeroDivisionError: division by zero"
    assert metrics["ok"] is False and metrics["error"] == "exception"


def test_calls_of_one_turn_run_one_after_the_other(tool):
    trajectory = Trajectory()
    say(tool, "import time\nn = 0", trajectory)

    async def run():
        return await asyncio.gather(*(acall(tool, "m = n; time.sleep(0.05); n = m + 1", trajectory) for _ in range(8)))

    asyncio.run(run())
    assert say(tool, "n", trajectory) == "8"


def test_a_fork_of_a_trajectory_brings_its_variables_along(tool):
    source = Trajectory()
    for code in ("x = [1]", "x.append(2)", "1 / 0", "print('again?')"):
        call(tool, code, source)
    fork = Trajectory()
    past_calls(fork).extend(past_calls(source))
    past_calls(fork).insert(1, PastCall("image_zoom_in", {"bbox_2d": [0, 0, 1, 1]}))
    assert say(tool, "x.append(3); x", fork) == "[1, 2, 3]"
    assert say(tool, "x", source) == "[1, 2]"


def test_the_cell_that_ended_the_interpreter_is_not_run_again(tool):
    trajectory = Trajectory()
    say(tool, "x = 1", trajectory)
    assert "the interpreter ended" in say(tool, "import os; os._exit(0)", trajectory)
    assert "NameError" in say(tool, "x", trajectory)
    assert say(tool, "y = 5; y", trajectory) == "5"
    newest(pool_of(tool)).close()
    assert say(tool, "y", trajectory) == "5"


def test_the_longest_waiting_are_ended_and_come_back(own):
    tool = own(max_idle=2, spares=0)
    trajectories = [Trajectory() for _ in range(5)]
    for i, trajectory in enumerate(trajectories):
        say(tool, f"x = {i}", trajectory)
    alive = [interpreter for interpreter in pool_of(tool)._idle if interpreter.alive]
    assert len(alive) <= 2
    assert [say(tool, "x", trajectory) for trajectory in trajectories] == ["0", "1", "2", "3", "4"]


# ---------------------------------------------------------------- ends


def test_the_interpreter_ends_with_its_trajectory(tool):
    trajectory = Trajectory()
    say(tool, "x = 1", trajectory)
    pid = newest(pool_of(tool)).pid
    assert is_alive(pid)
    del trajectory
    gc.collect()
    assert wait_until(lambda: not is_alive(pid))


def test_threads_get_no_time_between_cells(tool, standing_walls):
    trajectory = Trajectory()
    spin = "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin, daemon=True).start()"
    say(tool, spin, trajectory)
    pid = newest(pool_of(tool)).pid
    time.sleep(0.05)
    before = cpu_seconds(pid)
    time.sleep(0.5)
    assert cpu_seconds(pid) == before
    assert say(tool, "1", trajectory) == "1"


def test_an_interpreter_killed_from_outside_comes_back(tool):
    trajectory = Trajectory()
    say(tool, "x = 7", trajectory)
    os.kill(pid := newest(pool_of(tool)).pid, signal.SIGKILL)  # as the kernel does without memory
    assert wait_until(lambda: not is_alive(pid))
    assert say(tool, "x", trajectory) == "7"


def test_a_killed_zygote_is_replaced(own):
    tool = own(spares=0)
    old = Trajectory()
    say(tool, "x = 1", old)
    os.kill(zygote := zygote_of(pool_of(tool)), signal.SIGKILL)
    assert say(tool, "6 * 7", Trajectory()) == "42"  # at once: it may not be quite gone
    assert zygote_of(pool_of(tool)) != zygote
    assert say(tool, "x", old) == "1"


def test_a_zygote_killed_under_a_cell_is_no_mistake_of_the_model(own):
    tool = own()
    trajectory = Trajectory()
    say(tool, "x = 1", trajectory)
    zygote = zygote_of(pool_of(tool))
    threading.Timer(0.3, os.kill, (zygote, signal.SIGKILL)).start()
    with pytest.raises(ToolInfrastructureError, match="ended while code was running"):
        say(tool, "import time; time.sleep(1.5)", trajectory)
    assert say(tool, "x", trajectory) == "1"


def test_an_end_under_a_running_cell_does_no_harm(tool):
    interpreter = pool_of(tool).take()
    threading.Timer(0.2, interpreter.close).start()
    assert interpreter.run("import time; time.sleep(1)", [], [], 2.0).ended == "died"
    interpreter.close()


def test_nothing_is_left_of_many_interpreters(own):
    tool = own(spares=0, packages=["pillow"])
    pool = pool_of(tool)
    pool.take().close()

    def files():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = files()
    for _ in range(300):
        pool.take().close()
    assert files() <= before + 2
    assert wait_until(lambda: len(family(pool._process.pid)) == 1)  # no zombies either
    held = [pool.take() for _ in range(3)]
    pids = family(pool._process.pid)
    pool.close()
    assert wait_until(lambda: not any(map(is_alive, pids))) and len(held) == 3
    with pytest.raises(SandboxError, match="closed"):
        pool.take()


# ---------------------------------------------------------------- speed


def test_a_call_takes_milliseconds(tool):
    trajectory, seconds = Trajectory(), []
    say(tool, "x = 0", trajectory)

    async def run():
        for _ in range(200):
            started = time.perf_counter()
            await acall(tool, "x += 1; x", trajectory)
            seconds.append(time.perf_counter() - started)

    asyncio.run(run())
    assert say(tool, "x", trajectory) == "200"
    fresh = []
    for _ in range(10):
        assert wait_until(lambda: len(pool_of(tool)._ready) >= 2)
        started = time.perf_counter()
        say(tool, "1", Trajectory())
        fresh.append(time.perf_counter() - started)
    print(f"warm: {1000 * statistics.median(seconds):.1f} ms, new: {1000 * statistics.median(fresh):.1f} ms (medians)")
    assert statistics.median(seconds) < 0.05
    assert statistics.median(fresh) < 0.5


def test_64_trajectories_at_once(own):
    tool = own(max_concurrency=64)
    trajectories = [Trajectory() for _ in range(64)]

    async def run(code):
        return await asyncio.gather(*(acall(tool, code.format(i), t) for i, t in enumerate(trajectories)))

    started = time.perf_counter()
    asyncio.run(run("import numpy as np\nx = np.full(1000, {})"))
    texts = [response.text for response, _ in asyncio.run(run("int(x.sum())"))]
    seconds = time.perf_counter() - started
    taken = memory_mb(family(pool_of(tool)._process.pid))
    print(f"64 trajectories: {seconds:.1f} s, {taken:.0f} MB in all")
    assert texts == [str(1000 * i) for i in range(64)]
    assert taken < 64 * 30 + 400


# ---------------------------------------------------------------- what must be installed


@pytest.fixture
def no_bubblewrap(tool, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    jail.find_bubblewrap.cache_clear()
    yield
    jail.find_bubblewrap.cache_clear()


def test_without_bubblewrap_the_tool_says_what_to_do(no_bubblewrap):
    with pytest.raises(ValueError, match="bubblewrap.*not installed: install it.*isolation: none"):
        load()


def test_unisolated_only_if_the_config_says_so(no_bubblewrap, own, caplog):
    tool = own(isolation="none", spares=0)
    trajectory = Trajectory()
    assert say(tool, "x = 6; x * 7", trajectory) == "42"
    assert any("UNISOLATED" in record.message for record in caplog.records)
    assert say(tool, "x", trajectory) == "6"


def test_without_libseccomp_the_tool_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyseccomp", None)
    syscalls.compile_filter.cache_clear()
    with pytest.raises(ValueError, match="libseccomp is missing: install pyseccomp"):
        load()
    syscalls.compile_filter.cache_clear()


def test_one_pool_for_each_configuration(tool):
    assert pool_of(tool) is pool_of(load(**{"code_timeout_s": 1.5, "memory_mb": 256, "disk_mb": 16}))
    other = pool.get_pool(jail.JailConfig(limits=jail.Limits(memory_mb=77)))
    assert other is not pool_of(tool) and not other.running()
    other.close()
