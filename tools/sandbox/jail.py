# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The outer wall: a bubblewrap command line, and the plain process for those who opt out of it."""

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
from tools.sandbox.syscalls import compile_filter

INSIDE = Path(__file__).parent / "inside"
NOBODY = 65534  # what root becomes in the jail: the kernel exempts root from the limit on threads

HOW_TO_INSTALL = (
    "install it (apt-get install bubblewrap, dnf install bubblewrap, or run_scripts/install_sandbox.sh), or use a "
    "remote sandbox (backend: sandbox_fusion)"
)
HOW_TO_OPT_OUT = "code of a model runs unisolated only if the tool's config says `isolation: none`"
HOW_TO_ALLOW = (
    "the kernel must allow user namespaces: sysctl user.max_user_namespaces > 0; on Ubuntu 24.04 and later also sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0; in Docker --security-opt seccomp=unconfined --security-opt "
    "apparmor=unconfined"
)


class IsolationError(RuntimeError):
    """The sandbox cannot be built on this machine; the message says what is missing and what to do."""


@dataclass(frozen=True)
class Limits:
    """What one interpreter may use. Bytes of memory and disk are multiples of 2**20."""

    memory_mb: int = 1024  # beyond what the libraries take
    disk_mb: int = 64  # for each of the two folders that can be written
    threads: int = 32
    files: int = 128  # open at a time
    cpu_s: int = 600  # in all
    output_bytes: int = 20_000  # of each cell
    images: int = 4  # of each cell
    image_pixels: int = 1_048_576  # of each image


@dataclass(frozen=True)
class JailConfig:
    """How a zygote is started."""

    isolation: str = "bubblewrap"  # or "none"
    packages: tuple[str, ...] = tuple(runtime.MODULES)
    limits: Limits = field(default_factory=Limits)


@functools.cache
def find_bubblewrap() -> str:
    """Path of bubblewrap, once it has shown that it can build namespaces here.

    Raises:
        IsolationError: it is not installed, or the kernel refuses.
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
    """As bubblewrap says it."""
    return subprocess.run([find_bubblewrap(), "--version"], capture_output=True, text=True).stdout.strip()


def _namespaces() -> list[str]:
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() != 0:
        return [*options, "--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    # Root keeps its user namespace here, to become somebody else in each interpreter before that makes its own:
    # mapped to root, an interpreter could start as many threads as it likes.
    return [*options, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def environment() -> dict[str, str]:
    """All that an interpreter finds in its environment."""
    return {
        "PATH": "/nowhere",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        # a fork takes one thread along; and the cores belong to the training
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # each thread's own heap would take 64 MiB of the address space that memory_mb limits
        "MALLOC_ARENA_MAX": "2",
    }


def jail_command(config: JailConfig) -> list[str]:
    """The command line in front of the zygote's own arguments.

    Raises:
        IsolationError: the jail cannot be built here.
        PackageMissing: a package is not installed.
    """
    executable, python_files = runtime.python_files()
    command = [find_bubblewrap(), *_namespaces(), "--new-session", "--hostname", "sandbox", "--clearenv"]
    # The zygote is the namespace's first process: when it ends, however that happens, the kernel ends all interpreters.
    # bubblewrap's own first process would wait for them, and those that are stopped never end.
    command += ["--as-pid-1"]
    for name, value in (environment() | {"PYTHONPATH": runtime.SITE}).items():
        command += ["--setenv", name, value]
    visible = [*runtime.system_libraries(), *python_files]
    # else bubblewrap gives these folders the host's permissions, or 700, and root's interpreters are not root
    folders = [parent for path in visible for parent in reversed(path.parents[:-1])]
    for folder in dict.fromkeys([*folders, Path("/opt"), Path(runtime.SITE)]):
        if not folder.is_symlink():
            command += ["--perms", "0755", "--dir", str(folder)]
    for path in visible:
        if path.is_symlink() and path.parent == Path("/"):  # /lib -> usr/lib
            command += ["--symlink", os.readlink(path), str(path)]
        else:
            command += ["--ro-bind", str(path), str(path)]
    for path in runtime.hidden_site_packages(visible):
        command += ["--tmpfs", str(path), "--remount-ro", str(path)]
    for name, path in runtime.package_files(config.packages).items():
        command += ["--ro-bind", str(path), f"{runtime.SITE}/{name}"]
    command += ["--ro-bind", str(INSIDE), "/opt/axpo", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    command += ["--dir", "/work", "--chdir", "/work", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, str(executable), "-s", "-B", "-P", "/opt/axpo/zygote.py"]


def start_zygote(config: JailConfig, control_fd: int, log, folder: str) -> subprocess.Popen:
    """Start the zygote; it answers on `control_fd` when it is ready and ends when that is closed.

    Args:
        log: a file that takes what it prints.
        folder: where unisolated code may write; not used in a jail, which has its own disk.

    Raises:
        IsolationError, PackageMissing, SeccompMissing: it cannot be started here.
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
        variables |= {"HOME": folder, "MPLCONFIGDIR": f"{folder}/matplotlib", "AXPO_WORK": folder}
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
