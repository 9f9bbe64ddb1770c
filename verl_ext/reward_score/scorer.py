# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Scores responses: extraction, rules, judge. Training and evaluation use the same object."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, get_args

from verl_ext.reward_score.extract import Extracted, Thinking, extract
from verl_ext.reward_score.judge import ANSWER_CHARS, MESSAGE_CHARS, Judge, JudgeOptions, read_options
from verl_ext.reward_score.row import Row, RowError, read_row
from verl_ext.reward_score.rules import Verdict, fallback_kind, judge_by_rules

OPTIONS = "reward.custom_reward_function.reward_kwargs"
SHOWN_CHARS = 1_000  # of an answer, in the dumped rollouts
_WHOLE_MESSAGE = frozenset({"math_vr", "math_vr_train"})  # their answers have several parts


class Scorer:
    """Scores the data sources of `row.DEFAULT_TYPES`; safe in several threads and event loops.

    Args:
        judge: options of the judge; without one, rows that need it are errors, or go by rules if they say so.
        thinking: see `extract.final_message`.

    Raises:
        ValueError: an option does not fit; the message names it.
    """

    def __init__(self, judge: JudgeOptions | None = None, thinking: Thinking = "auto"):
        if thinking not in get_args(Thinking):
            raise ValueError(f"thinking must be one of {', '.join(get_args(Thinking))}, got {thinking!r}")
        self.options = judge or JudgeOptions()
        self.thinking = thinking
        self.judge = Judge(self.options) if self.options.enabled else None

    async def score(
        self, data_source: str, solution: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Score a response.

        Returns:
            ``score`` and ``acc`` (0.0 or 1.0), ``extracted`` (what was taken for the answer, at most `SHOWN_CHARS`
            characters), ``method``; None if the data source is not one of ours.

        Raises:
            JudgeError: the judge gives no verdict.
            ToolInfrastructureError: math-verify's process cannot be had.
            RowError: the row's data cannot be scored, or it needs a judge and none is configured.
        """
        # in a thread: rules are short, but a comparison by math-verify may take a second
        result = await asyncio.to_thread(self._by_rules, data_source, solution, ground_truth, extra_info)
        if isinstance(result, tuple):
            result = await self._by_judge(*result)
        return None if result is None else _as_dict(result)

    def score_sync(
        self, data_source: str, solution: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """`score` for callers without an event loop; blocks until the verdict is there."""
        result = self._by_rules(data_source, solution, ground_truth, extra_info)
        if isinstance(result, tuple):
            result = run(self._by_judge(*result))
        return None if result is None else _as_dict(result)

    def _by_rules(self, data_source, solution, ground_truth, extra_info) -> Verdict | tuple[Row, Extracted] | None:
        """The verdict, or what the judge has to decide, or None for other data sources."""
        row = read_row(data_source, ground_truth, extra_info)
        if row is None:
            return None
        if row.type != "judge":
            return judge_by_rules(row, extract(solution, self.thinking))
        if self.judge is None and self.options.fallback is None:
            raise RowError(
                f"{data_source}: this row needs a judge: set {OPTIONS}.judge.base_url and .model (any "
                f"OpenAI-compatible API), or {OPTIONS}.judge.fallback=rules to compare by rules"
            )
        found = extract(solution, self.thinking)
        if not found.text:
            return Verdict(False, "", "none")
        exact = judge_by_rules(row, found, "exact")
        if exact.correct:
            return exact  # saves a call
        if self.judge is None:
            return judge_by_rules(row, found, fallback_kind(row))
        return row, found

    async def _by_judge(self, row: Row, found: Extracted) -> Verdict:
        if row.dataset in _WHOLE_MESSAGE:
            candidate = found.message[-MESSAGE_CHARS:]
        else:
            candidate = found.text[:ANSWER_CHARS] if found.marked else found.message[-ANSWER_CHARS:]
        correct = await self.judge.correct(row.question, row.truths, candidate)
        return Verdict(correct, found.text, "judge")


def _as_dict(verdict: Verdict) -> dict[str, Any]:
    score = float(verdict.correct)
    return {"score": score, "acc": score, "extracted": verdict.extracted[:SHOWN_CHARS], "method": verdict.method}


def get_scorer(judge: Mapping[str, Any] | None = None, thinking: Thinking = "auto") -> Scorer:
    """The scorer for these options, made once in a process: it holds connections, a cache and a limit.

    Args:
        judge: the options of `JudgeOptions` as a mapping, or None.
        thinking: see `extract.final_message`.

    Raises:
        ValueError: an option does not fit; the message names it.
    """
    with _lock:
        return _scorer(json.dumps(dict(judge or {}), sort_keys=True), thinking)


_lock = threading.Lock()


@functools.cache
def _scorer(judge: str, thinking: Thinking) -> Scorer:
    return Scorer(read_options(json.loads(judge)), thinking)


def run(work: Coroutine) -> Any:
    """Await something from code that has no event loop, or must not block its own."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for all of a process, so that connections are kept and the judge's limit holds over all threads."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="scoring", daemon=True).start()
    return loop
