# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Ask a fresh interpreter harmless questions that show whether each wall stands, before untrusted code runs.

What the kernel shows is read (namespaces, capabilities, filter). The rest is tried on a small scale: open a file of the
host, reach a listener of the host, fork one process, take slightly too much memory. No question could do harm if its
wall were missing.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from dataclasses import dataclass

from tools.sandbox.syscalls import refused_calls

NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts")

# The interpreter runs this code. Each test returns what it has got through to, or raises.
_QUESTIONS = """
def _probe(address, canary, host_pid, memory_mb, disk_mb, threads, refused):
    import ctypes, errno, fcntl, json, mmap, os, resource, signal, socket, threading

    def files():
        paths = (canary, "/etc/passwd", "/etc/shadow", "/home", "/root/.ssh", "/proc/1")
        return [path for path in paths if os.path.exists(path)] or None

    def writable():
        found = []
        for folder in ("/", "/dev", "/dev/shm", "/dev/pts", "/etc", "/opt/sandbox", "/usr/lib", "/proc"):
            try:
                os.close(os.open(folder + "/probe", os.O_CREAT | os.O_WRONLY))
                found.append(folder)
            except OSError:
                pass
        try:
            os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
            found.append("a new terminal")
        except OSError:
            pass
        return found or None

    def environment():
        allowed = {"PATH", "HOME", "LANG", "PYTHONPATH", "PWD", "PYTHONDONTWRITEBYTECODE", "MPLBACKEND", "MPLCONFIGDIR",
                   "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX", "LC_CTYPE",
                   "PYTHONHASHSEED", "JOBLIB_MULTIPROCESSING"}
        return sorted(set(os.environ) - allowed) or None

    def network():
        socket.create_connection(address, timeout=2).close()
        return "a listener of the host answered"

    def names():
        return socket.getaddrinfo("localhost.localdomain.invalid", 80)

    def other_processes():
        os.kill(host_pid, 0)
        return f"process {host_pid} of the host is in sight"

    def processes():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return "a process was forked"

    def programs():
        os.execv("/bin/true", ["true"])

    def new_namespaces():
        return None if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) else "a user namespace was made"

    def memory():
        block = mmap.mmap(-1, (memory_mb + 64) << 20)  # not touched: nothing is used up
        block.close()
        return f"{memory_mb + 64} MiB of address space were given"

    def many_threads():
        done, started = threading.Event(), []
        try:
            for _ in range(threads + 4):
                thread = threading.Thread(target=done.wait, args=(20,), daemon=True)
                thread.start()
                started.append(thread)
        except RuntimeError:
            return None
        finally:
            done.set()
            for thread in started:
                thread.join()
        return f"{len(started)} threads were started"

    def disk():
        try:
            with open("/tmp/probe", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, (disk_mb + 1) << 20)
        except OSError:
            return None
        finally:
            os.unlink("/tmp/probe")
        return f"a file of {disk_mb + 1} MiB was made"

    def privileges():
        libc = ctypes.CDLL(None)
        got = []
        if libc.prctl(39, 0, 0, 0, 0) != 1:
            got.append("new privileges are possible")
        if libc.prctl(21, 0, 0, 0, 0) != 2:
            got.append("no filter of system calls")
        header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        if libc.capget(header, data) != 0 or any(data):
            got.append("capabilities")
        if 0 in (os.getuid(), os.geteuid(), os.getgid(), os.getegid()):
            got.append("it is root")
        return got or None

    def shared():
        # without the filter each fails for another reason: there is no lease to give back, no such file
        libc, got = ctypes.CDLL(None, use_errno=True), []
        with open(os.__file__) as file:
            for name, call, arguments in (
                ("locks of files", libc.flock, (file.fileno(), fcntl.LOCK_UN)),
                ("leases of files", libc.fcntl, (file.fileno(), 1024, fcntl.F_UNLCK)),
                ("news of files", libc.inotify_add_watch, (-1, b"/", 1)),
                ("writing back disks", libc.syncfs, (-1,)),
            ):
                ctypes.set_errno(0)
                if call(*arguments) != -1 or ctypes.get_errno() != errno.EPERM:
                    got.append(name)
        return got or None

    def system_calls():
        # every call that the table refuses, with arguments with which each would fail without the filter, too
        libc, got = ctypes.CDLL(None, use_errno=True), []
        for name, number, arguments, error in refused:
            ctypes.set_errno(0)
            libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
            if ctypes.get_errno() != error:
                got.append(f"{name}{arguments}: {errno.errorcode.get(ctypes.get_errno(), 'no error')}")
        return got or None

    def core_dumps():
        if ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) != 0 or resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
            return "the process is dumpable"

    def counted():
        got = []
        for path in ("/dev/zero", None):
            try:
                file = os.open(path, os.O_RDWR) if path else -1
                flags = mmap.MAP_SHARED | (0 if path else mmap.MAP_ANONYMOUS)
                mmap.mmap.__base__(file, 4096, flags=flags).close()
                got.append(f"shared memory of {path}")
            except OSError:
                pass
        output = os.fstatvfs(1)
        if output.f_blocks * output.f_frsize > max(4, disk_mb) << 20:
            got.append("the file that cells print to")
        return got or None

    answers = {}
    for question in (files, writable, environment, network, names, other_processes, processes, programs,
                     new_namespaces, memory, many_threads, disk, privileges, shared, system_calls, core_dumps,
                     counted):
        try:
            answers[question.__name__] = question()
        except (OSError, MemoryError, ProcessLookupError):
            answers[question.__name__] = None
    return json.dumps(answers)
"""

# question -> the wall's name, and what it rests on
WALLS = {
    "files": ("no view of the host's files", "jail"),
    "writable": ("nothing of the jail can be written but its own folders", "jail"),
    "environment": ("no view of the host's environment", "jail"),
    "network": ("no network", "jail"),
    "names": ("no name service", "jail"),
    "other_processes": ("no view of the host's processes", "jail"),
    "processes": ("no new processes", "filter"),
    "programs": ("no programs", "filter"),
    "new_namespaces": ("no new namespaces", "filter"),
    "memory": ("memory is limited", "limit"),
    "many_threads": ("threads are limited", "limit"),
    "disk": ("the disk is limited", "limit"),
    "shared": ("no effect on files and disks that others use", "filter"),
    "privileges": ("no privileges, system calls are filtered", "filter"),
    "system_calls": ("only the system calls of the table", "filter"),
    "core_dumps": ("no core dumps", "filter"),
    "counted": ("no memory that is not counted", "limit"),
}


@dataclass(frozen=True)
class Wall:
    """Describe one wall: what it rests on (``"jail"``, ``"limit"`` or ``"filter"``) and whether it stands."""

    name: str
    rests_on: str
    stands: bool
    detail: str = ""


def probe_walls(interpreter, limits) -> list[Wall]:
    """Ask all questions. This takes about 0.1 s.

    Args:
        interpreter: a fresh ``session.Interpreter``.
        limits: its ``jail.Limits``.
    """
    walls = [_namespaces(interpreter.pid)]
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as canary:
        arguments = (listener.getsockname(), canary.name, os.getpid(), limits.memory_mb, limits.disk_mb, limits.threads)
        arguments += (refused_calls(),)
        result = interpreter.run(f"{_QUESTIONS}\nprint(_probe(*{arguments!r}))", [], [], seconds=20.0)
    try:
        answers = json.loads(result.stdout)
    except ValueError:
        said = result.error or result.ended or result.stdout
        return [*walls, Wall("the probe answers", "jail", False, f"no answer: {said[-300:]}")]
    for question, (name, rests_on) in WALLS.items():
        got = answers.get(question, "not asked")
        walls.append(Wall(name, rests_on, got is None, "" if got is None else str(got)[:200]))
    return walls


def _namespaces(pid: int) -> Wall:
    """Compare the interpreter's namespaces with the host's, as the kernel numbers them."""
    shared = []
    for name in NAMESPACES:
        try:
            same = os.readlink(f"/proc/{pid}/ns/{name}") == os.readlink(f"/proc/self/ns/{name}")
        except OSError as error:
            same = True
            name = f"{name}: {error.strerror}"
        if same:
            shared.append(name)
    name = f"own namespaces ({', '.join(NAMESPACES)})"
    return Wall(name, "jail", not shared, f"shared or unknown: {', '.join(shared)}" if shared else "")
