# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a row may say about its scoring."""

import json
from decimal import Decimal

import numpy as np
import pytest

from tests.verl_ext.reward_score.support import reward
from verl_ext.reward_score import DEFAULTS, RowError, needs_judge, token_f1
from verl_ext.reward_score.row import read_row


@pytest.mark.parametrize(
    "scoring, message",
    [
        ("{", "scoring"),
        ("[]", "JSON object"),
        ('{"typ": "choice"}', "unknown option typ; known: type, "),
        ('{"type": "guess"}', "type: "),
        ('{"options": "A"}', "options: "),
        ('{"options": [1]}', "options.0: "),
        ('{"tolerance": -1}', "tolerance: "),
        ('{"tolerance": NaN}', "tolerance: "),
        ('{"decimals": -1}', "decimals: "),
        ('{"ordered": "perhaps"}', "ordered: "),
        ('{"fallback": "judge"}', "fallback: "),
        ('{"judge_reads": "image"}', "judge_reads: "),
        ('{"image_for_judge": null}', "unknown option image_for_judge; "),
        (7, "JSON object"),
    ],
)
def test_bad_details(scoring, message):
    with pytest.raises(RowError, match=rf"axpo/vstar: extra_info\['scoring'\]: .*{message}|{message}"):
        read_row("axpo/vstar", "A", {"scoring": scoring})


@pytest.mark.parametrize("scoring", [None, "", "{}", '{"options": null, "aliases": null, "type": null}'])
def test_nothing_said(scoring):
    row = read_row("axpo/vstar", "A", {"scoring": scoring, "question": "q"})
    assert row.type == "choice" and row.truths == ("A",) and row.question == "q"
    assert read_row("axpo/vstar", "A", None).question == ""


@pytest.mark.parametrize(
    "truth", [None, float("nan"), float("inf"), True, "", " \n", [], ["A"], {}, b"A", Decimal("NaN")], ids=repr
)
@pytest.mark.parametrize("source", ["axpo/virl39k", "axpo/vstar", "axpo/fvqa", "axpo/embedded_colour"])
def test_no_truth(source, truth):
    with pytest.raises(RowError, match=rf"{source}: reward_model\['ground_truth'\]"):
        needs_judge(source, truth, {})
    for answer in ("None", "nan", "True", ""):
        with pytest.raises(RowError):
            reward(source, f"<answer>{answer}</answer>", truth, {}, judge={"fallback": "rules"})


@pytest.mark.parametrize(
    "truth, text", [("None", "None"), ("nan", "nan"), (12, "12"), (0, "0"), (1.5, "1.5"), (np.int64(3), "3")]
)
def test_a_truth(truth, text):
    assert read_row("axpo/virl39k", truth, {}).truth == text
    for source in ("axpo/virl39k", "axpo/embedded_number"):
        assert reward(source, f"<answer>{text}</answer>", truth, {})["score"] == 1.0


@pytest.mark.parametrize("source", ["axpo/unknown", "vstar", "openai/gsm8k", "axpo/", ""])
def test_other_sources(source):
    assert read_row(source, "A", {}) is None and not needs_judge(source, "A", {})


@pytest.mark.parametrize(
    "dataset, truth, details, kind",
    [
        ("mathvision", "A", {}, "choice"),
        ("mathvision", "12", {}, "math"),
        ("mathvision", "12", {"options": ["11", "12"]}, "choice"),
        ("dynamath", "12", {"answer_type": "float"}, "number"),
        ("dynamath", "B", {"answer_type": "multiple choice"}, "choice"),
        ("dynamath", "B", {"answer_type": "multiple_choice"}, "choice"),
        ("dynamath", "(1, 2)", {"answer_type": "text"}, "text"),
        ("dynamath", "12", {}, "number"),
        ("dynamath", "yes", {}, "text"),
        ("deepeyes", "A", {}, "choice"),
        ("deepeyes", "a dog", {}, "judge"),
        ("deepeyes", "a dog", {"type": "exact"}, "exact"),
        ("deepeyes", "F-16", {}, "judge"),
        ("deepeyes", "J. Crew", {}, "judge"),
        ("deepeyes", "J. Crew", {"options": ["H&M", "J. Crew"]}, "choice"),
        ("pyvision_image", "B-12", {}, "math"),
        ("virl39k", "A(2, 3)", {}, "math"),
        ("dynamath", "A, B", {}, "text"),
        ("virl39k", "(b)", {}, "choice"),
        ("virl39k", "A", {}, "choice"),
        ("virl39k", "x^2", {}, "math"),
        ("math_vr", "12", {}, "judge"),
        ("math_vr", "12", {"type": "math"}, "math"),
        ("vstar", "A", {"type": "judge"}, "judge"),
        ("embedded_colour", "red", {}, "tag"),
    ],
)
def test_type(dataset, truth, details, kind):
    extra = {"scoring": json.dumps(details)}
    assert read_row(f"axpo/{dataset}", truth, extra).type == kind
    assert needs_judge(f"axpo/{dataset}", truth, extra) == (kind == "judge")


def test_unknown_answer_type():
    with pytest.raises(RowError, match="answer_type 'matrix'"):
        read_row("axpo/dynamath", "1", {"scoring": '{"answer_type": "matrix"}'}).type  # noqa: B018


def test_all_of_the_contract():
    assert set(DEFAULTS) == set(
        "mathvision dynamath math_vr vstar visualprobe hrbench_4k hrbench_8k hr_mmsearch mmsearch deepeyes "
        "visualprobe_train fvqa pyvision_image virl39k geometry3k math_vr_train".split()
    )


def test_token_f1_is_mmsearchs_figure():
    assert token_f1("the Eiffel Tower", ["Eiffel tower"]) == 1.0
    assert token_f1("red tower", ["Eiffel tower", "blue"]) == 0.5
    assert token_f1("", ["x"]) == token_f1("x", []) == token_f1("", [""]) == 0.0
