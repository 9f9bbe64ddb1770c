# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One place where the questions of a batch meet: the budget is the batch's, its questions run on many workers.

A worker hands in each of its questions when its rollouts have settled. It learns which prefixes to resample as soon as
no completion of the batch can change that (``selection.decided``), and hands in their outcomes. The coordinator also
keeps the figures of the Thinking-Acting Gap, which only the settled groups show, until the trainer collects them.

Nothing here waits for ever. A question that is late, or whose worker has died, is given up: it is left out of the
batch, the others go on, and the log and the step's report name it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from recipe.axpo.config import AXPOConfig
from recipe.axpo.forks import NoForkReason
from recipe.axpo.metrics import StepReport
from recipe.axpo.selection import Candidate, SettledRollout, decided, num_candidates, prefix_budget

logger = logging.getLogger(__name__)

REPORT_SECONDS = 120.0  # how often to say what a batch is waiting for


class QuestionGivenUp(RuntimeError):
    """Raised in a worker that hands in a question which the batch no longer waits for."""


@dataclass
class _Batch:
    """A batch on its way: groups settle one by one, prefixes are selected, outcomes come in, rows are written."""

    expected: int = 0
    announced: bool = False  # all of it
    rollouts_per_question: int = 0
    places: dict[str, int] = field(default_factory=dict)  # question -> its place in the batch
    workers: dict[str, str] = field(default_factory=dict)  # question -> who runs it
    groups: dict[str, list[SettledRollout]] = field(default_factory=dict)
    no_fork: Counter[str] = field(default_factory=Counter)
    considered: int = 0  # groups at the last look for what is decided
    undecided: dict[str, asyncio.Future] = field(default_factory=dict)
    selected: dict[str, list[Candidate]] = field(default_factory=dict)  # question -> its selected prefixes
    order: list[Candidate] = field(default_factory=list)  # all of them, most urgent first, once all have settled
    branched: dict[str, list[list[float | None]]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)  # their rows and status are published
    given_up: dict[str, str] = field(default_factory=dict)  # question -> why
    fault: Exception | None = None
    tool_calls: list[Any] = field(default_factory=list)
    cached: list[tuple[int, int]] = field(default_factory=list)  # (cached, all) prompt tokens of continuations
    all_settled: asyncio.Event = field(default_factory=asyncio.Event)
    all_branched: asyncio.Event = field(default_factory=asyncio.Event)
    all_finished: asyncio.Event = field(default_factory=asyncio.Event)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)  # seconds of the event loop's clock
    waited: list[float] = field(default_factory=list)  # seconds from a question's settling to its decision


class BatchCoordinator:
    """Budget, deadlines and book-keeping of a batch, keyed by the trainer's global step.

    Args:
        options: the AXPO options.
        branching: False for GRPO: nothing is selected and no question waits. The figures are kept in both cases.
    """

    def __init__(self, options: AXPOConfig, branching: bool):
        self.options = options
        self.branching = branching
        self._steps: dict[Any, _Batch] = {}
        self._closed: set[Any] = set()
        self._validation_calls: list[Any] = []

    # --------------------------------------------------------------- batch

    async def open(
        self,
        step: Any,
        num_questions: int,
        rollouts_per_question: int,
        questions: Sequence[str] = (),
        workers: Sequence[str] = (),
        more: bool = False,
    ) -> None:
        """Announce a batch (or one more part of it) before its questions are handed to the workers.

        Args:
            step: the trainer's global step, or the name of a validation batch.
            num_questions: questions announced.
            rollouts_per_question: N.
            questions: their uids in the batch's order, which breaks ties.
            workers: name of the worker of each question, for messages.
            more: further parts of the batch will be announced; nothing is decided before.

        Raises:
            ValueError: prefixes of the batch have been selected already: its budget cannot grow any more.
        """
        batch = self._batch(step)
        if self.branching and batch.expected and (batch.selected or batch.all_settled.is_set()):
            raise ValueError(
                f"step {step}: {num_questions} more questions were announced after prefixes of its "
                f"{batch.expected} questions had been selected; the budget is the whole batch's, so nothing may refill "
                "a batch: trainer.v1.sampler.sync_refill_failed_groups and algorithm.filter_groups.enable must be false"
            )
        batch.places.update({question: len(batch.places) + i for i, question in enumerate(questions)})
        batch.workers.update(zip(questions, workers, strict=bool(workers)))
        batch.expected += num_questions
        batch.rollouts_per_question, batch.announced = rollouts_per_question, not more
        for event in (batch.all_settled, batch.all_branched, batch.all_finished):
            event.clear()
        self._advance(step, batch)

    def _batch(self, step: Any) -> _Batch:
        """Return the batch of a step; the first mention starts its clock."""
        if step not in self._steps:
            batch = self._steps[step] = _Batch()
            loop = asyncio.get_running_loop()
            batch.times["opened"] = loop.time()
            batch.timers.append(loop.call_later(self.options.barrier_timeout_s, self._barrier_deadline, step))
            batch.timers.append(loop.call_later(REPORT_SECONDS, self._say, step))
        return self._steps[step]

    # ------------------------------------------------------------ question

    async def settle(
        self, step: Any, question: str, rollouts: list[SettledRollout], no_fork: Mapping[str, int]
    ) -> list[Candidate]:
        """Hand in one question's settled group; returns its selected prefixes, most urgent first.

        Returns as soon as each of the question's candidates is certain to be selected or to be left out, whatever the
        questions still running bring; at once if it has none.

        Args:
            step: the trainer's global step.
            question: uid of the question.
            rollouts: its N sessions, failed ones with ``valid=False``; empty if the whole question failed.
            no_fork: tool-using rollouts without a fork, counted by reason (``forks.NoForkReason``).

        Raises:
            QuestionGivenUp: the batch no longer waits for this question.
            ValueError: the question was handed in before, or more questions than were announced.
            RuntimeError: selecting the batch's prefixes has failed; every waiting question gets this error.
        """
        if step in self._closed:
            raise QuestionGivenUp(f"question {question} settled after step {step} was closed")
        batch = self._batch(step)
        if question in batch.given_up:
            raise QuestionGivenUp(f"question {question} of step {step} was given up: {batch.given_up[question]}")
        if question in batch.groups:
            raise ValueError(f"question {question} of step {step} was handed in twice")
        if batch.expected and len(batch.groups) >= batch.expected and batch.given_up:
            raise QuestionGivenUp(f"question {question} settled after step {step} had given up the questions missing")
        if batch.expected and len(batch.groups) >= batch.expected:
            raise ValueError(f"question {question} was never announced: step {step} has {batch.expected} questions")
        batch.groups[question], broken = _readable(rollouts)
        batch.no_fork.update(no_fork)
        batch.no_fork.update(broken)
        loop = asyncio.get_running_loop()
        batch.times.setdefault("first_settled", loop.time())
        if not self.branching:
            self._advance(step, batch)
            return []
        settled, batch.undecided[question] = loop.time(), loop.create_future()
        decision = batch.undecided[question]
        self._advance(step, batch)
        selected = await decision
        if self._num_candidates(batch.groups[question]):
            batch.waited.append(loop.time() - settled)
        return selected

    async def branched(self, step: Any, question: str, outcomes: list[list[float | None]]) -> None:
        """Hand in what became of a question's selected prefixes: rewards of their continuations, None if failed."""
        batch = self._steps.get(step)
        if batch is not None and question not in batch.given_up:
            batch.branched[question] = outcomes
            batch.times["last_branched"] = asyncio.get_running_loop().time()
            self._advance(step, batch)

    async def finish(self, step: Any, question: str, published: bool, cached: Iterable[tuple[int, int]] = ()) -> None:
        """Say that nothing more will come from a question, whatever has become of it.

        Args:
            published: whether its rows and its status are in the TransferQueue. If not, it is given up.
            cached: prompt tokens that the engine found in its prefix cache, and all of them, of each continuation.
        """
        batch = self._steps.get(step)
        if batch is None or question in batch.given_up:
            return
        batch.cached += cached
        if published:
            batch.finished.add(question)
            batch.groups.setdefault(question, [])  # questions of a validation never settle
            self._advance(step, batch)
        else:
            self._give_up(step, batch, {question: "its worker could not finish it"})

    # ------------------------------------------------------------- deciding

    def _advance(self, step: Any, batch: _Batch) -> None:
        """Do what the batch's state allows: select prefixes, wake who waits."""
        loop = asyncio.get_running_loop()
        if not batch.announced:
            return
        running = batch.expected - len(batch.groups)
        if self.branching and batch.fault is None and batch.considered < len(batch.groups):
            batch.considered = len(batch.groups)
            try:
                self._decide(step, batch, running)
            except Exception as error:
                logger.exception("step %s: selecting prefixes failed", step)
                batch.fault = RuntimeError(f"step {step}: selecting prefixes failed: {type(error).__name__}: {error}")
        if batch.fault is not None:
            for question in list(batch.undecided):
                self._wake(batch, question, batch.fault)
            for event in (batch.all_settled, batch.all_branched, batch.all_finished):
                event.set()
        if running <= 0 and not batch.all_settled.is_set():
            batch.all_settled.set()
            batch.times["last_settled"] = loop.time()
            batch.timers.append(loop.call_later(self.options.close_timeout_s, self._close_deadline, step))
        if batch.all_settled.is_set() and not self._unbranched(batch):
            batch.all_branched.set()
        if len(batch.finished) + len(batch.given_up) >= batch.expected:
            batch.all_finished.set()

    def _decide(self, step: Any, batch: _Batch, running: int) -> None:
        """Tell every question whose candidates are all certain or lost."""
        names = sorted(batch.groups, key=lambda q: (batch.places.get(q, math.inf), len(str(q)), str(q)))
        # A candidate goes by its question's place, not by its uid: uids are random, and so would be seeded rankings.
        keys = {batch.places.get(question, question): question for question in names}
        certain, lost = decided(
            {key: batch.groups[question] for key, question in keys.items()},
            num_questions=batch.expected,
            rollouts_per_question=batch.rollouts_per_question,
            budget=self._budget(batch),
            trigger=self.options.trigger,
            ranking=self.options.ranking,
            correct_threshold=self.options.correct_threshold,
            seed=hash((self.options.seed, step)),
        )
        certain = [replace(candidate, question=keys[candidate.question]) for candidate in certain]
        left_out = Counter(keys[candidate.question] for candidate in lost)
        for question in list(batch.undecided):
            wanted = self._num_candidates(batch.groups[question])
            chosen = [candidate for candidate in certain if candidate.question == question]
            if wanted and running and not self.options.early_release:
                continue
            if len(chosen) + left_out[question] == wanted:
                if chosen:
                    batch.selected[question] = chosen
                    batch.times.setdefault("first_selected", asyncio.get_running_loop().time())
                self._wake(batch, question, chosen)
        if not running:
            batch.order = [candidate for candidate in certain if candidate.question in batch.selected]

    def _num_candidates(self, group: Sequence[SettledRollout]) -> int:
        options = self.options
        return num_candidates(group, trigger=options.trigger, correct_threshold=options.correct_threshold)

    @staticmethod
    def _wake(batch: _Batch, question: str, result: list[Candidate] | Exception) -> None:
        """Give a waiting question its selection, or the error that ends its waiting."""
        decision = batch.undecided.pop(question)
        if decision.done():  # its waiter was cancelled
            return
        if isinstance(result, Exception):
            decision.set_exception(result)
        else:
            decision.set_result(result)

    def _budget(self, batch: _Batch) -> int:
        if not self.branching:
            return 0
        return prefix_budget(
            batch.expected, batch.rollouts_per_question, self.options.continuations, self.options.budget_ratio
        )

    @staticmethod
    def _unbranched(batch: _Batch) -> list[str]:
        return [question for question in batch.selected if question not in batch.branched]

    # ------------------------------------------------------------- deadlines

    async def give_up(self, step: Any, questions: Sequence[str], reason: str) -> None:
        """Stop waiting for those of ``questions`` that have not finished: their worker has died, for example."""
        batch = self._steps.get(step)
        if batch is not None:
            self._give_up(step, batch, {q: reason for q in questions if q not in batch.finished})

    def _give_up(self, step: Any, batch: _Batch, reasons: Mapping[str, str]) -> None:
        for question, reason in reasons.items():
            if question in batch.given_up:
                continue
            logger.error("step %s: question %s is left out: %s", step, self._name(batch, question), reason)
            batch.given_up[question] = reason
            # Its candidates keep their place: prefixes were selected and refused on account of them.
            batch.groups.setdefault(question, [])
            if question in batch.undecided:
                self._wake(batch, question, QuestionGivenUp(f"question {question}: {reason}"))
            batch.branched[question] = [[None] * self.options.continuations for _ in batch.selected.get(question, ())]
        self._advance(step, batch)

    def _barrier_deadline(self, step: Any) -> None:
        batch = self._steps.get(step)
        if batch is None or batch.all_settled.is_set():
            return
        reason = f"it had not settled within axpo.barrier_timeout_s={self.options.barrier_timeout_s:g} s"
        late = [question for question in batch.places if question not in batch.groups]
        unnamed = batch.expected - len(batch.groups) - len(late)
        late += [f"number {i} of {unnamed} announced without a name" for i in range(unnamed)]
        batch.announced = True
        self._give_up(step, batch, dict.fromkeys(late, reason))

    def _close_deadline(self, step: Any) -> None:
        batch = self._steps.get(step)
        if batch is None:
            return
        reason = (
            f"it was not finished within axpo.close_timeout_s={self.options.close_timeout_s:g} s of the last settling"
        )
        late = [q for q in batch.places if q not in batch.finished and q not in batch.given_up]
        self._give_up(step, batch, dict.fromkeys([*late, *self._unbranched(batch)], reason))

    @staticmethod
    def _name(batch: _Batch, question: str) -> str:
        return f"{question} on {batch.workers[question]}" if question in batch.workers else str(question)

    def _say(self, step: Any) -> None:
        """Log what a batch is waiting for, now and then."""
        batch = self._steps.get(step)
        if batch is None:
            return
        if not batch.all_settled.is_set():
            missing = [q for q in batch.places if q not in batch.groups]
            done = f"{len(batch.groups)} of {batch.expected} questions have settled"
        else:
            missing = [q for q in batch.places if q not in batch.finished and q not in batch.given_up]
            left = len(self._unbranched(batch))
            done = f"{len(batch.selected) - left} of {len(batch.selected)} selected questions were resampled"
        names = [self._name(batch, question) for question in missing[:3]] + ["..."] * (len(missing) > 3)
        waiting = f"; waiting for {', '.join(names)}" if names else ""
        logger.warning("step %s: %s%s", step, done, waiting)
        batch.timers.append(asyncio.get_running_loop().call_later(REPORT_SECONDS, self._say, step))

    # --------------------------------------------------------------- figures

    async def tool_calls(self, step: Any, calls: list[Any], validate: bool = False) -> None:
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

    async def validation_calls(self) -> list[Any]:
        """Return the calls of the validation that has just ended, and forget them."""
        calls, self._validation_calls = self._validation_calls, []
        return calls

    async def finished(self, step: Any) -> dict[str, str]:
        """Wait until every question of a step has finished or was given up; returns the latter and why.

        Raises:
            RuntimeError: selecting the batch's prefixes has failed.
        """
        batch = self._batch(step)
        await batch.all_finished.wait()
        if batch.fault is not None:
            raise batch.fault
        return dict(batch.given_up)

    async def close(self, step: Any) -> StepReport:
        """Return the finished batch's report and forget the batch. A step that was never opened has an empty report.

        Raises:
            RuntimeError: selecting the batch's prefixes has failed.
        """
        if step not in self._steps:
            return StepReport({}, (), (), {}, 0)
        batch = self._steps[step]
        await batch.all_settled.wait()  # both end: the deadlines give up what is late
        await batch.all_branched.wait()
        del self._steps[step]
        self._closed.add(step)
        for timer in batch.timers:
            timer.cancel()
        if batch.fault is not None:
            raise batch.fault
        lost = [SettledRollout(i, 0.0, False, (), valid=False) for i in range(batch.rollouts_per_question)]
        return StepReport(
            groups={q: lost if q in batch.given_up else group for q, group in batch.groups.items()},
            selected=batch.order,
            outcomes=[outcome for q, outcomes in batch.branched.items() for outcome in outcomes],
            no_fork=dict(batch.no_fork),
            budget=self._budget(batch),
            trigger=self.options.trigger,
            correct_threshold=self.options.correct_threshold,
            tool_calls=batch.tool_calls,
            given_up=dict(batch.given_up),
            cached=tuple(batch.cached),
            timing=_timing(batch.times, batch.waited),
        )


def _readable(rollouts: Iterable[SettledRollout]) -> tuple[list[SettledRollout], Counter[str]]:
    """Leave out forks whose confidence is not a finite number and rollouts whose reward is none; count the former."""
    kept, broken = [], Counter()
    for rollout in rollouts:
        spans = tuple(span for span in rollout.spans if math.isfinite(span.confidence))
        if rollout.spans and not spans:
            broken[NoForkReason.NAN.value] += 1
        valid = rollout.valid and math.isfinite(rollout.reward)
        kept.append(replace(rollout, spans=spans, valid=valid, reward=rollout.reward if valid else 0.0))
    return kept, broken


def _timing(times: Mapping[str, float], waited: Sequence[float]) -> dict[str, float]:
    """Return the step's timers in seconds, and the share of the resampling that ran before the last rollout settled."""
    timing = {"barrier_wait": math.fsum(waited) / len(waited) if waited else 0.0}
    for name in ("first_settled", "last_settled"):
        if name in times:
            timing[name] = times[name] - times["opened"]
    if "first_selected" in times and "last_branched" in times:
        whole = times["last_branched"] - times["first_selected"]
        hidden = (
            min(times.get("last_settled", times["last_branched"]), times["last_branched"]) - times["first_selected"]
        )
        timing["continuations"] = whole
        timing["hidden_share"] = max(0.0, hidden) / whole if whole > 0 else 0.0
    return {f"timing_s/axpo/{name}": seconds for name, seconds in timing.items()}


def coordinator_name() -> str:
    """Return the name of this Ray job's coordinator."""
    return f"axpo_coordinator_{ray.get_runtime_context().get_job_id()}"


def start_coordinator(options: AXPOConfig, branching: bool):
    """Start the job's coordinator, or find it where it runs already."""
    # Every question of a batch waits in one call; Ray's default allows 1,000 at a time.
    remote_class = ray.remote(num_cpus=0, max_concurrency=1_000_000)(BatchCoordinator)
    return remote_class.options(name=coordinator_name(), get_if_exists=True).remote(options, branching)


def get_coordinator():
    """Return the job's coordinator, from any of its processes."""
    return ray.get_actor(coordinator_name())
