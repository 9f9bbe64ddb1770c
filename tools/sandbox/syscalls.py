# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The system-call filter of an interpreter, compiled on the host with libseccomp."""

from __future__ import annotations

import errno
import functools
import tempfile

CLONE_THREAD = 0x00010000

# Refused with EPERM: the library that asked sees an ordinary error.
REFUSED = (
    # processes and programs: threads are all there is, so the limit on memory of one process is the limit on all
    *("fork", "vfork", "execve", "execveat"),
    # the network, name service included; pairs of sockets within the process stay
    *("socket", "bind", "listen", "connect", "accept", "accept4"),
    # other processes
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_open", "kcmp"),
    # namespaces and mounts
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "fsconfig", "fspick"),
    *("move_mount", "open_tree", "open_tree_attr", "mount_setattr", "open_by_handle_at", "name_to_handle_at"),
    # what they would tell of the host's mounts
    *("statmount", "listmount"),
    # memory that no limit counts
    *("memfd_create", "memfd_secret", "shmget", "shmat", "msgget", "semget", "mq_open"),
    # large, rarely needed parts of the kernel
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl"),
    *("add_key", "request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
    *("reboot", "swapon", "swapoff", "acct", "quotactl", "syslog", "iopl", "ioperm", "personality", "modify_ldt"),
    *("fanotify_init", "lookup_dcookie", "nfsservctl", "vhangup", "settimeofday", "clock_settime", "adjtimex"),
    *("clock_adjtime", "sethostname", "setdomainname", "ioprio_set", "sched_setscheduler", "sched_setattr"),
    *("quotactl_fd", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules"),
    # files that the host and other interpreters have, too: locks that they would wait for, and news of what they open
    *("flock", "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_mark", "cachestat"),
    # what a whole machine shares: a pool of a fixed size, and the disks that everybody waits for
    *("io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents", "sync", "syncfs"),
)

# Refused commands of fcntl: leases and notifications are for files that the host has, too. Locks by F_SETLK stay, for
# SQLite, and those of open files, which it does not use, go.
F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_NOTIFY = 37, 38, 1024, 1026

# Numbers of younger calls, the same on every architecture, for releases of libseccomp that do not know the names.
NUMBERS = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429},
    **{"fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435},
    **{"pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447, "statmount": 457, "listmount": 458},
    **{"open_tree_attr": 467, "quotactl_fd": 443, "cachestat": 451, "lsm_get_self_attr": 459},
    **{"lsm_set_self_attr": 460, "lsm_list_modules": 461},
}
INT = 0xFFFFFFFF  # the kernel looks at these bits of an int: a comparison of all 64 could be walked around
SOCKET_IOCTLS, SOCKET_IOCTLS_MASK = 0x8900, 0xFFFFFF00  # SIOC...


class SeccompMissing(RuntimeError):
    """libseccomp is not installed."""


@functools.cache
def compile_filter() -> bytes:
    """The BPF program, 8 bytes an instruction.

    Raises:
        SeccompMissing: the library is not there; the message says what to install.
    """
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise SeccompMissing(
            "libseccomp is missing: install pyseccomp (pip) and libseccomp2 (the distribution's package; "
            f"libseccomp on Fedora): {error}"
        ) from error
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in REFUSED:
        _add_rule(rules, refuse, name)
    # The interpreter's own socket was made on the host: what this says of network cards would be the host's.
    rules.add_rule(refuse, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, SOCKET_IOCTLS_MASK, SOCKET_IOCTLS))
    for command in (F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_NOTIFY):
        rules.add_rule(refuse, "fcntl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, INT, command))
    rules.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
    # its flags are in memory, where no filter can look; the C library then takes clone
    _add_rule(rules, pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _add_rule(rules, action: int, name: str) -> None:
    try:
        rules.add_rule(action, name)
    except (OSError, ValueError):
        if name in NUMBERS:
            rules.add_rule(action, NUMBERS[name])
        # else this architecture does not have it
