# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compile the system-call filter of an interpreter on the host with libseccomp."""

from __future__ import annotations

import errno
import functools
import tempfile

CLONE_THREAD = 0x00010000

# These calls are refused with EPERM, so the library that made one sees an ordinary error.
REFUSED = (
    # Processes and programs. Only threads remain, so the memory limit of one process is the limit of all.
    *("fork", "vfork", "execve", "execveat"),
    # The network, including the name service. Socket pairs within the process stay allowed.
    *("socket", "bind", "listen", "connect", "accept", "accept4"),
    # Other processes.
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_open", "kcmp"),
    # Namespaces and mounts.
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "fsconfig", "fspick"),
    *("move_mount", "open_tree", "open_tree_attr", "mount_setattr", "open_by_handle_at", "name_to_handle_at"),
    # Calls that reveal the host's mounts.
    *("statmount", "listmount"),
    # Memory that no limit counts.
    *("memfd_create", "memfd_secret", "shmget", "shmat", "msgget", "semget", "mq_open"),
    # Large, rarely needed parts of the kernel.
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl"),
    *("add_key", "request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
    *("reboot", "swapon", "swapoff", "acct", "quotactl", "syslog", "iopl", "ioperm", "personality", "modify_ldt"),
    *("fanotify_init", "lookup_dcookie", "nfsservctl", "vhangup", "settimeofday", "clock_settime", "adjtimex"),
    *("clock_adjtime", "sethostname", "setdomainname", "ioprio_set", "sched_setscheduler", "sched_setattr"),
    *("quotactl_fd", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules"),
    # Files that the host and other interpreters share: locks on which they would wait, and events about what they open.
    *("flock", "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_mark", "cachestat"),
    # Resources that a whole machine shares: a pool of fixed size, and the disks.
    *("io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents", "sync", "syncfs"),
)

# Refused commands of fcntl. Leases and notifications concern files that the host shares. SQLite needs locks by F_SETLK,
# so they stay. It does not use locks of open files, so they are refused.
F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_NOTIFY = 37, 38, 1024, 1026

# Numbers of recent calls, equal on every architecture, for releases of libseccomp that do not know the names.
NUMBERS = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429},
    **{"fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435},
    **{"pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447, "statmount": 457, "listmount": 458},
    **{"open_tree_attr": 467, "quotactl_fd": 443, "cachestat": 451, "lsm_get_self_attr": 459},
    **{"lsm_set_self_attr": 460, "lsm_list_modules": 461},
}
INT = 0xFFFFFFFF  # The kernel reads these bits of an int. A comparison of all 64 bits could be bypassed.
SOCKET_IOCTLS, SOCKET_IOCTLS_MASK = 0x8900, 0xFFFFFF00  # The SIOC... commands.


class SeccompMissing(RuntimeError):
    """Raised if libseccomp is not installed."""


@functools.cache
def compile_filter() -> bytes:
    """Return the BPF program, 8 bytes for each instruction.

    Raises:
        SeccompMissing: the library is missing. The message says what to install.
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
    # The interpreter's own socket was created on the host, so it would describe the host's network cards.
    rules.add_rule(refuse, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, SOCKET_IOCTLS_MASK, SOCKET_IOCTLS))
    for command in (F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_NOTIFY):
        rules.add_rule(refuse, "fcntl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, INT, command))
    rules.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
    # Its flags are in memory, which no filter can read. The C library falls back to clone.
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
        # Otherwise this architecture does not have the call.
