# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a row says about its scoring: the data source, the ground truth and ``extra_info["scoring"]``."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic

from verl_ext.reward_score.defaults import PREFIX, default_scoring, has_defaults
from verl_ext.service.options import explain


class RowError(ValueError):
    """A row that cannot be scored; the message says what its data must hold."""


class Rubric(pydantic.BaseModel):
    """The points of a solution's steps, as the benchmark writes them. The judge reads both texts."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    scoring_points: Annotated[str, pydantic.Field(min_length=1)]
    """The steps that earn points, with their names."""
    point_values: Annotated[str, pydantic.Field(min_length=1)]
    """The points of each step."""
    max_score: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]
    """The points of all steps."""


class Scoring(pydantic.BaseModel):
    """``extra_info["scoring"]``, a JSON object. A row with a ``type`` is complete: the other keys may be missing."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    type: Literal["choice", "number", "math", "text", "set", "judge", "f1", "exact", "tag"] | None = None
    """The kind of comparison. "set" is another name for "math"; "tag" wants the text of the last ``<answer>``."""
    options: tuple[str, ...] = ()
    """Texts of the options in the order of their letters."""
    aliases: tuple[str, ...] = ()
    """Further accepted truths."""
    tolerance: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] | None = None
    """Greatest absolute difference of numbers. If it is given, ``decimals`` is not used, and no rounding accepted."""
    decimals: Annotated[int, pydantic.Field(ge=0, le=12)] | None = None
    """Numbers that are equal after rounding to this many decimals are the same."""
    ordered: bool | None = None
    """Whether bare lists ("69, 51, 59") are tuples. By default their order does not matter."""
    leading_number: bool | None = None
    """Whether "12.5 (rounded up)" is read as 12.5. By default it is no number."""
    fallback: Literal["choice", "number", "math", "text", "set", "f1", "exact"] | None = None
    """The kind that replaces "judge" under ``judge.fallback=rules``; by default "text"."""
    judge_reads: Literal["answer", "message"] | None = None
    """Whether the judge reads the extracted answer (the default) or the whole final message."""
    judge_sees: Literal["image"] | None = None
    """"image": the judge receives the question's images if its option ``send_image`` is on."""
    rubric: Rubric | None = None
    """The points of partial solutions, for the judge's option ``process_score``."""
    question: str | None = None
    """The question that the judge reads, if it differs from ``extra_info["question"]``."""
    answer_type: str | None = None
    """DynaMath's column (float, multiple choice, text). It decides the type of rows that have none."""

    @pydantic.field_validator("options", "aliases", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return () if value is None else value

    def said(self) -> dict[str, Any]:
        """Return the keys that have a value."""
        return {key: value for key, value in self if value not in (None, ())}


@dataclass(frozen=True)
class ScoredRow:
    """A row as the rules and the judge see it; its ``scoring`` is complete."""

    data_source: str
    truth: str
    question: str
    scoring: Scoring

    @property
    def truths(self) -> tuple[str, ...]:
        """The ground truth and its aliases."""
        return (self.truth, *self.scoring.aliases)

    @property
    def type(self) -> str:
        """The kind of comparison."""
        return self.scoring.type


def read_row(data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None) -> ScoredRow | None:
    """Read how a row is scored.

    Returns:
        None for a row that is not scored here: its data source does not start with ``axpo/``, or neither the row nor
        ``defaults`` names a type.

    Raises:
        RowError: ``extra_info["scoring"]`` is not a JSON object with the keys of ``Scoring``, or there is no ground
            truth.
    """
    extra_info = extra_info or {}
    if not is_scored(data_source, extra_info):
        return None
    scoring = read_scoring(data_source, extra_info.get("scoring"))
    truth = read_truth(data_source, ground_truth)
    said = scoring.said()
    try:
        scoring = Scoring(**{**default_scoring(data_source, truth, said), **said})
    except ValueError as error:
        raise RowError(f"{data_source}: {error}") from None
    return ScoredRow(data_source, truth, str(scoring.question or extra_info.get("question") or ""), scoring)


def is_scored(data_source: str, extra_info: Mapping[str, Any] | None) -> bool:
    """Return whether a row is scored here: by its own ``type`` or by the defaults of its data source.

    Raises:
        RowError: see ``read_scoring``.
    """
    if has_defaults(data_source):
        return True
    if not data_source.startswith(PREFIX):
        return False
    return read_scoring(data_source, (extra_info or {}).get("scoring")).type is not None


def read_truth(data_source: str, ground_truth: Any) -> str:
    """Check a ground truth: a missing one would make "None" or "nan" the right answer.

    Raises:
        RowError: it is neither a text with a visible character nor a finite number.
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


def read_scoring(data_source: str, scoring: Any) -> Scoring:
    """Check ``extra_info["scoring"]``, which may be missing.

    Raises:
        RowError: names the data source and the key.
    """
    if scoring is None or scoring == "":
        return Scoring()
    try:
        if isinstance(scoring, str):
            scoring = json.loads(scoring)
        if not isinstance(scoring, Mapping):
            raise ValueError("it must be a JSON object")
        return Scoring.model_validate(dict(scoring))
    except pydantic.ValidationError as error:
        raise RowError(f"{data_source}: extra_info['scoring']: {explain(error, Scoring)}") from None
    except ValueError as error:
        raise RowError(f"{data_source}: extra_info['scoring']: {error}") from None


def needs_judge(data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None) -> bool:
    """Return whether scoring this row may ask the judge.

    Raises:
        RowError: see ``read_row``.
    """
    row = read_row(data_source, ground_truth, extra_info)
    return row is not None and row.type == "judge"
