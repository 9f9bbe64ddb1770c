# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers with known truth, written by hand, scored by the real scorer on every row of the nine fixtures."""

import asyncio
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_prep.registry import BENCHMARKS
from run_scripts.evaluation.metrics import compute_metrics, metrics_table
from run_scripts.evaluation.questions import find_files, question_id, read_benchmark, row_meta
from run_scripts.evaluation.record import INFRASTRUCTURE, Call, Sample, SampleWriter, samples_file
from tests.data_prep.conftest import benchmark_root, benchmarks, jpeg, sources  # noqa: F401  fixtures
from verl_ext.reward_score.reward import compute_score

N = 4


def hits(benchmark, row):
    """How many of a question's four samples are right, decided by hand."""
    index = row["extra_info"]["index"]
    if benchmark == "dynamath":  # seed 1: always; seed 2: one slip in one variant; seed 3: never; seed 4: half
        meta = json.loads(row["extra_info"]["meta"])
        return {"1": 4, "2": 3 if meta["variant"] == 3 else 4, "3": 0, "4": 2}[meta["seed_id"]]
    return (4, 1, 0, 3)[index % 4]


async def answered(benchmark, row, right):
    truth = row["reward_model"]["ground_truth"]
    text = "I look.\n</think>\n\n" + ("<answer>%s</answer>" % (truth if right else "quite another thing"))
    return await compute_score(
        row["data_source"], text, truth, row["extra_info"], judge={"fallback": "rules"}, thinking="required"
    )


@pytest.fixture(scope="module")
def evaluation(benchmarks, tmp_path_factory):  # noqa: F811
    directory = tmp_path_factory.mktemp("known")
    rows = {}
    for name in BENCHMARKS:
        _, files = find_files(name, benchmarks)
        rows[name] = [row for file in files for row in pq.read_table(file).to_pylist()]
        listed = read_benchmark(name, files).questions
        assert [question.id for question in listed] == [question_id(row["extra_info"]) for row in rows[name]]
        with SampleWriter(samples_file(directory, name)) as writer:
            for row in rows[name]:
                wanted = hits(name, row)
                for number in range(N):
                    right = number < wanted
                    details = asyncio.run(answered(name, row, right))
                    assert details["acc"] == right, (name, row["reward_model"], details)
                    if name == "math_vr":  # as the judge would say
                        details["process_score"] = 1.0 if right else 0.35
                    used = number % 2 == 0
                    calls = (Call("image_zoom_in", {}, number == 0, None if number == 0 else "bbox_2d", 0.1),) * used
                    image = (f"images/{row['extra_info']['index'] // 4}.png",)
                    question = question_id(row["extra_info"])
                    writer.write(
                        Sample(name, question, number, 0, images=image, calls=calls, used_tool=used,
                               score=details["score"], details=details, meta=row_meta(row["extra_info"]),
                               turns=1 + used, generated_tokens=10 * (number + 1))
                    )  # fmt: skip
            failed = Sample(name, "test/999", 0, 0, status=INFRASTRUCTURE, error="the engine is down")
            writer.write(failed)
    settings = {"name": "known", "model": "m", "engine": "vllm", "samples": N, "seed": 0}
    settings |= {"benchmarks": list(BENCHMARKS), "questions": {name: len(found) for name, found in rows.items()}}
    (directory / "settings.json").write_text(json.dumps(settings))
    return directory, rows, compute_metrics(directory)


def value(metrics, name, key):
    return metrics["benchmarks"][name][key]["value"]


def test_every_benchmark_has_the_known_scores(evaluation):
    _, rows, metrics = evaluation
    exact = {0: (0.0, 0.0, 0.0), 1: (0.25, 0.5, 1.0), 2: (0.5, 5 / 6, 1.0), 3: (0.75, 1.0, 1.0), 4: (1.0, 1.0, 1.0)}
    for name in BENCHMARKS:
        known = [exact[hits(name, row)] for row in rows[name]]
        for k, i in ((1, 0), (2, 1), (4, 2)):
            assert value(metrics, name, f"pass@{k}") == pytest.approx(np.mean([row[i] for row in known]), abs=1e-6)
        assert metrics["benchmarks"][name]["questions"] == len(rows[name])
    means = [value(metrics, name, "pass@1") for name in BENCHMARKS]
    assert metrics["average"]["pass@1"]["value"] == pytest.approx(np.mean(means), abs=1e-6)
    assert metrics["average"]["benchmarks"] == list(BENCHMARKS)


def test_dynamath_average_and_worst_case(evaluation):
    _, _, metrics = evaluation
    assert value(metrics, "dynamath", "pass@1") == pytest.approx((1 + (9 + 0.75) / 10 + 0 + 0.5) / 4, abs=1e-6)
    assert value(metrics, "dynamath", "worst_case") == pytest.approx((1 + 0.75 + 0 + 0.5**10) / 4, abs=1e-6)
    assert metrics["benchmarks"]["dynamath"]["units"] == 4
    assert len(metrics["benchmarks"]["dynamath"]["parts"]) == 10


def test_hrbench_is_the_mean_over_cycles_of_one_unit(evaluation):
    _, _, metrics = evaluation
    for name in ("hrbench_4k", "hrbench_8k"):
        assert value(metrics, name, "pass@1") == pytest.approx((1 + 0.25 + 0 + 0.75) / 4)
        assert metrics["benchmarks"][name]["units"] == 1  # four orders of one question's options


def test_math_vr_has_a_process_score(evaluation):
    _, rows, metrics = evaluation
    known = [(hits("math_vr", row) + (N - hits("math_vr", row)) * 0.35) / N for row in rows["math_vr"]]
    assert value(metrics, "math_vr", "process_score") == pytest.approx(np.mean(known), abs=1e-6)
    assert value(metrics, "math_vr", "pass@1") < value(metrics, "math_vr", "process_score")
    assert "process_score" not in metrics["benchmarks"]["vstar"]


def test_tool_use_counts_trajectories(evaluation):
    directory, _, metrics = evaluation
    for name in BENCHMARKS:
        raw = [json.loads(line) for line in samples_file(directory, name).read_text().splitlines()]
        raw = [record for record in raw if record["status"] == "ok"]
        with_call = [record["details"]["acc"] for record in raw if record["calls"]]
        without = [record["details"]["acc"] for record in raw if not record["calls"]]
        assert value(metrics, name, "tool_use_rate") == 0.5 and value(metrics, name, "calls") == 0.5
        assert value(metrics, name, "accuracy_with_call") == pytest.approx(np.mean(with_call), abs=1e-6)
        assert value(metrics, name, "accuracy_without_call") == pytest.approx(np.mean(without), abs=1e-6)
        assert value(metrics, name, "generated_tokens") == 25 and value(metrics, name, "turns") == 1.5
        assert metrics["benchmarks"][name]["call_failures"] == {"image_zoom_in": {"bbox_2d": len(raw) // 4}}
        assert metrics["benchmarks"][name]["infrastructure"] == {
            "samples": 1,
            "reasons": {"the engine is down": 1},
        }


def test_the_table_names_all(evaluation):
    text = metrics_table(evaluation[2])
    assert all(name in text for name in BENCHMARKS) and "mean of 9" in text


def test_a_larger_limit_keeps_the_choice_of_a_smaller_one(benchmarks):  # noqa: F811
    _, files = find_files("dynamath", benchmarks)
    few, more = (read_benchmark("dynamath", files, limit).questions for limit in (10, 25))
    assert len(few) == 10 and len(more) == 25 and set(few) < set(more)
    table = [row for file in files for row in pq.read_table(file)["extra_info"].to_pylist()]
    assert len({json.loads(table[question.row]["meta"])["seed_id"] for question in few}) == 1
