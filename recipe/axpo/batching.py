# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Mini-batches by question: extra rows share the mini-batch of their question, and GRPO's optimizer steps are kept.

verl cuts mini-batches of ``ppo_mini_batch_size * n`` *rows*. A quarter more rows would give one more optimizer step,
most of it empty. Here a mini-batch is ``ppo_mini_batch_size`` *questions* with all of their rows. No-op rows fill every
mini-batch up to one size, the smallest that every model pass of the step can divide among its ranks and micro-batches.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from recipe.axpo.advantage import Role
from recipe.axpo.tree import BranchColumn

from verl.trainer.ppo.padding_utils import construct_minimal_padding_template

Partition = Callable[[list[int], int], list[list[int]]]  # (workloads, ranks) -> for each rank the chosen positions


# ------------------------------------------------------------------ mini-batches


def assign_questions(row_counts: Sequence[int], num_mini_batches: int, capacity: int) -> list[int]:
    """Distribute questions over mini-batches of at most ``capacity`` questions, as evenly in rows as possible.

    Args:
        row_counts: Rows of each question.
        num_mini_batches: M, the number of optimizer steps.
        capacity: Questions a mini-batch may hold (``ppo_mini_batch_size``).

    Returns:
        The mini-batch (0..M-1) of each question.

    Raises:
        ValueError: If the questions do not fit.
    """
    if len(row_counts) > num_mini_batches * capacity:
        raise ValueError(f"{len(row_counts)} questions do not fit {num_mini_batches} mini-batches of {capacity}")
    rows, questions = [0] * num_mini_batches, [0] * num_mini_batches
    assigned = [0] * len(row_counts)
    # The largest question goes first, each to the emptiest mini-batch. sorted() keeps the order of equal questions.
    for question in sorted(range(len(row_counts)), key=lambda q: -row_counts[q]):
        open_ones = [m for m in range(num_mini_batches) if questions[m] < capacity]
        target = min(open_ones, key=lambda m: (rows[m], m))
        assigned[question] = target
        rows[target] += row_counts[question]
        questions[target] += 1
    return assigned


@dataclass(frozen=True)
class ModelPass:
    """Describe how one pass of a model (actor update, actor log-probs, reference log-probs) divides its rows.

    Attributes:
        dp_size: Data-parallel ranks that share the rows equally.
        micro_batch_size: Rows of a micro-batch; None if tokens decide (dynamic batching).
        micro_batch_multiple: Divisor of the number of micro-batches on a rank. Above 1 for a virtual pipeline only.
        whole_batch: True if the pass takes all rows of the step at once, False if it takes each mini-batch alone.
    """

    dp_size: int
    micro_batch_size: int | None = None
    micro_batch_multiple: int = 1
    whole_batch: bool = False

    def rows_divisor(self, num_mini_batches: int) -> int:
        """Return the smallest number that the rows of a mini-batch must be a multiple of for this pass.

        Dynamic batching may need as many micro-batches as a rank has rows. Hence the divisor of their number divides
        the rows, whatever their lengths are.
        """
        unit = self.dp_size * (self.micro_batch_size or 1) * self.micro_batch_multiple
        return unit // math.gcd(unit, num_mini_batches) if self.whole_batch else unit


def model_passes(actor_rollout_ref: DictConfig, actor_dp_size: int, ref_dp_size: int | None) -> list[ModelPass]:
    """Read the model passes of a training step from verl's configuration.

    Args:
        actor_rollout_ref: verl's configuration group of that name.
        actor_dp_size: Data-parallel ranks of the actor.
        ref_dp_size: Data-parallel ranks of the reference model; None if no reference model runs besides the actor.
    """
    actor, rollout, ref = (actor_rollout_ref[name] for name in ("actor", "rollout", "ref"))

    def model_pass(role: DictConfig, dp_size: int, dynamic: bool, size: int | None, whole_batch: bool) -> ModelPass:
        return ModelPass(dp_size, None if dynamic else size, micro_batch_multiple(role), whole_batch)

    # verl asserts that the actor's log-prob pass batches dynamically exactly if its update does.
    dynamic = actor.use_dynamic_bsz
    passes = [
        model_pass(actor, actor_dp_size, dynamic, actor.ppo_micro_batch_size_per_gpu, whole_batch=False),
        model_pass(actor, actor_dp_size, dynamic, rollout.log_prob_micro_batch_size_per_gpu, whole_batch=True),
    ]
    if ref_dp_size is not None:
        dynamic, size = ref.log_prob_use_dynamic_bsz, ref.log_prob_micro_batch_size_per_gpu
        passes.append(model_pass(ref, ref_dp_size, dynamic, size, whole_batch=True))
    return passes


def micro_batch_multiple(role: DictConfig) -> int:
    """Return what Megatron's interleaved schedule requires the number of micro-batches to be a multiple of."""
    if role.strategy != "megatron" or (role.megatron.get("virtual_pipeline_model_parallel_size") or 1) <= 1:
        return 1
    override = role.megatron.get("override_transformer_config") or {}
    return override.get("microbatch_group_size_per_vp_stage") or role.megatron.pipeline_model_parallel_size


def rows_per_mini_batch(
    row_counts: Sequence[int], assigned: Sequence[int], num_mini_batches: int, passes: Sequence[ModelPass]
) -> int:
    """Return the smallest number of rows, equal for all mini-batches, that holds their rows and suits every pass.

    Args:
        row_counts: Rows of each question.
        assigned: Mini-batch of each question.
        num_mini_batches: M.
        passes: The model passes of the step.
    """
    totals = [0] * num_mini_batches
    for count, mini_batch in zip(row_counts, assigned, strict=True):
        totals[mini_batch] += count
    divisor = math.lcm(*(model_pass.rows_divisor(num_mini_batches) for model_pass in passes))
    return max(1, math.ceil(max(totals) / divisor)) * divisor


def order_rows(
    questions: Sequence[Hashable],
    is_padding: Sequence[bool],
    seq_lens: Sequence[int],
    assignment: Mapping[Hashable, int],
    *,
    num_mini_batches: int,
    rows_each: int,
    dp_size: int,
    partition: Partition,
) -> list[int]:
    """Order the rows so that verl's contiguous cuts give the intended mini-batches.

    verl gives data-parallel rank d the d-th contiguous part of the batch and cuts that into M contiguous mini-batches.
    The order is therefore rank by rank, and within a rank mini-batch by mini-batch.

    Args:
        questions: (rows,) Question of each row.
        is_padding: (rows,) Whether a row is a no-op row, which goes wherever a mini-batch has room.
        seq_lens: (rows,) Tokens of each row, for an even load of the ranks.
        assignment: Question -> mini-batch.
        num_mini_batches: M.
        rows_each: Rows of each mini-batch; M * ``rows_each`` is the number of rows.
        dp_size: Data-parallel ranks.
        partition: Distributes rows by workload in parts of equal size.

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


# --------------------------------------------------------------------- no-op rows

# What a no-op row copies from a real one. All else that a later step reads is built by verl's template, and the
# prompt's messages and pixel values, megabytes a row, are read by no later step.
PADDING_SOURCE_FIELDS = ("position_ids", "extra_fields")


def padding_rows(
    source: Mapping[str, Any], tag: Mapping[str, Any], count: int, eos_token_id: int
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Build rows that carry no loss, belong to a question of their own, and weigh a few kilobytes.

    Args:
        source: ``PADDING_SOURCE_FIELDS`` of a real row, for the shape of its position ids.
        tag: That row's tag.
        count: Number of rows.
        eos_token_id: Token the rows consist of.

    Returns:
        keys, fields and tags, one of each a row.
    """
    # verl averages these over the batch only if every row has them.
    speculation = {name: n for name, n in source.get("extra_fields", {}).items() if name.startswith("spec_num_")}
    template, tag = construct_minimal_padding_template(
        {"position_ids": source["position_ids"], "multi_modal_inputs": {}, "extra_fields": speculation},
        dict(tag),
        eos_token_id,
    )
    uid = f"pad{uuid.uuid4().hex}"
    keys = [f"{uid}_{session}_0" for session in range(count)]
    columns = [BranchColumn(question=uid, session=session, role=Role.ROLLOUT) for session in range(count)]
    fields = [{**template, "uid": uid, "session_id": c.session, "axpo": c.as_dict()} for c in columns]
    return keys, fields, [tag] * count
