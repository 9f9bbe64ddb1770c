# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Whose fault an end or a lost hour is: something outside may kill and delay a cell, and no cell can look like that."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.sandbox.hostile_cases import PRELUDE
from tests.tools.sandbox.support import (
    Trajectory,
    acall,
    call,
    is_alive,
    newest,
    pool_of,
    say,
    wait_until,
)
from tools.sandbox.clock import waited_for_others
from tools.sandbox.jail import JailConfig
from tools.sandbox.pool import Pool
from verl_ext.tool_calls import ToolInfrastructureError, past_calls

# ---------------------------------------------------------------- ends

LIVES = "\ntime.sleep(0.3)\nprint('lived')"
CLOSE = "import gc\nfor o in gc.get_objects():\n    if isinstance(o, socket.socket): o.shutdown(2)\n"
SECCOMP = (
    "code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, {}))\n"
    "program = ctypes.create_string_buffer(struct.pack('H6xQ', 1, ctypes.addressof(code)))\n"
    "libc.prctl(22, 2, program, 0, 0)\nlibc.getpid()" + LIVES
)
SIGIO = (
    "import fcntl\nif fcntl.fcntl(a, 10, 9) == 0:\n    fcntl.fcntl(a, fcntl.F_SETOWN, 1)\n"
    "    fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC)\n    os.write(b, b'x')"
)
MACHINE_CODE = (
    "page = mmap.mmap(-1, 4096, prot=7)\npage.write({})\n"
    "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()"
)
# Attempts to end as if something outside had sent SIGKILL, or to end in any other way.
IMITATIONS = {
    "exit status of a shell": "os._exit(137)",
    "exit status of the signal's number": "os._exit(9)",
    "exit of the whole group by a thread": "threading.Thread(target=os._exit, args=(137,)).start()\ntime.sleep(9)",
    "exit of the first thread alone": "threading.Thread(target=time.sleep, args=(0.3,)).start()\n"
    "libc.syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 9)",
    "kill of its pid": "os.kill(os.getpid(), 9)" + LIVES,
    "kill of its group": "os.kill(0, 9)" + LIVES,
    "kill of all": "try: os.kill(-1, 9)\nexcept OSError: pass" + LIVES,
    "raise": "signal.raise_signal(9)" + LIVES,
    "a thread's kill": "threading.Thread(target=os.kill, args=(1, 9)).start()" + LIVES,
    "a kill of its thread": "signal.pthread_kill(threading.get_ident(), 9)" + LIVES,
    "a queued signal": "libc.sigqueue(1, 9, None)" + LIVES,
    "a descriptor of itself": "libc.syscall(424, libc.syscall(434, 1, 0), 9, 0, 0)" + LIVES,
    "a signal at its parent's end": "libc.prctl(1, 9, 0, 0, 0)" + LIVES,
    "a signal by input": "a, b = os.pipe()\n" + SIGIO + LIVES,
    "a signal by the host's messages": "import gc\n"
    "a = next(o for o in gc.get_objects() if isinstance(o, socket.socket))\nb = os.open('/dev/null', os.O_WRONLY)\n"
    + SIGIO
    + LIVES,
    "a timer": "libc.timer_create(1, struct.pack('Qii48x', 0, 9, 0), ctypes.byref(ctypes.c_int()))" + LIVES,
    "the limit on CPU time": "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
    "no CPU time": "resource.setrlimit(resource.RLIMIT_CPU, (0, 0))\nwhile True: pass",
    "the hard limit alone": "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n"
    "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    "the limit, by threads": "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nimport hashlib\n"
    "def f(): hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)\n"
    "for _ in range(4): threading.Thread(target=f, daemon=True).start()\ntime.sleep(60)",
    "strict mode": "libc.prctl(22, 1, 0, 0, 0)" + LIVES,
    "strict mode of a thread": "def f(): libc.prctl(22, 1, 0, 0, 0); libc.getppid()\n"
    "thread = threading.Thread(target=f)\nthread.start()\nthread.join()" + LIVES,
    "a filter that kills": SECCOMP.format("0x80000000"),
    "a filter that kills a thread": SECCOMP.format("0"),
    "abort": "os.abort()",
    "a bad address": "ctypes.string_at(0)",
    "a bad instruction": MACHINE_CODE.format("b'\\x0f\\x0b'"),
    "a breakpoint": MACHINE_CODE.format("b'\\xcc'"),
    "a file that shrinks": "f = open('x', 'w+b')\nf.truncate(1 << 20)\nm = mmap.mmap(f.fileno(), 1 << 20)\n"
    "f.truncate(0)\nm[5000]",
    "a full disk in memory": "os.truncate(os.open('x', 66), 15 << 20)\nf = open('x', 'r+b')\n"
    "m = mmap.mmap(f.fileno(), 15 << 20)\ntry:\n    with open('y', 'wb') as g:\n"
    "        while True: g.write(bytes(1 << 16))\nexcept OSError: pass\nm[:] = bytes([1]) * (15 << 20)",
    "a deep stack": "sys.setrecursionlimit(10**9)\nimport json\njson.loads('[' * 10**6)",
    "all memory": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "a closed connection": CLOSE + "time.sleep(60)",
    "a closed connection, and work": CLOSE + "while True: pass",
    "a closed connection, then an exit": CLOSE + "time.sleep(0.5)\nos._exit(137)",
    "a closed connection, then an end by the limit": CLOSE + "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n"
    "while True: pass",
}


@pytest.mark.stack
@pytest.mark.parametrize("code", IMITATIONS.values(), ids=IMITATIONS)
def test_no_code_ends_as_if_it_had_been_killed(tool, standing_walls, code):
    response, metrics = call(tool, PRELUDE + code, trajectory := Trajectory())  # It raises nothing.
    assert "lived" in response.text or metrics["error"] in ("died", "timeout", "exception")
    assert say(tool, "6 * 7", trajectory) == "42"


def killed_after(interpreter_of, seconds=0.4):
    def kill():
        time.sleep(seconds)
        os.kill(interpreter_of().pid, signal.SIGKILL)

    threading.Thread(target=kill).start()


@pytest.mark.stack
def test_a_kill_from_outside_under_a_cell_is_the_infrastructures(own):
    tool, trajectory = own(code_timeout_s=10.0), Trajectory()
    say(tool, "x = 1", trajectory)
    for work in ("import time; time.sleep(9)", "while True: pass", "sum(range(10**11))"):
        killed_after(lambda: newest(pool_of(tool)))
        with pytest.raises(ToolInfrastructureError, match="killed") as error:
            say(tool, work, trajectory)
        assert error.value.kind == "killed"
        assert say(tool, "x", trajectory) == "1"


@pytest.mark.stack
def test_a_kill_from_outside_while_cells_run_again(own, monkeypatch):
    tool, source = own(code_timeout_s=10.0, spares=0), Trajectory()
    say(tool, "import time; time.sleep(2)", source)
    fork, take = Trajectory(), pool_of(tool).take
    past_calls(fork).extend(past_calls(source))

    def taken():
        interpreter = take()
        killed_after(lambda: interpreter, 0.7)
        return interpreter

    monkeypatch.setattr(pool_of(tool), "take", taken)
    with pytest.raises(ToolInfrastructureError) as error:
        say(tool, "1", fork)
    assert error.value.kind == "killed"


@pytest.mark.stack
def test_unisolated_code_can_kill_itself_and_is_to_blame(own):
    tool = own(isolation="none", spares=0)
    assert call(tool, "import os; os.kill(os.getpid(), 9)", Trajectory())[1]["error"] == "died"


# ---------------------------------------------------------------- a busy host


@st.composite
def schedules(draw, others=True):
    """What each CPU runs in each tick (a thread, an outside task or nothing), and which threads are ready then.

    A CPU is idle only if every ready thread runs.
    """
    threads = range(draw(st.integers(1, 4)))
    cpus = draw(st.integers(1, 3))
    ticks = []
    for _ in range(draw(st.integers(1, 30))):
        ready = draw(st.sets(st.sampled_from(list(threads))))
        taken = draw(st.integers(0, cpus)) if others else 0
        running = draw(st.permutations(sorted(ready)))[: cpus - taken]
        ticks.append((set(running), ready))
    return ticks


def account(ticks):
    """What the kernel would count: CPU time of all, and (ran, waited) of each thread."""
    times = {}
    for running, ready in ticks:
        for thread in ready:
            ran, waited = times.get(thread, (0, 0))
            times[thread] = (ran + 1, waited) if thread in running else (ran, waited + 1)
    return sum(len(running) for running, _ in ticks), times


@settings(deadline=None)
@given(schedules())
def test_only_time_in_which_none_of_its_threads_ran_is_waiting(ticks):
    cpu, times = account(ticks)
    starved = sum(bool(ready) and not running for running, ready in ticks)
    assert 0 <= waited_for_others(cpu, {}, times) <= starved


@settings(deadline=None)
@given(schedules(others=False))
def test_threads_that_wait_for_each_other_wait_for_no_one(ticks):
    assert waited_for_others(*(lambda cpu, times: (cpu, {}, times))(*account(ticks))) == 0


@settings(deadline=None)
@given(schedules(), schedules())
def test_what_was_before_does_not_count(first, second):
    cpu, times = account(second)
    cpu_before, before = account(first)
    cpu_after, after = account([*first, *second])
    assert waited_for_others(cpu_after - cpu_before, before, after) == waited_for_others(cpu, {}, times)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=50))
def test_all_waiting_of_a_single_thread_counts(ran):
    cpu, times = account([({0} if on else set(), {0}) for on in ran])
    assert waited_for_others(cpu, {}, times) == ran.count(False)


@pytest.fixture
def busy_host():
    """Every CPU has eight other processes that want it."""
    code = "import os\nos.setsid()\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(8 * os.cpu_count())]
    time.sleep(1.0)
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


WORK = "import time\nstart = time.process_time()\nwhile time.process_time() - start < {}: pass\nprint('done')"


@pytest.mark.stack
def test_a_cell_gets_its_time_on_a_busy_host(own, busy_host):
    """Half of its time would be enough on an idle host. So it is on a busy one, or the host is to blame."""
    tool, outcomes = own(code_timeout_s=1.0), []
    for _ in range(3):
        try:
            outcomes.append(say(tool, WORK.format(0.5), Trajectory()))
        except ToolInfrastructureError as error:
            outcomes.append(error.kind)
    print(outcomes)
    assert set(outcomes) <= {"done", "busy"}


SLEEPS = {
    "sleep": "time.sleep(60)",
    "a lock": "threading.Lock().acquire(); lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "waiting for nothing": "import select; select.select([], [], [], 60)",
    "a thread that sleeps": "t = threading.Thread(target=time.sleep, args=(60,), daemon=True); t.start(); t.join()",
}


@pytest.mark.stack
@pytest.mark.parametrize("code", SLEEPS.values(), ids=SLEEPS)
def test_a_cell_that_sleeps_is_to_blame_on_any_host(own, busy_host, code):
    assert call(own(code_timeout_s=1.0), PRELUDE + code, Trajectory())[1]["error"] == "timeout"


@pytest.mark.stack
def test_code_cannot_choose_to_wait_for_a_cpu(tool, standing_walls):
    code = (
        "attempt('nice', os.nice, 5)\nattempt('priority', os.setpriority, os.PRIO_PROCESS, 0, 19)\n"
        "attempt('cpus', os.sched_setaffinity, 0, {min(os.sched_getaffinity(0))})\n"
        "attempt('policy', os.sched_setscheduler, 0, os.SCHED_IDLE, os.sched_param(0))\nos.sched_yield()"
    )
    text = say(tool, PRELUDE + code, Trajectory())
    assert text.count("PermissionError") == 4 and "ESCAPED" not in text


# ---------------------------------------------------------------- calls of one turn


@pytest.mark.stack
def test_calls_of_one_turn_that_take_all_the_time_are_the_models(own):
    """Each cell ends in time, and all of them together would not."""
    tool, trajectory = own(code_timeout_s=2.0, timeout_s=8.0), Trajectory()
    say(tool, "import time", trajectory)

    async def run():
        return await asyncio.gather(*(acall(tool, "time.sleep(1.5); print('ran')", trajectory) for _ in range(8)))

    texts = [response.text for response, _ in asyncio.run(run())]
    assert set(texts) == {"ran", "Error: code was not run: the other calls of this turn took all the time."}
    assert texts.count("ran") >= 2
    assert [past.parameters["code"] for past in past_calls(trajectory)].count("time.sleep(1.5); print('ran')") == (
        texts.count("ran")
    )


# ---------------------------------------------------------------- the reaper


@pytest.mark.stack
def test_the_zygote_keeps_no_child_that_has_ended(standing_walls):
    pool = Pool(JailConfig(packages=("pillow",)), spares=0)
    interpreter = pool.take()
    os.kill(interpreter.pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(interpreter.pid) and not os.path.exists(f"/proc/{interpreter.pid}"))
    assert interpreter._was_killed()
    other = pool.take()
    assert not other._was_killed()
    pool.close()
