# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The lab: arms that compose, runs that are skipped and resumed, and a report that adds up."""

import csv
import json
import math

import pytest

from run_scripts.check import compose_rl
from run_scripts.lab.__main__ import main
from run_scripts.lab.report import FIGURES, Curve, interval, read_suite, write_report
from run_scripts.lab.runs import Job, command
from run_scripts.lab.suites import ARMS, SUITES


def write_run(root, arm, seed, steps, use, seconds=2.0):
    """Write the metrics that a run of ``steps`` steps would leave; ``use(step)`` is its tool use."""
    folder = root / "runs" / arm / f"seed{seed}" / "metrics"
    folder.mkdir(parents=True)
    lines = [{"step": 0, "data": {"val-core/axpo/embedded/acc/mean@2": 0.4}}]
    for step in range(1, steps + 1):
        data = {
            "training/global_step": step,
            "axpo/tool_use_rate": use(step),
            "axpo/accuracy": 0.5,
            "response_length/mean": 10.0,
            "timing_s/step": seconds,
        }
        lines.append({"step": step, "data": data})
    lines[-1]["data"]["val-core/axpo/embedded/acc/mean@2"] = 0.6
    (folder / "attempt-000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_composes(arm, tmp_path):
    words = [word for word in command(Job(arm, 1, 4, tmp_path), tmp_path, []) if "=" in word]
    config = compose_rl([word for word in words if not word.startswith("--")])
    assert config.trainer.total_training_steps == 4 and config.axpo.seed == 1


def test_suites_name_arms_that_exist():
    assert all(set(suite.arms) <= ARMS.keys() for suite in SUITES.values())


def test_an_arm_differs_from_the_reference_in_its_overrides_only(tmp_path):
    reference, other = (set(command(Job(arm, 1, 4, tmp_path), tmp_path, [])) for arm in ("axpo-g50", "random-g50"))
    assert {word for word in other - reference if not word.startswith("trainer.")} == {"axpo.ranking=random"}


def test_done_needs_the_last_step_and_its_validation(tmp_path):
    job = Job("axpo-g50", 1, 20, tmp_path)
    assert not job.done
    write_run(tmp_path, "axpo-g50", 1, 20, lambda step: 0.5)
    assert job.done and not Job("axpo-g50", 1, 21, tmp_path).done


@pytest.mark.parametrize(
    "values, mean, half",
    [
        ([1.0, 3.0], 2.0, 12.71),  # spread of the mean: sqrt(2) / sqrt(2)
        ([0.0, 0.0, 0.0], 0.0, 0.0),
        ([0.2, math.nan, 0.4], 0.3, 12.71 * 0.1),
    ],
)
def test_interval(values, mean, half):
    assert interval(values) == pytest.approx((mean, half), abs=0.01)


def test_report_adds_up(tmp_path):
    for seed, level in ((1, 0.2), (2, 0.4)):
        write_run(tmp_path, "grpo-g50", seed, 20, lambda step, level=level: level)
        write_run(tmp_path, "axpo-g50", seed, 20, lambda step, level=level: level + 0.3 * (step > 10))
    write_run(tmp_path, "grpo-n16-g50", 1, 20, lambda step: 0.1, seconds=4.0)
    runs = read_suite("gap", tmp_path)
    assert {arm: sorted(seeds) for arm, seeds in runs.items()} == {
        "grpo-g50": [1, 2],
        "grpo-n16-g50": [1],
        "axpo-g50": [1, 2],
    }
    curve = runs["grpo-n16-g50"][1]
    assert curve.tokens[-1] == 20 * 10 * 8 * 16 and curve.seconds[-1] == 80  # 8 questions of 16 rollouts
    text = write_report("gap", tmp_path)
    assert "| GRPO | 2 | 1-10 | 0.30 ± 1.27 |" in text and "|  | 2 | 11-20 | 0.60 ± 1.27 |" in text
    assert "| AXPO | 2 | +0.30 ± 0.00 |" in text  # paired by seed, the seeds' levels cancel
    assert (tmp_path / "report" / "gap.png").stat().st_size > 10_000
    rows = list(csv.DictReader((tmp_path / "report" / "gap.csv").open()))
    assert len(rows) == 5 * 20 and {row["arm"] for row in rows} == set(runs)


def test_report_of_a_run_that_has_just_begun(tmp_path):
    write_run(tmp_path, "axpo-g50", 1, 3, lambda step: 0.5)
    assert isinstance(read_suite("gap", tmp_path)["axpo-g50"][1], Curve) and len(FIGURES) == 4
    assert "| AXPO | 1 |" in write_report("gap", tmp_path)


def test_commands_say_what_is_wrong(tmp_path, capsys):
    for words, message in (
        (["run", "gap", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["run", "gap", "--arms", "axpo-g50,nothing"], "--arms: nothing is none of"),
        (["run", "nothing"], "invalid choice: 'nothing'"),
        (["run", "gap", "data.seed=1", "--sed", "1"], "unrecognized arguments: --sed 1"),
        (["report", "gap", "data.seed=1"], "unrecognized arguments: data.seed=1"),
    ):
        with pytest.raises(SystemExit):
            main([*words, "--output", str(tmp_path)])
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match="nothing of gap has been run"):
        main(["report", "gap", "--output", str(tmp_path)])
    assert main(["list"]) == 0 and "axpo-g50" in capsys.readouterr().out
