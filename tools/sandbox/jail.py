# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Build the outer wall: a bubblewrap command line, or a plain process for users who opt out."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tools.sandbox import runtime
from tools.sandbox.inside.walls import IMAGES
from tools.sandbox.syscalls import compile_filter

INSIDE = Path(__file__).parent / "inside"
# Directories of other sandboxes that models know. In the jail they are other names of /work.
OTHER_NAMES = ("/mnt/data", "/content", "/kaggle/working", "/workspace", "/data", "/output", "/outputs")
NOBODY = 65534  # Root becomes this user in the jail, because the kernel exempts root from the limit on threads.

HOW_TO_INSTALL = "install it (apt-get install bubblewrap or dnf install bubblewrap)"
HOW_TO_OPT_OUT = "code runs without isolation only with the option `isolation: none`"
HOW_TO_ALLOW = (
    "the kernel must allow user namespaces: sysctl user.max_user_namespaces > 0; on Ubuntu 24.04 and later also sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0; in Docker --security-opt seccomp=unconfined --security-opt "
    "apparmor=unconfined"
)


class IsolationError(RuntimeError):
    """Raised if the sandbox cannot be built on this machine. The message says what is missing and what to do."""


@dataclass(frozen=True)
class Limits:
    """Limit one interpreter. Memory and disk are in units of 2**20 bytes."""

    memory_mb: int = 1024  # In addition to what the libraries take.
    disk_mb: int = 64  # Of each of the two writable directories.
    threads: int = 32
    files: int = 128  # Open at a time.
    cpu_s: int = 600  # Over all cells.
    output_bytes: int = 20_000  # Of each cell.
    images: int = 4  # Of each cell.
    image_pixels: int = 1_048_576  # Of each image.


@dataclass(frozen=True)
class JailConfig:
    """Configure a zygote."""

    isolation: str = "bubblewrap"  # ``"bubblewrap"`` or ``"none"``.
    packages: tuple[str, ...] = tuple(runtime.MODULES)
    limits: Limits = field(default_factory=Limits)


@functools.cache
def find_bubblewrap() -> str:
    """Return the path of bubblewrap after a test has shown that it can build namespaces here.

    Raises:
        IsolationError: bubblewrap is not installed, or the kernel refuses.
    """
    path = shutil.which("bwrap")
    if path is None:
        raise IsolationError(f"bubblewrap (bwrap) is not installed: {HOW_TO_INSTALL}; {HOW_TO_OPT_OUT}")
    command = [path, *_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if result.returncode != 0:
        raise IsolationError(
            f"bubblewrap does not work here ({result.stderr.strip()[:300]}): {HOW_TO_ALLOW}; {HOW_TO_OPT_OUT}"
        )
    return path


def bubblewrap_version() -> str:
    """Return the version that bubblewrap prints."""
    return subprocess.run([find_bubblewrap(), "--version"], capture_output=True, text=True).stdout.strip()


def _namespaces() -> list[str]:
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() != 0:
        # The kernel shows a process that is not dumpable to user 0 of the namespace in which its program was started.
        # This is the host's user, who must be able to read the interpreters' memory and open files. An interpreter
        # gives this user another number in its own namespace, which Linux 5.12 and later allow with CAP_SETFCAP only.
        return [*options, "--unshare-user", "--uid", "0", "--gid", "0", "--cap-drop", "ALL", "--cap-add", "CAP_SETFCAP"]
    # Root keeps its user namespace here and becomes another user in each interpreter before that creates its own. An
    # interpreter mapped to root could start any number of threads.
    return [*options, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def environment() -> dict[str, str]:
    """Return all environment variables of an interpreter."""
    return {
        "PATH": "/nowhere",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        # A cell that is executed again, perhaps below another zygote, must find sets in the same order.
        "PYTHONHASHSEED": "0",
        # A fork takes only one thread along, and the cores belong to the host's other work.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        # Each thread's own heap would take 64 MiB of the address space that memory_mb limits.
        "MALLOC_ARENA_MAX": "2",
    }


def jail_command(config: JailConfig) -> list[str]:
    """Return the command line in front of the zygote's own arguments.

    Raises:
        IsolationError: the jail cannot be built here.
        PackageMissing: a package is not installed.
    """
    executable, python_files = runtime.python_files()
    command = [find_bubblewrap(), *_namespaces(), "--new-session", "--hostname", "sandbox", "--clearenv"]
    # The zygote is the first process of the namespace: when it ends for any reason, the kernel ends all interpreters.
    # bubblewrap's own first process would wait for them, and stopped ones never end.
    command += ["--as-pid-1"]
    for name, value in (environment() | {"PYTHONPATH": runtime.SITE}).items():
        command += ["--setenv", name, value]
    visible = [*runtime.system_libraries(), *runtime.cjk_font(), *python_files]
    # Otherwise bubblewrap gives these directories the host's permissions or 700, and root's interpreters are not root.
    folders = [parent for path in visible for parent in reversed(path.parents[:-1])]
    for folder in dict.fromkeys([*folders, Path("/opt"), Path(runtime.SITE)]):
        if not folder.is_symlink():
            command += ["--perms", "0755", "--dir", str(folder)]
    for path in visible:
        if path.is_symlink() and path.parent == Path("/"):  # For example /lib -> usr/lib.
            command += ["--symlink", os.readlink(path), str(path)]
        else:
            command += ["--ro-bind", str(path), str(path)]
    for path in runtime.hidden_site_packages(visible):
        command += ["--tmpfs", str(path), "--remount-ro", str(path)]
    for name, path in runtime.package_files(config.packages).items():
        command += ["--ro-bind", str(path), f"{runtime.SITE}/{name}"]
    command += ["--ro-bind", str(INSIDE), "/opt/sandbox", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    # Both read as zeros, but a shared mapping of /dev/zero would be memory that no limit counts.
    command += ["--dev-bind", "/dev/full", "/dev/zero"]
    command += ["--dir", IMAGES, "--dir", "/work", "--chdir", "/work", *_other_names(visible)]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, str(executable), "-s", "-B", "-P", "/opt/sandbox/zygote.py"]


def _other_names(visible: list[Path]) -> list[str]:
    """Return the options that show /work under other names, except where a file of this Python is."""
    options = []
    for name in map(Path, OTHER_NAMES):
        if not any(name == path or name in path.parents or path in name.parents for path in visible):
            if name.parent != Path("/") and not any(name.parent in path.parents for path in visible):
                options += ["--perms", "0755", "--dir", str(name.parent)]
            options += ["--symlink", "/work", str(name)]
    return options


def start_zygote(config: JailConfig, control_fd: int, log, folder: str) -> subprocess.Popen:
    """Start the zygote. It answers on ``control_fd`` once it is ready, and ends when that socket is closed.

    Args:
        config: the zygote's configuration.
        control_fd: the zygote's end of the control socket.
        log: a file that receives what the zygote prints.
        folder: directory in which unisolated code may write. A jail has its own disk and does not use it.

    Raises:
        IsolationError, PackageMissing, SeccompMissing: the zygote cannot be started here.
    """
    isolated = config.isolation == "bubblewrap"
    settings = {
        "control_fd": control_fd,
        "modules": runtime.modules(config.packages),
        "limits": vars(config.limits),
        "isolated": isolated,
        "filter": compile_filter().hex() if isolated else "",
        "drop_to_uid": NOBODY if isolated and os.geteuid() == 0 else None,
    }
    variables = environment()
    if isolated:
        command = jail_command(config)
    else:
        runtime.package_files(config.packages)
        variables |= {"HOME": folder, "MPLCONFIGDIR": f"{folder}/matplotlib", "SANDBOX_WORK": folder}
        command = [sys.executable, "-s", "-B", str(INSIDE / "zygote.py")]
    return subprocess.Popen(
        [*command, json.dumps(settings)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=variables,
        pass_fds=[control_fd],
        close_fds=True,
    )
