# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the YAML recipe of a mix: sources, amounts, filters and duplicates.

A source states its amount in exactly one way:

- ``count: N``: N rows.
- ``weight: W``: its share of ``size``. All weighted sources divide ``size`` by weight (largest remainders first).
- ``epochs: E``: every row floor(E) times, and a random part of the rows once more. ``epochs: 1`` takes all rows once.

``count`` and ``weight`` draw without replacement, so a row occurs at most once. A source with too few rows is an error,
or gives all of them with ``on_shortage: fewer``. ``replacement: true`` draws every row independently.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml

from data_prep.core.options import validate
from data_prep.errors import OptionError

SCORING_TYPES = ("choice", "number", "math", "text", "set", "judge", "f1", "exact", "unset")
Count = Annotated[int, pydantic.Field(ge=0)]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)


class Range(_Strict):
    """Hold inclusive bounds. Either may be omitted."""

    min: float | None = None
    max: float | None = None

    @pydantic.model_validator(mode="after")
    def _ordered(self):
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def holds(self, value: float) -> bool:
        """Return True if the value lies within the bounds."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class PassRate(Range):
    """Hold bounds of ``extra_info.meta[key]``."""

    key: str
    missing: Literal["keep", "drop"] = "drop"
    """What happens to rows without the key, or with null."""


class Filters(_Strict):
    """Hold the conditions on a row. All given conditions must hold."""

    images: Range | None = None
    """Number of images."""
    image_side: Range | None = None
    """Both sides of every image, px."""
    image_pixels: Range | None = None
    """Area of every image, px."""
    question_chars: Range | None = None
    answer_types: tuple[str, ...] | None = None
    """Types in ``extra_info.scoring``. ``unset`` stands for rows without a type."""
    pass_rate: PassRate | None = None

    @pydantic.field_validator("answer_types", mode="before")
    @classmethod
    def _known(cls, value):
        if isinstance(value, list):
            unknown = [item for item in value if item not in SCORING_TYPES]
            if unknown or not value:
                raise ValueError(f"choose from {', '.join(SCORING_TYPES)}, got {unknown or 'none'}")
            return tuple(value)
        return value

    def over(self, general: Filters) -> Filters:
        """Return these filters, completed by the general ones."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return general.model_copy(update=own)


class Source(_Strict):
    """Name prepared parquet files and the number of rows to take; see the module."""

    name: Annotated[str, pydantic.Field(pattern=r"^[\w.-]+$")]
    files: Annotated[list[str], pydantic.Field(min_length=1)]
    """Paths or glob patterns, relative to the recipe."""
    count: Annotated[int, pydantic.Field(ge=1)] | None = None
    weight: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] | None = None
    epochs: Annotated[float, pydantic.Field(gt=0, le=100)] | None = None
    replacement: bool = False
    on_shortage: Literal["error", "fewer"] = "error"
    filters: Filters = Filters()

    @pydantic.model_validator(mode="after")
    def _one_amount(self):
        given = [name for name in ("count", "weight", "epochs") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of count, weight, epochs; got {' and '.join(given) or 'none'}")
        if self.epochs is not None and self.replacement:
            raise ValueError("replacement has no meaning with epochs")
        return self


class Duplicates(_Strict):
    """Define which rows count as duplicates.

    Images match if their perceptual hashes differ in at most ``image_distance`` of 64 bits and their grey thumbnails,
    brought to equal contrast, by at most ``image_difference`` (root mean square; 0.25 is a correlation of 0.97). The
    hash finds candidates quickly, but two graphs with the same axes, or two pages of text, nearly share it. Of two
    photographs (no shade covers half of either) ``photo_distance`` bits suffice.

    Questions match, without their options, if they are equal once case, spacing and punctuation are gone, or, with
    ``text_overlap``, if that share of their word n-grams is common (Jaccard, over the 64 smallest hashes of long
    texts). Where the images do not match, the options must be the same in any order (or one row has none), and the
    question must be long: "Find x." says nothing without its image.
    """

    match: Literal["either", "both"] = "either"
    """``either``: images or questions match. ``both``: questions match, and images do where either row has any."""
    image_distance: Annotated[int, pydantic.Field(ge=0, le=24)] = 10
    photo_distance: Annotated[int, pydantic.Field(ge=0, le=24)] = 4
    image_difference: Annotated[float, pydantic.Field(ge=0, le=2)] = 0.25
    """2 leaves the decision to the hash."""
    text_overlap: Annotated[float, pydantic.Field(gt=0, le=1)] | None = None
    ngram: Annotated[int, pydantic.Field(ge=1, le=20)] = 5
    """Words."""
    min_words: Count = 8
    """Of a question that matches alone where one of the rows has images."""
    min_words_pictured: Count = 20
    """The same where both have images, which do not match."""


class Benchmarks(Duplicates):
    """Omit training rows that match a row of a benchmark. Benchmarks are not compared with one another."""

    folders: Annotated[list[str], pydantic.Field(min_length=1)]
    """Directories of prepared parquet files, one per benchmark, relative to the recipe."""


class Recipe(_Strict):
    """Hold a whole recipe; see ``data_prep/mix/recipes/``."""

    seed: int = 0
    size: Annotated[int, pydantic.Field(ge=1)] | None = None
    sources: Annotated[list[Source], pydantic.Field(min_length=1)]
    filters: Filters = Filters()
    benchmarks: Benchmarks | None = None
    duplicates: Duplicates | None = Duplicates(match="both")
    """Duplicates within the mix. The first row in the order of sources and files stays. Null keeps all rows."""
    shuffle: bool = True

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        names = [source.name for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sources of the same name: {', '.join(twice)}")
        weighted = any(source.weight is not None for source in self.sources)
        if weighted and self.size is None:
            raise ValueError("size is needed: sources with a weight share it")
        if self.size is not None and not weighted:
            raise ValueError("size has no meaning: no source has a weight")
        if len({rules.ngram for rules in self.rules() if rules.text_overlap is not None}) > 1:
            raise ValueError("benchmarks.ngram and duplicates.ngram must be equal")
        return self

    def rules(self) -> list[Duplicates]:
        """Return the requested comparisons."""
        return [rules for rules in (self.benchmarks, self.duplicates) if rules is not None]

    def ngram(self) -> int | None:
        """Return the words of an n-gram, or None if no overlap is compared."""
        return next((rules.ngram for rules in self.rules() if rules.text_overlap is not None), None)


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        OptionError: the file is missing, not YAML, or not a recipe. The message names every wrong key.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError("--recipe", f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise OptionError("--recipe", f"{path}: expected keys and values, found {type(data).__name__}")
    return validate("--recipe", path, Recipe, data)
