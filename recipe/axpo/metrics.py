# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The Thinking-Acting Gap, measured every step from the settled groups of the batch."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recipe.axpo.selection import Candidate, SettledRollout, wrong_rollouts


@dataclass(frozen=True)
class StepReport:
    """Hold what the coordinator knows of a finished batch.

    Attributes:
        groups: question -> its N settled rollouts, in their original state.
        selected: prefixes that were resampled.
        outcomes: for each of them the rewards of its continuations, None where one failed for infrastructure reasons.
        no_fork: rollouts of the trigger's subgroup that offer no fork, by reason.
        budget: prefixes the batch was allowed to resample.
        trigger, correct_threshold: the options of these names.
        tool_calls: one record for each tool call, continuations' calls included; a plugin makes metrics of them.
        given_up: questions that were left out of the batch, and why; their rollouts are invalid in ``groups``.
        cached: (tokens found in the engine's prefix cache, all tokens) of each continuation's first prompt.
        timing: seconds by metric key, see ``coordinator``.
    """

    groups: Mapping[Hashable, Sequence[SettledRollout]]
    selected: Sequence[Candidate]
    outcomes: Sequence[Sequence[float | None]]
    no_fork: Mapping[str, int]
    budget: int
    trigger: str = "all_wrong"
    correct_threshold: float = 1.0
    tool_calls: Sequence[Any] = ()
    given_up: Mapping[str, str] = field(default_factory=dict)
    cached: Sequence[tuple[int, int]] = ()
    timing: Mapping[str, float] = field(default_factory=dict)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def thinking_acting_gap(report: StepReport) -> dict[str, float]:
    """Compute the metrics of one step. A rate without a denominator (no tool was used, say) is left out.

    Keys (rates in 0..1):
        axpo/tool_use_rate: share of valid rollouts that called a tool.
        axpo/tool_all_wrong_rate: questions whose tool-using rollouts are all wrong, of those that have any.
        axpo/no_tool_all_wrong_rate: the same for the rollouts without a tool.
        axpo/tool_accuracy, axpo/no_tool_accuracy, axpo/accuracy: correct share of the rollouts with, without, any tool.
        axpo/triggered_questions, axpo/selected_prefixes: counts.
        axpo/budget, axpo/budget_used: prefixes allowed; share of them selected.
        axpo/recovery_rate: selected prefixes with at least one correct continuation, of those with any valid one.
        axpo/continuation_accuracy: correct share of the valid continuations.
        axpo/no_fork_found: tool-using rollouts without a fork (``axpo/no_fork/<reason>``: by reason). With
            ``axpo.trigger=no_tool_all_wrong`` the other rollouts.
        axpo/infra_failures: sessions and continuations left out because of infrastructure failures.
        axpo/call_confidence/{selected,unselected}: mean confidence of the selected and the other candidates.
        axpo/continuation_cache_hit_rate: share of the continuations' prefix tokens found in the engine's prefix cache.
    """

    def correct(reward: float | None) -> bool:
        return reward is not None and reward >= report.correct_threshold

    valid = {q: [r for r in group if r.valid] for q, group in report.groups.items()}
    rollouts = [r for group in valid.values() for r in group]
    metrics: dict[str, float] = {"axpo/accuracy": _share(sum(correct(r.reward) for r in rollouts), len(rollouts))}
    metrics["axpo/tool_use_rate"] = _share(sum(r.used_tool for r in rollouts), len(rollouts))
    for name, used in (("tool", True), ("no_tool", False)):
        subgroups = [[r for r in group if r.used_tool is used] for group in valid.values()]
        subgroups = [group for group in subgroups if group]
        all_wrong = sum(not any(correct(r.reward) for r in group) for group in subgroups)
        metrics[f"axpo/{name}_all_wrong_rate"] = _share(all_wrong, len(subgroups))
        members = [r for group in subgroups for r in group]
        metrics[f"axpo/{name}_accuracy"] = _share(sum(correct(r.reward) for r in members), len(members))

    wrong = {
        q: wrong_rollouts(group, trigger=report.trigger, correct_threshold=report.correct_threshold)
        for q, group in valid.items()
    }
    triggered = {q: rollouts for q, rollouts in wrong.items() if rollouts}
    continuations = [reward for outcome in report.outcomes for reward in outcome]
    settled = [[reward for reward in outcome if reward is not None] for outcome in report.outcomes]
    settled = [outcome for outcome in settled if outcome]
    metrics["axpo/triggered_questions"] = len(triggered)
    metrics["axpo/selected_prefixes"] = len(report.selected)
    metrics["axpo/budget"] = report.budget
    metrics["axpo/budget_used"] = _share(len(report.selected), report.budget)
    metrics["axpo/recovery_rate"] = _share(sum(any(map(correct, outcome)) for outcome in settled), len(settled))
    valid_continuations = [reward for outcome in settled for reward in outcome]
    metrics["axpo/continuation_accuracy"] = _share(sum(map(correct, valid_continuations)), len(valid_continuations))
    metrics["axpo/no_fork_found"] = sum(report.no_fork.values())
    metrics.update({f"axpo/no_fork/{reason}": count for reason, count in report.no_fork.items()})
    metrics["axpo/infra_failures"] = sum(
        not r.valid for group in report.groups.values() for r in group
    ) + continuations.count(None)

    metrics["axpo/continuation_cache_hit_rate"] = _share(
        sum(cached for cached, _ in report.cached), sum(tokens for _, tokens in report.cached)
    )

    chosen = {(c.question, c.session) for c in report.selected}
    others = [
        span.confidence
        for q, rollouts in triggered.items()
        for r in rollouts
        if (q, r.session) not in chosen
        for span in r.spans
    ]
    metrics["axpo/call_confidence/selected"] = _mean([c.span.confidence for c in report.selected])
    metrics["axpo/call_confidence/unselected"] = _mean(others)
    return {name: float(value) for name, value in metrics.items() if not math.isnan(value)}
