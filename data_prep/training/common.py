# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What the training sets share: reading a truth, the size of an image, the user's words of a chat prompt."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from data_prep.core.spec import Context, Drop
from data_prep.core.text import inline_options, option_letter, slots
from data_prep.errors import DataError

MIN_SIDE = 28  # px; a patch of Qwen2.5-VL with its merge: the processor of that model refuses shorter sides
_BOX = re.compile(r"\\boxed\s*\{")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_TAG = re.compile(r"\s*<image>\s*")


def unbox(answer: str) -> str:
    """Content of the last ``\\boxed{...}``; the stripped text itself where there is none or its braces do not close."""
    boxes = list(_BOX.finditer(answer))
    if not boxes:
        return answer.strip()
    start = boxes[-1].end()
    depth = 1
    for position in range(start, len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[position], 0)
        if depth == 0:
            return answer[start:position].strip()
    return answer.strip()


def known_scoring(question: str, answer: str) -> dict[str, Any]:
    """What question and truth say about the comparison; empty leaves it to the data source's rule.

    A truth of one capital letter A to H is a choice even without options in the text: they may be drawn in the image.
    """
    parsed = inline_options(question)
    if parsed is not None and option_letter(answer, parsed[1]) is not None:
        return {"type": "choice", "options": parsed[1]}
    if re.fullmatch(r"\(?[A-H]\)?\.?", answer.strip()):
        return {"type": "choice"}
    if _NUMBER.fullmatch(answer.strip()):
        return {"type": "number"}
    return {}


def refuse_small(images: Sequence[bytes], min_side: int = MIN_SIDE) -> None:
    """Raise ``Drop`` where a side of an image is under ``min_side`` px. Broken images are left to the core's check."""
    for data in images:
        try:
            with Image.open(io.BytesIO(data)) as image:  # the header is enough
                width, height = image.size
        except Exception:
            continue
        if min(width, height) < min_side:
            raise Drop(f"image side under {min_side} px", f"{width} x {height} px")


def stored_image(ctx: Context, *paths: str) -> bytes:
    """The first of several paths that exists.

    Raises:
        DataError: none does, and an archive in the folder has not been unpacked, or the folder has only the rows.
        Drop: none does.
    """
    for path in paths:
        try:
            return ctx.image(path)
        except Drop as drop:
            missing = drop
    folders = {path.split("/")[0] for path in paths if "/" in path}
    if ctx.root is not None and not any((ctx.root / folder).is_dir() for folder in folders):
        if archives := sorted(path.name for path in ctx.root.iterdir() if path.name.endswith(_ARCHIVES)):
            raise DataError(
                f"{ctx.root} holds images in {', '.join(archives)}: unpack a copy and name it with --source; "
                f"expected {paths[0]} in it"
            )
        if folders and not any(path.is_dir() and not path.name.startswith(".") for path in ctx.root.iterdir()):
            raise DataError(
                f"{ctx.root} holds no images, expected {paths[0]} in it: download the whole repository, unpack its "
                "archives, and name the folder with --source"
            )
    raise missing


def place_images(question: str, images: int) -> str:
    """The question with a slot for each ``<image>``.

    Raises:
        Drop: it names another number of images than there are.
    """
    try:
        return slots(question, images)
    except ValueError as error:
        raise Drop("placeholders do not match the images", str(error)) from error


def without_tags(question: str) -> str:
    """The question less the ``<image>`` tags that some sets put in front of it."""
    return _TAG.sub("\n", question).strip()


def entry(where: str, value: Any, key: str) -> Any:
    """``value[key]`` of a struct column.

    Raises:
        DataError: the struct has no such key, which is the data's form and not one row's fault.
    """
    if not isinstance(value, Mapping) or key not in value:
        found = sorted(value) if isinstance(value, Mapping) else type(value).__name__
        raise DataError(f"{where} has no {key!r}. Found: {found}")
    return value[key]


def user_words(where: str, prompt: Any) -> str:
    """Text of the one user turn of a chat prompt.

    Raises:
        DataError: the prompt is no list of ``{role, content}``.
        Drop: no user turn, or more than one.
    """
    if not isinstance(prompt, Sequence) or isinstance(prompt, str):
        raise DataError(f"{where} is {type(prompt).__name__}, expected a list of turns")
    turns = [entry(where, turn, "content") for turn in prompt if entry(where, turn, "role") == "user"]
    if len(turns) != 1 or not isinstance(turns[0], str):
        raise Drop("not one user turn", f"{len(turns)} user turns")
    return turns[0]


def text_of(value: Any, reason: str) -> str:
    """A text that must not be empty; numbers are written out.

    Raises:
        Drop: nothing there.
    """
    text = "" if value is None else str(value).strip()
    if not text:
        raise Drop(reason)
    return text
