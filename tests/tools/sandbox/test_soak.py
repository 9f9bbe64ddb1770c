# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of 64 trajectories side by side, some of them hostile: nothing is lost, nothing is left.

``SANDBOX_SOAK_CALLS`` sets the number of calls, 2,000 if it is not set. The long form has 5,000 (about a minute).
"""

import asyncio
import gc
import os
import random
import time

import pytest

from tests.tools.sandbox.hostile_cases import PRELUDE
from tests.tools.sandbox.kernel_hostile_cases import KERNEL
from tests.tools.sandbox.support import (
    Trajectory,
    acall,
    family,
    interpreters,
    is_alive,
    load,
    memory_mb,
    pool_of,
    status,
    wait_until,
)

pytestmark = pytest.mark.stack

TRAJECTORIES, CALLS = 64, int(os.environ.get("SANDBOX_SOAK_CALLS", "2000"))
SHARE = 0.05 if CALLS <= 2000 else 0.03  # Of hostile calls.
CHEAP = [
    "import os; os._exit(1)",
    "import ctypes; ctypes.string_at(0)",
    "import os; os.abort()",
    "x = bytearray(10 << 30)",
    "import os\nwhile True: os.fork()",
    "import socket; socket.create_connection(('127.0.0.1', 1))",
    "import builtins; builtins.len = None",
    "import os; os.closerange(0, 99)",
    "open('/tmp/hostile', 'wb').write(bytes(100 << 20))",
    "import threading\nfor _ in range(99): threading.Thread(target=threading.Event().wait, daemon=True).start()",
    "raise SystemExit",
    "print('x' * 10**6)",
    *(PRELUDE + case.code for case in KERNEL if case.rests_on == "filter"),
]
SLOW = ["while True: pass"]  # one second each


@pytest.fixture
def soaked():
    tool = load(code_timeout_s=1.0, memory_mb=256, disk_mb=16, max_output_chars=300)
    yield tool
    pool_of(tool).close()


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def live(tool, seed, calls, trajectory, ticks):
    """One trajectory: counts its calls in a variable, which only hostile code of its own may lose."""
    rng, expected, answers = random.Random(seed), 0, 0
    for _ in range(calls):
        if rng.random() < SHARE:
            code = rng.choice(SLOW if rng.random() < 0.05 else CHEAP)
            response, metrics = await acall(tool, code, trajectory)
            assert response.text and len(response.text) < 1000
            expected = None
        else:
            code = "n = globals().get('n', 0) + 1; n"
            response, metrics = await acall(tool, code, trajectory)
            if expected is not None:
                assert metrics["ok"] and response.text == str(expected + 1)
            elif not metrics["ok"]:  # the hostile cell's doing: now it is over
                assert response.text
            expected = int(response.text) if response.text.isdigit() else None
        answers += 1
        ticks.append((resident_mb(), time.monotonic()))
    return answers


def test_soak(soaked, tool, standing_walls):
    others = pool_of(tool)
    assert wait_until(lambda: len(others._ready) == others.spares)  # They are being forked.
    time.sleep(0.5)
    before, open_files = family(), len(os.listdir("/proc/self/fd"))
    shares = [CALLS // TRAJECTORIES + (i < CALLS % TRAJECTORIES) for i in range(TRAJECTORIES)]
    ticks, zygote = [], []

    async def run():
        jobs = [live(soaked, i, n, Trajectory(request_id=str(i % 8)), ticks) for i, n in enumerate(shares)]
        work = asyncio.gather(*jobs)
        while not work.done():
            process = pool_of(soaked)._process
            if process is not None and len(ticks) > len(zygote) * CALLS // 8:
                zygote.append(memory_mb(family(process.pid)))
            await asyncio.sleep(0.1)
        return await work

    started = time.monotonic()
    assert sum(asyncio.run(run())) == CALLS
    seconds = time.monotonic() - started
    first, last = (max(mb for mb, _ in part) for part in (ticks[: CALLS // 4], ticks[-CALLS // 4 :]))
    print(
        f"{CALLS} calls in {seconds:.1f} s; host {first:.0f} to {last:.0f} MB; jail {[round(mb) for mb in zygote]} MB"
    )
    assert last - first < 50
    assert max(zygote[len(zygote) // 2 :]) < max(zygote[: len(zygote) // 2]) * 1.5 + 100
    pool = pool_of(soaked)
    pids = family(pool._process.pid)
    gc.collect()
    assert wait_until(lambda: len(family(pool._process.pid)) <= 1 + len(pool._ready), 30.0), {
        pid: [status(pid).get(name) for name in ("State", "NSpid", "PPid", "SigPnd", "Threads")]
        for pid in family(pool._process.pid)
    } | {"known": interpreters(pool), "ready": len(pool._ready)}
    pool.close()
    assert wait_until(lambda: not any(map(is_alive, pids)))
    assert wait_until(lambda: family() <= before, 30.0), family() - before
    assert wait_until(lambda: len(os.listdir("/proc/self/fd")) <= open_files + 2)  # The event loop's own are closed.
