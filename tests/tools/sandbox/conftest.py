# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing hostile runs before the walls have been seen to stand, by the product's probe and by looks of our own."""

import os
import secrets
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.tools.sandbox.support import (
    NOBODY,
    REPO_ROOT,
    SMALL,
    Trajectory,
    family,
    interpreters,
    load,
    memory_mb,
    newest,
    pool_of,
    say,
    status,
    wait_until,
)
from tools.sandbox import probe

NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts")
MAX_MEMORY_MB = 1000  # of everything below this process at any time: far below what the hostile cases ask for


@pytest.fixture(scope="session")
def tool():
    return load(**SMALL)


@pytest.fixture
def own():
    """Tools with a pool of their own."""
    tools = []

    def make(**options):
        tools.append(load(**{"code_timeout_s": 2.0, "max_output_chars": 500 + len(tools), **options}))
        return tools[-1]

    yield make
    for tool in tools:
        pool_of(tool).close()


@pytest.fixture(scope="session")
def standing_walls(tool):
    """Names of the walls that stand; fails where one does not, and everything that asks for this with it."""
    pool = pool_of(tool)
    assert say(tool, "print(6 * 7)", trajectory := Trajectory()) == "42"
    fallen = [f"{wall.name}: {wall.detail}" for wall in pool.checks if not wall.stands]
    fallen += own_checks(newest(pool).pid, tool.options)
    del trajectory
    if fallen or not pool.checks:
        pytest.fail(f"walls of the sandbox are missing, no hostile code is run: {fallen}", pytrace=False)
    return {wall.name for wall in pool.checks} | {"own namespaces"}


def own_checks(pid, options):
    """What is wrong with an interpreter, read off the kernel without asking it."""
    proc, wrong = Path(f"/proc/{pid}"), []

    def expect(what, got, wanted):
        if got != wanted:
            wrong.append(f"{what} is {got}, not {wanted}")

    for name in NAMESPACES:
        if os.readlink(proc / "ns" / name) == os.readlink(f"/proc/self/ns/{name}"):
            wrong.append(f"{name} namespace is the host's")
    said = status(pid)
    for name, wanted in {"Seccomp": "2", "NoNewPrivs": "1"}.items():
        expect(name, said[name], wanted)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect(name, int(said[name], 16), 0)
    expect("pid in its own namespace", said["NSpid"].split()[-1], "1")
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    expect("user", set(said["Uid"].split()), {str(uid)})
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (proc / "limits").read_text().splitlines()}
    for name, most in {
        "Max processes": options.threads,
        "Max open files": 128,
        "Max cpu time": options.cpu_s,
        "Max file size": options.disk_mb << 20,
        "Max address space": (options.memory_mb + 2048) << 20,
        "Max core file size": 0,
        "Max locked memory": 0,
        "Max msgqueue size": 0,
    }.items():
        if any(value == "unlimited" or int(value) > most for value in limits[name]):
            wrong.append(f"{name} is {limits[name]}")
    mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
    tops = {fields[4]: fields[5].split(",") for fields in mounts}  # of several in one place the last one is seen
    open_to_writes = {path for path, flags in tops.items() if "ro" not in flags}
    devices = {"null", "zero", "full", "random", "urandom", "tty", "console"}
    expect("what can be written", open_to_writes - {f"/dev/{name}" for name in devices}, {"/tmp", "/work"})
    for path in ("etc/passwd", "home", "sys", "proc/1", str(REPO_ROOT)[1:], "bin/sh", "usr/bin", "dev/pts/ptmx"):
        if (proc / "root" / path).exists():
            wrong.append(f"it sees /{path}")
    interfaces = [line.split(":")[0].strip() for line in (proc / "net/dev").read_text().splitlines()[2:]]
    expect("network interfaces", interfaces, ["lo"])
    files = [os.readlink(path) for path in (proc / "fd").iterdir()]
    expect("sockets", sum(path.startswith("socket:") for path in files), 1)
    known = ("socket:", "/dev/null", "/memfd:output", "/opt/site/matplotlib/")  # fonts, opened by each on its own
    expect("other open files", [path for path in files if not path.startswith(known)], [])
    return wrong


class Host:
    """What hostile code is after, and whether any of it was touched."""

    def __init__(self, tool):
        self.tool, self.pool = tool, pool_of(tool)
        self.secret, self.connections = f"secret-{secrets.token_hex(8)}", []
        os.environ["AXPO_TEST_SECRET"] = self.secret
        self.environment = environment()
        self.canary = Path(tempfile.gettempdir()) / f"axpo-canary-{secrets.token_hex(4)}"
        self.canary.write_text(self.secret)
        self.path_socket = f"{self.canary}.sock"
        self.abstract = secrets.token_hex(8)
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0axpo-{self.abstract}")
        by_path = socket.socket(socket.AF_UNIX)
        by_path.bind(self.path_socket)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.datagrams.setblocking(False)
        self.listeners = [socket.create_server(("127.0.0.1", 0)), abstract, by_path]
        for listener in self.listeners:
            listener.listen()
            listener.setblocking(False)
        self.port = self.listeners[0].getsockname()[1]
        self.files = self._files()
        self.peak_mb, self.watching = 0.0, True
        self.watch = threading.Thread(target=self._watch, daemon=True)
        self.watch.start()
        self.neighbour = Trajectory()
        say(tool, "mine = 41", self.neighbour)

    def _files(self):
        """Files that anybody can write to a host's folder, by those that could have been us."""
        folders = ["/", "/tmp", "/var/tmp", "/dev/shm", os.getcwd(), os.path.expanduser("~")]
        found = [entry for folder in folders if os.path.isdir(folder) for entry in os.scandir(folder)]
        return {entry.path for entry in found if "hostile" in entry.name or _owner(entry) == NOBODY}

    def _watch(self):
        while self.watching:
            self.peak_mb = max(self.peak_mb, memory_mb(family()))
            time.sleep(0.1)

    def check(self):
        """The host is unharmed and others are served; asserts."""
        started = time.monotonic()
        assert say(self.tool, "mine + 1", self.neighbour) == "42"
        assert time.monotonic() - started < 5.0
        assert self.canary.read_text() == self.secret
        assert environment() == self.environment
        assert self._files() <= self.files
        for listener in self.listeners:
            with pytest.raises(BlockingIOError):
                listener.accept()
        with pytest.raises(BlockingIOError):
            self.datagrams.recv(1)
        assert self.peak_mb < MAX_MEMORY_MB
        # nothing runs below bubblewrap but the zygote and the interpreters that the pool knows
        assert wait_until(lambda: len(family(self.pool._process.pid)) == len(interpreters(self.pool)) + 1)

    def close(self):
        self.watching = False
        self.watch.join()
        del os.environ["AXPO_TEST_SECRET"]
        for sock in (*self.listeners, self.datagrams):
            sock.close()
        self.canary.unlink()
        os.unlink(self.path_socket)


def environment():
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _owner(entry):
    try:
        return entry.stat(follow_symlinks=False).st_uid
    except OSError:
        return None


@pytest.fixture(scope="module")
def host(tool, standing_walls):
    host = Host(tool)
    yield host
    host.close()


@pytest.fixture
def needs_walls(standing_walls):
    """A function that fails the test unless the walls that it names stand."""

    def check(names):
        known = {name for name, _ in probe.WALLS.values()} | {"own namespaces"}
        assert names and set(names) <= known
        if missing := set(names) - standing_walls:
            pytest.fail(f"these walls do not stand, so this code is not run: {missing}", pytrace=False)

    return check
