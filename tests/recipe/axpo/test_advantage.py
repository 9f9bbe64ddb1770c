# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Eq. 2-4 on small batches that can be checked by hand, then properties against an obvious reference."""

import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, get_adv_estimator_fn

from recipe.axpo.advantage import Role, compute_axpo_advantage

ROLLOUT, SOURCE, CONTINUATION = Role.ROLLOUT, Role.SOURCE, Role.CONTINUATION
T = 4


def advantages(rows, **kwargs):
    """rows: (question, role, reward, prefix_group, recovery_reward, mask); one advantage per row, checked on T."""
    questions, roles, rewards, groups, recoveries, masks = zip(*rows, strict=True)
    mask = torch.tensor(masks)
    token_level_rewards = torch.zeros(len(rows), T)
    token_level_rewards[:, -1] = torch.tensor(rewards)
    result, returns = compute_axpo_advantage(
        token_level_rewards,
        mask,
        np.array(questions, dtype=object),
        role=list(roles),
        prefix_group=list(groups),
        recovery_reward=list(recoveries),
        **kwargs,
    )
    assert result.shape == (len(rows), T) and result.dtype == torch.float32 and torch.equal(result, returns)
    assert torch.equal(result[mask == 0], torch.zeros(int((mask == 0).sum())))
    scalars = [row[m.bool()] for row, m in zip(result, mask, strict=True)]
    assert all((values == values[0]).all() for values in scalars if len(values))
    return [values[0].item() if len(values) else 0.0 for values in scalars]


def rollout(reward, question="q", mask=(1, 1, 0, 1)):
    return (question, ROLLOUT, reward, None, None, mask)


def source(group, recovery, reward=0.0, question="q", mask=(1, 1, 0, 0)):
    return (question, SOURCE, reward, group, recovery, mask)


def continuation(group, reward, question="q", mask=(0, 0, 1, 1)):
    return (question, CONTINUATION, reward, group, None, mask)


def grpo(rewards, eps=1e-6):
    mean, std = statistics.fmean(rewards), statistics.stdev(rewards)
    return [(reward - mean) / (std + eps) for reward in rewards]


def test_registered_with_verl():
    assert get_adv_estimator_fn("axpo") is compute_axpo_advantage


def test_all_wrong_group_with_a_recovery():
    rows = [source("f", 1.0), *[rollout(0.0)] * 7, *[continuation("f", r) for r in (0.0, 1.0, 0.0, 0.0)]]
    result = advantages(rows)
    assert result[0] == pytest.approx(grpo([1] + [0] * 7)[0], rel=1e-5)  # Eq. 4
    assert result[1:8] == [0.0] * 7  # the recovery is no business of those that were not selected
    assert result[8:] == pytest.approx(grpo([0, 1, 0, 0]), rel=1e-5)  # Eq. 2


def test_no_recovery_is_ordinary_grpo():
    rows = [source("f", 0.0), rollout(0.0), rollout(1.0), *[continuation("f", 0.0)] * 4]
    assert advantages(rows) == pytest.approx([*grpo([0, 0, 1]), 0, 0, 0, 0], rel=1e-5)


def test_without_separate_groups_a_question_is_one_group():
    rows = [source("f", 1.0), rollout(0.0), rollout(1.0), continuation("f", 1.0), continuation("f", 0.0)]
    rows += [rollout(0.0, "other"), rollout(1.0, "other")]
    result = advantages(rows, separate_groups=False)
    assert result[0] == pytest.approx(grpo([1, 0, 1, 1, 0])[0], rel=1e-5)  # its own reward replaced
    assert result[1:5] == pytest.approx(grpo([0, 0, 1, 1, 0])[1:], rel=1e-5)
    assert result[5:] == pytest.approx(grpo([0, 1]), rel=1e-5)


def test_several_sources_each_on_its_own():
    rows = [source("f", 1.0), source("g", 1.0), source("h", 0.0), rollout(1.0), rollout(0.0)]
    rows += [continuation("f", r) for r in (1.0, 0.0)] + [continuation("g", r) for r in (1.0, 1.0)]
    result = advantages(rows)
    assert result[0] == pytest.approx(grpo([1, 0, 0, 1, 0])[0], rel=1e-5)
    assert result[1] == pytest.approx(grpo([0, 1, 0, 1, 0])[1], rel=1e-5)
    assert result[2:5] == pytest.approx(grpo([0, 0, 0, 1, 0])[2:], rel=1e-5)
    assert result[5:7] == pytest.approx(grpo([1, 0]), rel=1e-5)
    assert result[7:] == [0.0, 0.0]  # all four right: nothing to tell them apart


def test_a_source_may_have_lost_its_continuations():
    assert advantages([source("f", 0.0), rollout(0.0)]) == [0.0, 0.0]


def test_group_of_one_has_mean_0_and_std_1():
    result = advantages([rollout(1.0), source("f", 1.0, question="p"), continuation("f", 1.0, question="p")])
    assert result == pytest.approx([1 / (1 + 1e-6)] * 2 + [0.0])


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_a_lone_continuation_has_no_baseline(reward):
    assert advantages([source("f", reward), rollout(0.0), continuation("f", reward)])[2] == 0.0


def test_without_std():
    rows = [source("f", 1.0), rollout(0.0), continuation("f", 1.0), continuation("f", 0.0)]
    assert advantages(rows, norm_adv_by_std_in_grpo=False) == [0.5, 0.0, 0.5, -0.5]


def test_extra_arguments_of_verl_are_ignored():
    assert advantages([rollout(1.0), rollout(0.0)], config=object(), reward_baselines=None, gamma=1.0)


@pytest.mark.parametrize("convert", [list, np.array, lambda values: np.array(values, dtype=object), torch.tensor])
def test_columns_may_be_lists_arrays_or_tensors(convert):
    rewards = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    result, _ = compute_axpo_advantage(
        rewards,
        torch.ones(4, 1, dtype=torch.int64),
        convert([5, 5, 5, 5]),
        role=convert([1, 0, 2, 2]),
        prefix_group=convert([7, -1, 7, 7]),  # -1 where a column cannot hold None
        recovery_reward=convert([1.0, math.nan, math.nan, math.nan]),
    )
    half = math.sqrt(0.5)
    assert result.squeeze(-1).tolist() == pytest.approx([0.0, half, half, -half], abs=1e-5)


ERRORS = {
    "role": [("q", 3, 0.0, None, None, (1, 1, 1, 1))],
    "prefix_group is missing on row 0, a SOURCE": [source(None, 1.0)],
    "prefix_group is missing on row 1, a CONTINUATION": [rollout(0.0), continuation(None, 1.0)],
    "no SOURCE row": [rollout(0.0), continuation("f", 1.0)],
    "two SOURCE rows": [source("f", 1.0), source("f", 1.0)],
    "recovery_reward of SOURCE row 0": [source("f", None)],
    "recovery_reward of SOURCE row 1": [rollout(0.0), source("f", math.nan)],
    "index of CONTINUATION row 1": [source("f", 1.0), continuation("f", 1.0, question="p")],
}


@pytest.mark.parametrize("message, rows", ERRORS.items(), ids=ERRORS.keys())
def test_errors(message, rows):
    with pytest.raises(ValueError, match=message):
        advantages(rows)


@pytest.mark.parametrize("name", ["index", "role", "prefix_group", "recovery_reward"])
@pytest.mark.parametrize("value", [[0], None])
def test_columns_of_the_wrong_length(name, value):
    columns = dict(index=[0, 0], role=[0, 0], prefix_group=[None] * 2, recovery_reward=[None] * 2) | {name: value}
    with pytest.raises(ValueError, match=name):
        compute_axpo_advantage(torch.zeros(2, 3), torch.ones(2, 3), **columns)


def test_mask_of_the_wrong_shape():
    with pytest.raises(ValueError, match="response_mask"):
        compute_axpo_advantage(
            torch.zeros(2, 3),
            torch.ones(2, 4),
            [0, 0],
            role=[0, 0],
            prefix_group=[None] * 2,
            recovery_reward=[None] * 2,
        )


# ---------------------------------------------------------------- properties

rewards_strategy = st.sampled_from([0.0, 1.0, 0.5])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-2, 2, width=32), st.integers(0, 15)), min_size=1, max_size=12),
    st.booleans(),
    st.sampled_from([torch.int64, torch.float32, torch.bool]),
)
def test_without_branches_it_is_verls_grpo_bit_for_bit(rows, by_std, mask_dtype):
    index = np.array([f"uid-{question}" for question, _, _ in rows], dtype=object)
    mask = torch.tensor([[bits >> t & 1 for t in range(T)] for _, _, bits in rows]).to(mask_dtype)
    rewards = torch.zeros(len(rows), T)
    rewards[:, -1] = torch.tensor([reward for _, reward, _ in rows])
    expected, _ = compute_grpo_outcome_advantage(rewards.clone(), mask, index, norm_adv_by_std_in_grpo=by_std)
    none = np.array([None] * len(rows), dtype=object)
    result, _ = compute_axpo_advantage(
        rewards,
        mask,
        index,
        role=np.zeros(len(rows), dtype=np.int64),
        prefix_group=none,
        recovery_reward=none,
        norm_adv_by_std_in_grpo=by_std,
    )
    assert torch.equal(result, expected)


@st.composite
def branched_batches(draw):
    rows = []
    for question in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 5))
        for session in range(size):
            reward = draw(rewards_strategy)
            if draw(st.booleans()):
                fork = f"{question}/{session}"
                recovered = [draw(rewards_strategy) for _ in range(draw(st.integers(0, 4)))]
                rows.append(source(fork, float(1.0 in recovered), reward=reward, question=question))
                rows += [continuation(fork, r, question=question) for r in recovered]
            else:
                rows.append(rollout(reward, question=question))
    return rows


def reference(rows):
    def normalise(values, position, alone):
        return grpo(values)[position] if len(values) > 1 else alone

    result = []
    for i, (question, role, _, group, recovery, _) in enumerate(rows):
        if role == CONTINUATION:
            peers = [j for j, row in enumerate(rows) if row[1] == CONTINUATION and row[3] == group]
        else:
            peers = [j for j, row in enumerate(rows) if row[1] != CONTINUATION and row[0] == question]
        values = [recovery if j == i and role == SOURCE else rows[j][2] for j in peers]
        result.append(normalise(values, peers.index(i), 0.0 if role == CONTINUATION else values[0]))
    return result


@settings(deadline=None, max_examples=60)
@given(branched_batches())
def test_matches_reference(rows):
    assert advantages(rows) == pytest.approx(reference(rows), rel=1e-4, abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(branched_batches(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows, rng):
    order = list(range(len(rows)))
    rng.shuffle(order)
    straight, shuffled = advantages(rows), advantages([rows[i] for i in order])
    assert shuffled == pytest.approx([straight[i] for i in order], rel=1e-5, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(branched_batches())
def test_unselected_rollouts_do_not_notice_recoveries(rows):
    """They keep, to the bit, what they have when nothing was resampled; in an all-wrong group that is zero."""
    plain = [rollout(row[2], question=row[0]) for row in rows if row[1] != CONTINUATION]
    kept = [i for i, row in enumerate(rows) if row[1] != CONTINUATION]
    before, after = advantages(plain), advantages(rows)
    for position, i in enumerate(kept):
        if rows[i][1] == ROLLOUT:
            assert after[i] == before[position]
            if all(row[2] == 0 for row in rows if row[0] == rows[i][0] and row[1] != CONTINUATION):
                assert after[i] == 0.0
