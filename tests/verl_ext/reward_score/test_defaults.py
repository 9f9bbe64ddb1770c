# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared rows carry all that the table of defaults knows, so that a new data set needs no entry in it."""

import json

import pyarrow.parquet as pq
import pytest

from data_prep.registry import REGISTRY
from tests.data_prep.conftest import benchmark_root, benchmarks, jpeg, sources  # noqa: F401
from tests.data_prep.training.conftest import prepared, training_root  # noqa: F401
from tests.verl_ext.reward_score.support import RULES, reward, said
from verl_ext.reward_score import DEFAULTS, RowError, needs_judge
from verl_ext.reward_score.row import read_row, read_scoring

OLD_KEYS = ("type", "options", "aliases", "answer_type")


@pytest.mark.parametrize("name", REGISTRY)
def test_prepared_rows_are_complete(benchmarks, prepared, name):  # noqa: F811
    files = [*benchmarks.glob(f"{name}/*.parquet"), *prepared.glob(f"{name}/*.parquet")]
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert rows
    for row in rows:
        source, truth, info = row["data_source"], row["reward_model"]["ground_truth"], row["extra_info"]
        own = read_scoring(source, info["scoring"])
        assert own.type is not None
        # the table adds nothing to the row, and gives the same to a row that an older version wrote
        assert read_row(source, truth, info).scoring == own
        old = {key: value for key, value in json.loads(info["scoring"]).items() if key in OLD_KEYS}
        assert read_row(source, truth, {"scoring": old}).scoring == own
        assert read_row("axpo/my_set", truth, info).scoring == own


def test_the_table_holds_no_other_data_set():
    assert set(DEFAULTS) == set(REGISTRY)


@pytest.mark.parametrize(
    "scoring, truth, answers",
    [
        ({"type": "choice", "options": ["red", "blue"]}, "B", {"B": 1, "blue": 1, "A": 0}),
        ({"type": "number"}, "2.5", {"2.5": 1, "2.504": 0, "2.5 (rounded up)": 0}),
        ({"type": "number", "decimals": 2}, "2.5", {"2.504": 1, "2.51": 0}),
        ({"type": "number", "tolerance": 0.1}, "2.5", {"2.59": 1, "2.61": 0}),
        ({"type": "number", "tolerance": 0.1, "decimals": 0}, "2.5", {"2.9": 0}),
        ({"type": "number", "leading_number": True}, "2.5", {"2.5 (rounded up)": 1, "2.5 or 3": 0}),
        ({"type": "math"}, "x, y", {"y, x": 1, "x": 0}),
        ({"type": "math", "ordered": True}, "x, y", {"y, x": 0, "x, y": 1}),
        ({"type": "judge"}, "x^2+1", {"1+x^2": 1, "x^2": 0, "the red car": 0}),
        ({"type": "judge"}, "red", {"the red car": 1, "blue": 0}),
        ({"type": "judge", "fallback": "exact"}, "red", {"the red car": 0, "Red": 1}),
        ({"type": "exact", "aliases": ["crimson"]}, "red", {"crimson": 1}),
        ({"type": "tag"}, "7", {"7.0": 0, " 7. ": 1}),
    ],
)
def test_a_new_data_set_needs_no_entry(scoring, truth, answers):
    for answer, points in answers.items():
        info = {"question": "q", "scoring": json.dumps(scoring)}
        result = reward("axpo/my_set", said(f"<answer>{answer}</answer>"), truth, info, judge=RULES)
        assert result["score"] == points, (answer, result)
        assert needs_judge("axpo/my_set", truth, info) == (scoring["type"] == "judge")


def test_an_incomplete_row_of_a_new_data_set():
    with pytest.raises(NotImplementedError, match="my_set"):
        reward("axpo/my_set", "x", "y", {"scoring": '{"tolerance": 1}'})
    with pytest.raises(RowError, match="axpo/my_set: .*unknown option typ; "):
        reward("axpo/my_set", "x", "y", {"scoring": '{"typ": "math"}'})
