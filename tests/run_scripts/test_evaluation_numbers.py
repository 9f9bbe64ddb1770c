# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import numpy as np
import pytest

from run_scripts.evaluation.numbers import Estimate, Figure, mean_of, pass_at_k, resample


def test_pass_at_k_is_the_share_of_subsets_that_hold_a_correct_sample():
    for n in range(1, 8):
        for correct in range(n + 1):
            answers = [True] * correct + [False] * (n - correct)
            for k in range(1, n + 1):
                subsets = list(itertools.combinations(answers, k))
                assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


def test_pass_at_k_does_not_overflow():
    exact = 1 - math.comb(1900, 700) / math.comb(2000, 700)
    assert pass_at_k(2000, 100, 700) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("numbers", [(4, 5, 1), (4, -1, 1), (4, 1, 5), (4, 1, 0)])
def test_pass_at_k_refuses_what_is_not_defined(numbers):
    with pytest.raises(ValueError, match="is not defined"):
        pass_at_k(*numbers)


def test_a_figure_is_the_mean_over_groups_of_each_groups_ratio():
    figure = Figure.of([(0, 0, 1, 1), (1, 0, 0, 1), (2, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 3)], 3)
    assert figure.value == pytest.approx((2 / 3 + 2 / 4) / 2)
    weights = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    drawn = figure.drawn(weights)
    assert drawn[0] == pytest.approx((2 / 3 + 3 / 5) / 2)
    assert np.isnan(drawn[1])  # the second group is not in this draw
    assert math.isnan(Figure.of([], 0).value)


def test_draws_are_repeatable_and_have_the_right_size():
    draws = resample(7, seed=3, draws=500)
    assert draws.shape == (500, 7) and (draws.sum(axis=1) == 7).all()
    assert (draws == resample(7, seed=3, draws=500)).all() and (draws != resample(7, seed=4, draws=500)).any()


def test_intervals_cover_the_truth():
    """4 samples each of 80 questions of unlike difficulty: 95 % intervals hold the truth 95 % of the time, nearly."""
    rng = np.random.default_rng(0)
    trials, questions, samples = 400, 80, 4
    held = {1: 0, 4: 0}
    # With difficulties from Beta(0.5, 0.5) the truth is known: E[p], and E[1 - (1 - p)^4] by its moments.
    truth = {1: 0.5, 4: 1 - math.prod((0.5 + i) / (1 + i) for i in range(4))}
    for trial in range(trials):
        right = rng.binomial(samples, rng.beta(0.5, 0.5, size=questions))
        weights = resample(questions, trial, 500)
        for k in held:
            entries = [(i, 0, pass_at_k(samples, int(c), k), 1) for i, c in enumerate(right)]
            figure = Figure.of(entries, questions)
            estimate = Estimate.of(figure.value, figure.drawn(weights))
            held[k] += estimate.low <= truth[k] <= estimate.high
    for k, count in held.items():
        assert 0.91 <= count / trials <= 0.98, (k, count / trials)


def test_units_widen_the_interval_of_questions_that_stand_and_fall_together():
    """Ten variants of each of 30 questions, all right or all wrong: 30 observations, not 300."""
    rng = np.random.default_rng(1)
    trials, held, naive = 300, 0, 0
    for trial in range(trials):
        right = rng.random(30) < 0.5
        together = Figure.of([(i, 0, float(r), 1) for i, r in enumerate(right) for _ in range(10)], 30)
        apart = Figure.of([(10 * i + j, 0, float(r), 1) for i, r in enumerate(right) for j in range(10)], 300)
        for figure, units in ((together, 30), (apart, 300)):
            estimate = Estimate.of(figure.value, figure.drawn(resample(units, trial, 400)))
            inside = estimate.low <= 0.5 <= estimate.high
            held, naive = held + (inside and units == 30), naive + (inside and units == 300)
    assert held / trials > 0.9 and naive / trials < 0.6


def test_the_mean_of_benchmarks_weighs_them_equally():
    small, large = Figure.of([(0, 0, 1, 1), (1, 0, 1, 1)], 2), Figure.of([(i, 0, 0, 1) for i in range(100)], 100)
    value, drawn = mean_of([small, large], seed=0, draws=50)
    assert value == 0.5 and (drawn == 0.5).all()
