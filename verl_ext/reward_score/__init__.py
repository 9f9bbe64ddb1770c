# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Scoring of benchmarks and training data, the same for training and evaluation.

``extract`` finds the final answer, ``row`` reads how a row is scored (``defaults`` completes old rows), ``rules``
compares, ``judge`` asks a language model where no rule suffices, and ``scorer`` combines them. ``reward`` is verl's
entry point, and ``preflight`` checks the data before a run.
"""

from verl_ext.reward_score.defaults import DEFAULTS
from verl_ext.reward_score.extract import Extracted, extract, final_answer
from verl_ext.reward_score.judge import JudgeError, JudgeOptions
from verl_ext.reward_score.row import RowError, Scoring, needs_judge
from verl_ext.reward_score.scorer import Scorer, get_scorer
from verl_ext.reward_score.words import token_f1

__all__ = [
    "DEFAULTS",
    "Extracted",
    "JudgeError",
    "JudgeOptions",
    "RowError",
    "Scorer",
    "Scoring",
    "extract",
    "final_answer",
    "get_scorer",
    "needs_judge",
    "token_f1",
]
