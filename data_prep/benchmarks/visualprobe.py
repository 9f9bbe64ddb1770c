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
"""VisualProbe: small targets among many distractors, in three levels that are a repository each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, slots
from data_prep.training.common import stored_image


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """One question; the file names its images from the folder above its own: ``VisualProbe_Hard/data/0.jpg``.

    Raises:
        DataError: the images have not been unpacked.
        Drop: a missing image, or tags that do not match the images.
    """
    paths = source["images"] or []
    if not paths:
        raise Drop("missing image", "the row names none")
    try:
        question = slots(source["problem"], len(paths))
    except ValueError as error:
        raise Drop("placeholders do not match images", str(error)) from error
    folder = f"VisualProbe_{context.part.title()}/"
    images = [stored_image(context, path, path.removeprefix(folder)) for path in paths]
    return Row(question, source["solution"], images, {"type": "judge"}, {"level": context.part})


DATASET = Dataset(
    name="visualprobe",
    help="VisualProbe: visual search in large images; an answer counts by a judge.",
    licence="CC BY-NC 4.0",
    ability="perception",
    parts={
        level: Part(f"Mini-o3/VisualProbe_{level.title()}", split="val", rows=count, data_file="val.json", loose=True)
        for level, count in (("hard", 106), ("medium", 268), ("easy", 141))
    },
    columns={"problem": "str", "images": "list[str]", "solution": "str?", "doc_id": "str|int"},
    rows=rows,
    id_columns=("doc_id",),
)
