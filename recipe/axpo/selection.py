# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Which prefixes are resampled: the trigger, the ranking and the breadth-first budget (AXPO, section 2, steps 2-4).

A question triggers when its tool-using rollouts are all wrong. Each of them is then a candidate for resampling, the
one whose tool call the policy was least sure of first. ``TRIGGERS``, ``FORKS`` and ``RANKINGS`` hold these choices and
the ablations beside them. The budget belongs to the batch, not to a question, and is
spent breadth first: every triggered question gets its best candidate before any gets its second.

``decided`` says which of these choices are already certain while some questions are still running.

Pure functions: no model, no tensors, and the same input always gives the same selection.
"""

import math
import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from recipe.axpo.forks import ToolCallSpan


@dataclass(frozen=True)
class SettledRollout:
    """A finished rollout of one question, reward included.

    Attributes:
        session: number of the rollout within its group, unique there.
        reward: outcome reward.
        used_tool: whether it belongs to the tool-using subgroup (`forks.used_tool`).
        spans: the forks it offers, in order of position; may be empty although a tool was used.
        valid: False after an infrastructure failure. Such a rollout is not a wrong answer and counts nowhere.
    """

    session: int
    reward: float
    used_tool: bool
    spans: tuple[ToolCallSpan, ...]
    valid: bool = True


@dataclass(frozen=True)
class Candidate:
    """A prefix that may be resampled: rollout `session` of `question`, cut at `span.fork`."""

    question: Hashable
    session: int
    span: ToolCallSpan


def _first(spans: Sequence[ToolCallSpan]) -> ToolCallSpan:
    return min(spans, key=lambda span: span.start)


def _least_confident(spans: Sequence[ToolCallSpan]) -> ToolCallSpan:
    # NaN compares as neither smaller nor larger and could hide behind a number; put it first, where it is reported.
    return min(spans, key=lambda span: (not math.isnan(span.confidence), span.confidence, span.start))


def _most_uncertain(spans: Sequence[ToolCallSpan]) -> ToolCallSpan:
    """Return the span of the highest entropy, or the least confident one where the engine returned no entropies."""
    if any(math.isnan(span.entropy) for span in spans):
        return _least_confident(spans)
    return max(spans, key=lambda span: (span.entropy, -span.start))


class Trigger(NamedTuple):
    """Say which rollouts are looked at, and how many of them must be wrong; the wrong ones are then the candidates."""

    used_tool: bool  # the tool-using rollouts, or the others
    wrong: Callable[[Iterable[bool]], bool]  # of whether each of them is wrong


# trigger -> when a question's rollouts are resampled
TRIGGERS: Mapping[str, Trigger] = {
    "all_wrong": Trigger(True, all),  # the paper's
    "partly_wrong": Trigger(True, any),
    "no_tool_all_wrong": Trigger(False, all),  # an ablation of the paper's; its rollouts have no call to fork at
}


class ForkPolicy(NamedTuple):
    """Say which fork of a rollout is taken, of those that it offers, and where rollouts are cut to offer any."""

    choose: Callable[[Sequence[ToolCallSpan]], ToolCallSpan]
    cut: str = "call"  # one of ``forks.CUTS``


# fork policy -> the fork of a rollout
FORKS: Mapping[str, ForkPolicy] = {
    "first": ForkPolicy(_first),  # the paper's
    "last": ForkPolicy(lambda spans: max(spans, key=lambda span: span.start)),
    "least_confident": ForkPolicy(_least_confident),
    "from_scratch": ForkPolicy(lambda spans: replace(_first(spans), fork=0)),  # an empty prefix: whole new rollouts
    "after_answer": ForkPolicy(_most_uncertain, cut="answer"),  # ARPO's
    "after_thinking": ForkPolicy(_first, cut="thinking"),
}

# ranking -> score of a candidate; the lowest is resampled first. A score is a function of the candidate and the seed
# alone, so that a candidate's place does not depend on which questions have settled before.
RANKINGS: Mapping[str, Callable[[Candidate, int], float]] = {
    "confidence": lambda candidate, seed: candidate.span.confidence,  # the paper's
    "random": lambda candidate, seed: random.Random(f"{seed}/{candidate.question}/{candidate.session}").random(),
    "entropy": lambda candidate, seed: -candidate.span.entropy,
    "most_confident": lambda candidate, seed: -candidate.span.confidence,
}


def wrong_rollouts(
    rollouts: Sequence[SettledRollout], *, trigger: str = "all_wrong", correct_threshold: float = 1.0
) -> list[SettledRollout]:
    """Return the rollouts for which a question triggers, in order of session: none if it does not.

    Args:
        rollouts: the group of one question.
        trigger: a name in ``TRIGGERS``.
        correct_threshold: a reward of at least this counts as correct.

    Raises:
        ValueError: unknown trigger.
    """
    if trigger not in TRIGGERS:
        raise ValueError(f"trigger must be one of {', '.join(TRIGGERS)}; got {trigger!r}")
    used_tool, enough = TRIGGERS[trigger]
    members = [rollout for rollout in rollouts if rollout.valid and rollout.used_tool == used_tool]
    wrong = [rollout for rollout in members if rollout.reward < correct_threshold]
    fires = bool(wrong) and enough(rollout.reward < correct_threshold for rollout in members)
    return sorted(wrong, key=lambda rollout: rollout.session) if fires else []


def is_triggered(
    rollouts: Sequence[SettledRollout], *, trigger: str = "all_wrong", correct_threshold: float = 1.0
) -> bool:
    """Return whether a question triggers: by default, if its valid tool-using rollouts are some and all wrong.

    Args:
        rollouts, trigger, correct_threshold: as in ``wrong_rollouts``.
    """
    return bool(wrong_rollouts(rollouts, trigger=trigger, correct_threshold=correct_threshold))


def num_candidates(
    rollouts: Sequence[SettledRollout], *, trigger: str = "all_wrong", correct_threshold: float = 1.0
) -> int:
    """Count the candidates of a question, which are the rollouts it triggers for that offer a fork.

    Args:
        rollouts, trigger, correct_threshold: as in ``wrong_rollouts``.
    """
    wrong = wrong_rollouts(rollouts, trigger=trigger, correct_threshold=correct_threshold)
    return sum(bool(rollout.spans) for rollout in wrong)


def prefix_budget(num_questions: int, rollouts_per_question: int, continuations: int, budget_ratio: float) -> int:
    """Compute how many prefixes a batch may resample: floor(r * B * N / K).

    Whole prefixes only, so at most r * B * N extra continuations are sampled; nothing is carried over between steps.

    Args:
        num_questions: B, questions in the batch, at least 0.
        rollouts_per_question: N, at least 1.
        continuations: K, continuations per selected prefix, at least 1.
        budget_ratio: r, extra continuations per ordinary rollout, at least 0.

    Raises:
        ValueError: a value out of its range or not finite, or a count that is not an integer; names the parameter.
    """
    questions = _count("num_questions", num_questions, minimum=0)
    rollouts = _count("rollouts_per_question", rollouts_per_question, minimum=1)
    per_prefix = _count("continuations", continuations, minimum=1)
    if not math.isfinite(budget_ratio) or budget_ratio < 0:
        raise ValueError(f"budget_ratio must be a finite number >= 0, got {budget_ratio}")
    # Through the decimal the user wrote: as floats, 0.29 * 100 is 28.999999999999996 and would lose a prefix.
    return math.floor(Fraction(str(budget_ratio)) * questions * rollouts / per_prefix)


def restrict_spans(spans: Sequence[ToolCallSpan], fork: str) -> tuple[ToolCallSpan, ...]:
    """Reduce the forks of one rollout to the one that the fork policy wants; empty if there is none.

    Args:
        spans: forks of one rollout, in any order, cut as the policy says.
        fork: a name in ``FORKS``.

    Raises:
        ValueError: unknown policy.
    """
    if fork not in FORKS:
        raise ValueError(f"fork must be one of {', '.join(FORKS)}; got {fork!r}")
    return (FORKS[fork].choose(spans),) if spans else ()


def select_prefixes(
    groups: Mapping[Hashable, Sequence[SettledRollout]],
    *,
    budget: int,
    trigger: str = "all_wrong",
    ranking: str = "confidence",
    correct_threshold: float = 1.0,
    seed: int = 0,
) -> list[Candidate]:
    """Choose at most ``budget`` prefixes of a batch, breadth first over the triggered questions.

    Candidates are the rollouts that questions trigger for (``wrong_rollouts``) and that offer a fork. A rollout is at
    most one candidate, at its least confident fork: its row in the batch can be frozen at one place only.
    (``restrict_spans`` beforehand implements fork policies.) Within a question the least confident comes first; all
    questions' first candidates, ordered by confidence, come before any second one. Ties go by the order of ``groups``,
    then session, then position.

    Args:
        groups: question -> its settled rollouts, the whole batch in the batch's own order.
        budget: ``prefix_budget(...)``, at least 0.
        trigger: a name in ``TRIGGERS``.
        ranking: a name in ``RANKINGS``. It orders a question's candidates, and the questions within each rank.
        correct_threshold: a reward of at least this counts as correct.
        seed: of the random ranking; pass one that changes with the step.

    Returns:
        Selected candidates, most urgent first.

    Raises:
        ValueError: unknown trigger or ranking, negative budget, or a candidate whose confidence is NaN.
    """
    _count("budget", budget, minimum=0)
    ranked = _ranked_candidates(groups, trigger, ranking, correct_threshold, seed)
    return [candidate for _, candidate in ranked[:budget]]


def decided(
    groups: Mapping[Hashable, Sequence[SettledRollout]],
    *,
    num_questions: int,
    rollouts_per_question: int,
    budget: int,
    trigger: str = "all_wrong",
    ranking: str = "confidence",
    correct_threshold: float = 1.0,
    seed: int = 0,
) -> tuple[list[Candidate], list[Candidate]]:
    """Split the candidates of a partly settled batch into those whose fate no completion of the batch can change.

    With U questions still to settle, each can put at most one candidate of every rank in front of a candidate. The
    candidate at place i (from 0) among the settled ones, of rank m (from 0) within its question, is therefore certain
    to be selected if ``i + U * min(m + 1, N) < budget``. It is lost if ``i >= budget``, since places only grow. With
    U = 0 the certain candidates are ``select_prefixes`` of the batch.

    Args:
        groups: the questions that have settled, in the batch's own order; the others are missing.
        num_questions: B, all questions of the batch.
        rollouts_per_question: N, which bounds the candidates of a question.
        budget, trigger, ranking, correct_threshold, seed: as in ``select_prefixes``. The random ranking gives a
            candidate the same place whatever else has settled.

    Returns:
        certain and lost candidates, most urgent first; undecided ones are in neither.

    Raises:
        ValueError: as ``select_prefixes``, or more groups than questions.
    """
    _count("budget", budget, minimum=0)
    unsettled = _count("num_questions", num_questions, minimum=0) - len(groups)
    if unsettled < 0:
        raise ValueError(f"num_questions is {num_questions}, but {len(groups)} groups have settled")
    most = _count("rollouts_per_question", rollouts_per_question, minimum=1)
    ranked = _ranked_candidates(groups, trigger, ranking, correct_threshold, seed)
    certain = [
        candidate for place, (rank, candidate) in enumerate(ranked) if place + unsettled * min(rank + 1, most) < budget
    ]
    return certain, [candidate for _, candidate in ranked[budget:]]


def _ranked_candidates(
    groups: Mapping[Hashable, Sequence[SettledRollout]], trigger: str, ranking: str, correct_threshold: float, seed: int
) -> list[tuple[int, Candidate]]:
    """Return (rank within its question, candidate) of all candidates, most urgent first."""
    if ranking not in RANKINGS:
        raise ValueError(f"ranking must be one of {', '.join(RANKINGS)}; got {ranking!r}")
    ranked: list[tuple[int, float, int, Candidate]] = []
    for order, (question, rollouts) in enumerate(groups.items()):
        scored = []
        for rollout in wrong_rollouts(rollouts, trigger=trigger, correct_threshold=correct_threshold):
            if not rollout.spans:
                continue
            candidate = Candidate(question, rollout.session, _least_confident(rollout.spans))
            if math.isnan(candidate.span.confidence):
                raise ValueError(
                    f"confidence of question {question!r}, session {rollout.session} is NaN: "
                    "the rollout's log-probabilities are broken"
                )
            score = RANKINGS[ranking](candidate, seed)
            if math.isnan(score):
                raise ValueError(f"ranking {ranking}: the rollout engine returned nothing to rank a call by")
            scored.append((score, candidate))
        scored.sort(key=lambda item: item[0])  # stable, so that ties stay in order of session
        ranked += [(rank, score, order, candidate) for rank, (score, candidate) in enumerate(scored)]
    ranked.sort(key=lambda item: item[:3])
    return [(rank, candidate) for rank, _, _, candidate in ranked]


def _count(name: str, value: int, *, minimum: int) -> int:
    if not math.isfinite(value) or int(value) != value or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value}")
    return int(value)
