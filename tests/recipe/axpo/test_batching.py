# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Mini-batches by question, checked on what verl makes of their sizes and their order."""

import math
import pickle
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions
from verl.workers.engine.utils import prepare_micro_batches

from recipe.axpo.advantage import Role
from recipe.axpo.batching import (
    ModelPass,
    assign_questions,
    model_passes,
    order_rows,
    padding_rows,
    rows_per_mini_batch,
)
from recipe.axpo.tree import BranchColumn
from verl_ext.cpu.env import REPO_ROOT


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
        ([16, 8, 8, 8], 2, 2, [0, 1, 1, 0]),  # Rows 24 and 16: two questions are all a mini-batch holds.
        ([16, 8, 8, 8], 2, 3, [0, 1, 1, 0]),
        ([1, 1, 1, 9], 2, 3, [1, 1, 1, 0]),
        ([1, 1, 1, 9], 2, 2, [1, 1, 0, 0]),
        ([8], 3, 1, [0]),  # Fewer questions than steps: failed questions leave mini-batches of no-op rows.
    ],
)
def test_assign_questions(row_counts, num, capacity, expected):
    assert assign_questions(row_counts, num, capacity) == expected


def test_too_many_questions():
    with pytest.raises(ValueError, match="5 questions do not fit 2 mini-batches of 2"):
        assign_questions([1] * 5, 2, 2)


# ------------------------------------------------------------- size of a mini-batch


@pytest.mark.parametrize(
    "row_counts, assigned, num, passes, expected",
    [
        ([8, 8], [0, 1], 2, [ModelPass(1)], 8),
        ([8, 12], [0, 1], 2, [ModelPass(1)], 12),
        ([8, 12], [0, 1], 2, [ModelPass(8)], 16),
        ([8, 12], [0, 0], 2, [ModelPass(1)], 20),
        ([7], [0], 1, [ModelPass(4)], 8),
        ([], [], 2, [ModelPass(4)], 4),  # No rank gets an empty mini-batch.
        ([9], [0], 1, [ModelPass(2, 3)], 12),
        ([9], [0], 1, [ModelPass(2, 3, 2)], 12),
        ([13], [0], 1, [ModelPass(2, 3, 2)], 24),
        # A pass over the whole batch shares its divisor with the number of mini-batches.
        ([9, 9], [0, 1], 2, [ModelPass(1, 4, whole_batch=True)], 10),
        ([9, 9], [0, 1], 2, [ModelPass(1, 3), ModelPass(1, 4, whole_batch=True)], 12),
        ([13, 13], [0, 1], 2, [ModelPass(1, 3), ModelPass(1, 4, whole_batch=True)], 18),
        ([9, 9, 9], [0, 1, 2], 3, [ModelPass(1, 4, whole_batch=True)], 12),
    ],
)
def test_rows_per_mini_batch(row_counts, assigned, num, passes, expected):
    assert rows_per_mini_batch(row_counts, assigned, num, passes) == expected


LIMIT = 64  # Tokens a GPU takes at once under dynamic batching.


@dataclass(frozen=True)
class Setup:
    """A run's configuration, as far as it decides how rows are divided."""

    dynamic: bool = True
    update_size: int | None = None
    log_prob_size: int | None = None
    ref_dynamic: bool = True
    ref_size: int | None = None
    pipeline: int = 1
    virtual: int | None = None
    group: int | None = None
    context: int = 1
    dp_size: int = 2
    ref_dp_size: int | None = 2
    num_mini_batches: int = 2
    row_counts: tuple[int, ...] = field(default=(8, 8), compare=False)

    def config(self):
        """verl's ``actor_rollout_ref``, the part of it that verl's engines read."""
        engine = {
            "pipeline_model_parallel_size": self.pipeline,
            "virtual_pipeline_model_parallel_size": self.virtual,
            "override_transformer_config": {"microbatch_group_size_per_vp_stage": self.group} if self.group else {},
        }
        role = {"strategy": "megatron", "megatron": engine}
        return OmegaConf.create(
            {
                "actor": role | {"use_dynamic_bsz": self.dynamic, "ppo_micro_batch_size_per_gpu": self.update_size},
                "rollout": {"log_prob_micro_batch_size_per_gpu": self.log_prob_size},
                "ref": role
                | {"log_prob_use_dynamic_bsz": self.ref_dynamic, "log_prob_micro_batch_size_per_gpu": self.ref_size},
            }
        )

    def rows_each(self):
        assigned = [i % self.num_mini_batches for i in range(len(self.row_counts))]
        passes = model_passes(self.config(), self.dp_size, self.ref_dp_size)
        return rows_per_mini_batch(self.row_counts, assigned, self.num_mini_batches, passes)

    @property
    def limit(self):
        """Tokens of the longest row: ranks of a context-parallel group share it."""
        return LIMIT * self.context

    @property
    def fullest(self):
        return max(sum(self.row_counts[m :: self.num_mini_batches]) for m in range(self.num_mini_batches))


def micro_batches(lengths, dynamic, size, group, context, least=None):
    """verl's own cut of one rank's rows."""
    mask = torch.arange(LIMIT * context) < torch.tensor(lengths).unsqueeze(1)
    data = TensorDict({"input_ids": mask, "attention_mask": mask}, batch_size=[len(lengths)])
    tu.assign_non_tensor(data, use_dynamic_bsz=dynamic, max_token_len_per_gpu=LIMIT, micro_batch_size_per_gpu=size)
    tu.assign_non_tensor(data, sp_size=context)
    return prepare_micro_batches(data, num_batches_divided_by=group, min_num_micro_batch=least)[0]


def run_pass(lengths, dp_size, dynamic, size, group, context):
    """Do what verl does with the rows of one pass; raises what verl raises.

    Dispatch to the ranks, ``prepare_micro_batches`` on each, and for Megatron the assertion behind it. With dynamic
    batching the ranks agree on the largest number of micro-batches.
    """
    assert len(lengths) % dp_size == 0, "verl would give the ranks different numbers of rows"
    share = len(lengths) // dp_size
    ranks = [lengths[rank * share : (rank + 1) * share] for rank in range(dp_size)]
    counts = [len(micro_batches(rank, dynamic, size, group, context)) for rank in ranks]
    while dynamic and len(set(counts)) > 1:
        counts = [len(micro_batches(rank, dynamic, size, group, context, least=max(counts))) for rank in ranks]
    assert group is None or all(count % group == 0 for count in counts), "forward_backward_batch asserts this"
    return counts


def simulate(setup, rows_each, lengths):
    """Train a step of ``num_mini_batches * rows_each`` rows in rank order; raises what verl raises."""
    m, dp = setup.num_mini_batches, setup.dp_size
    assert len(lengths) == m * rows_each and rows_each % dp == 0
    group = (setup.group or setup.pipeline) if setup.virtual and setup.virtual > 1 else None
    run_pass(lengths, dp, setup.dynamic, setup.log_prob_size, group, setup.context)
    if setup.ref_dp_size is not None:
        run_pass(lengths, setup.ref_dp_size, setup.ref_dynamic, setup.ref_size, group, setup.context)
    share = rows_each // dp
    for mini_batch in range(m):
        starts = [rank * m * share + mini_batch * share for rank in range(dp)]
        rows = [length for start in starts for length in lengths[start : start + share]]
        run_pass(rows, dp, setup.dynamic, setup.update_size, group, setup.context)


def survives(setup, rows_each, lengths):
    try:
        simulate(setup, rows_each, lengths)
    except (AssertionError, ValueError):
        return False
    return True


sizes = st.integers(1, 4)


@st.composite
def setups(draw):
    dynamic, ref_dynamic = draw(st.booleans()), draw(st.booleans())
    pipeline = draw(st.sampled_from([1, 2, 4]))
    return Setup(
        dynamic=dynamic,
        # Sizes may be given beside dynamic batching; verl does not read them.
        update_size=draw(st.none() | sizes if dynamic else sizes),
        log_prob_size=draw(st.none() | sizes if dynamic else sizes),
        ref_dynamic=ref_dynamic,
        ref_size=draw(st.none() | sizes if ref_dynamic else sizes),
        pipeline=pipeline,
        virtual=draw(st.sampled_from([None, 1, 2])) if pipeline > 1 else None,
        group=draw(st.none() | st.integers(pipeline, pipeline + 2)),
        context=draw(st.sampled_from([1, 2])),
        dp_size=draw(st.sampled_from([1, 2, 3])),
        ref_dp_size=draw(st.sampled_from([None, 1, 2])),
        num_mini_batches=draw(st.integers(1, 4)),
        row_counts=tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))),
    )


@settings(max_examples=100, deadline=None)
@given(setups(), st.randoms(use_true_random=False))
def test_verl_takes_the_rows(setup, rng):
    rows_each = setup.rows_each()
    assert rows_each >= setup.fullest
    total = setup.num_mini_batches * rows_each
    simulate(setup, rows_each, [setup.limit] * total)  # Every row alone in its micro-batch.
    simulate(setup, rows_each, [rng.randint(1, setup.limit) for _ in range(total)])
    simulate(setup, rows_each, [rng.choice([1, setup.limit]) for _ in range(total)])


@settings(max_examples=60, deadline=None)
@given(setups())
def test_fewer_rows_would_not_do(setup):
    """For every smaller number that holds the rows there are lengths under which verl fails: all at the limit."""
    for rows_each in range(setup.fullest, setup.rows_each()):
        assert not survives(setup, rows_each, [setup.limit] * (setup.num_mini_batches * rows_each)), rows_each


@pytest.mark.parametrize(
    "setup",
    [
        Setup(dynamic=False, update_size=2, log_prob_size=2, ref_dynamic=False, ref_size=2, pipeline=4, virtual=2),
        Setup(ref_dynamic=False, ref_size=3),
    ],
    ids=["fixed micro-batches on a virtual pipeline", "a fixed reference under a dynamic actor"],
)
def test_two_hundred_steps(setup):
    """Branching makes the number of rows different in every step."""
    rng = random.Random(0)
    failed, divided_by_ranks_only = 0, 0
    for _ in range(200):
        counts = tuple(4 + 2 * rng.choice([0, 0, 0, 1, 2]) for _ in range(4))
        step = Setup(**{**vars(setup), "row_counts": counts})
        rows_each = step.rows_each()
        lengths = [rng.randint(1, LIMIT) for _ in range(step.num_mini_batches * rows_each)]
        failed += not survives(step, rows_each, lengths)
        less = math.ceil(step.fullest / step.dp_size) * step.dp_size
        divided_by_ranks_only += not survives(step, less, lengths[: step.num_mini_batches * less])
    assert failed == 0
    assert divided_by_ranks_only > 0, "the simulation finds nothing"


# Options as verl composes them, the defaults among them.
CASES = {
    "dynamic, no reference": (
        "dp",
        ["actor.use_dynamic_bsz=true"],
        None,
        [ModelPass(8), ModelPass(8, whole_batch=True)],
    ),
    "the reference follows the actor": (
        "dp",
        ["actor.use_dynamic_bsz=true"],
        8,
        [ModelPass(8), ModelPass(8, whole_batch=True), ModelPass(8, whole_batch=True)],
    ),
    "the reference on its own": (
        "dp",
        ["actor.use_dynamic_bsz=true", "ref.log_prob_use_dynamic_bsz=false", "ref.log_prob_micro_batch_size_per_gpu=6"],
        4,
        [ModelPass(8), ModelPass(8, whole_batch=True), ModelPass(4, 6, whole_batch=True)],
    ),
    "fixed sizes": (
        "dp",
        [
            "actor.use_dynamic_bsz=false",
            "actor.ppo_micro_batch_size_per_gpu=2",
            "rollout.log_prob_micro_batch_size_per_gpu=3",
            "ref.log_prob_micro_batch_size_per_gpu=5",
        ],
        8,
        [ModelPass(8, 2), ModelPass(8, 3, whole_batch=True), ModelPass(8, 5, whole_batch=True)],
    ),
    "a pipeline without virtual stages": (
        "megatron",
        ["actor.use_dynamic_bsz=true", "actor.megatron.pipeline_model_parallel_size=4"],
        8,
        [ModelPass(8), ModelPass(8, whole_batch=True), ModelPass(8, whole_batch=True)],
    ),
    "a virtual pipeline": (
        "megatron",
        [
            "actor.use_dynamic_bsz=true",
            "actor.megatron.pipeline_model_parallel_size=4",
            "actor.megatron.virtual_pipeline_model_parallel_size=2",
        ],
        8,
        [ModelPass(8, None, 4), ModelPass(8, None, 4, True), ModelPass(8, None, 4, True)],
    ),
    "a virtual pipeline with groups of its own, for the actor": (
        "megatron",
        [
            "actor.use_dynamic_bsz=false",
            "actor.ppo_micro_batch_size_per_gpu=1",
            "rollout.log_prob_micro_batch_size_per_gpu=2",
            "ref.log_prob_micro_batch_size_per_gpu=2",
            "actor.megatron.pipeline_model_parallel_size=2",
            "actor.megatron.virtual_pipeline_model_parallel_size=2",
            "+actor.megatron.override_transformer_config.microbatch_group_size_per_vp_stage=3",
            "ref.megatron.virtual_pipeline_model_parallel_size=null",
        ],
        8,
        [ModelPass(8, 1, 3), ModelPass(8, 2, 3, True), ModelPass(8, 2, 1, True)],
    ),
}


@pytest.mark.parametrize("engine, overrides, ref_dp_size, expected", CASES.values(), ids=CASES)
def test_model_passes(engine, overrides, ref_dp_size, expected):
    """Read from verl's own configuration."""
    overrides = [override.lstrip("+") for override in overrides]
    added = [f"{'+' if 'microbatch' in override else ''}actor_rollout_ref.{override}" for override in overrides]
    with initialize_config_dir(str(REPO_ROOT / "recipe" / "axpo" / "config"), version_base=None):
        config = compose("axpo_trainer", overrides=[f"model_engine={engine}", *added])
    assert model_passes(config.actor_rollout_ref, 8, ref_dp_size) == expected


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
    rows_each = rows_per_mini_batch(list(rows.values()), assigned, num, [ModelPass(dp_size, micro)])
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
        # The whole question and nothing but questions of this mini-batch.
        assert Counter(real) == {q: n for q, n in rows.items() if assignment[q] == m}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(1, 5))
def test_mini_batches_are_as_even_as_one_question(row_counts, num):
    """If every mini-batch has room, no two of them differ by more than the largest question."""
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
        assert len(part) % num == 0  # Else verl refuses.
        loader = tu.make_iterator(part, len(part) // num, epochs=1, seed=1, dataloader_kwargs={"shuffle": False})
        for m, mini_batch in enumerate(loader):
            seen[m] += mini_batch["row"].tolist()
    for m in range(num):
        names = Counter(questions[row] for row in seen[m] if row < len(questions))
        assert names == {q: questions.count(q) for q, a in assignment.items() if a == m}


def test_verls_own_iterator_cuts_every_epoch_alike():
    """With ``actor.ppo_epochs`` above 1 each question stays in its mini-batch."""
    part, num, epochs = TensorDict({"row": torch.arange(12)}, batch_size=[12]), 3, 4
    loader = tu.make_iterator(part, len(part) // num, epochs=epochs, seed=1, dataloader_kwargs={"shuffle": False})
    seen = [mini_batch["row"].tolist() for mini_batch in loader]
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]] * epochs


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


# ----------------------------------------------------------------- no-op rows


@pytest.mark.parametrize("shape, expected", [((300,), (128,)), ((4, 300), (4, 128)), ((3, 90), (3, 128))])
def test_padding_rows(shape, expected):
    """They have the position ids' form of a real row and nothing of its content."""
    source = {
        "position_ids": torch.arange(300).expand(*shape[:-1], 300)[..., : shape[-1]].clone(),
        "extra_fields": {"reward_extra_info": {"acc": 1.0}, "spec_num_draft_tokens": 7, "notes": "x" * 10_000},
        "raw_prompt": "x" * 1_000_000,
    }
    tag = {"status": "success", "prompt_len": 5, "response_len": 5, "seq_len": 10, "min_global_steps": 3}
    keys, fields, tags = padding_rows(source, tag, 3, eos_token_id=9)
    assert len(set(keys)) == len(fields) == len(tags) == 3
    rows = tu.list_of_dict_to_tensordict(fields)
    assert rows["position_ids"].shape == (3, *expected)
    assert rows["input_ids"].unique().tolist() == [9] and rows["input_ids"].shape == (3, 128)
    assert not rows["response_mask"].any() and not rows["loss_mask"].any() and not rows["rm_scores"].any()
    assert list(rows["extra_fields"]) == [{"spec_num_draft_tokens": 7}] * 3
    assert all(tag["is_padding"] and tag["min_global_steps"] == 3 and tag["seq_len"] == 128 for tag in tags)
    assert all(len(pickle.dumps(row)) < 20_000 for row in fields)
    for session, (key, row) in enumerate(zip(keys, fields, strict=True)):
        column = BranchColumn.from_dict(row["axpo"])
        assert column == BranchColumn(question=row["uid"], session=session, role=Role.ROLLOUT)
        assert (row["session_id"], key) == (session, f"{row['uid']}_{session}_0")


def test_padding_rows_of_a_row_without_extra_fields():
    _, (row,), _ = padding_rows({"position_ids": torch.arange(3)}, {}, 1, eos_token_id=0)
    assert row["extra_fields"] == {}
