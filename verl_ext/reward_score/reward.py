# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Binary outcome reward, chosen by the row's ``data_source``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from verl_ext.reward_score import final_answer, get_scorer
from verl_ext.reward_score.row import EMBEDDED, read_truth
from verl_ext.reward_score.scorer import Scorer

__all__ = ["compute_score", "final_answer", "score_sync"]


def _normalise(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict | None = None,
    *,
    judge: Mapping[str, Any] | None = None,
    thinking: str = "auto",
    **kwargs: Any,
) -> dict[str, Any]:
    """Score one response for verl's reward manager, which awaits many side by side.

    Args:
        data_source: the row's; ``axpo/embedded_*`` and the names of ``scoring.DEFAULT_TYPES`` behind ``axpo/`` are
            scored here, everything else by verl's own table.
        solution_str: decoded response, special tokens removed.
        ground_truth: the row's.
        extra_info: the row's; ``scoring`` and ``question`` are read.
        judge: options of ``scoring.JudgeOptions``, from ``reward.custom_reward_function.reward_kwargs.judge``.
        thinking: see ``scoring.extract.final_message``.
        kwargs: what verl passes on besides; unused.

    Returns:
        ``score``, ``acc``, ``extracted`` (what was taken for the answer), ``method``. Both numbers are 0.0 or 1.0. If
        verl's table scores the row, they are verl's, and a source without ``acc`` has its score in both.

    Raises:
        ToolInfrastructureError: the judge or math-verify failed; AXPO leaves the rollout out instead of scoring it.
        ValueError: an option or the row's scoring data does not fit.
    """
    if data_source.startswith(EMBEDDED):
        return _embedded(data_source, solution_str, ground_truth)
    result = await _scorer(judge, thinking).score(data_source, solution_str, ground_truth, extra_info)
    if result is None:
        result = await asyncio.to_thread(_by_verl, data_source, solution_str, ground_truth, extra_info)
    return result


def score_sync(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict | None = None,
    *,
    judge: Mapping[str, Any] | None = None,
    thinking: str = "auto",
    **kwargs: Any,
) -> dict[str, Any]:
    """`compute_score` for callers without an event loop: the same arguments, result and errors."""
    if data_source.startswith(EMBEDDED):
        return _embedded(data_source, solution_str, ground_truth)
    result = _scorer(judge, thinking).score_sync(data_source, solution_str, ground_truth, extra_info)
    return _by_verl(data_source, solution_str, ground_truth, extra_info) if result is None else result


def _scorer(judge: Mapping[str, Any] | None, thinking: str) -> Scorer:
    return get_scorer(OmegaConf.to_container(judge, resolve=True) if OmegaConf.is_config(judge) else judge, thinking)


def _embedded(data_source: str, solution: str, ground_truth: Any) -> dict[str, Any]:
    truth = _normalise(read_truth(data_source, ground_truth))
    extracted = final_answer(solution)
    correct = extracted is not None and _normalise(extracted) == truth
    return {"score": float(correct), "acc": float(correct), "extracted": extracted or "", "method": "exact"}


def _by_verl(data_source: str, solution: str, ground_truth: Any, extra_info: dict | None) -> dict[str, Any]:
    from verl.utils.reward_score import default_compute_score

    result = default_compute_score(data_source, solution, ground_truth, extra_info=extra_info)
    if not isinstance(result, dict):
        result = {"score": result}
    # Some sources score -1 or 1, which is no accuracy; verl's result then holds one.
    score, acc = float(result["score"]), float(result.get("acc", result["score"]))
    return {"score": score, "acc": acc, "extracted": "", "method": "verl"}
