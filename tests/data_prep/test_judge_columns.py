# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that ask the judge for more than a verdict, by an option of the benchmark."""

import json

import pytest

from data_prep.benchmarks.math_vr import rubric
from data_prep.errors import DataError
from tests.data_prep.conftest import benchmark_root, prepare, sources, table  # noqa: F401
from verl_ext.reward_score.row import read_row


def scorings(rows):
    return [read_row(row["data_source"], row["extra_info"]["answer"], row["extra_info"]).scoring for row in rows]


def test_math_vr_with_the_points_of_its_steps(benchmark_root, prepare, tmp_path, table):  # noqa: F811
    assert prepare("math_vr", benchmark_root / "Math-VR-bench", "--process-score") == 0
    found = scorings(table(tmp_path / "out/test.parquet"))
    assert len(found) == 3
    for scoring in found:
        assert scoring.rubric.model_dump() == {
            "scoring_points": "1. draws it", "point_values": "[3]", "max_score": 3.0
        }  # fmt: skip
        assert (scoring.type, scoring.judge_reads) == ("judge", "message")


def test_hr_mmsearch_with_a_judge_that_sees(benchmark_root, prepare, tmp_path, table):  # noqa: F811
    assert prepare("hr_mmsearch", benchmark_root / "HR-MMSearch", "--judge-sees-image", "--image-search") == 0
    for scoring in scorings(table(tmp_path / "out/train.parquet")):
        assert scoring.said() == {"type": "judge", "fallback": "f1", "judge_sees": "image"}


WHOLE = {"scoring_points": {"p1": "draws"}, "scores": {"p1": 2}, "total_score": 2}


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({}, ('{"p1": "draws"}', '{"p1": 2}', 2.0)),
        ({"scores": [2, 1], "total_score": "3"}, ('{"p1": "draws"}', "[2, 1]", 3.0)),
        ({"scoring_points": "p1: \u753b"}, ("p1: \u753b", '{"p1": 2}', 2.0)),
        ({"scoring_points": {"p1": "\u753b"}}, ('{"p1": "\u753b"}', '{"p1": 2}', 2.0)),
    ],
)
def test_every_form_of_the_columns_is_kept_as_it_is(changed, expected):
    assert tuple(rubric(WHOLE | changed).values()) == expected
    json.dumps(rubric(WHOLE | changed))


@pytest.mark.parametrize(
    "changed, column",
    [
        ({"scoring_points": None}, "scoring_points"),
        ({"scoring_points": " "}, "scoring_points"),
        ({"scores": ""}, "scores"),
        *[({"total_score": value}, "total_score") for value in (None, 0, -1, "many", True, float("nan"), "inf", [3])],
    ],
)
def test_columns_that_are_not_as_expected(changed, column):
    with pytest.raises(DataError, match=f"math_vr: --process-score needs .* column {column}, got"):
        rubric(WHOLE | changed)
