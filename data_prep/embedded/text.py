# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make rows of the embedded task without images: a computation too long to do in one's head, for the ``python`` tool.

As with the scenes, ground truth is by construction, and a *hint* agrees with it in a share of the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from data_prep.embedded.rl import INSTRUCTION
from data_prep.rows import rl_row

TOOL = "python"
MODULUS = 9973


def embedded_text_row(rng: np.random.Generator, guess_accuracy: float, split: str, index: int) -> dict[str, Any]:
    """Return one row for verl's ``RLHFDataset``.

    Args:
        rng: random stream of the row; see ``scene.scene_rng``.
        guess_accuracy: probability that the hint is true, 0 to 1.
        split: ``train`` or ``val``.
        index: number of the row.
    """
    start, add, steps = (int(rng.integers(low, high)) for low, high in ((2, MODULUS), (1, MODULUS), (20, 61)))
    value = start
    for _ in range(steps):
        value = (value * value + add) % MODULUS
    digits = list("0123456789")
    answer = digits.pop(value % 10)
    hint = answer if rng.random() < guess_accuracy else str(rng.choice(digits))
    question = (
        f"Start with {start}. Do this {steps} times: square the number, add {add}, and keep the remainder modulo "
        f"{MODULUS}. What is the last digit of the result? A friend guesses {hint}."
    )
    return rl_row(
        data_source="axpo/embedded_text",
        question=f"{question} {INSTRUCTION}",
        images=[],
        ground_truth=answer,
        split=split,
        index=index,
        ability="computation",
        tools={TOOL: {}},
        extra={"start": start, "add": add, "steps": steps, "hint": hint},
    )
