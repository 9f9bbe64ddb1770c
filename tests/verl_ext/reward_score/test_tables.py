# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Every case of the tables."""

import pytest

from tests.verl_ext.reward_score.support import TABLE, right, said, score


def test_the_tables_are_what_they_claim():
    assert len(TABLE) >= 300 and len({repr(case) for case in TABLE}) == len(TABLE)
    assert 0.35 < sum(case[-1] for case in TABLE) / len(TABLE) < 0.65  # wrong answers matter as much


@pytest.mark.parametrize("dataset, text, truth, details, expected", TABLE)
def test_case(dataset, text, truth, details, expected):
    result = score(dataset, said(text), truth, details)
    assert result["score"] == float(expected), result
    assert result["acc"] == result["score"] and set(result) == {"score", "acc", "extracted", "method"}


# a truth with the values of a table, once for each of its rows
_TRUTHS = sorted({(case[0], case[2], repr(case[3])): (case[0], case[2], case[3]) for case in TABLE}.items())


@pytest.mark.parametrize("dataset, truth, details", [row for _, row in _TRUTHS])
def test_the_truth_is_right(dataset, truth, details):
    assert right(dataset, f"<answer>{truth}</answer>", truth, details)
    assert right(dataset, f"\\boxed{{{truth}}}", truth, details)
    for alias in details.get("aliases", ()):
        assert right(dataset, f"<answer>{alias}</answer>", truth, details)
