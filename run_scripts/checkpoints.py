# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the best checkpoint of a run, and make a Hugging Face directory of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

BEST = "best"  # directory beside ``global_step_*``
NOTE = "best.json"  # {"step": ..., "accuracy": ...}


def keep_best(checkpoints: Path, validation: Mapping[int, float]) -> None:
    """Keep the checkpoint with the highest validation accuracy as ``best``, whatever verl removes later.

    Files are hard links, so that it takes no time, and no space until verl removes its own. A checkpoint can be the
    best one only if its step was validated: ``trainer.save_freq`` should be a multiple of ``trainer.test_freq``.

    Args:
        checkpoints: ``trainer.default_local_dir``.
        validation: step -> accuracy.
    """
    note = checkpoints / NOTE
    found = json.loads(note.read_text()) if note.exists() else {"step": 0, "accuracy": -1.0}
    saved = {step for step in validation if (checkpoints / f"global_step_{step}").is_dir()} & _complete(checkpoints)
    if not saved:
        return
    step = max(saved, key=lambda step: (validation[step], step))
    if validation[step] < found["accuracy"] or step == found["step"]:
        return
    fresh = checkpoints / f"{BEST}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(checkpoints / f"global_step_{step}", fresh, copy_function=os.link)
    shutil.rmtree(checkpoints / BEST, ignore_errors=True)
    fresh.rename(checkpoints / BEST)
    note.write_text(json.dumps({"step": step, "accuracy": validation[step]}))
    print(f"step {step} is the best so far: validation accuracy {validation[step]:.3f}", flush=True)


def _complete(checkpoints: Path) -> set[int]:
    """Return the steps whose checkpoint is whole: verl notes the last one after it has written everything."""
    try:
        last = int((checkpoints / "latest_checkpointed_iteration.txt").read_text())
    except (OSError, ValueError):
        return set()
    steps = (path.name.removeprefix("global_step_") for path in checkpoints.glob("global_step_*"))
    return {int(step) for step in steps if step.isdecimal() and int(step) <= last}


def last_checkpoint(checkpoints: Path) -> Path:
    """Return the directory of the last whole checkpoint.

    Raises:
        FileNotFoundError: there is none.
    """
    if not (steps := _complete(checkpoints)):
        raise FileNotFoundError(f"no checkpoint in {checkpoints}; was trainer.save_freq at most the number of steps?")
    return checkpoints / f"global_step_{max(steps)}"


def link_model(checkpoints: Path, target: Path) -> None:
    """Link the Hugging Face directory of the last SFT checkpoint to ``target``."""
    source = last_checkpoint(checkpoints) / "huggingface"
    if target.is_symlink():
        target.unlink()
    target.symlink_to(os.path.relpath(source, target.parent), target_is_directory=True)


def merge_model(checkpoints: Path, target: Path, backend: str, environ: Mapping[str, str]) -> None:
    """Merge the shards of the best RL checkpoint, or else the last one, into a Hugging Face directory.

    Raises:
        subprocess.CalledProcessError: verl's merger failed; it has said why.
    """
    source = checkpoints / BEST if (checkpoints / BEST).is_dir() else last_checkpoint(checkpoints)
    merger = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", backend.removesuffix("2")]
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    subprocess.run([*merger, "--local_dir", str(source / "actor"), "--target_dir", str(fresh)], check=True, env=environ)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
