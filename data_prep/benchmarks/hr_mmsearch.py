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
"""HR-MMSearch: questions that need both a close look at a large image and a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.benchmarks.search_options import add_arguments, added_tools
from data_prep.core import Context, Dataset, Part, Row


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """One question."""
    meta = {"category": source["category"], "difficulty": source["difficulty"]}
    image = context.image(source["query_image"])
    return Row(source["query"], source["ground_truth"], [image], {"type": "judge"}, meta)


DATASET = Dataset(
    name="hr_mmsearch",
    help="HR-MMSearch: search questions about small details of large images.",
    licence="MIT",
    ability="search",
    parts={"train": Part("sensenova/HR-MMSearch", split="train", rows=305)},
    columns={
        "sample_id": "str|int",
        "query": "str",
        "query_image": "image",
        "ground_truth": "str?",
        "difficulty": "any",
        "category": "any",
    },
    rows=rows,
    id_columns=("sample_id",),
    add_arguments=add_arguments,
    added_tools=added_tools,
)
