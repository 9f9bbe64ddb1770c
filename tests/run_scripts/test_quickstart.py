# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The quickstart's command line and summary; tests/stack runs it for real."""

import json
import subprocess

import pytest

from run_scripts.quickstart import command, new_attempt, parse_args
from run_scripts.summary import Metrics, summary_table
from verl_ext.cpu.env import REPO_ROOT


@pytest.mark.parametrize(
    "argv", [["--steps=0"], ["--steps=x"], ["--estimator=ppo"], ["--save-freq=0"], ["--val=0"], ["--nonsense"]]
)
def test_bad_options_are_named(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_args(argv)
    assert stopped.value.code == 2 and argv[0].split("=")[0] in capsys.readouterr().err


def test_overrides_follow_two_dashes(tmp_path):
    args = parse_args(["--estimator=grpo", "--seed=5", f"--output={tmp_path}", "--", "axpo.budget_ratio=0.5"])
    line = command(args, tmp_path)
    assert line[-1] == "axpo.budget_ratio=0.5"
    assert "algorithm.adv_estimator=grpo" in line and "data.seed=5" in line


@pytest.mark.parametrize("script", sorted((REPO_ROOT / "run_scripts").glob("*.sh")), ids=lambda path: path.name)
def test_shell_scripts_parse(script):
    assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0


def test_says_in_one_sentence_that_python_is_missing(tmp_path):
    result = subprocess.run(
        ["/bin/bash", REPO_ROOT / "run_scripts" / "quickstart_cpu.sh"],
        env={"PATH": str(fake_bin(tmp_path)), "AXPO_VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert (
        result.stderr.strip() == "Python 3.11 or 3.12 is missing: install it, or name it with PYTHON=/path/to/python."
    )


def fake_bin(folder):
    """A PATH with everything the script calls but a Python."""
    import shutil

    path = folder / "bin"
    path.mkdir()
    for name in ("dirname", "cksum", "cat", "bash"):
        (path / name).symlink_to(shutil.which(name))
    return path


def write(folder, attempt, entries, tail=""):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"step": step, "data": data}) for step, data in entries]
    (folder / f"attempt-{attempt:03d}.jsonl").write_text("\n".join(lines) + "\n" + tail)


def step(**values):
    return {"training/global_step": 1, **{f"axpo/{name}": value for name, value in values.items()}}


VAL = "val-core/axpo/embedded_colour/acc/mean@2"


def test_attempts_are_merged(tmp_path):
    folder = tmp_path / "metrics"
    write(folder, 0, [(0, {VAL: 0.5}), (1, step(accuracy=0.1)), (2, step(accuracy=0.2))], tail='{"step": 3, "da')
    write(folder, 1, [(1, {VAL: 0.55}), (2, step(accuracy=0.4)), (3, {**step(accuracy=0.6), VAL: 0.7})])
    metrics = Metrics(folder)
    assert metrics.last_step == 3 and metrics.mean("axpo/accuracy", [1, 2, 3]) == pytest.approx(1.1 / 3)
    table = summary_table(metrics, 3).splitlines()
    assert table[0].split()[-4:] == ["steps", "1-1", "steps", "3-3"]
    assert table[-1].split()[-2:] == ["0.50", "0.70"]
    assert [line.split()[-2:] for line in table if line.startswith("rollouts correct")] == [["0.10", "0.60"]]
    assert [line.split()[-1] for line in table if line.startswith("prefixes recovered")] == ["-"]


def test_nothing_yet(tmp_path):
    metrics = Metrics(tmp_path / "absent")
    assert metrics.last_step is None and "-" in summary_table(metrics, 5)


def test_every_attempt_has_a_file_of_its_own(tmp_path):
    first = new_attempt(tmp_path)
    first.touch()
    assert new_attempt(tmp_path) != first
