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
"""One place where the questions of a batch meet: the budget is the batch's, its questions run on many workers.

Every worker settles each of its questions here and waits until the whole batch has settled; then the budget is allotted
once, breadth first, and each worker learns which of its prefixes to resample. The coordinator also keeps the figures of
the Thinking-Acting Gap, which only the settled groups show, until the trainer collects them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass, field

import ray

from recipe.axpo.config import AXPOConfig
from recipe.axpo.metrics import StepReport
from recipe.axpo.selection import Candidate, SettledRollout, prefix_budget, select_prefixes
from tools.metrics import CallRecord

logger = logging.getLogger(__name__)

REPORT_SECONDS = 120.0  # how often to say what a batch is waiting for


@dataclass
class _Step:
    """A batch on its way: groups settle one by one, then selections exist, then outcomes come in."""

    expected: int = 0
    rollouts_per_question: int = 0
    groups: dict[str, list[SettledRollout]] = field(default_factory=dict)
    no_fork: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    selected: list[Candidate] = field(default_factory=list)
    branched: dict[str, list[list[float | None]]] = field(default_factory=dict)
    tool_calls: list[CallRecord] = field(default_factory=list)
    all_settled: asyncio.Event = field(default_factory=asyncio.Event)
    all_branched: asyncio.Event = field(default_factory=asyncio.Event)


class BatchCoordinator:
    """Barrier, budget and book-keeping of a batch, keyed by the trainer's global step.

    Args:
        options: the AXPO options.
        branching: False for GRPO: nothing is selected and nobody waits; the figures are kept all the same.
    """

    def __init__(self, options: AXPOConfig, branching: bool):
        self.options = options
        self.branching = branching
        self._steps: dict[int, _Step] = defaultdict(_Step)
        self._validation_calls: list[CallRecord] = []

    async def open(self, step: int, num_questions: int, rollouts_per_question: int) -> None:
        """Announce a batch (or one more part of it) before its questions are handed to the workers."""
        batch = self._steps[step]
        batch.expected += num_questions
        batch.rollouts_per_question = rollouts_per_question

    async def settle(
        self, step: int, question: str, rollouts: list[SettledRollout], no_fork: dict[str, int]
    ) -> list[Candidate]:
        """Hand in one question's settled group; returns its selected prefixes once the whole batch has settled.

        Args:
            step: the trainer's global step.
            question: uid of the question.
            rollouts: its N sessions, failed ones with ``valid=False``; empty if the whole question failed.
            no_fork: tool-using rollouts without a fork, counted by reason (``forks.NoForkReason``).
        """
        batch = self._steps[step]
        batch.groups[question] = list(rollouts)
        for reason, count in no_fork.items():
            batch.no_fork[reason] += count
        if len(batch.groups) == batch.expected:
            if self.branching:
                batch.selected = self._select(step, batch)
            batch.all_settled.set()
            self._check_branched(batch)
        if not self.branching:
            return []
        await self._wait_for_all(step, batch, is_first=next(iter(batch.groups)) == question)
        return [candidate for candidate in batch.selected if candidate.question == question]

    async def _wait_for_all(self, step: int, batch: _Step, is_first: bool) -> None:
        while True:
            try:
                return await asyncio.wait_for(batch.all_settled.wait(), timeout=REPORT_SECONDS)
            except TimeoutError:
                if is_first:  # one voice is enough
                    logger.warning("step %s: %s of %s questions have settled", step, len(batch.groups), batch.expected)

    def _budget(self, batch: _Step) -> int:
        if not self.branching:
            return 0
        return prefix_budget(
            batch.expected, batch.rollouts_per_question, self.options.continuations, self.options.budget_ratio
        )

    def _select(self, step: int, batch: _Step) -> list[Candidate]:
        return select_prefixes(
            batch.groups,
            budget=self._budget(batch),
            ranking=self.options.ranking,
            correct_threshold=self.options.correct_threshold,
            seed=hash((self.options.seed, step)),
        )

    async def branched(self, step: int, question: str, outcomes: list[list[float | None]]) -> None:
        """Hand in what became of a question's selected prefixes: rewards of their continuations, None if failed."""
        batch = self._steps[step]
        batch.branched[question] = outcomes
        self._check_branched(batch)

    async def tool_calls(self, step: int, calls: list[CallRecord], validate: bool = False) -> None:
        """Hand in calls of tools, in parts of any size.

        A session's calls must be here before its question settles, a continuation's before its question has branched:
        what comes after ``close`` belongs to no report, and is only counted in the log.
        """
        if validate:
            self._validation_calls += calls
        elif step in self._steps:
            self._steps[step].tool_calls += calls
        else:
            logger.warning("step %s: %s calls of tools came too late for its figures", step, len(calls))

    async def validation_calls(self) -> list[CallRecord]:
        """The calls of the validation that has just ended; forgets them."""
        calls, self._validation_calls = self._validation_calls, []
        return calls

    def _check_branched(self, batch: _Step) -> None:
        waiting_for = {candidate.question for candidate in batch.selected} - set(batch.branched)
        if batch.all_settled.is_set() and not waiting_for:
            batch.all_branched.set()

    async def close(self, step: int) -> StepReport:
        """The finished batch's report; forgets the batch. Waits for questions that are still being handed in."""
        batch = self._steps[step]
        await batch.all_branched.wait()
        del self._steps[step]
        return StepReport(
            groups=batch.groups,
            selected=batch.selected,
            outcomes=[outcome for outcomes in batch.branched.values() for outcome in outcomes],
            no_fork=dict(batch.no_fork),
            budget=self._budget(batch),
            continuations=self.options.continuations,
            correct_threshold=self.options.correct_threshold,
            tool_calls=batch.tool_calls,
        )


def coordinator_name() -> str:
    """Name of this Ray job's coordinator."""
    return f"axpo_coordinator_{ray.get_runtime_context().get_job_id()}"


def start_coordinator(options: AXPOConfig, branching: bool):
    """Start the job's coordinator, or find it where it runs already."""
    # every question of a batch waits in one call; Ray's default allows 1,000 at a time
    remote_class = ray.remote(num_cpus=0, max_concurrency=1_000_000)(BatchCoordinator)
    return remote_class.options(name=coordinator_name(), get_if_exists=True).remote(options, branching)


def get_coordinator():
    """The job's coordinator, from any of its processes."""
    return ray.get_actor(coordinator_name())
