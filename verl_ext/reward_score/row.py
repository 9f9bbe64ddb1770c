# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a row says about its scoring: the data source, the ground truth and ``extra_info["scoring"]``."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from verl_ext.reward_score.choice import truth_letter
from verl_ext.reward_score.number import read_number

PREFIX = "axpo/"
EMBEDDED = "axpo/embedded"  # scored by `verl_ext.reward_score.reward` itself
Type = Literal["choice", "number", "math", "text", "set", "judge", "f1", "exact"]
# "auto" and "by_answer_type" look at the row: see `Row.type`.
DEFAULT_TYPES: dict[str, str] = {
    # benchmarks
    "mathvision": "auto",
    "dynamath": "by_answer_type",
    "math_vr": "judge",
    "vstar": "choice",
    "visualprobe": "judge",
    "hrbench_4k": "choice",
    "hrbench_8k": "choice",
    "hr_mmsearch": "judge",
    "mmsearch": "judge",
    # training
    "deepeyes": "choice_or_judge",
    "visualprobe_train": "judge",
    "fvqa": "judge",
    "pyvision_image": "auto",
    "virl39k": "auto",
    "geometry3k": "auto",
    "math_vr_train": "judge",
}
_ANSWER_TYPES = {"float": "number", "integer": "number", "multiple choice": "choice", "text": "text"}


class RowError(ValueError):
    """A row that cannot be scored; the message says what its data must hold."""


class Details(pydantic.BaseModel):
    """``extra_info["scoring"]``, a JSON object; every key may be missing."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    type: Type | None = None
    """Overrides the data source's rule."""
    options: tuple[str, ...] = ()
    """Texts of the options in the order of their letters."""
    aliases: tuple[str, ...] = ()
    """Further accepted truths."""
    answer_type: str | None = None
    """DynaMath's column: float, multiple choice or text."""
    tolerance: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] | None = None
    """Greatest absolute difference of numbers."""
    question: str | None = None
    """Where ``extra_info["question"]`` is not what the judge should read."""
    image_for_judge: Any = None
    """Kept for a judge that sees; unused."""

    @pydantic.field_validator("options", "aliases", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return () if value is None else value


class Row(pydantic.BaseModel):
    """A row as the rules see it."""

    model_config = pydantic.ConfigDict(frozen=True)

    dataset: str
    truth: str
    details: Details
    question: str = ""

    @property
    def truths(self) -> tuple[str, ...]:
        return (self.truth, *self.details.aliases)

    @property
    def type(self) -> str:
        """The kind of comparison: the row's own, else the data source's."""
        if self.details.type is not None:
            return self.details.type
        default = DEFAULT_TYPES[self.dataset]
        if default == "by_answer_type":
            return self._by_answer_type()
        if default in ("auto", "choice_or_judge"):
            # HR-Bench, MathVision & co. have options; a bare letter is one even where the choices are in the image
            if self.details.options or truth_letter(self.truth) is not None:
                return "choice"
            return "math" if default == "auto" else "judge"
        return default

    def _by_answer_type(self) -> str:
        name = (self.details.answer_type or "").strip().casefold().replace("_", " ").replace("-", " ")
        if name:
            if name not in _ANSWER_TYPES:
                raise RowError(
                    f"{PREFIX}{self.dataset}: answer_type {self.details.answer_type!r} is none of "
                    f"{', '.join(_ANSWER_TYPES)}"
                )
            return _ANSWER_TYPES[name]
        if truth_letter(self.truth, self.details.options) is not None:
            return "choice"
        return "number" if read_number(self.truth) is not None else "text"


def read_row(data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None) -> Row | None:
    """The row's scoring.

    Returns:
        None for a data source that is not scored here.

    Raises:
        RowError: ``extra_info["scoring"]`` is no JSON object with the keys of `Details`, or there is no ground truth.
    """
    dataset = data_source.removeprefix(PREFIX)
    if dataset == data_source or dataset not in DEFAULT_TYPES:
        return None
    extra_info = extra_info or {}
    details = read_details(data_source, extra_info.get("scoring"))
    question = details.question or extra_info.get("question") or ""
    truth = read_truth(data_source, ground_truth)
    return Row(dataset=dataset, truth=truth, details=details, question=str(question))


def read_truth(data_source: str, ground_truth: Any) -> str:
    """Check a ground truth: a missing one would make "None" or "nan" the right answer.

    Raises:
        RowError: it is no text but blanks, and no finite number.
    """
    if isinstance(ground_truth, str):
        if ground_truth.strip():
            return ground_truth
    elif isinstance(ground_truth, numbers.Real) and not isinstance(ground_truth, bool) and math.isfinite(ground_truth):
        return str(ground_truth)
    raise RowError(
        f"{data_source}: reward_model['ground_truth'] must be a text that is not blank, or a number, got "
        f"{repr(ground_truth)[:60]}"
    )


def read_details(data_source: str, scoring: Any) -> Details:
    """Check ``extra_info["scoring"]``.

    Raises:
        RowError: names the data source and the key.
    """
    if scoring is None or scoring == "":
        return Details()
    try:
        if isinstance(scoring, str):
            scoring = json.loads(scoring)
        if not isinstance(scoring, Mapping):
            raise ValueError("it must be a JSON object")
        return Details.model_validate(dict(scoring))
    except pydantic.ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise RowError(f"{data_source}: extra_info['scoring']: {'; '.join(lines)}") from None
    except ValueError as error:
        raise RowError(f"{data_source}: extra_info['scoring']: {error}") from None


def needs_judge(data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None) -> bool:
    """Whether scoring this row may ask the judge.

    Raises:
        RowError: see `read_row`.
    """
    if data_source.startswith(EMBEDDED):
        read_truth(data_source, ground_truth)
        return False
    row = read_row(data_source, ground_truth, extra_info)
    return row is not None and row.type == "judge"
