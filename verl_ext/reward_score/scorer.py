# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Score a response: extract the answer, compare by rules, ask the judge. Training and evaluation share this object."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Mapping
from typing import Any, get_args

from verl_ext.reward_score.extract import Extracted, Thinking, extract
from verl_ext.reward_score.judge import ANSWER_CHARS, MESSAGE_CHARS, Judge, JudgeOptions, read_options
from verl_ext.reward_score.pictures import Picture, pictures_of
from verl_ext.reward_score.row import RowError, ScoredRow, read_row
from verl_ext.reward_score.rules import Verdict, judge_by_rules, judge_by_tag
from verl_ext.reward_score.substance import says_something

OPTIONS = "reward.custom_reward_function.reward_kwargs"
SHOWN_CHARS = 1_000  # of an answer, in the dumped rollouts


class Scorer:
    """Scores rows whose ``scoring`` is known (see ``row.read_row``). It may be used in several threads and event loops.

    Args:
        judge: options of the judge. Without a judge, rows that need one raise an error, or are compared by rules if
            ``fallback`` says so.
        thinking: see ``extract.final_message``.

    Raises:
        ValueError: an option is invalid; the message names it.
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
            ``score`` and ``acc`` (0.0 or 1.0), ``extracted`` (the answer that was read, at most ``SHOWN_CHARS``
            characters) and ``method``. With the judge's option ``process_score``, also ``process_score``: the judge's
            points for an incorrect answer of a row with a rubric, elsewhere the accuracy. None if the row is not scored
            here.

        Raises:
            JudgeError: the judge gives no verdict.
            ToolInfrastructureError: the process that reads LaTeX cannot be started or does not answer.
            RowError: the row's data cannot be scored, or the row needs a judge and none is configured.
        """
        # A thread, because a comparison of formulas may take a second.
        result = await asyncio.to_thread(self._by_rules, data_source, solution, ground_truth, extra_info)
        process = None
        if isinstance(result, tuple):
            result, process = await self._by_judge(*result, extra_info)
        if result is None:
            return None
        score = float(result.correct)
        values = {"score": score, "acc": score, "extracted": result.extracted[:SHOWN_CHARS], "method": result.method}
        if self.options.process_score is not None:
            values["process_score"] = score if process is None else process
        if self.options.process_score == "reward":
            values["score"] = values["process_score"]
        return values

    def _by_rules(
        self, data_source, solution, ground_truth, extra_info
    ) -> Verdict | tuple[ScoredRow, Extracted] | None:
        """Return the verdict, or what the judge has to decide, or None for a row that is not scored here."""
        row = read_row(data_source, ground_truth, extra_info)
        if row is None:
            return None
        if row.type == "tag":
            return judge_by_tag(row, solution, self.thinking)
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
            return judge_by_rules(row, found, row.scoring.fallback or "text")
        return row, found

    async def _by_judge(
        self, row: ScoredRow, found: Extracted, extra_info: Mapping[str, Any] | None
    ) -> tuple[Verdict, float | None]:
        """Return the judge's verdict, and the process score if it was asked for."""
        if row.scoring.judge_reads == "message":
            candidate = found.message[-MESSAGE_CHARS:]
        else:
            candidate = found.text[:ANSWER_CHARS] if found.marked else found.message[-ANSWER_CHARS:]
        for said in (candidate, found.text) if found.marked else (candidate,):
            if not says_something(said, row.truths):
                return Verdict(False, found.text, "none"), None
        correct = await self.judge.correct(row.question, row.truths, candidate, self._pictures(row, extra_info))
        process, rubric = None, row.scoring.rubric
        if self.options.process_score is not None and rubric is not None and not correct:
            solution = found.message[-MESSAGE_CHARS:]
            process = await self.judge.process_score(row.question, row.truths, solution, rubric)
        return Verdict(correct, found.text, "judge"), process

    def _pictures(self, row: ScoredRow, extra_info: Mapping[str, Any] | None) -> tuple[Picture, ...]:
        if not self.options.send_image or row.scoring.judge_sees is None:
            return ()
        pictures = pictures_of((extra_info or {}).get("raw_prompt"), self.options.image_max_pixels)
        if not pictures:
            raise RowError(
                f"{row.data_source}: the judge must see the image, and extra_info['raw_prompt'] has none; switch "
                f"{OPTIONS}.judge.send_image off, or score with an agent loop that passes the prompt on"
            )
        return pictures


def get_scorer(judge: Mapping[str, Any] | None = None, thinking: Thinking = "auto") -> Scorer:
    """Return the process's scorer for these options. It is created once and holds connections, a cache and a limit.

    Args:
        judge: the options of ``JudgeOptions`` as a mapping, or None.
        thinking: see ``extract.final_message``.

    Raises:
        ValueError: an option is invalid; the message names it.
    """
    with _lock:
        return _scorer(json.dumps(dict(judge or {}), sort_keys=True), thinking)


_lock = threading.Lock()


@functools.cache
def _scorer(judge: str, thinking: Thinking) -> Scorer:
    return Scorer(read_options(json.loads(judge)), thinking)
