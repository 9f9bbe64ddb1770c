# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run arms with seeds: each is ``recipe.axpo.main_axpo`` in a directory of its own, resumable, skipped once done."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from run_scripts.lab.suites import ARMS
from run_scripts.summary import Metrics, new_attempt
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.cpu.launch import launch

CHECKPOINT = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"
TRAIN_ROWS, VAL_ROWS, DATA_SEED = 1024, 128, 11
MEMORY_SECONDS = 10  # between two looks at a run's memory
START_SECONDS, STEP_SECONDS = 900, 120  # a run that takes longer has hung


@dataclass(frozen=True)
class Job:
    """Name one run.

    Attributes:
        arm: name of the arm.
        seed: seed of data order and sampling.
        steps: training steps.
        root: directory of the lab.
    """

    arm: str
    seed: int
    steps: int
    root: Path

    @property
    def folder(self) -> Path:
        """Return the directory of the run."""
        return self.root / "runs" / self.arm / f"seed{self.seed}"

    @property
    def done(self) -> bool:
        """Return whether the run has reached its last step and was validated there."""
        if not (self.folder / "metrics").exists():
            return False
        metrics = Metrics(self.folder / "metrics")
        return (metrics.last_step or 0) >= self.steps and any(step >= self.steps for step in metrics.validation)


def make_data(root: Path, guess_accuracy: float) -> Path:
    """Write the embedded task for a guess accuracy once, and return its directory."""
    from data_prep.__main__ import main as data_prep

    folder = root / "data" / f"guess{round(100 * guess_accuracy)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "val.parquet").exists():
            sizes = [f"--train={TRAIN_ROWS}", f"--val={VAL_ROWS}", f"--seed={DATA_SEED}"]
            data_prep(["embedded", "--output", str(folder), f"--guess-accuracy={guess_accuracy}", *sizes])
    return folder


def command(job: Job, data: Path, overrides: Iterable[str]) -> list[str]:
    """Return the training command of a run."""
    return [
        sys.executable,
        "-m",
        "recipe.axpo.main_axpo",
        f"--config-dir={REPO_ROOT / 'run_scripts' / 'config'}",
        "+hardware=cpu",
        f"axpo.seed={job.seed}",
        f"data.seed={job.seed}",
        f"data.train_files={data / 'train.parquet'}",
        f"data.val_files={data / 'val.parquet'}",
        f"actor_rollout_ref.model.path={CHECKPOINT}",
        f"trainer.default_local_dir={job.folder / 'checkpoints'}",
        f"trainer.rollout_data_dir={job.folder / 'rollouts'}",
        f"trainer.total_training_steps={job.steps}",
        "trainer.save_freq=20",
        f"trainer.test_freq={job.steps}",
        *ARMS[job.arm].overrides,
        *overrides,
    ]


def run_job(job: Job, overrides: Iterable[str] = ()) -> bool:
    """Run or resume one run. Returns True once it is done; a run that another process holds counts as not done."""
    if job.done:
        return True
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder / ".lock", timeout=0):
            return _run(job, list(overrides))
    except Timeout:
        print(f"{job.arm} seed {job.seed}: another process runs it", flush=True)
        return False


def _run(job: Job, overrides: list[str]) -> bool:
    line = command(job, make_data(job.root, ARMS[job.arm].guess_accuracy), overrides)
    attempt = new_attempt(job.folder)
    env = {"TENSORBOARD_DIR": str(job.folder / "tensorboard"), "VERL_FILE_LOGGER_PATH": str(attempt)}
    started, limit = time.time(), START_SECONDS + STEP_SECONDS * job.steps
    (job.folder / "run.json").write_text(json.dumps({"arm": job.arm, "seed": job.seed, "command": line}, indent=1))
    with launch(line, job.folder / "log.txt", env=env) as run, (job.folder / "memory.jsonl").open("a") as memory:
        while run.process.poll() is None and time.time() - started < limit:
            with suppress(subprocess.TimeoutExpired):
                run.process.wait(MEMORY_SECONDS)
            memory.write(json.dumps({"seconds": round(time.time() - started), **run.memory()}) + "\n")
            memory.flush()
    print(
        f"{job.arm} seed {job.seed}: {'done' if job.done else 'FAILED, see ' + str(job.folder / 'log.txt')}", flush=True
    )
    return job.done


def run_all(jobs: list[Job], parallel: int, overrides: Iterable[str] = ()) -> bool:
    """Run jobs in their order, ``parallel`` at a time. Returns whether all are done."""
    waiting = [job for job in jobs if not job.done]
    print(f"{len(jobs)} runs, {len(jobs) - len(waiting)} of them done", flush=True)
    with ThreadPoolExecutor(parallel) as pool:
        return all(list(pool.map(lambda job: run_job(job, overrides), waiting)))
