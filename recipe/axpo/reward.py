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
"""Binary outcome reward, chosen by the row's ``data_source``."""

from __future__ import annotations

import re
from typing import Any

# the innermost: a match never runs across another tag, which also keeps the search linear in the text
_ANSWER = re.compile(r"<answer>([^<]*(?:<(?!/?answer>)[^<]*)*)</answer>")


def final_answer(solution: str) -> str | None:
    """The last ``<answer>...</answer>`` of what the model says at its end; None if there is none.

    A response holds every turn and tool answer of a trajectory. What was thought, or what a tool has quoted, is no
    answer, nor is anything in a last turn that was cut off while thinking.
    """
    for closed in ("</tool_response>", "</think>"):
        solution = solution.rsplit(closed, 1)[-1]
    answers = _ANSWER.findall(solution.split("<think>", 1)[0])
    return answers[-1].strip() if answers else None


def _normalise(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: dict | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Score one response for verl's reward manager.

    Args:
        data_source: the row's; ``axpo/embedded_*`` is scored here, everything else by verl's own table.
        solution_str: decoded response, special tokens removed.
        ground_truth: the row's.

    Returns:
        ``score`` and ``acc`` (0.0 or 1.0), ``extracted`` (what was taken for the answer), ``method``.
    """
    if data_source.startswith("axpo/embedded"):
        extracted = final_answer(solution_str)
        correct = extracted is not None and _normalise(extracted) == _normalise(str(ground_truth))
        return {"score": float(correct), "acc": float(correct), "extracted": extracted or "", "method": "exact"}
    from verl.utils.reward_score import default_compute_score

    result = default_compute_score(data_source, solution_str, ground_truth, extra_info=extra_info)
    score = float(result["score"] if isinstance(result, dict) else result)
    return {"score": score, "acc": score, "extracted": "", "method": "verl"}
