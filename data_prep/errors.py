# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define errors that name the option or the data at fault."""

from __future__ import annotations


class OptionError(ValueError):
    """Report a bad option value. ``option`` is the command-line name, such as ``--grid``."""

    def __init__(self, option: str, message: str):
        super().__init__(f"{option}: {message}")
        self.option = option


class DataError(RuntimeError):
    """Report unusable data. The message names the dataset, what was expected and what was found."""
