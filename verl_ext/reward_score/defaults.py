# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Scoring of known data sets whose rows do not say everything themselves.

This table is the only place in ``verl_ext`` that knows data sets by name. It completes rows that an older version of
``data_prep`` wrote, and calls that name a data source only. Rows that ``data_prep`` writes today carry the same values
in ``extra_info["scoring"]``. A new data set needs no entry here: its rows carry a whole ``scoring``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from verl_ext.reward_score.choice import truth_letter
from verl_ext.reward_score.number import read_number

PREFIX = "axpo/"
EMBEDDED = "axpo/embedded"  # ``axpo/embedded_<kind>``: the toy task

Kind = Callable[[str, Mapping[str, Any]], str]


def _always(kind: str, truth: str, said: Mapping[str, Any]) -> str:
    return kind


def _choice_or(kind: str, truth: str, said: Mapping[str, Any]) -> str:
    """Return "choice" for a letter: even without options in the text, they may be drawn in the image."""
    return "choice" if said.get("options") or truth_letter(truth) is not None else kind


_ANSWER_TYPES = {"float": "number", "integer": "number", "multiple choice": "choice", "text": "text"}


def _by_answer_type(truth: str, said: Mapping[str, Any]) -> str:
    """Translate DynaMath's column ``answer_type``; without it the truth decides."""
    given = said.get("answer_type") or ""
    name = given.strip().casefold().replace("_", " ").replace("-", " ")
    if name and name not in _ANSWER_TYPES:
        raise ValueError(f"answer_type {given!r} is none of {', '.join(_ANSWER_TYPES)}")
    if name:
        return _ANSWER_TYPES[name]
    if truth_letter(truth, said.get("options", ())) is not None:
        return "choice"
    return "number" if read_number(truth) is not None else "text"


_CHOICE, _JUDGE = partial(_always, "choice"), partial(_always, "judge")
_CHOICE_OR_MATH, _CHOICE_OR_JUDGE = partial(_choice_or, "math"), partial(_choice_or, "judge")
_PARTS = {"fallback": "math", "judge_reads": "message"}  # Math-VR's answers have several parts

DEFAULTS: dict[str, tuple[Kind, dict[str, Any]]] = {
    # benchmarks
    "mathvision": (_CHOICE_OR_MATH, {"decimals": 2}),
    "dynamath": (_by_answer_type, {"tolerance": 0.001, "ordered": True, "leading_number": True}),
    "math_vr": (_JUDGE, _PARTS),
    "vstar": (_CHOICE, {}),
    "visualprobe": (_JUDGE, {}),
    "hrbench_4k": (_CHOICE, {}),
    "hrbench_8k": (_CHOICE, {}),
    "hr_mmsearch": (_JUDGE, {"fallback": "f1"}),
    "mmsearch": (_JUDGE, {"fallback": "f1"}),
    # training
    "deepeyes": (_CHOICE_OR_JUDGE, {}),
    "visualprobe_train": (_JUDGE, {}),
    "fvqa": (_JUDGE, {"fallback": "f1"}),
    "pyvision_image": (_CHOICE_OR_MATH, {}),
    "virl39k": (_CHOICE_OR_MATH, {}),
    "geometry3k": (_CHOICE_OR_MATH, {}),
    "math_vr_train": (_JUDGE, _PARTS),
}
"""Data set -> how a row's ``type`` follows from its truth, and the values of further keys of ``scoring``."""
_JUDGE_KEYS = frozenset({"fallback", "judge_reads"})


def has_defaults(data_source: str) -> bool:
    """Return whether rows of this data source can be scored without a ``scoring`` of their own."""
    return data_source.startswith(EMBEDDED) or _name(data_source) in DEFAULTS


def default_scoring(data_source: str, truth: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``scoring`` that a data source's rows have by default.

    Args:
        data_source: any; one without an entry has no defaults.
        truth: the row's ground truth.
        said: the keys that the row itself has. Its ``type`` decides which other keys can matter.

    Raises:
        ValueError: ``answer_type`` has an unknown value.
    """
    if data_source.startswith(EMBEDDED):
        return {"type": "tag"}
    if not has_defaults(data_source):
        return {}
    kind_of, values = DEFAULTS[_name(data_source)]
    kind = said.get("type") or kind_of(truth, said)
    if kind == "choice":
        return {"type": kind}  # letters have no tolerance
    return {"type": kind} | {key: value for key, value in values.items() if kind == "judge" or key not in _JUDGE_KEYS}


def _name(data_source: str) -> str | None:
    return data_source.removeprefix(PREFIX) if data_source.startswith(PREFIX) else None
