# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Entropies: of a distribution, of a call, and in the order of the candidates."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.axpo.forks import ToolCallSpan, entropy, with_entropies
from recipe.axpo.selection import SettledRollout, restrict_spans, select_prefixes


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=40), st.integers(1, 40))
def test_entropy_is_a_lower_bound_and_exact_where_all_tokens_are_known(weights, known):
    total = sum(weights)
    probabilities = sorted((weight / total for weight in weights), reverse=True)
    exact = -sum(p * math.log(p) for p in probabilities)
    found = entropy(math.log(p) for p in probabilities[:known])
    assert -1e-9 <= found <= exact + 1e-9
    if known >= len(probabilities) - 1:  # one token is left out, or none
        assert found == pytest.approx(exact, abs=1e-6)


def test_entropy_of_a_sure_token_is_0():
    assert entropy([0.0, -math.inf]) == 0.0


def test_a_span_has_the_mean_of_its_own_tokens():
    # two turns of three tokens around a tool's answer of two; verl cut the last generated token
    mask = [1, 1, 1, 0, 0, 1, 1]
    spans = [ToolCallSpan(1, 1, 3, 2, 0.5), ToolCallSpan(2, 5, 7, 6, 0.5)]
    found = with_entropies(spans, mask, [0.1, 0.2, 0.4, 1.0, 3.0, 9.0])
    assert [span.entropy for span in found] == pytest.approx([0.3, 2.0]) and list(found) == spans
    with pytest.raises(ValueError, match="5 generated tokens have 4 entropies"):
        with_entropies(spans, mask, [0.0] * 4)


def test_the_most_uncertain_call_comes_first_and_a_missing_entropy_is_an_error():
    def rollout(session, entropies):
        span = ToolCallSpan(1, 0, 2, 1, 0.5)
        spans = with_entropies([span], [1, 1], entropies) if entropies else (span,)
        return SettledRollout(session, 0.0, True, spans)

    groups = {"q": [rollout(0, [0.1, 0.3]), rollout(1, [0.9, 0.1]), rollout(2, [0.2, 0.2])]}
    chosen = select_prefixes(groups, budget=3, ranking="entropy", seed=0)
    assert [candidate.session for candidate in chosen] == [1, 0, 2]
    with pytest.raises(ValueError, match="ranking entropy: the rollout engine returned nothing"):
        select_prefixes({"q": [rollout(0, None)]}, budget=1, ranking="entropy", seed=0)


def test_arpos_place_is_that_of_the_highest_entropy_or_else_the_least_confident():
    spans = [
        ToolCallSpan(turn, 3 * turn, 3 * turn + 1, 3 * turn, confidence) for turn, confidence in ((2, 0.9), (3, 0.1))
    ]
    assert restrict_spans(spans, "after_answer") == (spans[1],)
    found = with_entropies(spans, [1] * 10, [0.0] * 6 + [2.0] + [0.0] * 2 + [1.0])
    assert restrict_spans(found, "after_answer") == (found[0],)
