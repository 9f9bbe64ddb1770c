# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read what only the rollouts themselves show: recovered subgroups, their cost, and how different the calls are."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

GROUP = 8  # rollouts of a question that decide whether its tool-using subgroup is all wrong
DRAWS = (1, 4, 8, 16)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)

Row = Mapping[str, Any]  # a line of ``rollouts/<step>.jsonl``


@dataclass(frozen=True)
class Question:
    """Hold the rows of one question of a step.

    Attributes:
        group: its first ``GROUP`` rollouts.
        fresh: the rollouts beyond them, of a run with more.
        continuations: prefix -> its continuations.
    """

    group: Sequence[Row]
    fresh: Sequence[Row]
    continuations: Mapping[str, Sequence[Row]]

    @property
    def triggered(self) -> bool:
        """Return whether some rollout of the group used the tool and none of these is right."""
        used = [row for row in self.group if used_tool(row)]
        return bool(used) and not any(is_right(row) for row in used)

    @property
    def recovered(self) -> bool:
        """Return whether a continuation, or a fresh rollout that used the tool, is right."""
        resampled = [row for rows in self.continuations.values() for row in rows]
        return any(map(is_right, resampled)) or any(used_tool(row) and is_right(row) for row in self.fresh)

    def chance(self, n: int) -> float | None:
        """Return the chance that one of ``n`` draws is right; None if there are fewer than ``n`` draws.

        Draws are a prefix's continuations (then it is the mean over prefixes), or the fresh rollouts, of which only
        tool-using ones count as right.
        """
        draws = [[is_right(row) for row in rows] for rows in self.continuations.values()]
        draws = draws or [[used_tool(row) and is_right(row) for row in self.fresh]]
        if min(map(len, draws)) < n:
            return None
        return statistics.fmean(1 - comb(len(hits) - sum(hits), n) / comb(len(hits), n) for hits in draws)


def used_tool(row: Row) -> bool:
    """Return whether a rollout closed a tool call."""
    return _CALL.search(row["output"]) is not None


def is_right(row: Row) -> bool:
    """Return whether a rollout's own answer is right; a source row keeps its own score beside the prefix's reward."""
    return row["score"] >= 1.0


def read_questions(path: Path, group: int = GROUP) -> list[Question]:
    """Read a step's dump.

    Args:
        group: rollouts of a question that form its group; those with a later session number are fresh.
    """
    rows: dict[str, list[Row]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        rows.setdefault(row["question"], []).append(row)
    return [_question(found, group) for found in rows.values()]


def _question(rows: Iterable[Row], group: int) -> Question:
    first, fresh, continuations = [], [], {}
    for row in rows:
        if row.get("role") == "continuation":
            continuations.setdefault(row["prefix_group"], []).append(row)
        else:
            (first if row["session"] < group else fresh).append(row)
    return Question(first, fresh, continuations)


def step_figures(questions: Sequence[Question]) -> dict[str, float]:
    """Return a step's figures, by the names under which a run's summary has them.

    ``lab/triggered``: questions whose tool-using subgroup is all wrong; ``lab/offered``: of these, those with
    continuations or fresh rollouts; ``lab/recovered``: of these, those of which one is right.
    ``lab/found<n>``: the sum over offered questions of the chance that one of ``n`` such rollouts is right.
    ``lab/extra_tokens``: generated tokens beyond the groups, in continuations or fresh rollouts.
    ``lab/distinct_calls``: mean number of different calls among a prefix's continuations.
    """
    triggered = [question for question in questions if question.triggered]
    offered = [question for question in triggered if question.fresh or question.continuations]
    extra = [row for question in questions for row in question.fresh]
    extra += [row for question in questions for rows in question.continuations.values() for row in rows]
    found = {
        "lab/triggered": len(triggered),
        "lab/offered": len(offered),
        "lab/recovered": sum(question.recovered for question in offered),
        "lab/extra_tokens": sum(sum(row["response_mask"]) for row in extra),
    }
    calls = [distinct_calls(rows) for question in questions for rows in question.continuations.values()]
    if calls:
        found["lab/distinct_calls"] = statistics.fmean(calls)
    for n in DRAWS:
        if offered and (chances := [question.chance(n) for question in offered]) and None not in chances:
            found[f"lab/found{n}"] = sum(filter(None, chances))
    return found


def distinct_calls(rows: Sequence[Row]) -> int:
    """Return how many different first calls continuations of one prefix make; a broken call counts by its text."""
    return len({match[1].strip() if (match := _CALL.search(row["output"])) else row["output"] for row in rows})
