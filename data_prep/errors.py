# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Errors that name the option a user has to change."""

from __future__ import annotations


class OptionError(ValueError):
    """A bad option value. ``option`` is the command-line name, such as ``--grid``."""

    def __init__(self, option: str, message: str):
        super().__init__(f"{option}: {message}")
        self.option = option


class DataError(RuntimeError):
    """Data that cannot be used: the message names the dataset, what was expected and what was found."""
