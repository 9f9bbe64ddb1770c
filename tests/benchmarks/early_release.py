# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what early release saves: generation time of AXPO relative to GRPO, with a scripted rollout engine.

    python -m tests.benchmarks.early_release [--seeds 30] [--json FILE]

The coordinator and the selection are the real ones. The rollout engine, the tools and the model are simulated on an
event loop with virtual time. Each seed draws the lengths of all rollouts and continuations once, and every policy runs
the same ones. The figures therefore compare schedules; they are not measurements of a GPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import random
import statistics
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any

from recipe.axpo.config import AXPOConfig
from recipe.axpo.coordinator import BatchCoordinator
from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.selection import Candidate, SettledRollout, is_triggered, prefix_budget, select_prefixes
from tests.benchmarks.virtual_time import run

STEP = 1  # the coordinator's key of the simulated batch
NEVER = 1e9  # seconds; the deadlines of a run are no part of its schedule
OPTIONS = AXPOConfig(continuations=4, budget_ratio=0.25, barrier_timeout_s=NEVER, close_timeout_s=NEVER)


@dataclass(frozen=True)
class Assumptions:
    """What the simulation takes for granted: a thinking model of 8B parameters, one replica per H100.

    ``share_before_call`` was chosen with the barrier's rows in view (an earlier call makes longer continuations). No
    value was chosen with the rows of early release in view.

    Attributes:
        step_s: seconds of a decoding step with an empty batch: 16 GB of weights at 2.3 TB/s take 7 ms, and the
            engine's scheduler adds 2 ms.
        step_per_sequence_s: seconds that each running sequence adds to the step: its KV cache of 4,000 tokens, 147 KB
            each, at the same bandwidth.
        prefill_tokens_per_s: 16 GFLOP a token at 40 % of the 989 TFLOPS of the data sheet. Running sequences stall
            meanwhile, which is what chunked prefill amounts to.
        prompt_tokens: an image of about 1,000 tokens, the question and the schemas of the tools.
        response_tokens: most tokens of a response, tool results included (``data.max_response_length`` in the README).
        median_tokens: median of the generated tokens of a rollout without a tool. The mean is 2,500: thinking models
            write 2,000 to 3,000 tokens for a visual question.
        spread_of_questions, spread_of_turns: standard deviations of the logarithm of a length, for what the turns of a
            question have in common and for what differs from turn to turn. Together they are 0.7, with which 2 % of
            the rollouts without a tool reach the limit.
        share_before_call: median tokens before the first call, as a share of ``median_tokens``. Each turn after a
            tool result has the rest as its median. A model looks at the image early, and thinks about what it sees.
        call_tokens: tokens of a tool call, both tags included.
        result_tokens: tokens of a tool result: a crop, or the output of a program.
        tool_s, spread_of_tools: median of a call's seconds, and standard deviation of its logarithm. A crop takes
            less than the median, a search or a program more.
        act_rate: rollouts that call a tool (the paper: about 30 %).
        all_wrong_rate: questions whose acting rollouts are all wrong, of those with any (the paper: about 40 %). With
            8 rollouts, 38 % of the questions are expected to trigger.
        another_call_rate: tool results after which the model calls a tool again. The paper reports no figure, and
            most of its tasks need one crop.
        max_turns: assistant turns of a trajectory, as in the paper's runs.
        recovery_rate: correct continuations, so that 12 % of the prefixes have one, as in the paper. Rewards of
            continuations have no effect on time.
    """

    step_s: float = 0.009
    step_per_sequence_s: float = 0.00025
    prefill_tokens_per_s: float = 25_000.0
    prompt_tokens: int = 1_500
    response_tokens: int = 8_192
    median_tokens: float = 2_000.0
    spread_of_questions: float = 0.4
    spread_of_turns: float = 0.57
    share_before_call: float = 0.25
    call_tokens: int = 60
    result_tokens: int = 400
    tool_s: float = 1.0
    spread_of_tools: float = 1.0
    act_rate: float = 0.30
    all_wrong_rate: float = 0.40
    another_call_rate: float = 0.3
    max_turns: int = 3
    recovery_rate: float = 0.03


ASSUMPTIONS = Assumptions()


@dataclass(frozen=True)
class Batch:
    """A batch and the engine that generates it.

    Attributes:
        name: what the table calls it.
        questions, rollouts: B and N.
        slots: sequences that a replica's KV cache holds.
        replicas: replicas of the rollout engine.
        seeds: share of the command's seeds to run.
    """

    name: str
    questions: int
    rollouts: int
    slots: int
    replicas: int = 8
    seeds: float = 1.0


BATCHES = (
    Batch("one node", questions=128, rollouts=8, slots=40),
    # 26 sequences per slot. The batch is large: a few seeds give a small standard error.
    Batch("throughput-bound", questions=256, rollouts=16, slots=20, seeds=1 / 3),
    # No sequence ever waits for a slot.
    Batch("latency-bound", questions=64, rollouts=8, slots=256),
)


@dataclass(frozen=True)
class Policy:
    """A way to schedule a batch.

    Attributes:
        name: what the table calls it.
        branching: False for GRPO.
        early_release: ``axpo.early_release``.
        on_source: place continuations on the replica of their source, where its KV cache may still be. Otherwise the K
            continuations of a prefix go together to the replica with the fewest requests.
    """

    name: str
    branching: bool = True
    early_release: bool = False
    on_source: bool = False


GRPO = Policy("GRPO", branching=False)
BARRIER_ON_SOURCE = Policy("barrier, source's replica", on_source=True)
BARRIER = Policy("barrier, least loaded", on_source=False)
EARLY = Policy("early release, least loaded", early_release=True)
AXPO_POLICIES = (BARRIER_ON_SOURCE, BARRIER, EARLY)


# ---------------------------------------------------------------- workload


@dataclass(frozen=True)
class Turn:
    """An assistant turn: tokens to generate, and the seconds of the tool call that ends it (None: an answer)."""

    tokens: int
    tool_s: float | None = None


@dataclass(frozen=True)
class Continuation:
    """What a continuation will do, and the reward it gets."""

    turns: tuple[Turn, ...]
    reward: float


@dataclass(frozen=True)
class Rollout:
    """What a rollout will do, whenever and wherever it runs.

    Attributes:
        turns: its assistant turns.
        settled: what it hands to the coordinator.
        continuations: the K continuations from its fork; empty if it has none.
    """

    turns: tuple[Turn, ...]
    settled: SettledRollout
    continuations: tuple[Continuation, ...] = ()


Workload = Mapping[str, Sequence[Rollout]]  # question -> its rollouts


def draw_workload(batch: Batch, seed: int, assumptions: Assumptions = ASSUMPTIONS) -> Workload:
    """Draw every rollout of a batch, and every continuation that any selection may ask for."""
    rng = random.Random(seed)
    return {f"q{i}": _Question(assumptions, rng).rollouts(batch.rollouts) for i in range(batch.questions)}


class _Question:
    """Draw the rollouts of one question."""

    def __init__(self, assumptions: Assumptions, rng: random.Random):
        self._assumptions, self._rng = assumptions, rng
        self._median = assumptions.median_tokens * rng.lognormvariate(0.0, assumptions.spread_of_questions)
        self._reward = float(rng.random() >= assumptions.all_wrong_rate)  # of its rollouts that act

    def rollouts(self, number: int) -> list[Rollout]:
        return [self._rollout(session) for session in range(number)]

    def _rollout(self, session: int) -> Rollout:
        given, rng = self._assumptions, self._rng
        acts = rng.random() < given.act_rate
        thinking = self._tokens(given.share_before_call if acts else 1.0)
        turns = self._fitting(self._turns_from_call(thinking) if acts else [Turn(thinking)], given.response_tokens)
        if turns[0].tool_s is None:
            return Rollout(turns, SettledRollout(session, 0.0, used_tool=False, spans=()))
        continuations = [
            Continuation(
                self._fitting(self._turns_from_call(0), given.response_tokens - thinking),
                float(rng.random() < given.recovery_rate),
            )
            for _ in range(OPTIONS.continuations)
        ]
        # A probability below 0.5 is rare for the mean of a call's tokens. Only the order of the confidences matters.
        span = ToolCallSpan(1, thinking, turns[0].tokens, thinking + 1, confidence=rng.uniform(0.5, 1.0))
        return Rollout(turns, SettledRollout(session, self._reward, True, (span,)), tuple(continuations))

    def _tokens(self, share: float) -> int:
        return math.ceil(share * self._median * self._rng.lognormvariate(0.0, self._assumptions.spread_of_turns))

    def _turns_from_call(self, thinking: int) -> Iterator[Turn]:
        """Draw a turn that calls a tool after ``thinking`` tokens, perhaps further ones, and the answer."""
        given, rng = self._assumptions, self._rng
        for turn in range(1, given.max_turns):
            yield Turn(thinking + given.call_tokens, rng.lognormvariate(math.log(given.tool_s), given.spread_of_tools))
            thinking = self._tokens(1 - given.share_before_call)
            if turn + 1 == given.max_turns or rng.random() >= given.another_call_rate:
                break
        yield Turn(thinking)

    def _fitting(self, turns: Iterable[Turn], left: int) -> tuple[Turn, ...]:
        """Cut turns off where the response is full. A call that is cut off is never executed."""
        fitting = []
        for turn in turns:
            if turn.tokens >= left:
                return (*fitting, Turn(left))
            fitting.append(turn)
            left -= turn.tokens + self._assumptions.result_tokens
            if left <= 0:
                break
        return tuple(fitting)


# ---------------------------------------------------------------- simulated rollout engine


@dataclass(eq=False)
class _Request:
    """One generation request.

    Attributes:
        sequence: who asks; the requests of one sequence extend the same tokens.
        context: tokens before the first generated one.
        tokens: tokens to generate.
        beginnings: key -> length of a beginning of its tokens that has this key. While the request is in the KV
            cache, others with the same key read that beginning instead of computing it.
    """

    sequence: tuple
    context: int
    tokens: int
    beginnings: Mapping[Any, int]
    done: asyncio.Future = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    admitted: float = 0.0


class Replica:
    """Simulate a replica: requests are admitted in order of arrival and share the speed of decoding.

    Its KV cache has ``slots`` places. A finished sequence keeps its place, for later requests with the same beginning,
    until a running one needs it; the one that finished first goes first.
    """

    def __init__(self, slots: int, assumptions: Assumptions):
        self.in_flight = 0
        self._slots = slots
        self._assumptions = assumptions
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Request] = deque()
        self._running: list[tuple[float, int, _Request]] = []  # heap by the work at which each is done
        self._kept: OrderedDict[tuple, Mapping[Any, int]] = OrderedDict()  # finished sequences in the KV cache
        self._cached: Counter = Counter()  # keys in the KV cache
        self._work = 0.0  # tokens that a sequence would have generated that runs since the start
        self._worked_until = 0.0
        self._stalled_until = 0.0  # by prefill
        self._timer: asyncio.TimerHandle | None = None
        self._number = count()

    async def generate(self, request: _Request) -> None:
        """Return when all tokens of a request have been generated."""
        self.in_flight += 1
        self._waiting.append(request)
        self._admit()
        await request.done
        self.in_flight -= 1

    def _admit(self) -> None:
        if not self._waiting or len(self._running) >= self._slots:
            return
        self._progress()
        while self._waiting and len(self._running) < self._slots:
            request = self._waiting.popleft()
            request.admitted = self._loop.time()
            known = max((length for key, length in request.beginnings.items() if self._cached[key]), default=0)
            prefill = (request.context - known) / self._assumptions.prefill_tokens_per_s
            self._stalled_until = max(self._loop.time(), self._stalled_until) + prefill
            self._cached.subtract(self._kept.pop(request.sequence, {}).keys())
            self._cached.update(request.beginnings.keys())
            heappush(self._running, (self._work + request.tokens, next(self._number), request))
            while len(self._kept) > self._slots - len(self._running):
                _, beginnings = self._kept.popitem(last=False)
                self._cached.subtract(beginnings.keys())
        self._set_timer()

    def _progress(self) -> None:
        """Bring the work up to now. Needed before the number of running sequences changes, or a stall begins."""
        now = self._loop.time()
        self._work += max(0.0, now - max(self._worked_until, self._stalled_until)) / self._step_s()
        self._worked_until = now

    def _step_s(self) -> float:
        return self._assumptions.step_s + self._assumptions.step_per_sequence_s * len(self._running)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._running:
            left = max(0.0, self._running[0][0] - self._work)
            start = max(self._loop.time(), self._stalled_until)
            self._timer = self._loop.call_at(start + left * self._step_s(), self._finish)

    def _finish(self) -> None:
        self._progress()
        while self._running and self._running[0][0] <= self._work + 1e-3:  # the clock's rounding, in tokens
            _, _, request = heappop(self._running)
            self._kept[request.sequence] = request.beginnings
            request.done.set_result(None)
        self._admit()
        self._set_timer()


class Engine:
    """Simulate the replicas and verl's load balancer, which is sticky by request id and else counts requests."""

    def __init__(self, batch: Batch, assumptions: Assumptions):
        self._replicas = [Replica(batch.slots, assumptions) for _ in range(batch.replicas)]
        self._placed: dict[Any, Replica] = {}

    async def generate(self, request_id: Any, request: _Request) -> None:
        """Generate on the replica of ``request_id``: for a new one, the replica with the fewest requests."""
        if request_id not in self._placed:
            self._placed[request_id] = min(self._replicas, key=lambda replica: replica.in_flight)
        await self._placed[request_id].generate(request)


# ---------------------------------------------------------------- one batch under one policy


@dataclass(frozen=True)
class Result:
    """What one policy made of one batch.

    Attributes:
        generation_s: virtual seconds from the batch's announcement until all its questions have finished.
        last_settled_s: virtual seconds until the last of the N rollouts of the last question has settled.
        hidden_time: share of the resampling's time, from the first selection to the last continuation, that passes
            before the last rollout settles. This is the coordinator's own figure.
        hidden_tokens: share of the continuations' tokens that are generated before the last rollout settles.
        selected: prefixes, most urgent first.
        groups: settled groups, as the coordinator has them.
        sampled: (question, session, k) of the continuations that were sampled.
    """

    generation_s: float
    last_settled_s: float
    hidden_time: float
    hidden_tokens: float
    selected: tuple[Candidate, ...]
    groups: Mapping[str, Sequence[SettledRollout]]
    sampled: frozenset[tuple[str, int, int]]


class _Simulation:
    """Run the questions of one batch as the agent-loop workers do."""

    def __init__(self, batch: Batch, policy: Policy, workload: Workload, assumptions: Assumptions):
        self._batch, self._policy, self._workload, self._assumptions = batch, policy, workload, assumptions
        self._coordinator = BatchCoordinator(replace(OPTIONS, early_release=policy.early_release), policy.branching)
        self._engine = Engine(batch, assumptions)
        self._loop = asyncio.get_running_loop()
        self._sampled: set[tuple[str, int, int]] = set()
        self._spans: list[tuple[float, float, int]] = []  # of continuations' turns: admission, end, tokens

    async def result(self) -> Result:
        questions = list(self._workload)
        await self._coordinator.open(STEP, len(questions), self._batch.rollouts, questions)
        await asyncio.gather(*(self._question(question) for question in questions))
        given_up = await self._coordinator.finished(STEP)
        end = self._loop.time()
        report = await self._coordinator.close(STEP)
        if given_up:
            raise RuntimeError(f"{len(given_up)} questions were given up: {given_up}")
        last_settled = report.timing["timing_s/axpo/last_settled"]
        return Result(
            generation_s=end,
            last_settled_s=last_settled,
            hidden_time=report.timing.get("timing_s/axpo/hidden_share", 0.0),
            hidden_tokens=self._hidden_tokens(last_settled),
            selected=tuple(report.selected),
            groups=report.groups,
            sampled=frozenset(self._sampled),
        )

    def _hidden_tokens(self, last_settled: float) -> float:
        hidden = math.fsum(
            tokens * min(1.0, max(0.0, last_settled - start) / (end - start)) for start, end, tokens in self._spans
        )
        return hidden / max(1, sum(tokens for _, _, tokens in self._spans))

    async def _question(self, question: str) -> None:
        rollouts = self._workload[question]
        await asyncio.gather(*(self._rollout(question, rollout) for rollout in rollouts))
        settled = [rollout.settled for rollout in rollouts]
        selected = await self._coordinator.settle(STEP, question, settled, {})
        if selected:
            branches = [rollouts[candidate.session].continuations for candidate in selected]
            await asyncio.gather(
                *(
                    self._continuation(question, candidate, k, continuation)
                    for candidate, continuations in zip(selected, branches, strict=True)
                    for k, continuation in enumerate(continuations)
                )
            )
            outcomes = [[continuation.reward for continuation in continuations] for continuations in branches]
            await self._coordinator.branched(STEP, question, outcomes)
        await self._coordinator.finish(STEP, question, published=True)

    async def _rollout(self, question: str, rollout: Rollout) -> None:
        name, prompt = (question, rollout.settled.session), self._assumptions.prompt_tokens
        await self._session(name, name, rollout.turns, prompt, {question: prompt})

    async def _continuation(self, question: str, candidate: Candidate, k: int, continuation: Continuation) -> None:
        source, prompt = (question, candidate.session), self._assumptions.prompt_tokens
        self._sampled.add((*source, k))
        request_id = source if self._policy.on_source else ("prefix", *source)
        prefix = prompt + candidate.span.fork
        beginnings = {question: prompt, source: prefix}
        self._spans += await self._session(request_id, (*source, k), continuation.turns, prefix, beginnings)

    async def _session(
        self, request_id: Any, sequence: tuple, turns: Sequence[Turn], context: int, beginnings: Mapping[Any, int]
    ) -> list[tuple[float, float, int]]:
        """Run the turns of one session; return admission, end and tokens of each."""
        spans, own = [], 0
        for turn in turns:
            request = _Request(sequence, context, turn.tokens, {**beginnings, sequence: own})
            await self._engine.generate(request_id, request)
            spans.append((request.admitted, self._loop.time(), turn.tokens))
            own = context = context + turn.tokens
            if turn.tool_s is not None:
                await asyncio.sleep(turn.tool_s)
                context += self._assumptions.result_tokens
        return spans


def simulate(batch: Batch, policy: Policy, workload: Workload, assumptions: Assumptions = ASSUMPTIONS) -> Result:
    """Run one batch under one policy, in virtual time.

    Raises:
        RuntimeError: the coordinator gave up a question, so the batch is not the one that was asked for.
    """

    async def main() -> Result:
        return await _Simulation(batch, policy, workload, assumptions).result()

    return run(main())


# ---------------------------------------------------------------- comparison


def compare(batch: Batch, seed: int, assumptions: Assumptions = ASSUMPTIONS) -> dict[str, Result]:
    """Run one batch under every policy; return the results by the policies' names.

    Raises:
        AssertionError: two policies would train different rows.
    """
    workload = draw_workload(batch, seed, assumptions)
    results = {policy.name: simulate(batch, policy, workload, assumptions) for policy in (GRPO, *AXPO_POLICIES)}
    settled = {question: [rollout.settled for rollout in rollouts] for question, rollouts in workload.items()}
    budget = prefix_budget(batch.questions, batch.rollouts, OPTIONS.continuations, OPTIONS.budget_ratio)
    selected = tuple(select_prefixes(settled, budget=budget))
    sampled = {(prefix.question, prefix.session, k) for prefix in selected for k in range(OPTIONS.continuations)}
    for name, result in results.items():
        wanted = (settled, (), set()) if name == GRPO.name else (settled, selected, sampled)
        if (result.groups, result.selected, result.sampled) != wanted:
            raise AssertionError(f"{batch.name}, seed {seed}: under {name!r} other rows would be trained")
    return results


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error, which is None for a single value."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return statistics.fmean(values), error


def figures(results: Sequence[Mapping[str, Result]]) -> dict[str, Any]:
    """Summarise the results of all seeds; ratios are taken seed by seed."""
    grpo = [result[GRPO.name] for result in results]
    summary: dict[str, Any] = {
        "seeds": len(results),
        "grpo_generation_s": mean_and_error([result.generation_s for result in grpo]),
        "triggered": statistics.fmean(is_triggered(group) for result in grpo for group in result.groups.values()),
        "selected": statistics.fmean(len(result[BARRIER.name].selected) for result in results),
        "policies": {},
    }
    for policy in AXPO_POLICIES:
        own = [result[policy.name] for result in results]
        ratios = [result.generation_s / base.generation_s for result, base in zip(own, grpo, strict=True)]
        summary["policies"][policy.name] = {
            "generation_over_grpo": mean_and_error(ratios),
            "hidden_time": statistics.fmean(result.hidden_time for result in own),
            "hidden_tokens": statistics.fmean(result.hidden_tokens for result in own),
            "generation_over_grpo_by_seed": ratios,
        }
    early, barrier = (summary["policies"][p.name]["generation_over_grpo_by_seed"] for p in (EARLY, BARRIER))
    summary["early_minus_barrier"] = mean_and_error([a - b for a, b in zip(early, barrier, strict=True)])
    return summary


def table(batch: Batch, summary: Mapping[str, Any]) -> str:
    """Lay out one batch's figures as text."""
    lines = [
        f"{batch.name}: {batch.questions} questions x {batch.rollouts} rollouts, {batch.replicas} replicas x "
        f"{batch.slots} slots, {summary['seeds']} seeds",
        f"  {summary['triggered']:.0%} of the questions trigger, {summary['selected']:.1f} prefixes are selected, GRPO "
        f"generates for {_with_error(*summary['grpo_generation_s'], digits=0)} s",
        f"  {'policy':<30}{'generation / GRPO':>20}{'hidden time':>14}{'hidden tokens':>16}",
    ]
    for name, row in summary["policies"].items():
        ratio = _with_error(*row["generation_over_grpo"])
        lines.append(f"  {name:<30}{ratio:>20}{row['hidden_time']:>14.0%}{row['hidden_tokens']:>16.0%}")
    lines.append(f"  {'early release minus barrier':<30}{_with_error(*summary['early_minus_barrier']):>20}")
    return "\n".join(lines)


def _with_error(mean: float, error: float | None, digits: int = 3) -> str:
    return f"{mean:.{digits}f}" + ("" if error is None else f" +- {error:.{digits}f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = _parse(arguments)
    if options.questions or options.rollouts or options.slots:
        changes = {name: value for name in ("questions", "rollouts", "slots") if (value := getattr(options, name))}
        batches = (replace(BATCHES[0], name="your batch", **changes),)
    else:
        batches = BATCHES
    summaries = []
    for batch in batches:
        seeds = max(1, round(batch.seeds * options.seeds))
        summary = figures([compare(batch, seed) for seed in range(seeds)])
        summaries.append({"batch": asdict(batch), **summary})
        print(table(batch, summary), end="\n\n", flush=True)
    print("hidden: share of the resampling's time, and of its tokens, before the last rollout of the batch settles")
    if options.json:
        document = {"assumptions": asdict(ASSUMPTIONS), "options": asdict(OPTIONS), "batches": summaries}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.early_release",
        description="Simulate the generation time of AXPO relative to GRPO, with and without early release.",
    )
    parser.add_argument("--seeds", type=_positive, default=30, help="workloads of a batch (else 30; a third if large)")
    parser.add_argument("--questions", type=_positive, help="run one batch only, with this many questions (else 128)")
    parser.add_argument("--rollouts", type=_positive, help="the same, rollouts of a question (else 8)")
    parser.add_argument("--slots", type=_positive, help="the same, running sequences that a replica holds (else 40)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and assumptions to this file")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    # It would report every two virtual minutes what each batch is waiting for.
    logging.getLogger("recipe.axpo.coordinator").setLevel(logging.ERROR)
    main()
