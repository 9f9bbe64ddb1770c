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
"""Mini-batches by question: extra rows ride along with their question, the number of optimizer steps stays GRPO's.

verl cuts mini-batches of ``ppo_mini_batch_size * n`` *rows*; a quarter more rows would mean one more, mostly empty,
optimizer step. Here a mini-batch is ``ppo_mini_batch_size`` *questions* with all of their rows, however many, filled up
with no-op rows so that every data-parallel rank gets the same number of rows in every mini-batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

Partition = Callable[[list[int], int], list[list[int]]]  # (workloads, ranks) -> for each rank the chosen positions


def assign_questions(row_counts: Sequence[int], num_mini_batches: int, capacity: int) -> list[int]:
    """Distribute questions over mini-batches of at most ``capacity`` questions, rows as even as they come.

    Args:
        row_counts: rows of each question.
        num_mini_batches: M, the number of optimizer steps.
        capacity: questions a mini-batch may hold (``ppo_mini_batch_size``).

    Returns:
        The mini-batch (0..M-1) of each question.

    Raises:
        ValueError: if the questions do not fit.
    """
    if len(row_counts) > num_mini_batches * capacity:
        raise ValueError(f"{len(row_counts)} questions do not fit {num_mini_batches} mini-batches of {capacity}")
    rows, questions = [0] * num_mini_batches, [0] * num_mini_batches
    assigned = [0] * len(row_counts)
    # largest first, each to the emptiest mini-batch; sorted() is stable, so equal ones keep the order they came in
    for question in sorted(range(len(row_counts)), key=lambda q: -row_counts[q]):
        open_ones = [m for m in range(num_mini_batches) if questions[m] < capacity]
        target = min(open_ones, key=lambda m: (rows[m], m))
        assigned[question] = target
        rows[target] += row_counts[question]
        questions[target] += 1
    return assigned


def rows_per_mini_batch(
    row_counts: Sequence[int], assigned: Sequence[int], num_mini_batches: int, multiple: int
) -> int:
    """Rows that every mini-batch is filled up to: the fullest one's, rounded up to a multiple (at least ``multiple``).

    Args:
        multiple: what a mini-batch must divide by: data-parallel size times micro-batch size.
    """
    totals = [0] * num_mini_batches
    for count, mini_batch in zip(row_counts, assigned, strict=True):
        totals[mini_batch] += count
    return max(1, math.ceil(max(totals) / multiple)) * multiple


def order_rows(
    questions: Sequence[Hashable],
    is_padding: Sequence[bool],
    seq_lens: Sequence[int],
    assignment: dict[Hashable, int],
    *,
    num_mini_batches: int,
    rows_each: int,
    dp_size: int,
    partition: Partition,
) -> list[int]:
    """Order of the rows under which verl's contiguous cuts give the intended mini-batches.

    verl gives data-parallel rank d the d-th contiguous part of the batch and cuts that into M contiguous mini-batches:
    the order is rank by rank, mini-batch by mini-batch.

    Args:
        questions: (rows,) question of each row.
        is_padding: (rows,) no-op rows, which go wherever a mini-batch has room.
        seq_lens: (rows,) tokens of each row, for an even load of the ranks.
        assignment: question -> mini-batch.
        num_mini_batches, rows_each: M and the rows of each; M * rows_each is the number of rows.
        dp_size: data-parallel ranks.
        partition: distributes rows by workload in parts of equal size.

    Returns:
        A permutation of the row numbers.
    """
    members: list[list[int]] = [[] for _ in range(num_mini_batches)]
    padding = [row for row, pad in enumerate(is_padding) if pad]
    for row, question in enumerate(questions):
        if not is_padding[row]:
            members[assignment[question]].append(row)
    parts = []
    for rows in members:
        missing = rows_each - len(rows)
        if missing > len(padding):
            raise ValueError(f"{missing - len(padding)} padding rows too few")
        rows += [padding.pop() for _ in range(missing)]
        parts.append([[rows[i] for i in part] for part in partition([seq_lens[row] for row in rows], dp_size)])
    if padding:
        raise ValueError(f"{len(padding)} padding rows too many")
    return [row for rank in range(dp_size) for mini_batch in parts for row in mini_batch[rank]]
