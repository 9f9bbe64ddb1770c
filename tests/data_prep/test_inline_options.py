# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a question ends and its options begin, and what only looks like options."""

import pytest

from data_prep.core import inline_options


@pytest.mark.parametrize(
    "text,stem,options",
    [
        ("Q?\n (A) one\n (B) two", "Q?", ["one", "two"]),
        ("Q?\nA) a\nB) b", "Q?", ["a", "b"]),
        ("Q?\n(A) one (B) two\n(C) three (D) four", "Q?", ["one", "two", "three", "four"]),
        ("Q?(A)3(B)4", "Q?", ["3", "4"]),
        ("Where? (A) in the box (B) on the table", "Where?", ["in the box", "on the table"]),
        ("He asks: (A) Who? (B) When?", "He asks:", ["Who?", "When?"]),
        ("Points: (A) (1, 2) (B) (3, 4)", "Points:", ["(1, 2)", "(3, 4)"]),
        (
            "In (A) and (B), which is larger?\n(A) left\n(B) right",
            "In (A) and (B), which is larger?",
            ["left", "right"],
        ),
        ("In (A) and (B), which is larger? (A) left (B) right", "In (A) and (B), which is larger?", ["left", "right"]),
        ("Q?\n(A) f(A) = 1\n(B) f(A) = (B)", "Q?", ["f(A) = 1", "f(A) = (B)"]),
    ],
)
def test_options(text, stem, options):
    assert inline_options(text) == (stem, options)


@pytest.mark.parametrize(
    "text",
    [
        "In figure (A) and (B), which is larger?",
        "In figure (A) and (B) the angles differ. Find x.",
        "Compare (A) the red car and (B) the blue car: which is larger?",
        "Given P(A) = 0.3 and P(B) = 0.4, find x.",
        "If cos(A) = 1/2 and cos(B) = 1/3, what is C?",
    ],
)
def test_sentences_have_none(text):
    assert inline_options(text) is None
