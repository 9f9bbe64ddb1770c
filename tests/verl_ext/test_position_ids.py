# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""m-rope position ids of random batches, through pickling and verl's cutting into mini-batches."""

import pickle

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu

from verl_ext.position_ids import fix_3d_position_ids

lengths = st.one_of(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.builds(lambda length, rows: [length] * rows, st.integers(1, 20), st.integers(1, 6)),  # all equal
)


def make(lengths, axes):
    rows = [torch.arange(axes * n).reshape(axes, n) + 1000 * i for i, n in enumerate(lengths)]
    tokens = [torch.arange(n) for n in lengths]
    nested = {"position_ids": rows, "input_ids": tokens}
    fields = {name: torch.nested.as_nested_tensor(value, layout=torch.jagged) for name, value in nested.items()}
    return rows, TensorDict(fields, batch_size=[len(rows)])


def check(data, rows):
    got = data["position_ids"]
    assert [row.tolist() for row in got.unbind()] == [row.tolist() for row in rows]
    # what the kernels read: values with the tokens last, cut by the token counts
    assert torch.equal(got.values(), torch.cat(rows, dim=-1))
    assert got.offsets().diff().tolist() == [row.shape[-1] for row in rows]


@settings(max_examples=150, deadline=None)
@given(lengths, st.sampled_from([3, 4]), st.booleans())
def test_rows_come_back_with_tokens_last(lengths, axes, sent):
    rows, data = make(lengths, axes)
    if sent:
        data = pickle.loads(pickle.dumps(data))
    fix_3d_position_ids(data)
    check(data, rows)
    fix_3d_position_ids(data)  # the engine calls it again on every mini-batch
    check(data, rows)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.sampled_from([1, 2, 3]))
def test_mini_batches_of_equal_rows(length, size):
    """The order of calls in ``TrainingWorker.train_mini_batch``."""
    rows, data = make([length] * 6, 4)
    data = pickle.loads(pickle.dumps(data))
    fix_3d_position_ids(data)
    loader = tu.make_iterator(data, size, epochs=1, seed=0, dataloader_kwargs={"shuffle": False})
    for i, mini_batch in enumerate(loader):
        fix_3d_position_ids(mini_batch)
        check(mini_batch, rows[i * size : (i + 1) * size])


def test_everything_else_is_left_alone():
    for data in (
        TensorDict({}, batch_size=[]),
        TensorDict({"position_ids": torch.arange(6).reshape(2, 3)}, batch_size=[2]),
        TensorDict({"position_ids": torch.zeros(2, 4, 3)}, batch_size=[2]),  # padded
    ):
        before = {name: value.clone() for name, value in data.items()}
        fix_3d_position_ids(data)
        assert set(data.keys()) == set(before)
        assert all(torch.equal(data[name], value) for name, value in before.items())


def test_verl_calls_this_one():
    import verl.workers.engine.base as base
    import verl.workers.engine_workers as workers

    assert {m.maybe_fix_3d_position_ids for m in (tu, base, workers)} == {fix_3d_position_ids}
