# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Mini-batches by question, checked on what verl makes of the order: rank by rank, then mini-batch by mini-batch."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions

from recipe.axpo.batching import assign_questions, order_rows, rows_per_mini_batch


def balanced(lengths, ranks):
    return get_seqlen_balanced_partitions(lengths, k_partitions=ranks, equal_size=True)


def verl_cuts(order, dp_size, num_mini_batches):
    """[rank][mini-batch] -> rows: the dispatch gives each rank a contiguous part, each rank cuts its part in M."""
    share = len(order) // dp_size
    ranks = [order[rank * share : (rank + 1) * share] for rank in range(dp_size)]
    size = share // num_mini_batches
    return [[rank[m * size : (m + 1) * size] for m in range(num_mini_batches)] for rank in ranks]


# ---------------------------------------------------------------- assignment


@pytest.mark.parametrize(
    "row_counts, num, capacity, expected",
    [
        ([], 2, 4, []),
        ([8, 8, 8, 8], 2, 2, [0, 1, 0, 1]),
        ([8, 8, 8, 8], 1, 4, [0, 0, 0, 0]),
        ([16, 8, 8, 8], 2, 2, [0, 1, 1, 0]),  # rows 24 and 16: two questions are all a mini-batch holds
        ([16, 8, 8, 8], 2, 3, [0, 1, 1, 0]),
        ([1, 1, 1, 9], 2, 3, [1, 1, 1, 0]),
        ([1, 1, 1, 9], 2, 2, [1, 1, 0, 0]),
        ([8], 3, 1, [0]),  # fewer questions than steps: failed questions leave mini-batches of no-op rows
    ],
)
def test_assign_questions(row_counts, num, capacity, expected):
    assert assign_questions(row_counts, num, capacity) == expected


def test_too_many_questions():
    with pytest.raises(ValueError, match="5 questions do not fit 2 mini-batches of 2"):
        assign_questions([1] * 5, 2, 2)


@pytest.mark.parametrize(
    "row_counts, assigned, num, multiple, expected",
    [
        ([8, 8], [0, 1], 2, 1, 8),
        ([8, 12], [0, 1], 2, 1, 12),
        ([8, 12], [0, 1], 2, 8, 16),
        ([8, 12], [0, 0], 2, 1, 20),
        ([7], [0], 1, 4, 8),
        ([], [], 2, 4, 4),  # nobody gets an empty mini-batch
    ],
)
def test_rows_per_mini_batch(row_counts, assigned, num, multiple, expected):
    assert rows_per_mini_batch(row_counts, assigned, num, multiple) == expected


# --------------------------------------------------------------------- order


@st.composite
def batches(draw):
    """Questions with their row counts, shuffled rows with lengths, M mini-batches, data-parallel ranks."""
    num = draw(st.integers(1, 4))
    capacity = draw(st.integers(1, 4))
    counts = draw(st.lists(st.integers(1, 14), min_size=1, max_size=num * capacity))
    dp_size = draw(st.integers(1, 4))
    micro = draw(st.integers(1, 3))
    questions = draw(st.permutations([f"q{q}" for q, count in enumerate(counts) for _ in range(count)]))
    lengths = draw(st.lists(st.integers(1, 500), min_size=len(questions), max_size=len(questions)))
    return num, capacity, dp_size, micro, list(questions), lengths


@settings(max_examples=120, deadline=None)
@given(batches())
def test_every_row_is_in_its_questions_mini_batch(batch):
    num, capacity, dp_size, micro, questions, lengths = batch
    rows = Counter(questions)
    assigned = assign_questions(list(rows.values()), num, capacity)
    assert max(Counter(assigned).values()) <= capacity
    assignment = dict(zip(rows, assigned, strict=True))
    rows_each = rows_per_mini_batch(list(rows.values()), assigned, num, dp_size * micro)
    totals = [sum(rows[q] for q in rows if assignment[q] == m) for m in range(num)]
    assert max(totals) <= rows_each < max(totals) + dp_size * micro

    missing = num * rows_each - len(questions)
    order = order_rows(
        questions + ["no-op"] * missing,
        [False] * len(questions) + [True] * missing,
        lengths + [1] * missing,
        assignment,
        num_mini_batches=num,
        rows_each=rows_each,
        dp_size=dp_size,
        partition=balanced,
    )
    assert sorted(order) == list(range(num * rows_each))
    cuts = verl_cuts(order, dp_size, num)
    for m in range(num):
        parts = [rank[m] for rank in cuts]
        assert {len(part) for part in parts} == {rows_each // dp_size}
        assert (rows_each // dp_size) % micro == 0
        real = [questions[row] for part in parts for row in part if row < len(questions)]
        # the whole question and nothing but questions of this mini-batch
        assert Counter(real) == {q: n for q, n in rows.items() if assignment[q] == m}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(1, 5))
def test_mini_batches_are_as_even_as_one_question(row_counts, num):
    """With room for everybody, largest first leaves no two mini-batches further apart than the largest question."""
    assigned = assign_questions(row_counts, num, capacity=len(row_counts))
    totals = [sum(n for n, a in zip(row_counts, assigned, strict=True) if a == m) for m in range(num)]
    assert max(totals) - min(totals) <= max(row_counts)


@pytest.mark.parametrize("dp_size", [1, 2, 4])
def test_verls_own_iterator_cuts_as_assumed(dp_size):
    """Through TensorDict.chunk and the iterator of ``TrainingWorker.train_mini_batch``."""
    questions = ["a"] * 8 + ["b"] * 12 + ["c"] * 8 + ["d"] * 8
    assignment = {"a": 0, "b": 1, "c": 1, "d": 0}
    padding, num, rows_each = 4, 2, 20
    order = order_rows(
        questions + ["no-op"] * padding,
        [False] * len(questions) + [True] * padding,
        list(range(1, len(questions) + padding + 1)),
        assignment,
        num_mini_batches=num,
        rows_each=rows_each,
        dp_size=dp_size,
        partition=balanced,
    )
    data = TensorDict({"row": torch.tensor(order)}, batch_size=[len(order)])
    seen = [[], []]
    for part in data.chunk(dp_size):
        assert len(part) % num == 0  # or verl refuses
        loader = tu.make_iterator(part, len(part) // num, epochs=1, seed=1, dataloader_kwargs={"shuffle": False})
        for m, mini_batch in enumerate(loader):
            seen[m] += mini_batch["row"].tolist()
    for m in range(num):
        names = Counter(questions[row] for row in seen[m] if row < len(questions))
        assert names == {q: questions.count(q) for q, a in assignment.items() if a == m}


@pytest.mark.parametrize("padding, problem", [(3, "1 padding rows too many"), (1, "1 padding rows too few")])
def test_wrong_number_of_padding_rows(padding, problem):
    with pytest.raises(ValueError, match=problem):
        order_rows(
            ["a"] * 4 + ["b"] * 2 + ["no-op"] * padding,
            [False] * 6 + [True] * padding,
            [1] * (6 + padding),
            {"a": 0, "b": 1},
            num_mini_batches=2,
            rows_each=4,
            dp_size=1,
            partition=balanced,
        )
