# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
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
