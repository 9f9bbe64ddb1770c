# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The process that holds a pool: it ends, is killed, forks, or starts interpreters for others meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.tools.sandbox.support import (
    REPO_ROOT,
    Trajectory,
    family,
    is_alive,
    newest,
    pool_of,
    say,
    wait_until,
)
from verl_ext.tool_calls import ToolInfrastructureError

pytestmark = pytest.mark.stack

HOST = """
import os, sys, threading, time
from tests.tools.sandbox.support import Trajectory, load, pool_of, say
tool, trajectory = load(code_timeout_s=20.0, spares=1), Trajectory()
say(tool, "x = 1", trajectory)
def fork():
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    return child
"""


def run_host(code):
    """A process with a sandbox of its own, which has said pids that it wants looked at."""
    host = subprocess.Popen([sys.executable, "-c", HOST + code], stdout=subprocess.PIPE, text=True, cwd=REPO_ROOT)
    for line in host.stdout:  # the tool speaks, too
        if line.startswith("pids"):
            return host, [int(word) for word in line.split()[1:]]
    raise AssertionError(f"it ended with {host.wait()}")


def test_a_killed_host_leaves_nothing_even_if_its_child_lives(standing_walls):
    host, (child, zygote) = run_host("print('pids', fork(), pool_of(tool)._process.pid, flush=True)\ntime.sleep(60)")
    with host:
        pids = family(zygote) | {zygote}
        host.kill()
        assert len(pids) > 1 and wait_until(lambda: not any(map(is_alive, pids)))
        assert is_alive(child)
        os.kill(child, signal.SIGKILL)


def test_a_child_of_the_host_leaves_its_interpreters_alone(tool, standing_walls):
    trajectory = Trajectory()
    say(tool, "x = 5", trajectory)
    interpreter = newest(pool_of(tool))
    if (child := os.fork()) == 0:
        interpreter.close()
        pool_of(tool).close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert is_alive(interpreter.pid) and say(tool, "x", trajectory) == "5" and newest(pool_of(tool)) is interpreter


def test_the_host_ends_under_a_running_cell(standing_walls):
    code = (
        "threading.Thread(target=say, args=(tool, 'import time; time.sleep(15)', trajectory), daemon=True).start()\n"
        "time.sleep(1)\nprint('pids', pool_of(tool)._process.pid, flush=True)"
    )
    host, (zygote,) = run_host(code)
    with host:
        started = time.monotonic()
        host.wait(timeout=30)
        assert time.monotonic() - started < 8 and wait_until(lambda: not is_alive(zygote))


def test_a_cell_does_not_wait_for_a_start(tool):
    """Whoever takes an interpreter may wait long for the zygote; a cell that has one may not."""
    trajectory = Trajectory()
    say(tool, "x = 1", trajectory)
    with pool_of(tool)._lock:
        answer = []
        thread = threading.Thread(target=lambda: answer.append(say(tool, "x", trajectory)))
        thread.start()
        thread.join(5)
        assert answer == ["1"]


def test_interpreters_that_end_at_once_are_a_failure_of_ours(own, monkeypatch):
    tool = own(spares=0)
    real, taken = pool_of(tool).take, []

    def take():
        taken.append(real())
        os.kill(taken[-1].pid, signal.SIGKILL)
        assert wait_until(taken[-1]._exited)
        return taken[-1]

    monkeypatch.setattr(pool_of(tool), "take", take)
    with pytest.raises(ToolInfrastructureError, match="3 Python interpreters in a row"):
        say(tool, "1", Trajectory())
    assert len(taken) == 3


def test_memory_that_could_be_shared_counts(tool, standing_walls):
    trajectory = Trajectory()
    say(tool, "import mmap\nm = mmap.mmap(-1, 50 << 20); m.write(bytes(50 << 20)); 0", trajectory)
    assert newest(pool_of(tool)).memory() >= 50 << 20
