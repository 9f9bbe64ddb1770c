# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""List every system call of Linux, with the answer that code in the jail gets and the reason.

The table is an allow list: a call that no row names is refused. It covers x86-64 up to Linux 5.17 and the calls of the
generic table (aarch64), where these have another name. A call that is newer than ``NEWEST`` gets ``ENOSYS``, as on a
kernel that does not have it, so the C library uses an older one.

``syscalls.py`` compiles the table and adds conditions on the arguments of the calls marked as ``limited``.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EAGAIN, EINVAL, ENOSYS, ENOTSOCK, ENOTSUP, EPERM, EXDEV

NEWEST = 450  # set_mempolicy_home_node. Numbers of later calls are equal on every architecture.
ALLOWED, LIMITED, PRETENDED = "allowed", "limited", "pretended"


@dataclass(frozen=True)
class Row:
    """Describe calls with the same answer.

    ``answer`` is ``ALLOWED``, ``LIMITED`` (allowed with some arguments, others get ``EPERM``), ``PRETENDED`` (reports
    success and does nothing) or the number of an error.
    """

    answer: str | int
    calls: str
    because: str

    def names(self) -> list[str]:
        """Return the names of the calls."""
        return self.calls.split()


TABLE = (
    # ------------------------------------------------------------------------------------------------ what Python needs
    Row(ALLOWED, "read readv pread64 preadv write writev pwrite64 pwritev lseek close dup dup2 dup3",
        "open files: limits bound their number and their size"),
    Row(LIMITED, "open openat", "files: without O_DIRECT, which reads the host's disk at every call"),
    Row(ALLOWED, "creat access faccessat faccessat2 stat lstat fstat newfstatat fstatat64 statx readlink readlinkat "
        "getdents getdents64 statfs fstatfs getcwd chdir fchdir umask",
        "files and directories: the mount namespace holds what code may see"),
    Row(ALLOWED, "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod "
        "fchmod fchmodat chown fchown lchown fchownat truncate ftruncate fallocate utime utimes futimesat utimensat",
        "changes of files: only the two disks in memory can be written, and their size and number of files is fixed"),
    Row(LIMITED, "close_range", "without CLOSE_RANGE_UNSHARE, which gives a thread its own table of open files"),
    Row(LIMITED, "fcntl", "duplicates and flags; no locks, leases, owners, signals, seals or sizes of pipes"),
    Row(LIMITED, "ioctl", "what Python asks of terminals and sockets; nothing of network cards or file systems"),
    Row(ALLOWED, "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd "
        "eventfd2", "waiting for files: asyncio, threading. The limit on open files bounds the memory"),
    Row(LIMITED, "sendto", "the connection to the host; an address would be another socket"),
    Row(ALLOWED, "recvfrom shutdown", "the connection to the host"),
    Row(LIMITED, "mmap", "without huge pages, which the host has set aside, and without shared memory that belongs to "
        "no file: it stays when all but a page of it is unmapped, and no limit counts it"),
    Row(ALLOWED, "munmap mprotect mremap brk", "memory: RLIMIT_AS counts it"),
    Row(LIMITED, "madvise", "what the allocators use; nothing that reads ahead, writes back or merges pages"),
    Row(LIMITED, "clone", "only threads that share everything: the memory and the open files of one are those of all"),
    Row(LIMITED, "futex", "only private ones. Other interpreters have the same libraries mapped, so a shared one would "
        "connect them"),
    Row(ALLOWED, "set_robust_list rseq exit exit_group gettid getpid getppid getpgrp getpgid getsid restart_syscall",
        "threads and the end of the process"),
    Row(ALLOWED, "wait4 waitid", "no child exists, and libraries expect to be told so (ECHILD)"),
    Row(LIMITED, "kill tkill tgkill", "signals to the process itself; not SIGCONT, which could prevent that it is "
        "stopped between calls"),
    Row(ALLOWED, "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack "
        "pause", "handlers of signals"),
    Row(ALLOWED, "alarm getitimer setitimer", "the cell's own alarms: one of each kind, cleared after the cell. Their "
        "signals do not continue a stopped process"),
    Row(ALLOWED, "nanosleep clock_nanosleep time gettimeofday clock_gettime clock_getres times getrusage",
        "time, and the CPU time of the process"),
    Row(ALLOWED, "getuid geteuid getgid getegid getresuid getresgid getgroups capget uname sysinfo getcpu getrandom",
        "what a process may know: its own numbers, the kernel's version, the size of the memory, random bytes"),
    Row(ALLOWED, "getrlimit setrlimit prlimit64", "limits of the process itself: they can only be lowered"),
    Row(ALLOWED, "getpriority sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max "
        "sched_get_priority_min", "reading the scheduling: Python and the C library count CPUs by it"),
    Row(LIMITED, "prctl", "reading whether the walls stand. Nothing can be set: not a name, not that it may be dumped"),
    # --------------------------------------------------------------------------- what libraries call, but need no more
    Row(PRETENDED, "sched_yield", "giving up the CPU would seem like waiting for a busy host"),
    Row(PRETENDED, "fsync fdatasync msync", "the disks are in memory. On a library of the host it would flush the "
        "host's disk"),
    Row(ENOSYS, "clone3 openat2", "the arguments are in memory, which no filter can read. The C library uses clone and "
        "openat"),
    Row(ENOSYS, "preadv2 pwritev2 epoll_pwait2 futex_waitv", "newer forms of allowed calls. The flags of the first two "
        "ask for what is in the page cache, or remove it from there"),
    Row(ENOSYS, "membarrier get_mempolicy set_mempolicy mbind migrate_pages move_pages set_mempolicy_home_node "
        "pkey_alloc pkey_free pkey_mprotect mincore", "other CPUs' work, placement of memory, the page cache"),
    Row(ENOTSOCK, "sendfile sendfile64", "it takes a pipe for each thread. Python copies by reading and writing"),
    Row(EXDEV, "copy_file_range", "as for sendfile"),
    Row(ENOTSUP, "setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr "
        "removexattr lremovexattr fremovexattr", "extended attributes: Python copies files without them"),
    Row(EINVAL, "setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid",
        "other users: there are none in the user namespace. A change could make the process dumpable"),
    # -------------------------------------------------------------------------------------------------- what is refused
    Row(EPERM, "fork vfork execve execveat setpgid setsid uselib", "processes and programs"),
    Row(EPERM, "socket bind listen connect accept accept4", "the network and the name service"),
    Row(EPERM, "socketpair setsockopt getsockopt getsockname getpeername", "pairs of sockets: their buffers are as "
        "large as the host has configured, and no limit counts them. asyncio wakes itself by an eventfd instead"),
    Row(EPERM, "sendmsg sendmmsg recvmsg recvmmsg", "messages that carry open files: no limit of the process counts "
        "these, and one counts them for all processes of the user together"),
    Row(EPERM, "pipe pipe2 mknod mknodat splice tee vmsplice", "pipes: all processes of a user share 64 MB of them, "
        "the training process included"),
    Row(EPERM, "flock", "locks of files that the host and other interpreters use"),
    Row(EPERM, "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark",
        "events about what others do with files"),
    Row(EPERM, "timer_create timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime "
        "timerfd_gettime rt_sigqueueinfo rt_tgsigqueueinfo signalfd signalfd4", "timers and signals of any kind: "
        "SIGCONT would let a stopped process run between calls"),
    Row(EPERM, "memfd_create memfd_secret shmget shmat shmctl shmdt msgget msgsnd msgrcv msgctl semget semop semctl "
        "semtimedop mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr", "memory that no limit "
        "counts"),
    Row(EPERM, "mlock mlock2 mlockall munlock munlockall remap_file_pages process_madvise",
        "memory that the kernel cannot take back, or that of others"),
    Row(EPERM, "fadvise64 readahead sync sync_file_range sync_file_range2 syncfs", "reading and writing of the host's "
        "disks"),
    Row(EPERM, "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp add_key request_key keyctl",
        "rules, filters and keys in the kernel's memory, which no limit counts"),
    Row(EPERM, "ptrace process_vm_readv process_vm_writev process_mrelease kcmp pidfd_open pidfd_getfd "
        "pidfd_send_signal get_robust_list set_tid_address", "other processes. The last two name addresses that the "
        "kernel reads or writes later"),
    Row(EPERM, "unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick "
        "mount_setattr name_to_handle_at open_by_handle_at", "namespaces and mounts"),
    Row(EPERM, "bpf perf_event_open userfaultfd uretprobe uprobe", "large, rarely needed parts of the kernel"),
    Row(EPERM, "io_uring_setup io_uring_enter io_uring_register io_setup io_destroy io_submit io_cancel io_getevents "
        "io_pgetevents", "calls that the kernel executes later, past this table, and pools that a machine shares"),
    Row(EPERM, "setpriority sched_setaffinity sched_setparam sched_setscheduler sched_setattr sched_getattr "
        "sched_rr_get_interval ioprio_set ioprio_get", "the share of the CPUs. With less, code would seem to have "
        "waited for a busy host"),
    Row(EPERM, "capset personality arch_prctl modify_ldt set_thread_area get_thread_area iopl ioperm",
        "privileges and the state of the processor. The C library sets a thread's own address by clone"),
    Row(EPERM, "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname vhangup reboot swapon "
        "swapoff acct quotactl quotactl_fd syslog sysfs ustat lookup_dcookie _sysctl nfsservctl init_module "
        "finit_module delete_module create_module query_module get_kernel_syms kexec_load kexec_file_load",
        "administration of the machine"),
    Row(EPERM, "getpmsg putpmsg afs_syscall tuxcall security vserver epoll_ctl_old epoll_wait_old",
        "calls that Linux does not implement"),
)  # fmt: skip

SHARED_FUTEX_WAIT = EAGAIN  # The C library checks again whether it still has to wait.
