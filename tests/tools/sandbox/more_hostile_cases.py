# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""More hostile cells: time, output, endings, tampering, forged answers, pictures, odd code and system calls."""

from tests.tools.sandbox.hostile_cases import (
    DISK,
    ENDED,
    HUNG,
    MEMORY,
    MEMORY_AND_DISK,
    NETWORKING,
    NEW,
    OWN,
    PRIVILEGES,
    PROCESS_BOMBS,
    PROCESSES,
    READING,
    SHARED,
    STOPPED,
    WRITES,
    WRITING,
    Case,
    forged,
    refused,
)


def limited(name, code, says="", after="42", walls=(OWN, MEMORY), images=0):
    return Case(name, "limit", walls, code, says, images, after)


TIME_AND_OUTPUT = [
    limited("endless loop", "while True: pass", STOPPED),
    limited("endless sleep", "time.sleep(1e6)", STOPPED),
    limited("endless loop that swallows everything",
            "def f():\n    while True: pass\nwhile True:\n    try: f()\n    except BaseException: pass", HUNG),
    limited("blocked SIGALRM", "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass", HUNG),
    limited("C code that looks at no signal", "sum(range(10**11))", HUNG),
    limited("catastrophic regular expression", "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')", STOPPED),
    limited("repr that never ends", "class A:\n    def __repr__(self):\n        while True: pass\nA()", STOPPED),
    limited("endless print", "while True: print('x' * 1000)", STOPPED),
    limited("os.write without end", "while True: os.write(1, b'x' * 65536)", "OSError", walls=(OWN, DISK)),
    limited("a line of 100 MB", "sys.stdout.write('x' * 100_000_000)\nNone", "xxx"),
    limited("a value of 100 MB", "'x' * 100_000_000", "xxx"),
    limited("an error of 10 MB", "raise ValueError('x' * 10_000_000)", "xxx"),
    Case("output that is no text", "check", (OWN,),
         "os.write(1, bytes(range(256)))\nprint('\\ud800', '\\0', '\\x1b[2J')", "ud800"),
    Case("half of a surrogate pair as error", "check", (OWN,), "raise ValueError('\\ud800 ' + chr(0xdfff))", "ud800"),
    Case("half of a surrogate pair as value", "check", (OWN,),
         "class A:\n    def __repr__(self): return 'a\\udc80'\nA()", "udc80"),
    Case("half of a surrogate pair as file name", "check", (OWN,),
         "from PIL import Image\nImage.new('RGB', (64, 64)).save('/work/\\udcff.png')",
         "udcff", images=1),
]  # fmt: skip

ENDINGS = [
    limited("os._exit", "os._exit(0)", ENDED),
    limited("os.abort", "os.abort()", ENDED),
    limited("segmentation fault", "ctypes.string_at(0)", ENDED),
    limited("stack overflow", "import json\nsys.setrecursionlimit(10**9)\njson.loads('[' * 10**6)", ENDED),
    limited("deep recursion", "sys.setrecursionlimit(10**9)\ndef f(): return f() + 1\nf()"),
    limited("sys.exit", "print('before')\nsys.exit(3)", "before"),
    limited("KeyboardInterrupt and GeneratorExit", "try: raise KeyboardInterrupt\nfinally: raise GeneratorExit",
            "GeneratorExit"),
    limited("errors at the end", "import atexit\nclass A:\n    def __del__(self): raise SystemError\na = A()\ndel a\n"
            "atexit.register(lambda: 1 / 0)\nprint('on')", "on"),
    limited("an error that cannot be shown",
            "class E(Exception):\n    def __str__(self): raise SystemExit\n    __repr__ = __str__\nraise E", "E: ?"),
    limited("exit by a thread", "threading.Thread(target=os._exit, args=(1,)).start()\ntime.sleep(9)", ENDED),
]  # fmt: skip

TAMPERING = [
    limited("print, open and len overwritten", "import builtins\nbuiltins.print = builtins.open = None", "", "42"),
    limited("len overwritten", "import builtins\nbuiltins.len = builtins.isinstance = None"),
    limited("no stdout", "sys.stdout = sys.stderr = sys.__stdout__ = None", "(no output)"),
    limited("stdout closed", "sys.stdout.close()\nos.close(1)", ""),
    limited("sys.modules cleared", "sys.modules.clear()", "", None),
    limited("modules of the interpreter changed",
            "import interpreter\ninterpreter.CellRunner.run = interpreter.wire = interpreter.os = None", ENDED),
    limited("answers swallowed", "import wire\nwire.send = lambda *args: None", HUNG),
    limited("all files closed", "os.closerange(0, 200)", ENDED),
    limited("traces and audit hooks", "sys.settrace(lambda *a: 1 / 0)\nsys.addaudithook(lambda *a: 1 / 0)", "", None),
    limited("frames of the interpreter", "f = sys._getframe()\nwhile f: f.f_globals.clear(); f = f.f_back", "", None),
]  # fmt: skip

ONE = "answer | dict(images=[['a', 1, 1]], blobs=[3]), b'abc'"
FORGED = [
    forged("garbage", "host.sendall(b'\\xff' * 100)"),
    forged("a huge length", "host.sendall(struct.pack('!QQ', 1 << 62, 1 << 62))"),
    forged("a length and nothing behind it", "host.sendall(struct.pack('!QQ', 1 << 20, 0))\nwhile True: pass", HUNG),
    forged("drop by drop", "import time\nhost.sendall(struct.pack('!QQ', 1 << 20, 0))\n"
           "while True:\n    try:\n        host.sendall(b' '); time.sleep(0.01)\n    except BaseException: pass", HUNG),
    forged("no JSON", "send(b'{' * 1000)"),
    forged("deeply nested", "send(b'[' * 100_000)"),
    forged("no object", "send([1, 2])"),
    forged("a field is missing", "del answer['stdout']\nsend(answer)"),
    forged("NaN", "send(b'{\"blobs\": [NaN], \"images\": [], \"stdout\": \"\", \"dropped\": NaN}')"),
    *(forged(f"{field} is {value[:12]}", f"send(answer | dict({field}={value}))") for field, value in (
        ("dropped", "10**4000"), ("dropped", "-1"), ("dropped", "float('inf')"), ("skipped_images", "10**4299"),
        ("skipped_images", "'9'"), ("stdout", "['x'] * 1000"), ("value", "7"), ("error", "{}"), ("images", "7"))),
    *(forged(f"image {size}", f"send(answer | dict(images=[['a', {size}]], blobs=[3]), b'abc')") for size in (
        "-1, -1", "0, 0", "1, 2", "1.0, 1", "10**9, 10**9", "True, 1", "'1', 1", "float('nan'), 1", "None, None")),
    forged("negative lengths", "send(answer | dict(images=[['a', 1, 1]] * 2, blobs=[6, -3]), b'abc')"),
    forged("100,000 images", "n = 100_000\nsend(answer | dict(images=[['a', 1, 1]] * n, blobs=[3] * n), bytes(3 * n))"),
    forged("an image of its own", f"send({ONE})", "forged", None, 1),
    forged("half of a surrogate pair", "send(answer | dict(stdout='\\ud800', value='\\udfff'))", "ud800", None),
    forged("open files along with it",
           "for _ in range(50):\n    try: socket.send_fds(host, [b' '], [0] * 50); print('ESCAPED')\n"
           "    except OSError: host.sendall(b' ')\nsend(answer)"),
]  # fmt: skip

PICTURES = [
    Case("links, pipes and folders named as images", "jail", (WRITES,),
         "os.symlink('/etc/passwd', 'a.png'); os.symlink('/dev/zero', 'b.png'); os.mkdir('d.png')\n"
         "attempt('pipe', os.mkfifo, 'c.png')\n"
         "os.symlink('e.png', 'e.png')\nprint('made')", "made"),
    limited("files that are no images", "open('a.png', 'wb').write(b'%!PS-Adobe-3.0 EPSF' + bytes(9999))\n"
            "open('b.gif', 'wb').write(b'GIF89a' + bytes(9)); open('c.tif', 'wb').write(b'II*' + bytes(9))",
            "not shown"),
    limited("huge figure", "import matplotlib.pyplot as plt\nplt.figure(figsize=(1000, 1000), dpi=1000)\nplt.plot([1])",
            "not shown"),
    limited("huge figure that could be drawn", "import matplotlib.pyplot as plt\nplt.figure(figsize=(600, 300))",
            "not shown"),
    limited("huge image", "from PIL import Image\nImage.new('RGB', (40000, 40000))", "MemoryError"),
    limited("huge image that can be made but not converted", "from PIL import Image\nImage.new('L', (14000, 14000))",
            "not shown"),
    limited("decompression bomb",
            "import zlib\ndef chunk(kind, data):\n    check = zlib.crc32(kind + data)\n"
            "    return struct.pack('!I', len(data)) + kind + data + struct.pack('!I', check)\n"
            "rows = zlib.compress(bytes(3751 * 30000), 9)\nopen('bomb.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + "
            "chunk(b'IHDR', struct.pack('!IIBBBBB', 30000, 30000, 1, 0, 0, 0, 0)) + chunk(b'IDAT', rows) + "
            "chunk(b'IEND', b''))\nprint('made')", "not shown"),
    limited("10,000 figures", "import matplotlib.pyplot as plt\nwhile True: plt.figure(figsize=(1, 1))", STOPPED,
            images=4),
    limited("1,500 image files",
            "from PIL import Image\nx = Image.new('RGB', (1, 1))\nfor i in range(1500): x.save(f'{i}.bmp')",
            "(1496 more images not shown)", images=4),
    limited("a line of one pixel", "from PIL import Image\nImage.new('RGB', (1, 100_000))", "1 more image not shown"),
    limited("a line of ten million pixels", "from PIL import Image\nImage.new('L', (10_000_000, 1))", "not shown"),
    limited("an image that lies about its size",
            "from PIL import Image\nclass A(Image.Image):\n    width = height = property(lambda self: 10**30)\n"
            "A()", "not shown"),
    limited("an image that never comes", "from PIL import Image\nclass A(Image.Image):\n    @property\n"
            "    def width(self):\n        while True: pass\nA()", HUNG),
]  # fmt: skip

CODE = [
    limited("1 MB of code", "x = 1\n" * 200_000, "too long"),
    limited("null characters", "print(1)\0", "null"),
    limited("no Unicode", "print('\ud800')", "Unicode"),
    limited("deep brackets", "(" * 20_000, "SyntaxError"),
    limited("deep calls", "f(" * 90 + ")" * 90, "Error"),
    limited("deep signs", "-" * 40_000 + "1"),
    limited("deep sums", "1" + "+1" * 20_000),
    limited("deep blocks", "".join(" " * i + "if 1:\n" for i in range(150)) + " " * 150 + "1", "Error"),
    limited("constants that grow", "x = (((((1 << 10**6) << 10**6) << 10**6) << 10**6) << 10**6) * 0\nx", "0"),
]

FCNTL = "{'x86_64': 72, 'aarch64': 25}[os.uname().machine]"
SYSTEM_CALLS = [
    refused("namespaces", *(f"libc.unshare, {flag}" for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000)),
            "libc.setns, 0, 0", walls=(NEW, PRIVILEGES)),
    refused("mounts", "libc.mount, b'none', b'/tmp', b'tmpfs', 0, None", "libc.umount2, b'/proc', 2",
            "os.chroot, '/tmp'",
            "libc.pivot_root, b'/tmp', b'/tmp'", "libc.syscall, 430, b'tmpfs', 0", "libc.syscall, 428, -100, b'/', 1",
            walls=(NEW, PRIVILEGES)),
    Case("where the jail's folders are on the host", "filter", (PRIVILEGES,),
         "ids = (ctypes.c_uint64 * 200)()\n"
         "known = ctypes.create_string_buffer(struct.pack('IIQQQ', 32, 0, 2**64 - 1, 0, 0))\n"
         "count = libc.syscall(458, known, ids, 200, 0)\nfor i in range(max(0, count)):\n"
         "    asked = ctypes.create_string_buffer(struct.pack('IIQQQ', 32, 0, ids[i], 24, 0))\n"
         "    out = ctypes.create_string_buffer(4096)\n    if libc.syscall(457, asked, out, 4096, 0) == 0:\n"
         "        print('ESCAPED', out.raw[512:].strip(bytes(1)))\nprint('end')", "end"),
    refused("other processes' memory", "libc.ptrace, 16, 1, 0, 0", "libc.process_vm_readv, 1, None, 0, None, 0, 0",
            "os.pidfd_open, 1", "libc.syscall, 438, 3, 3, 0", walls=(PROCESSES, PRIVILEGES)),
    refused("large parts of the kernel", *(f"libc.syscall, {number}, 0, 0, 0, 0, 0" for number in (425, 426, 427)),
            "libc.fanotify_init, 0, 0", "libc.personality, 0xffffffff", "libc.klogctl, 3, None, 0",
            "libc.acct, None", "libc.swapon, b'/tmp/x', 0", "libc.quotactl, 0, None, 0, None"),
    refused("bpf, keys, perf, userfaultfd", *(
        f"libc.syscall, {{'x86_64': {x86}, 'aarch64': {arm}}}[os.uname().machine], 0, 0, 0, 0, 0" for x86, arm in (
            (321, 280), (250, 219), (248, 217), (249, 218), (298, 241), (323, 282), (322, 281), (175, 105)))),
    refused("leases of files that the host opens", *(
        f"libc.{call} os.open(os.__file__, os.O_RDONLY), ctypes.c_ulong({high} | 1024), {kind}"
        for call in ("fcntl,", f"syscall, {FCNTL},") for high in (0, 1 << 32) for kind in (0, 1, 2)), walls=(SHARED,)),
    refused("locks of files that others use", "__import__('fcntl').flock, os.open(os.__file__, os.O_RDONLY), 6",
            "__import__('fcntl').flock, os.open('/opt/sandbox/walls.py', os.O_RDONLY), 5",
            "libc.fcntl, os.open(os.__file__, os.O_RDONLY), 37, struct.pack('hhqqi4x', 0, 0, 0, 0, 0)",
            walls=(SHARED,)),
    refused("news of what the host opens", "libc.inotify_init", "libc.inotify_init1, 0",
            "libc.inotify_add_watch, -1, b'/', 1", "libc.fcntl, os.open('/usr/lib', os.O_RDONLY), 1026, 1",
            "libc.fanotify_mark, -1, 0, ctypes.c_uint64(1), -1, b'/'", walls=(SHARED,)),
    refused("what a whole machine shares", *(f"libc.syscall, {number}, -1, 0, 0, 0, 0" for number in (443, 451, 459)),
            *(f"libc.syscall, {{'x86_64': {x86}, 'aarch64': {arm}}}[os.uname().machine], -1, 0, 0, 0, 0"
              for x86, arm in ((206, 0), (209, 2), (162, 81))), "libc.syncfs, -1", walls=(SHARED,)),
    refused("becoming root", "os.setuid, 0", "os.setgid, 0", "os.setgroups, [0]", "os.setresuid, 0, 0, 0",
            rests_on="jail", walls=(PRIVILEGES,), says="0 - OSError EINVAL"),
    refused("clock and names", "time.clock_settime, time.CLOCK_REALTIME, time.time()", "libc.adjtimex, bytes(208)",
            "socket.sethostname, 'hostile'"),
    Case("system calls of 32 bits", "filter", (PRIVILEGES,),
         "if os.uname().machine == 'x86_64':\n    page = mmap.mmap(-1, 4096, prot=7)\n"
         "    page.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
         "    got = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
         "    print('ESCAPED' if got > 0 else 'refused')\nelse: os._exit(0)", ""),
    Case("system calls of x32", "filter", (PRIVILEGES,),
         "print('ESCAPED' if libc.syscall(0x40000000 + 39) > 0 else 'refused')", ""),
]  # fmt: skip

CASES = [
    *READING, *WRITING, *NETWORKING, *PROCESS_BOMBS, *MEMORY_AND_DISK, *TIME_AND_OUTPUT, *ENDINGS, *TAMPERING, *FORGED,
    *PICTURES, *CODE, *SYSTEM_CALLS,
]  # fmt: skip
