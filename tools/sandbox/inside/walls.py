# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Build the walls of an interpreter from inside, in the only order that is possible.

Each function raises ``OSError`` with the step's name if the kernel refuses. An interpreter with a missing wall must not
run.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import stat

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 1 << 12
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = (
    1,
    4,
    22,
    24,
    38,
    47,
)
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2
CAPABILITY_VERSION_3 = 0x20080522
INSIDE_ID = 1000  # uid and gid of the code in its own user namespace.
MIB = 1 << 20
DISK_FILES = 2048  # Of each disk, including its root directory.
IMAGES = "/images"
OUTPUT_BYTES = MIB  # At least. C code prints as much before its output is lost.

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(step: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{step}: {os.strerror(number)}")


def prctl(step: str, *args: int) -> None:
    """Call ``prctl(2)`` and name the step in the error."""
    _checked(step, _libc.prctl(*(ctypes.c_ulong(arg) for arg in (*args, *[0] * (5 - len(args))))))


def drop_root(uid: int) -> None:
    """Become an ordinary user of the host. The kernel exempts its own root from the limit on processes and threads."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def enter_namespaces() -> None:
    """Enter new user, pid, mount, network, IPC, UTS and cgroup namespaces.

    The pid namespace starts with the next fork.
    """
    uid, gid = os.getuid(), os.getgid()
    prctl("dumpable", PR_SET_DUMPABLE, 1)  # Otherwise the kernel assigns /proc/self/uid_map to root.
    _checked("namespaces", _libc.unshare(NAMESPACES))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE_ID} {uid} 1"),
        ("gid_map", f"{INSIDE_ID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _mount(where: str, flags: int, options: str) -> None:
    _checked(f"mount {where}", _libc.mount(b"tmpfs", where.encode(), b"tmpfs", flags, options.encode()))


def mount_disks(disk_mb: int) -> None:
    """Mount empty disks in memory over every writable place, and over /proc, which shows other processes."""
    _checked("private mounts", _libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    flags = MS_NOSUID | MS_NODEV
    for folder in ("/dev/shm", "/dev/pts"):  # All interpreters of a zygote can read and write a terminal.
        _mount(folder, flags | MS_RDONLY, "size=4k,nr_inodes=1")
    _mount("/tmp", flags, f"size={disk_mb}m,nr_inodes={DISK_FILES},mode=700")
    _mount("/work", flags, f"size={disk_mb}m,nr_inodes={DISK_FILES},mode=700")
    # If the host runs out of memory, the kernel ends this process first.
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    _mount("/proc", flags | MS_RDONLY, "size=4k,nr_inodes=1,mode=555")


def mount_images() -> tuple[str, int]:
    """Mount a file system for the conversation's images, which this process can only read.

    Returns:
        Its path, and an open directory through which the host writes. It must be closed here once the host has it.
    """
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount(IMAGES, flags, "size=0,nr_inodes=0,mode=700")
    folder = os.open(IMAGES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # A second mount covers the first, and only that one is read-only.
    _checked("images", _libc.mount(IMAGES.encode(), IMAGES.encode(), None, MS_BIND, None))
    flags |= MS_REMOUNT | MS_BIND | MS_RDONLY
    _checked("images read-only", _libc.mount(None, IMAGES.encode(), None, flags, None))
    return IMAGES, folder


def mount_output(size: int) -> int:
    """Return an open file in memory for what cells print. It grows to ``size`` bytes, or a little more.

    It has a file system of its own that nothing else can reach, so that a full disk does not keep code from printing.
    A file of ``memfd_create`` could grow as far as any file, and no limit would count it.
    """
    _mount("/dev/shm", MS_NOSUID | MS_NODEV, f"size={max(size, OUTPUT_BYTES)},nr_inodes=2,mode=700")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    output = os.open("/dev/shm/memfd:output", flags, 0o600)  # The kernel would name a file of memfd_create like this.
    os.unlink("/dev/shm/memfd:output")
    _checked("output", _libc.umount2(b"/dev/shm", MNT_DETACH))
    return output


def leave_open_files(keep: set[int]) -> None:
    """Share no open file with the zygote and other interpreters.

    Position and flags of a shared file would be a channel.

    Files that a library reads (matplotlib's fonts) are opened anew in their place. Everything else is closed.
    """
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd <= 2 or fd in keep:
            continue
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
            readable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            if not readable or not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                continue
            position = os.lseek(fd, 0, os.SEEK_CUR)
            os.close(fd)  # If the next line fails, the file stays closed.
            own = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.lseek(own, position, os.SEEK_SET)
            if own != fd:
                os.dup2(own, fd, inheritable=False)
                os.close(own)
        except OSError:
            continue


def address_space_in_use() -> int:
    """Return the bytes of address space of this process, including the libraries that it has loaded."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def set_limits(limits: dict) -> None:
    """Set the limits of this process. Soft and hard limits are equal, so that they can only be lowered.

    Args:
        limits: ``memory_mb`` beyond what the libraries take, ``disk_mb``, ``threads``, ``files``, ``cpu_s``.
    """
    values = {
        resource.RLIMIT_AS: limits["address_space_in_use"] + limits["memory_mb"] * MIB,
        resource.RLIMIT_FSIZE: limits["disk_mb"] * MIB,
        resource.RLIMIT_NOFILE: limits["files"],
        resource.RLIMIT_NPROC: limits["threads"],
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 64,
    }
    for name, value in values.items():
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))
    os.nice(10)


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def drop_capabilities() -> None:
    """Drop all capabilities, even in the own user namespace, and prevent gaining new ones."""
    prctl("no new privileges", PR_SET_NO_NEW_PRIVS, 1)
    prctl("ambient capabilities", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        if _libc.prctl(*(ctypes.c_ulong(arg) for arg in (PR_CAPBSET_DROP, capability, 0, 0, 0))) != 0:
            break  # The kernel knows no further capability.
    header = _CapHeader(CAPABILITY_VERSION_3, 0)
    _checked("capabilities", _libc.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)()))


def forbid_dumps() -> None:
    """Let the kernel write no core dump of this process.

    Where the host hands core dumps to a program, that program would run as root, and no limit would prevent it. The
    filter refuses to undo this.
    """
    prctl("no core dumps", PR_SET_DUMPABLE, 0)


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def filter_system_calls(program: bytes) -> None:
    """Install a seccomp filter, a BPF program of 8-byte instructions."""
    prctl("no new privileges", PR_SET_NO_NEW_PRIVS, 1)
    loaded = _FilterProgram(len(program) // 8, program)
    _checked("seccomp", _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(loaded), 0, 0))


def die_with_parent() -> None:
    """End this process with its parent. Without a jail nothing else ends an interpreter whose zygote is gone."""
    prctl("parent death signal", PR_SET_PDEATHSIG, 9)
