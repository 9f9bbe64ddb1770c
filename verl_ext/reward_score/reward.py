# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Binary outcome reward for verl's reward manager: ``reward.custom_reward_function``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from verl_ext.reward_score import final_answer, get_scorer
from verl_ext.reward_score.extract import final_message

__all__ = ["compute_score", "final_answer"]

# The key of ``extra_info`` under which AXPO's agent loop passes the texts of the assistant turns.
MODEL_TURNS = "model_turns"


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
    """Score one response. verl's reward manager awaits many of these calls concurrently.

    Args:
        data_source: the row's. ``axpo/*`` rows are scored here (see ``row.read_row``), all others by verl's own table.
        solution_str: decoded response, special tokens removed, with what tools returned.
        ground_truth: the row's.
        extra_info: the row's; ``scoring`` and ``question`` are read. An agent loop may add ``model_turns``, the texts
            that the model generated, a list with one text for each turn. They then replace ``solution_str``, so that
            nothing else can be scored. ``raw_prompt`` holds the images for a judge that sees them.
        judge: options of ``JudgeOptions``, from ``reward.custom_reward_function.reward_kwargs.judge``.
        thinking: see ``extract.final_message``.
        kwargs: further arguments that verl passes; unused.

    Returns:
        ``score``, ``acc``, ``extracted`` (the answer that was read) and ``method``. Both numbers are 0.0 or 1.0. If
        verl's table scores the row, they are verl's, and a source without ``acc`` has its score in both. See
        ``Scorer.score`` for ``process_score``.

    Raises:
        ToolInfrastructureError: the judge or the process that reads LaTeX failed. AXPO drops the rollout instead of
            scoring it.
        ValueError: an option or the row's scoring data is invalid.
    """
    options = OmegaConf.to_container(judge, resolve=True) if OmegaConf.is_config(judge) else judge
    solution = written_by_model(solution_str, extra_info)
    scorer = get_scorer(options, thinking)
    result = await scorer.score(data_source, solution, ground_truth, extra_info)
    if result is None:
        if thinking == "required" and not final_message(solution, thinking)[0]:
            solution = ""  # The response was cut off in its thoughts.
        result = await asyncio.to_thread(_by_verl, data_source, solution, ground_truth, extra_info)
        if scorer.options.process_score is not None:  # verl wants the same figures of all rows
            result["process_score"] = result["acc"]
    return result


def written_by_model(solution: str, extra_info: Mapping[str, Any] | None) -> str:
    """Return a response whose tool messages are empty, if the agent loop says what the model generated."""
    turns = (extra_info or {}).get(MODEL_TURNS)
    return solution if turns is None else "\n<tool_response>\n</tool_response>\n".join(turns)


def _by_verl(data_source: str, solution: str, ground_truth: Any, extra_info: dict | None) -> dict[str, Any]:
    from verl.utils.reward_score import default_compute_score

    result = default_compute_score(data_source, solution, ground_truth, extra_info=extra_info)
    if not isinstance(result, dict):
        result = {"score": result}
    # Some sources score -1 or 1, which is no accuracy. verl's result then holds one.
    score, acc = float(result["score"]), float(result.get("acc", result["score"]))
    return {"score": score, "acc": acc, "extracted": "", "method": "verl"}
