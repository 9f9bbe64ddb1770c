# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One row of every dataset through verl's dataset class, the real agent loop and the real reward."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from tests.data_prep.conftest import benchmark_root, benchmarks, jpeg, sources  # noqa: F401  fixtures
from tests.data_prep.training.conftest import prepared, training_root  # noqa: F401  fixtures
from tests.stack.forced.checks import check_features, row_of
from tests.stack.forced.script import END, Question, Turn, answer

pytestmark = pytest.mark.stack

WRONG = Turn(f"I am sure.\n</think>\n\n<answer>quite another thing</answer>{END}")


def test_one_row_of_each_dataset(tools, play, benchmarks, prepared):  # noqa: F811
    files = {}
    for folder in (benchmarks, prepared):
        for file in sorted(folder.glob("*/*.parquet")):
            files.setdefault(file.parent.name, file)
    assert len(files) == 9 + 7
    rows = {name: pq.read_table(file).to_pylist()[0] for name, file in files.items()}
    sessions = {"a": [answer("a", True)], "b": [WRONG], "c": [answer("c", True)], "d": [answer("d", True)]}
    questions = [Question(name, sessions) for name in files]
    run = play(*questions, variant="tools", rows=list(rows.values()))
    for name, row in rows.items():
        assert run.status[name] == "finished" and len(run.rows[name]) == 4
        for session, reward in dict(a=1.0, b=0.0, c=1.0, d=1.0).items():  # by the dataset's own rules
            rolled = row_of(run, name, session)
            assert rolled.reward == reward, (name, row["reward_model"])
            if row["images"]:
                assert check_features(tools, rolled) == len(row["images"])
