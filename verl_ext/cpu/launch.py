# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Start a CPU run as a child of its own and leave nothing of it behind: processes, Ray's files, shared memory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from verl_ext.cpu.env import REPO_ROOT, cpu_environment

SHM = Path("/dev/shm")


def _mapped_segments() -> set[str]:
    """Return the names of the /dev/shm files that some live process has mapped."""
    names = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            names.update(
                line.rsplit("/dev/shm/", 1)[1] for line in maps.read_text().splitlines() if "/dev/shm/" in line
            )
        except OSError:
            continue  # gone, or not ours
    return names


def remove_stale_segments(since: float) -> int:
    """Delete this user's segments made after ``since`` that no process maps any more; returns how many.

    vLLM and TransferQueue leave shared memory (``psm_*``) and semaphores (``sem.mp-*``) behind when they are ended.
    """
    candidates = [*SHM.glob("psm_*"), *SHM.glob("sem.mp-*")]
    # in this order: one that another run makes while the maps are read is no candidate
    removed, mapped = 0, _mapped_segments()
    for segment in candidates:
        try:
            info = segment.stat()
            if info.st_uid == os.getuid() and info.st_mtime >= since and segment.name not in mapped:
                segment.unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed


@dataclass(frozen=True)
class Run:
    """A running child and everything it started, found by a mark in their environment."""

    process: subprocess.Popen
    marker: str

    def members(self) -> list[psutil.Process]:
        """Return the run's live processes. Ray and vLLM detach theirs, so parentage does not find them."""
        found = []
        for candidate in psutil.process_iter():
            try:
                if candidate.environ().get("AXPO_RUN_ID") == self.marker:
                    found.append(candidate)
            except (psutil.Error, OSError):
                continue
        return found

    def memory(self) -> dict[str, float | dict[str, float]]:
        """Return memory in GiB: ``total`` (shared pages counted once), ``shm`` (/dev/shm), and by process name.

        Processes are named by Ray's title or their command; those under 50 MiB are left out of ``processes``.
        """
        total, processes = 0, {}
        for member in self.members():
            try:
                size = member.memory_full_info().pss
                title = " ".join(member.cmdline())[:60] or member.name()
            except (psutil.Error, OSError):
                continue
            total += size
            if size > 50 * 2**20:
                processes[f"{member.pid} {title}"] = round(size / 2**30, 3)
        shm = psutil.disk_usage(str(SHM)).used
        return {"total": round(total / 2**30, 3), "shm": round(shm / 2**30, 3), "processes": processes}

    def end(self, timeout: float = 20.0) -> None:
        """End every process of the run, asking first."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # lets the trainer close its files
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                pass
        for send in ("terminate", "kill"):
            alive = self.members()
            if not alive:
                break
            for member in alive:
                try:
                    getattr(member, send)()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(alive, timeout=timeout)
        self.process.wait(timeout=timeout)


@contextmanager
def launch(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, ray: bool = True
) -> Iterator[Run]:
    """Run ``command`` in the environment of a CPU run, its output appended to ``log``; clean up on the way out.

    Args:
        command: program and arguments.
        log: file for standard output and error.
        env: variables on top of ``cpu_environment()``.
        ray: append Hydra overrides that give the run a Ray session of its own, unless ``RAY_ADDRESS`` names a session.

    Yields:
        The run; wait for its process or watch it. Leaving the block ends it if it still runs.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    ray_dir = tempfile.mkdtemp(prefix="axpo-", dir="/tmp")  # short: Ray puts sockets there, paths end at 107 bytes
    marker = Path(ray_dir).name
    environment = {**os.environ, **cpu_environment(), **(env or {}), "AXPO_RUN_ID": marker}
    own_session = ray and not environment.get("RAY_ADDRESS")
    command = list(command) + ([f"+ray_kwargs.ray_init._temp_dir={ray_dir}"] if own_session else [])
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=REPO_ROOT, start_new_session=True
        )
        run = Run(process, marker)
        try:
            yield run
        finally:
            run.end()
            shutil.rmtree(ray_dir, ignore_errors=True)
            remove_stale_segments(started)
