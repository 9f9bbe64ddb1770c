# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check the values of command-line options and of YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import pydantic

from data_prep.errors import OptionError
from verl_ext.service.options import explain

Model = TypeVar("Model", bound=pydantic.BaseModel)


def at_least(least: int, **values: float | None) -> None:
    """Check numbers by the names of their options. None means that an option was not given.

    Raises:
        OptionError: a value is below ``least``.
    """
    for name, value in values.items():
        if value is not None and value < least:
            rule = f"be at least {least}" if least else "not be negative"
            raise OptionError(f"--{name.replace('_', '-')}", f"must {rule}, got {value}")


def output_directory(path: Path) -> None:
    """Check the value of ``--output``.

    Raises:
        OptionError: the path exists and is not a directory.
    """
    if path.exists() and not path.is_dir():
        raise OptionError("--output", f"{path} is not a directory")


def validate(option: str, path: Path, model: type[Model], data: Any) -> Model:
    """Validate the content of a file that an option names.

    Raises:
        OptionError: the content does not fit the model. The message names each wrong key and its rule.
    """
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise OptionError(option, f"{path}: {explain(error, model)}") from None
