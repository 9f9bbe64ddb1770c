# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile cells that ask the kernel for what no limit counts, what others share, or what runs without the cell.

Each kind is tried by Python's own function, by the C library, by the number of the call, with bits that the kernel
ignores, and in a thread.
"""

from tests.tools.sandbox.hostile_cases import DISK, MEMORY, OWN, PRIVILEGES, SHARED, Case, refused
from tools.sandbox.syscalls import call_number

TABLE, COUNTED, DUMPS = "only the system calls of the table", "no memory that is not counted", "no core dumps"
LIBRARY = "os.open(os.__file__, os.O_RDONLY)"
HIGH = 1 << 32  # A bit above those of an int.


def number(name, *arguments):
    """The call by its number. Arguments are numbers in the words of the cell."""
    return ", ".join(
        ["libc.syscall", str(call_number(name)), *(f"ctypes.c_long({argument})" for argument in arguments)]
    )


def filtered(name, *calls, walls=(TABLE,), says="EPERM"):
    """Each call is refused: alone, then all of them in another thread."""
    code = "def tried():\n" + "".join(f"    attempt({i}, {call})\n" for i, call in enumerate(calls))
    code += "tried()\nthread = threading.Thread(target=tried)\nthread.start()\nthread.join()"
    return Case(name, "filter", walls, code, says)


BETWEEN_CALLS = [
    filtered("timers that could continue it", "libc.timer_create, 1, struct.pack('Qii48x', 0, 18, 0), bytes(8)",
             *(number("timer_create", clock, 0, -1) for clock in (0, 1, 7, 9)), number("timerfd_create", 1, 0),
             number("timer_settime", 0, 0, 0, 0), number("timerfd_settime", 0, 0, 0, 0)),
    filtered("SIGCONT to itself", "os.kill, os.getpid(), 18", "os.kill, 1, 18", "os.kill, 0, 18", "os.kill, -1, 18",
             "signal.raise_signal, 18", "signal.pthread_kill, threading.get_ident(), 18", "getattr(libc, 'raise'), 18",
             "libc.killpg, 1, 18",
             number("kill", 1, 18), number("kill", 1, f"18 | {HIGH}"), number("tkill", 1, 18),
             number("tgkill", 1, 1, f"18 | {HIGH}")),
    filtered("queued signals", "libc.sigqueue, 1, 18, None", number("rt_sigqueueinfo", 1, 18, 0),
             number("rt_tgsigqueueinfo", 1, 1, 18, 0), "libc.signalfd, -1, bytes(128), 0",
             number("signalfd4", -1, 0, 8, 0), number("pidfd_send_signal", 3, 18, 0, 0),
             "libc.mq_notify, 0, struct.pack('Qii48x', 0, 18, 0)"),
    filtered("signals by input", *(
        f"__import__('fcntl').fcntl, {LIBRARY}, {command}, {value}" for command, value in (
            (8, 1), (10, 18), (4, 0x2000), (1024, 0))),
        number("fcntl", 0, f"10 | {HIGH}", 18), number("fcntl", 0, 15, -1), number("ioctl", 0, 0x5452, -1),
        number("ioctl", 0, 0x8901, -1), number("ioctl", 0, f"0x5452 | {HIGH}", -1)),
]  # fmt: skip

LOCK = "struct.pack('hhqqi4x', {kind}, 0, 0, 0, 0)"
LOCKS = [
    filtered("record locks of what all interpreters see", *(
        f"__import__('fcntl').fcntl, os.open({path}, {mode}), {command}, {LOCK.format(kind=kind)}"
        for path, mode in (("os.__file__", 0), ("'/dev/null'", 2), ("'/opt/sandbox/walls.py'", 0))
        for command, kind in ((5, 0), (5, 1), (6, 0), (6, 2), (7, 0), (36, 1), (37, 0), (38, 0))),
        walls=(TABLE, SHARED)),
    filtered("record locks by other names", "__import__('fcntl').lockf, os.open('own', 66), 2",
             "__import__('fcntl').flock, os.open('own', 66), 2", "os.lockf, os.open('/dev/null', 2), 1, 0",
             "libc.lockf, os.open('/dev/null', 2), 1, 0", "libc.flock, os.open('/dev/null', 2), 1",
             number("fcntl", 0, f"6 | {HIGH}", -1), number("fcntl", 0, 6, -1), number("flock", 0, 1),
             walls=(TABLE, SHARED)),
    Case("futexes in a library that all interpreters have mapped", "filter", (TABLE,),
         "file = mmap.mmap(os.open(os.__file__, 0), 4096, prot=1)\n"
         "buffer = (ctypes.c_char * 4096)\nlibc.mmap.restype = ctypes.c_void_p\n"
         "page = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, os.open(os.__file__, 0), ctypes.c_long(0))\n"
         "value = ctypes.c_uint32.from_address(page).value\nspec = struct.pack('qq', 1, 0)\n"
         f"for kind in (0, 9, 256, 9 | 256): print('wait', libc.syscall({call_number('futex')}, ctypes.c_void_p(page), "
         "kind, value, spec, None, -1), errno.errorcode[ctypes.get_errno()])\n"
         f"for kind in (1, 10): print('wake', libc.syscall({call_number('futex')}, ctypes.c_void_p(page), kind, 9, "
         "None, None, -1))\n"
         f"for kind in (3, 4, 5, 6, 7, 8, 11, 12): attempt(kind, libc.syscall, {call_number('futex')}, "
         "ctypes.c_void_p(page), kind, 1, 1, ctypes.c_void_p(page), value)", "wait -1 EAGAIN"),
    filtered("leases and news of files", *(f"__import__('fcntl').fcntl, {LIBRARY}, {command}, 0" for command in (
        1024, 1025, 1026)), "libc.inotify_init", number("inotify_add_watch", 0, -1, 1), walls=(TABLE, SHARED)),
]  # fmt: skip

UNCOUNTED = [
    filtered("sockets and their buffers", "socket.socketpair", "socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM",
             "libc.socketpair, 1, 1, 0, bytes(8)", number("socketpair", 1, 5, 0, -1),
             number("socketpair", 30, 1, 0, -1),
             *(f"{call}, next(o.fileno() for o in __import__('gc').get_objects() if isinstance(o, socket.socket)), "
               f"1, {option}, struct.pack('i', 1 << 30), {last}" for call, last in (("libc.setsockopt", 4),)
               for option in (7, 8, 32, 33)), number("getsockopt", 3, 1, 17, -1, -1)),
    filtered("open files in messages",
             "socket.send_fds, next(o for o in __import__('gc').get_objects() if isinstance(o, socket.socket)), [b'x'],"
             " [0]", number("sendmsg", 3, 0, 0), number("sendmmsg", 3, 0, 0, 0), number("recvmsg", 3, 0, 0)),
    filtered("pipes", "os.pipe", "os.pipe2, 0", "os.mkfifo, 'x'", "os.mknod, 'y', 0o010600", "libc.pipe, bytes(8)",
             "libc.mkfifo, b'z', 0o600", number("pipe2", -1, 0), number("tee", 0, 1, 9, 0),
             number("vmsplice", 1, 0, 0, 0), number("fcntl", 0, 1031, 1 << 20), number("splice", 0, 0, 1, 0, 9, 0)),
    filtered("memory in files without a name", "os.memfd_create, 'x'", "os.memfd_create, 'x', 4",
             number("memfd_secret", 0), number("memfd_create", -1, 0), "libc.shm_open, b'/x', 66, 0o600"),
    filtered("memory between processes", "libc.shmget, 0, 4096, 0o1600", "libc.msgget, 0, 0o1600",
             "libc.semget, 0, 9, 0o1600", "libc.mq_open, b'/x', 66, 0o600, None", number("shmat", 0, 0, 0),
             number("msgsnd", 0, 0, 0, 0), number("semop", 0, 0, 0), number("mq_open", -1, 66, 384, 0)),
    filtered("huge pages", *(f"mmap.mmap.__base__, -1, 2 << 20, {flags}" for flags in (0x40022, 0x54040022)),
             *(number("mmap", 0, 2 << 20, 3, flags, -1, 0) for flags in (0x40022, 0x40021, 0x78040022)),
             "os.memfd_create, 'x', 4 | 1"),
    filtered("shared memory without a file", *(f"mmap.mmap.__base__, -1, {size}" for size in (4096, 1 << 28)),
             *(number("mmap", 0, 1 << 20, 3, flags, -1, 0) for flags in (0x21, 0x4021, 0x23, 0x100021)),
             number("remap_file_pages", 0, 0, 0, 0, 0), walls=(TABLE, COUNTED)),
    Case("shared memory that outlives its address", "limit", (COUNTED, MEMORY),
         "libc.mmap.restype = ctypes.c_void_p\ngot = 0\nzero = os.open('/dev/zero', os.O_RDWR)\n"
         "for file, flags in ((-1, 0x21), (zero, 1)):\n    for _ in range(40):\n"
         "        page = libc.mmap(None, ctypes.c_size_t(16 << 20), 3, flags, file, ctypes.c_long(0))\n"
         "        if page in (None, 2**64 - 1): break\n        ctypes.memset(page, 1, 16 << 20)\n"
         "        libc.munmap(ctypes.c_void_p(page + 4096), ctypes.c_size_t((16 << 20) - 4096)); got += 16\n"
         "print('ESCAPED' if got > 64 else 'limited', got)", "limited 0"),
    Case("memory spread over the address space", "limit", (MEMORY, OWN),
         "libc.mmap.restype = ctypes.c_void_p\nlibc.mmap.argtypes = [ctypes.c_size_t] * 6\n"
         "for i in range(10**6):\n    page = libc.mmap((1 << 40) + (i << 30), 4096, 3, 0x22, 2**64 - 1, 0)\n"
         "    if page not in (None, 2**64 - 1): ctypes.string_at(page, 1)\nprint('end')", "the interpreter ended"),
    Case("the file of the output as a store", "limit", (DISK, COUNTED),
         "kept = os.dup(1)\nwritten = 0\ntry:\n    while written < 1 << 23: written += os.write(kept, bytes(1 << 16))\n"
         "except OSError as error: pass\nos.ftruncate(kept, 0)\n"
         "attempt(0, os.truncate, kept, 1 << 40)\ntry: os.posix_fallocate(kept, 0, 8 << 20); print('ESCAPED')\n"
         "except OSError: print('full')\nprint('ESCAPED' if written > 2 << 20 else 'limited')", "limited"),
    Case("tables of open files, one for each thread", "filter", (TABLE,),
         f"attempt(0, libc.syscall, {call_number('close_range')}, 100, 101, 2)\nattempt(1, libc.unshare, 0x400)\n"
         f"for flags in (0x3d0b00, 0x3d0d00, 0x10f00, 0x50f00 | 0x80): attempt(flags, libc.syscall, "
         f"{call_number('clone')}, ctypes.c_long(flags), 0, 0, 0, 0)", "0 - PermissionError EPERM"),
    filtered("rules and filters", number("landlock_create_ruleset", 0, 0, 1), number("landlock_restrict_self", 3, 0),
             "libc.prctl, 22, 2, bytes(16), 0, 0", number("seccomp", 1, 0, -1), number("prctl", f"22 | {HIGH}", 2, -1),
             number("keyctl", 1, 0), number("add_key", -1, -1, -1, 1, -3), number("prctl", 0x53564D41, 0, 0, 0)),
    filtered("memory that cannot be taken back", number("mlockall", 2), number("mlock2", 0, 4096, 0),
             number("process_madvise", 0, 0, 0, 4, 0), "libc.mlockall, 1", *(
                 number("madvise", 0, 0, advice) for advice in (9, 12, 13, 25, f"12 | {HIGH}"))),
]  # fmt: skip

HOST_DISKS = [
    filtered("the page cache and the host's disk", *(f"os.posix_fadvise, {LIBRARY}, 0, 0, {a}" for a in range(6)),
             number("readahead", 0, 0, 1 << 20), number("fadvise64", 0, 0, 0, 4), "os.open, os.__file__, os.O_DIRECT",
             "os.open, 'own', os.O_DIRECT | 66", number("openat", -100, -1, f"os.O_DIRECT | {HIGH}"),
             number("sync_file_range", 0, 0, 0, 7), number("sync"), "libc.syncfs, 0",
             "__import__('fcntl').fcntl, 0, 4, os.O_DIRECT",
             *(number("madvise", 0, 0, advice) for advice in (3, 20, 21, 22)), walls=(TABLE, SHARED)),
    Case("what is in the page cache", "filter", (TABLE,),
         f"for number, arguments in (({call_number('mincore')}, (0, 0, 0)), ({call_number('preadv2')}, (0, 0, 0, 0, 0, "
         f"8)), ({call_number('preadv2')}, (0, 0, 0, 0, 0, 128)), (451, (0,) * 4), ({call_number('pwritev2')}, (0,) "
         "* 6)):\n    attempt(number, libc.syscall, number, *map(ctypes.c_long, arguments))", "ENOSYS"),
    Case("emptying the cache of the host's disk", "filter", (TABLE,),
         "file = os.open(os.__file__, 0)\nstarted = time.monotonic()\n"
         "for _ in range(20_000): os.fsync(file); os.fdatasync(file)\nprint('done')", "done"),
]  # fmt: skip

PROCESS = [
    filtered("core dumps", "libc.prctl, 4, 1, 0, 0, 0", number("prctl", f"4 | {HIGH}", 1, 0, 0, 0),
             "libc.prctl, 15, b'named', 0, 0, 0", number("prctl", 35, -1, 0, 0), number("prctl", 1, 18),
             walls=(TABLE, DUMPS)),
    Case("a crash of each kind", "filter", (DUMPS, TABLE),
         "print(libc.prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))\n"
         "attempt(0, resource.setrlimit, resource.RLIMIT_CORE, (1, 1))\nos.write(1, b'')\n"
         "signal.signal(signal.SIGSEGV, signal.SIG_DFL)", "0 (0, 0)"),
    filtered("parts of the kernel that Python does not need", *(number(name, -1, -1, -1, -1, -1, -1) for name in (
        "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_setup", "personality", "quotactl", "ioprio_set",
        "kcmp", "name_to_handle_at", "sched_setattr", "set_tid_address", "get_robust_list", "capset", "syslog"))),
    refused("calls that are newer than the table", *(
        f"libc.syscall, {number}, -1, -1, -1, -1, -1, -1" for number in (*range(451, 512), 1000, 5000, 1 << 20)),
        walls=(TABLE, PRIVILEGES), says="ENOSYS"),
]  # fmt: skip

KERNEL = [*BETWEEN_CALLS, *LOCKS, *UNCOUNTED, *HOST_DISKS, *PROCESS]
