# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Agreement with verdicts that were written before the scorer saw the answers."""

from tests.verl_ext.reward_score.cases_fresh import CASES, GAMED, RIGHT, ROWS
from tests.verl_ext.reward_score.support import said, score


def test_agreement_with_verdicts_fixed_beforehand():
    assert len(CASES) >= 300 and len(set(CASES)) == len(CASES) and {case[0] for case in CASES} == set(ROWS)
    wrongly = []
    for row, truth, response, verdict in CASES:
        dataset, scoring = ROWS[row]
        result = score(dataset, said(response), truth, scoring)
        if result["score"] != (verdict == RIGHT):
            wrongly.append((row, truth, response, verdict, result))
    print(*wrongly, sep="\n")
    assert not [case for case in wrongly if case[3] == GAMED]
    assert len(wrongly) <= 0.02 * len(CASES)
