# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""``HARDWARE=cpu``: the scripts for GPUs, unchanged, train the tiny model: SFT, then AXPO and GRPO from its output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

REPO_ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Run a script in one directory for all; returns that of its run."""
    root = tmp_path_factory.mktemp("scripts")

    def run(name, *overrides, timeout=900):
        output = root / name
        environ = {
            **os.environ,
            "AXPO_VENV": str(Path(sys.executable).parents[1]),
            "HARDWARE": "cpu",
            "DATA": str(root / "data"),
            "OUTPUT": str(output),
        }
        line = ["bash", f"run_scripts/{name}.sh", *overrides]
        with (root / f"{name}.log").open("ab") as log:
            done = subprocess.run(line, cwd=REPO_ROOT, env=environ, stdout=log, stderr=log, timeout=timeout)
        assert done.returncode == 0, (root / f"{name}.log").read_text(errors="replace")[-4000:]
        return output

    run("qwen3vl_2b_sft")
    return run


def metrics(output):
    lines = [line for path in sorted((output / "metrics").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return {entry["step"]: entry["data"] for entry in map(json.loads, lines)}


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_sft_then_axpo_by_default_paths(script):
    output = script("qwen3vl_2b_axpo")
    start, end = weights(output.with_name("qwen3vl_2b_sft") / "huggingface"), weights(output / "huggingface")
    assert start.keys() == end.keys() and any((start[name] != end[name].to(start[name].dtype)).any() for name in start)
    steps = metrics(output)
    assert {1, 2} <= steps.keys() and steps[2]["axpo/optimizer_steps"] == 2
    assert steps[2]["training/rollout_probs_diff_max"] < 1e-3  # the engine has the weights that SFT wrote
    roles = {json.loads(line)["role"] for line in (output / "rollouts" / "2.jsonl").read_text().splitlines()}
    assert "continuation" in roles
    note = json.loads((output / "checkpoints" / "best.json").read_text())
    assert note["step"] in (1, 2) and (output / "checkpoints" / "best" / "actor").is_dir()
    # the same command again finds the run done and trains nothing
    script("qwen3vl_2b_axpo", "trainer.val_before_train=false")
    assert max(metrics(output)) == 2


def test_sft_then_grpo_is_the_same_program(script):
    output = script("qwen3vl_2b_grpo", "trainer.total_training_steps=1", "trainer.val_before_train=false")
    rows = [json.loads(line) for line in (output / "rollouts" / "1.jsonl").read_text().splitlines()]
    assert len(rows) == 64 and not any("role" in row for row in rows)
    assert (output / "huggingface" / "config.json").exists()
