# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The memory estimate: published sizes, and measured peaks of small models."""

import subprocess
import sys
from pathlib import Path

import pytest

from run_scripts.memory import ModelSize, activation_bytes
from verl_ext.cpu.env import cpu_environment

HEAD_DIM = 64


@pytest.mark.parametrize(
    "size, billions, kv_bytes", [("2b", 2.13, 114_688), ("4b", 4.44, 147_456), ("8b", 8.77, 147_456)]
)
def test_sizes_of_qwen3_vl(size, billions, kv_bytes, model_dirs):
    found = ModelSize.read(str(model_dirs[size]))
    assert found.parameters == pytest.approx(billions * 1e9, rel=0.01)
    assert (found.kv_bytes, found.pixels_per_token, found.vocabulary) == (kv_bytes, 1024, 151_936)


def test_a_model_that_is_not_here_is_an_error_and_no_download():
    with pytest.raises(OSError):
        ModelSize.read("/nowhere/at/all")


@pytest.mark.stack
@pytest.mark.parametrize(
    "hidden, layers, intermediate, heads, tokens, checkpointing",
    [
        (256, 4, 1024, 4, 2048, True),
        (384, 6, 1024, 6, 4096, True),
        (512, 8, 1536, 8, 2048, True),
        (512, 8, 1536, 8, 2048, False),
    ],
)
def test_estimate_is_near_the_measured_peak(hidden, layers, intermediate, heads, tokens, checkpointing):
    import os

    vocabulary, script = 8192, Path(__file__).with_name("peak_memory.py")
    numbers = [hidden, layers, intermediate, heads, vocabulary, tokens, int(checkpointing)]
    line = [sys.executable, str(script), *map(str, numbers)]
    environ = {**os.environ, **cpu_environment()}
    done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    model = ModelSize(0, layers, hidden, intermediate, heads, max(1, heads // 4), HEAD_DIM, vocabulary, 1024)
    estimate = activation_bytes(model, tokens, width=4, checkpointing=checkpointing, fused_logits=False)
    assert estimate == pytest.approx(int(done.stdout.split()[-1]), rel=0.25)
