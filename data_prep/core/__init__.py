# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hold what every dataset shares. A dataset is one module with a ``DATASET``; see ``data_prep/core/spec.py``."""

from data_prep.core.spec import Context, Dataset, Drop, Part, Row
from data_prep.core.text import SLOT, format_options, inline_options, neutralise, option_letter, slots

__all__ = [
    "SLOT",
    "Context",
    "Dataset",
    "Drop",
    "Part",
    "Row",
    "format_options",
    "inline_options",
    "neutralise",
    "option_letter",
    "slots",
]
