# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The script that makes the shipped model still does: a few steps of both stages through verl's SFT trainer."""

import json
import re
import subprocess
import sys

import pytest
import torch
from transformers import Qwen3VLForConditionalGeneration

from run_scripts.quickstart import CHECKPOINT
from run_scripts.tiny_model.build import build
from verl_ext.cpu.env import REPO_ROOT

pytestmark = pytest.mark.stack


def test_cold_start(tmp_path):
    output = tmp_path / "model"
    command = [sys.executable, "-m", "run_scripts.tiny_model.sft", "--output", str(output)]
    command += ["--steps=6", "--batch-size=4", "--eval-scenes=0"]
    first = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, timeout=600)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]

    trained = Qwen3VLForConditionalGeneration.from_pretrained(output).state_dict()
    start = Qwen3VLForConditionalGeneration.from_pretrained(build(tmp_path / "start")).state_dict()
    moved = [name for name, weight in trained.items() if not torch.equal(weight, start[name])]
    assert len(moved) > 0.9 * len(start) and all(torch.isfinite(weight).all() for weight in trained.values())
    losses = [float(x) for x in re.findall(r"train/loss:([0-9.]+)", first.stdout)]
    assert len(losses) == 6 and losses[-1] < losses[0]

    # the same tokenizer, template and architecture as the model that is shipped
    for name in ("tokenizer.json", "chat_template.jinja", "config.json"):
        assert (output / name).read_text() == (CHECKPOINT / name).read_text(), f"{name}: rebuild the checkpoint"
    assert json.loads((output / "config.json").read_text())["model_type"] == "qwen3_vl"

    again = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and again.stdout.count("reusing") == 2
