# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Options that the search sets share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--image-search``."""
    parser.add_argument("--image-search", action="store_true", help="offer image_search too, where a row has an image")


def added_tools(options: Mapping[str, Any]) -> Sequence[str]:
    """Tools beside the ability's own."""
    return ("image_search",) if options.get("image_search") else ()
