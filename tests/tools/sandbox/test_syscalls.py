# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of system calls is complete, the filter does what it says, and the probe notices if it does not."""

import errno
import re
import time
from pathlib import Path

import pytest

from tests.tools.sandbox.hostile_cases import PRELUDE
from tests.tools.sandbox.support import Trajectory, call, cpu_seconds, load, newest, pool_of, say, status, wait_until
from tools.sandbox import jail, pool, syscalls
from tools.sandbox.calltable import ALLOWED, LIMITED, NEWEST, PRETENDED, TABLE
from tools.sandbox.jail import IsolationError, JailConfig

NAMES = [name for row in TABLE for name in row.names()]
HEADERS = [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")]


# ---------------------------------------------------------------- the table


def test_every_call_is_in_one_row_with_a_reason():
    assert len(NAMES) == len(set(NAMES)) > 350
    for row in TABLE:
        assert len(row.because.split()) >= 3
        assert row.answer in (ALLOWED, LIMITED, PRETENDED) or row.answer in errno.errorcode
    assert {name for row in TABLE if row.answer == LIMITED for name in row.names()} == set(syscalls.CONDITIONS)


def test_every_call_of_this_library_is_in_the_table():
    library = pytest.importorskip("pyseccomp")
    for architecture in (library.Arch.NATIVE, library.Arch.X86_64, library.Arch.AARCH64):
        for number in range(NEWEST + 1):
            try:
                name = library.resolve_syscall(architecture, number)
            except ValueError:
                continue
            assert (name if isinstance(name, str) else name.decode()) in NAMES


@pytest.mark.parametrize("header", [path for path in HEADERS if path.exists()], ids=str)
def test_every_call_of_the_kernels_header_is_in_the_table(header):
    calls = {name: int(number) for name, number in re.findall(r"__NR_(\w+)\s+(\d+)", header.read_text())}
    assert not {name for name, number in calls.items() if number <= NEWEST} - set(NAMES)


@pytest.mark.parametrize("value", [18, 18 | 1 << 32, 18 | 128])
def test_conditions_on_a_signal_cover_what_the_kernel_reads(value):
    def allowed(signal):
        return any(all(signal & mask == wanted for _, mask, wanted in way) for way in syscalls.CONDITIONS["kill"])

    assert not allowed(value)
    assert all(allowed(signal) for signal in range(65) if signal != 18)


# ---------------------------------------------------------------- the probe


def with_filter(monkeypatch, **changes):
    """A pool whose filter lacks something."""
    for name, value in changes.items():
        monkeypatch.setattr(syscalls, name, value)
    monkeypatch.setattr(jail, "compile_filter", syscalls.compile_filter.__wrapped__)
    return pool.Pool(JailConfig(packages=("pillow",)), spares=0)


HOLES = {
    **{
        name: [[]] for name in ("fcntl", "ioctl", "mmap", "madvise", "prctl", "kill", "tgkill", "openat", "close_range")
    },
    "clone": [[(0, syscalls.CLONE_THREAD, syscalls.CLONE_THREAD)]],
    "sendto": [[]],
}


@pytest.mark.stack
@pytest.mark.parametrize("name", HOLES)
def test_a_call_without_its_condition_keeps_the_sandbox_shut(monkeypatch, name, standing_walls):
    pool = with_filter(monkeypatch, CONDITIONS=syscalls.CONDITIONS | {name: HOLES[name]})
    with pytest.raises(IsolationError, match=rf"only the system calls of the table \(\['{name}\("):
        pool.take()
    pool.close()


@pytest.mark.stack
@pytest.mark.parametrize("name", ["flock", "timer_create", "memfd_create", "socketpair", "landlock_create_ruleset",
                                  "fadvise64", "pipe2", "keyctl", "setxattr", "fsync", "mincore"])  # fmt: skip
def test_a_refused_call_that_is_allowed_keeps_the_sandbox_shut(monkeypatch, name, standing_walls):
    table, refused = [], syscalls.refused_calls()
    for row in TABLE:
        names = [other for other in row.names() if other != name]
        table.append(type(row)(row.answer, " ".join(names), row.because))
    table.append(type(TABLE[0])(ALLOWED, name, "the test lets it through"))
    monkeypatch.setattr(pool.probe, "refused_calls", lambda: refused)
    opened = with_filter(monkeypatch, TABLE=table)
    with pytest.raises(IsolationError, match=rf"{name}"):
        opened.take()
    opened.close()


# ---------------------------------------------------------------- between calls

CONTINUES = {
    "threads that send SIGCONT": "def f():\n    while True:\n"
    "        try: os.kill(1, 18)\n        except OSError: pass\n"
    "for _ in range(8): threading.Thread(target=f, daemon=True).start()",
    "threads that send SIGCONT by number": "def f():\n    while True: libc.syscall(@tgkill@, 1, 1, 18)\n"
    "for _ in range(8): threading.Thread(target=f, daemon=True).start()",
    "timers that send SIGCONT": "timer = ctypes.c_int()\ndef f():\n    while True:\n"
    "        libc.timer_create(1, struct.pack('Qii48x', 0, 18, 0), ctypes.byref(timer))\n"
    "        libc.timer_settime(timer, 0, struct.pack('qqqq', 0, 10**6, 0, 10**6), None)\n"
    "for _ in range(4): threading.Thread(target=f, daemon=True).start()",
    "alarms": "for number in (14, 26, 27): signal.signal(number, lambda *_: None)\ndef f():\n    while True:\n"
    "        for kind in (0, 1, 2): signal.setitimer(kind, 0.001, 0.001)\n"
    "threading.Thread(target=f, daemon=True).start()",
    "a queue of SIGCONT": "def f():\n    while True: libc.sigqueue(1, 18, None)\n"
    "threading.Thread(target=f, daemon=True).start()",
    "input of the host": "import gc, fcntl\nhost = next(o for o in gc.get_objects() if isinstance(o, socket.socket))\n"
    "for command, value in ((8, 1), (10, 18), (4, 0x2000)): attempt(command, fcntl.fcntl, host, command, value)\n"
    "def f():\n    while True: pass\nthreading.Thread(target=f, daemon=True).start()",
}


@pytest.mark.stack
@pytest.mark.parametrize("code", CONTINUES.values(), ids=CONTINUES)
def test_nothing_runs_between_calls(tool, standing_walls, code):
    trajectory = Trajectory()
    for _ in range(3):
        text = say(tool, PRELUDE + code.replace("@tgkill@", str(syscalls.call_number("tgkill"))), trajectory)
        assert "ESCAPED" not in text
        if not pool_of(tool)._idle:
            continue  # on a busy machine the threads keep the cell from its end in time, and nothing is left
        pid = newest(pool_of(tool)).pid
        assert wait_until(lambda pid=pid: status(pid)["State"][0] == "T", 1.0)
        before = cpu_seconds(pid)
        time.sleep(0.5)
        assert cpu_seconds(pid) == before and status(pid)["State"][0] == "T"


# ---------------------------------------------------------------- what stays possible

ORDINARY = {
    "asyncio": (
        "import asyncio\nasync def f(i):\n    await asyncio.sleep(0.01)\n    return i\n"
        "async def g(): return sum(await asyncio.gather(*map(f, range(9))))\n"
        "print([asyncio.run(g()) for _ in range(20)][-1])", "36"),
    "asyncio and a thread": (
        "import asyncio, time\nasync def f(): return await asyncio.to_thread(lambda: time.sleep(0.1)"
        " or 7)\nprint(asyncio.run(f()))", "7"),
    "a database in a file": (
        "import sqlite3\nwith sqlite3.connect('x.db') as c:\n    c.execute('create table t (a)')\n"
        "    c.executemany('insert into t values (?)', [(i,) for i in range(9)])\n"
        "d = sqlite3.connect('/work/x.db', timeout=1)\n"
        "print(d.execute('select sum(a) from t').fetchone())", "(36,)"),
    "a database that is attached": (
        "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute(\"attach 'y.db' as y\")\n"
        "c.execute('create table y.t (a)')\nc.commit()\nimport os\n"
        "print(os.path.getsize('y.db') > 0, os.listdir('.'))", "True ['y.db']"),
    "a database by its URI": (
        "import sqlite3\nc = sqlite3.connect('file:z%20z.db?mode=rwc', uri=True)\n"
        "c.execute('create table t (a)'); c.commit()\nimport os; print(os.listdir('.'))", "z z.db"),
    "pandas and a database": (
        "import pandas as pd, sqlite3\nc = sqlite3.connect('p?q#.db')\n"
        "pd.DataFrame({'a': [1, 2]}).to_sql('t', c)\nimport os\n"
        "print(pd.read_sql('select sum(a) as s from t', c).s[0], os.listdir('.'))", "3 ['p?q#.db']"),
    "a shelf": (
        "import shelve\nwith shelve.open('s') as s: s['a'] = [1]\nwith shelve.open('s') as s: print(s['a'])", "[1]"),
    "copies of files": (
        "import shutil, os\nopen('a', 'wb').write(b'x' * 10**6)\nshutil.copy2('a', 'b')\n"
        "shutil.copytree('.', '/tmp/c')\nprint(os.path.getsize('/tmp/c/b'))", "1000000"),
    "queues and pipes between threads": (
        "import multiprocessing as mp, threading\nq, s = mp.Queue(), mp.SimpleQueue()\na, b = mp.Pipe()\n"
        "threading.Thread(target=lambda: (q.put(1), s.put(2), b.send(3))).start()\n"
        "print(q.get() + s.get() + a.recv()); q.close(); q.join_thread()",
        "6"),
    "maps of memory": (
        "import mmap\nm = mmap.mmap(-1, 9999)\nm[:2] = b'ab'\nm.flush()\nprint(bytes(m[:3]), len(m))",
        "b'ab\\x00' 9999"),
    "maps of files": (
        "import numpy as np\na = np.memmap('m', dtype='i8', mode='w+', shape=9)\na[:] = 4\na.flush()\n"
        "print(np.memmap('m', dtype='i8', mode='r').sum())", "36"),
    "threads that are joined": (
        "import threading, concurrent.futures as cf\n"
        "with cf.ThreadPoolExecutor(8) as pool: print(sum(pool.map(lambda x: x * x, range(9))))",
        "204"),
    "a thread of the C library that is joined": (
        "import ctypes, time\nlibc = ctypes.CDLL(None)\nthread = ctypes.c_ulong()\n"
        "work = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: time.sleep(0.2))\n"
        "assert libc.pthread_create(ctypes.byref(thread), None, work, None) == 0\n"
        "print(libc.pthread_join(thread, None))", "0"),
    "linear algebra": (
        "import numpy as np, scipy.linalg\na = np.random.rand(300, 300)\n"
        "u, s, v = np.linalg.svd(a)\nprint(np.allclose(u * s @ v, a), scipy.linalg.lu(a)[0].shape)",
        "True (300, 300)"),
    "an alarm of its own": (
        "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: print('rang'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(0.3)", "rang"),
    "fsync": (
        "import os\nwith open('f', 'w') as f:\n    f.write('x'); f.flush(); os.fsync(f.fileno())\n"
        "print(open('f').read())",
        "x"),
    "zeros": (
        "print(open('/dev/zero', 'rb').read(3))", "\\x00\\x00\\x00"),
}  # fmt: skip


@pytest.mark.stack
@pytest.mark.parametrize("code, said", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_code_works(tool, standing_walls, code, said):
    response, metrics = call(tool, code, Trajectory())
    assert metrics["ok"] and said in response.text


# ---------------------------------------------------------------- memory of the host


def kernel_mb():
    """Memory that no process has and that the kernel cannot take back, on the whole machine."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("Shmem", "SUnreclaim", "PageTables", "KernelStack")) / 1024


HOARDS = {
    "sockets": "held = []\ntry:\n    while True:\n        pair = socket.socketpair(); held.append(pair)\n"
    "        pair[0].setsockopt(1, 7, 1 << 30); pair[0].setblocking(False); pair[0].send(bytes(8 << 20))\n"
    "except OSError: pass",
    "pipes": "held = []\ntry:\n    while True: held.append(os.pipe())\nexcept OSError: pass",
    "rulesets": "for _ in range(120): libc.syscall(444, struct.pack('QQQ', 8191, 0, 0), 8, 0)",
    "shared memory": "libc.mmap.restype = ctypes.c_void_p\nfor _ in range(60):\n"
    "    page = libc.mmap(None, ctypes.c_size_t(16 << 20), 3, 0x21, -1, ctypes.c_long(0))\n"
    "    if page != 2**64 - 1:\n        ctypes.memset(page, 1, 16 << 20)\n"
    "        libc.munmap(ctypes.c_void_p(page), ctypes.c_size_t((16 << 20) - 4096))",
    "filters": "code = struct.pack('HBBI', 6, 0, 0, 0x7fff0000) * 4000\nbuffer = ctypes.create_string_buffer(code)\n"
    "program = struct.pack('H6xQ', 4000, ctypes.addressof(buffer))\n"
    "for _ in range(100): libc.prctl(22, 2, program, 0, 0)",
    "locks": "import fcntl\nfile = open('l', 'w')\nfor i in range(100_000):\n"
    "    try: fcntl.lockf(file, 2, 1, 2 * i)\n    except OSError: break",
    "output": "try:\n    while True: os.write(os.dup(1), bytes(1 << 20))\nexcept OSError: pass",
}


@pytest.mark.stack
@pytest.mark.parametrize("code", HOARDS.values(), ids=HOARDS)
def test_no_memory_is_held_that_nothing_counts(standing_walls, code):
    """Eight interpreters that wait for their next call hold what they could get."""
    tool = load(code_timeout_s=2.0, memory_mb=256, disk_mb=16, max_output_chars=640)
    waiting = [Trajectory() for _ in range(8)]
    for trajectory in waiting:
        say(tool, "1", trajectory)
    before = min(kernel_mb() for _ in range(5))
    for trajectory in waiting:
        say(tool, PRELUDE + code, trajectory)
    assert wait_until(lambda: kernel_mb() - before < 50, 10.0)
    pool_of(tool).close()
