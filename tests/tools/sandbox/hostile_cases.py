# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The hostile cells: what each does, which walls it runs into, and what the model must be told.

A cell prints ESCAPED where it gets through. `rests_on` says what stops it: "jail" (namespaces, mounts), "limit" (of
memory, disk, threads, time, output), "filter" (of system calls), or "check" (the host trusts no answer).
"""

from dataclasses import dataclass

OWN = "own namespaces"
FILES, WRITES = "no view of the host's files", "nothing of the jail can be written but its own folders"
ENVIRONMENT, PROCESSES = "no view of the host's environment", "no view of the host's processes"
NETWORK, NAMES = "no network", "no name service"
FORKS, PROGRAMS, NEW = "no new processes", "no programs", "no new namespaces"
MEMORY, THREADS, DISK = "memory is limited", "threads are limited", "the disk is limited"
PRIVILEGES, SHARED = "no privileges, system calls are filtered", "no effect on files and disks that others use"

STOPPED, ENDED, HUNG = "was stopped after 2 s", "the interpreter ended", "did not stop after 2 s"


@dataclass(frozen=True)
class Case:
    name: str
    rests_on: str
    walls: tuple[str, ...]
    code: str
    says: str = ""  # part of the answer
    images: int = 0
    after: str | None = "42"  # what `6 * 7` in the next call gives, None where any answer will do


PRELUDE = """
import ctypes, errno, mmap, os, resource, signal, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what, function, *arguments):
    try:
        got = function(*arguments)
        if got == -1 and hasattr(function, "argtypes"):  # a function of C
            raise OSError(ctypes.get_errno(), "")
        print("ESCAPED:", what, str(got)[:200])
    except BaseException as error:
        print(what, "-", type(error).__name__, errno.errorcode.get(getattr(error, "errno", None), ""))
"""

FORGE = """
import gc, json, socket, struct
host = next(o for o in gc.get_objects() if isinstance(o, socket.socket))
answer = dict(value=None, error=None, stdout="forged", dropped=0, timed_out=False, skipped_images=0,
              images=[], blobs=[])
def send(data, blobs=b""):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    host.sendall(struct.pack("!QQ", len(data), len(blobs)) + data + blobs)
"""


def reads(name, *paths, walls=(FILES,)):
    return Case(name, "jail", walls, "".join(f"attempt({i}, open, {p!r}, 'rb')\n" for i, p in enumerate(paths)), "0 -")


def refused(name, *calls, rests_on="filter", walls=(PRIVILEGES,), says="EPERM"):
    """Each call is `function, argument, ...` in the words of the cell."""
    code = "".join(f"attempt({i}, {call})\n" for i, call in enumerate(calls))
    return Case(name, rests_on, walls, code, says)


def forged(name, code, says=ENDED, after="42", images=0):
    return Case(f"forged answer: {name}", "check", (OWN, PROCESSES), FORGE + code, says, images, after)


HOME_FILES = (".ssh/id_rsa", ".ssh/id_ed25519", ".bashrc", ".bash_history", ".netrc", ".gitconfig", ".aws/credentials")

READING = [
    reads("password files", "/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/hostname", "/etc/machine-id"),
    reads("home directory and keys", *(f"{home}/{f}" for home in ("/root", "@HOME@") for f in HOME_FILES)),
    reads("canary in the host's /tmp", "@CANARY@"),
    reads("the project and its environment", "@REPO@/README.md", "@VENV@/pyvenv.cfg", "@REPO@/tools/python.py"),
    reads("processes", "/proc/1/environ", "/proc/@HOST_PID@/environ", "/proc/self/environ", "/proc/self/maps",
          "/proc/self/mountinfo", "/proc/self/mem", "/proc/@HOST_PID@/root/etc/passwd", walls=(FILES, PROCESSES)),
    reads("kernel and hardware", "/sys/class/net/eth0/address", "/proc/kallsyms", "/dev/kmsg", "/dev/mem", "/dev/vda",
          "/dev/sda", "/dev/nvidia0", "/dev/kvm", "/dev/fuse"),
    Case("listing /", "jail", (FILES,),
         "print('ESCAPED' if {'var', 'sys', 'boot', 'srv', 'run', 'media'} & set(os.listdir('/')) else 'no')\n"
         "if os.path.exists('/mnt') and os.listdir('/mnt') != ['data']: print('ESCAPED', os.listdir('/mnt'))",
         "no"),
    Case("all that can be listed", "jail", (FILES,),
         "until = time.monotonic() + 1\nprivate = {'shadow', 'id_rsa', '.bash_history', 'pyvenv.cfg'}\n"
         "for top, _, files in os.walk('/'):\n    if time.monotonic() > until: break\n"
         "    if private & set(files): print('ESCAPED', top)\nprint('end')", "end"),
    Case("programs and data of the host's packages", "jail", (FILES,),
         "names = {'node_modules', 'firmware', 'systemd', 'apt', 'dpkg', 'git-core', 'postgresql', 'jvm', 'openssh'}\n"
         "for folder in ('/usr/lib', '/usr/local/lib', '/lib', '/usr/share'):\n"
         "    if os.path.isdir(folder) and not os.path.exists(folder + '/libc.so.6'):\n"
         "        if names & set(os.listdir(folder)): print('ESCAPED', os.listdir(folder))\nprint('end')", "end"),
    Case("packages installed for the system's Python", "jail", (FILES,),
         "import glob\nfound = [f for p in ('/usr/lib', '/usr/lib64', '/usr/local/lib', sys.base_prefix + '/lib')\n"
         "         for k in ('dist', 'site') for f in glob.glob(f'{p}/python3*/{k}-packages/*')]\n"
         "print('ESCAPED' if found else 'none', found[:3])", "none"),
    Case("environment", "jail", (ENVIRONMENT,),
         "env = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\ni = 0\n"
         "while env[i]: print(env[i]); i += 1\nprint(dict(os.environ))", "HOME"),
    Case("what it knows of itself", "jail", (FILES, ENVIRONMENT),
         "print(sys.path, sys.argv, sys.orig_argv, sys.prefix, sys.executable, os.uname(), os.getcwd())\n"
         "print([m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)][::25])", "sandbox"),
    Case("importing what is installed outside", "jail", (FILES,),
         "import importlib\nfor name in ('torch', 'verl', 'vllm', 'transformers', 'ray', 'tools.python', 'recipe',"
         " 'pytest', 'pyseccomp'):\n    attempt(name, importlib.import_module, name)", "torch - ModuleNotFoundError"),
    refused("a symbolic link as a way out", "os.readlink, '/proc/self/root'", "os.readlink, '/proc/@HOST_PID@/cwd'",
            "open, '/work/../../../../etc/passwd'", rests_on="jail", walls=(FILES,), says="ENOENT"),
]  # fmt: skip

WRITING = [
    Case("a file in every folder", "jail", (WRITES,),
         "until = time.monotonic() + 1\nfor top, _, _ in os.walk('/'):\n"
         "    if time.monotonic() > until: break\n"
         "    if not top.startswith(('/tmp', '/work')):\n        try:\n            open(top + '/hostile', 'w')\n"
         "            print('ESCAPED', top)\n        except OSError: pass\nprint('end')", "end"),
    refused("changing Python and the zygote", "open, '/opt/sandbox/wire.py', 'a'", "open, os.__file__, 'a'",
            "os.unlink, os.__file__", "os.chmod, '/opt/sandbox', 0o777", "os.rename, '/opt/sandbox', '/tmp/hostile'",
            rests_on="jail", walls=(WRITES,), says="EROFS"),
    refused("kernel settings", "open, '/proc/sys/kernel/core_pattern', 'w'", "open, '/proc/sysrq-trigger', 'w'",
            "open, '/sys/fs/cgroup/cgroup.procs', 'w'", "open, '/proc/self/oom_score_adj', 'w'",
            "os.mkdir, '/sys/fs/cgroup/hostile'", rests_on="jail", walls=(WRITES,), says="0 -"),
    refused("a terminal of its own or of others", "os.open, '/dev/ptmx', os.O_RDWR",
            "os.open, '/dev/pts/ptmx', os.O_RDWR", "os.open, '/dev/pts/0', os.O_RDWR", "os.openpty",
            "os.open, '/dev/pts/x', 66",
            rests_on="jail", walls=(WRITES,), says="0 - FileNotFoundError ENOENT"),
    refused("device nodes and links to files outside", "os.mknod, 'x.png', 0o020666, os.makedev(1, 3)",
            "os.mknod, 'y.png', 0o060666, os.makedev(8, 0)", "os.link, os.__file__, 'z.png'",
            "os.link, '/dev/zero', 'w'",
            rests_on="jail", walls=(WRITES, PRIVILEGES)),
]  # fmt: skip

NETWORKING = [
    refused("sockets of every kind", "socket.socket, socket.AF_INET", "socket.socket, socket.AF_INET6",
            "socket.socket, socket.AF_INET, socket.SOCK_DGRAM", "socket.socket, socket.AF_INET, socket.SOCK_RAW, 1",
            "socket.socket, socket.AF_UNIX", "socket.socket, socket.AF_NETLINK, socket.SOCK_RAW",
            "socket.socket, socket.AF_PACKET, socket.SOCK_RAW", "socket.socket, 38, socket.SOCK_SEQPACKET",
            walls=(NETWORK,)),
    refused("a listener of the host", "socket.create_connection, ('127.0.0.1', @PORT@), 1", walls=(NETWORK,)),
    refused("names and addresses", "socket.gethostbyname, 'example.com'", "socket.getaddrinfo, 'localhost', 80",
            "__import__('urllib.request').request.urlopen, 'http://93.184.216.34', None, 1",
            walls=(NETWORK, NAMES), says="gaierror"),
    Case("messages to the host's sockets from any socket", "jail", (NETWORK, FILES), FORGE +
         "for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):\n"
         "    attempt('pair', socket.socketpair, socket.AF_UNIX, kind)\n    a = host\n"
         "    for where in ('\\0axpo-@ABSTRACT@', '@PATH_SOCKET@', '/run/systemd/journal/socket', '/dev/log'):\n"
         "        attempt('to', a.sendto, b'x', where)\n        attempt('at', a.connect, where)\n"
         "        attempt('as', a.bind, '/tmp/hostile')", "at - PermissionError"),
    Case("the host's socket as a way out", "filter", (NETWORK, PROCESSES), FORGE +
         "attempt(0, host.connect, '@PATH_SOCKET@')\nattempt(1, host.bind, '\\0hostile')\nattempt(2, host.listen)\n"
         "attempt(3, host.accept)\nattempt(4, __import__('fcntl').ioctl, host.fileno(), 0x894C)",
         "0 - PermissionError"),
    Case("addresses of the host's network cards", "filter", (NETWORK, PRIVILEGES), FORGE +
         "import array, fcntl\nbuffer = array.array('B', bytes(4096))\n"
         "attempt(0, fcntl.ioctl, host.fileno(), 0x8912, struct.pack('iL', 4096, buffer.buffer_info()[0]))\n"
         "attempt(1, fcntl.ioctl, host.fileno(), 0x8927, struct.pack('16s240x', b'eth0'))", "EPERM"),
]  # fmt: skip

PROCESS_BOMBS = [
    Case("fork bomb", "filter", (FORKS, PROCESSES),
         "for _ in range(1000):\n    try: print('ESCAPED', os.fork())\n    except OSError: pass\nprint('end')", "end"),
    refused("multiprocessing and subprocess", "__import__('multiprocessing').Process(target=print).start",
            "__import__('subprocess').run, ['/bin/true']", "lambda: 1 / (os.system('true') == 0)",
            "os.execv, sys.executable, ['x']",
            "os.posix_spawn, sys.executable, ['x'], {}", walls=(FORKS, PROGRAMS), says="0 - PermissionError EPERM"),
    Case("clone, clone3, fork and vfork by number", "filter", (FORKS,),
         "calls = {'x86_64': (56, 57, 58, 435), 'aarch64': (220, 435)}[os.uname().machine]\n"
         "for number in calls:\n    for flags in (17, 0x100 | 17, 0x4100 | 17, 0x10000011, 0x20000011, 0):\n"
         "        argument = ctypes.create_string_buffer(struct.pack('Q24xQ48x', flags & ~255, 17)) "
         "if number == 435 else flags\n        pid = libc.syscall(number, argument, 88, 0, 0, 0)\n"
         "        if pid == 0: os._exit(0)\n        if pid > 0: print('ESCAPED', number, flags)\nprint('end')", "end"),
    Case("thread bomb", "limit", (THREADS,),
         "n = 0\ntry:\n    while n < 5000:\n"
         "        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); n += 1\n"
         "except RuntimeError: pass\nprint('ESCAPED' if n > 32 else 'limited')", "limited"),
    Case("thread bomb with tiny stacks", "limit", (THREADS,),
         "threading.stack_size(32768)\nn = 0\ntry:\n    while n < 5000:\n"
         "        threading.Thread(target=threading.Event().wait, daemon=True).start(); n += 1\n"
         "except RuntimeError: pass\nprint('ESCAPED' if n > 32 else 'limited')"),
    Case("kill -9 -1", "jail", (OWN, PROCESSES), "attempt(0, os.kill, -1, 9)", "0 -"),
    Case("killing parent, group and host", "jail", (OWN, PROCESSES),
         "for pid in (os.getppid(), 0, 2, 3, @HOST_PID@):\n"
         "    try: os.kill(pid, 9)\n    except OSError: pass\nprint('alive')", "alive"),
    Case("SIGSTOP to itself", "limit", (OWN, PROCESSES), "os.kill(os.getpid(), signal.SIGSTOP)\nprint('on')", "on"),
    Case("threads that go on after the cell", "limit", (THREADS, OWN),
         "def spin():\n    while True: pass\n"
         "for _ in range(4): threading.Thread(target=spin, daemon=True).start()\nprint('started')", "started"),
]  # fmt: skip

MEMORY_AND_DISK = [
    *(Case(f"10 GB: {name}", "limit", (MEMORY,), code, says) for name, code, says in (
        ("bytearray", "x = bytearray(10 << 30)", "MemoryError"),
        ("numpy", "import numpy as np\nx = np.ones(10 << 27)", "MemoryError"),
        ("mmap", "x = mmap.mmap(-1, 10 << 30)", "OSError"),
        ("small objects", "x = []\nwhile True: x.append(bytearray(4000))", "MemoryError"),
        ("doubling", "x = b'x'\nwhile True: x += x", "MemoryError"),
    )),
    Case("10 GB by malloc", "limit", (MEMORY,),
         "libc.malloc.restype = ctypes.c_void_p\ngot = 0\n"
         "while got < 10 << 30 and (p := libc.malloc(ctypes.c_size_t(1 << 20))): got += 1 << 20\n"
         "print('ESCAPED' if got > 1 << 30 else 'limited')", ""),
    *(Case(f"10 GB file in {folder}", "limit", (DISK,),
           f"f = open('{folder}/hostile', 'wb')\nfor _ in range(10000): f.write(bytes(1 << 20))", "OSError")
      for folder in ("/tmp", "/work")),
    Case("full disk, many files", "limit", (DISK,),
         "n = 0\ntry:\n    while n < 10000:\n        open(f'hostile{n}', 'wb').write(bytes(1 << 20)); n += 1\n"
         "except OSError: pass\nprint('ESCAPED' if n > 100 else 'limited')", "limited"),
    Case("a million empty files", "limit", (DISK,),
         "n = 0\ntry:\n    while n < 1000000: open(f'hostile{n}', 'w').close(); n += 1\nexcept OSError: pass\n"
         "print('ESCAPED' if n > 5000 else 'limited')", "limited"),
    refused("sparse files", "os.truncate, os.open('hostile', os.O_CREAT | os.O_RDWR), 10 << 30",
            "os.posix_fallocate, os.open('hostile', os.O_RDWR), 0, 10 << 30", rests_on="limit", walls=(DISK,),
            says="0 - OSError EFBIG"),
    refused("memory that no limit counts", "os.memfd_create, 'x'", "libc.shmget, 0, 1 << 30, 0o1600",
            "libc.msgget, 0, 0o1600", "libc.semget, 0, 9, 0o1600", "libc.mq_open, b'/x', 66, 0o600, None"),
    refused("shared memory", "open, '/dev/shm/hostile', 'w'",
            "lambda: __import__('multiprocessing.shared_memory').shared_memory.SharedMemory(create=True, size=1 << 30)",
            rests_on="jail", walls=(WRITES,), says="EROFS"),
    Case("pipes and pairs full of data", "limit", (MEMORY,),
         "import fcntl\nheld, total = [], 0\ntry:\n    while True:\n        r, w = os.pipe(); held.append((r, w))\n"
         "        os.set_blocking(w, False)\n        try: fcntl.fcntl(w, 1031, 1 << 20)\n        except OSError: pass\n"
         "        try:\n            while True: total += os.write(w, bytes(1 << 16))\n"
         "        except BlockingIOError: pass\n"
         "except OSError: pass\nprint('ESCAPED' if total > 128 << 20 else 'limited')\n"
         "for pair in held: [os.close(fd) for fd in pair]", "limited"),
    refused("raising limits", *(f"resource.setrlimit, resource.{name}, (-1, -1)" for name in (
        "RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CPU", "RLIMIT_CORE", "RLIMIT_MEMLOCK")),
        "os.nice, -20", "os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(9)", "os.setpriority, 0, 0, -20",
        rests_on="limit", walls=(MEMORY, THREADS, PRIVILEGES), says="0 - ValueError"),
]  # fmt: skip
