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
"""Scoring of benchmarks and training data, the same for training and evaluation.

`extract` finds the final answer, `row` what the data says about its scoring, `rules` compares, `judge` asks a language
model where no rule will do, `scorer` puts them together.
"""

from recipe.axpo.scoring.extract import Extracted, extract, final_answer
from recipe.axpo.scoring.judge import JudgeError, JudgeOptions
from recipe.axpo.scoring.row import DEFAULT_TYPES, Details, RowError, needs_judge
from recipe.axpo.scoring.scorer import Scorer, get_scorer
from recipe.axpo.scoring.text import token_f1

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
