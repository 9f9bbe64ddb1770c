# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Scoring of benchmarks and training data, the same for training and evaluation.

`extract` finds the final answer, `row` what the data says about its scoring, `rules` compares, `judge` asks a language
model where no rule will do, `scorer` puts them together.
"""

from verl_ext.reward_score.extract import Extracted, extract, final_answer
from verl_ext.reward_score.judge import JudgeError, JudgeOptions
from verl_ext.reward_score.row import DEFAULT_TYPES, Details, RowError, needs_judge
from verl_ext.reward_score.scorer import Scorer, get_scorer
from verl_ext.reward_score.text import token_f1

__all__ = [
    "DEFAULT_TYPES",
    "Details",
    "Extracted",
    "JudgeError",
    "JudgeOptions",
    "RowError",
    "Scorer",
    "extract",
    "final_answer",
    "get_scorer",
    "needs_judge",
    "token_f1",
]
