# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Tell whether a service refuses an argument that the model chose, or fails for another reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

STATUSES = frozenset({400, 413, 414, 422})  # 401, 403 and 429 concern the key, 432 and 433 Tavily's plans.
MAX_BYTES = 16_384
MAX_DEPTH = 4
_TEXTS = ("detail", "error", "errors", "message", "msg", "title", "description", "reason")

# The argument is the subject of the complaint: "Query is too short", "query length must be ...", "Invalid query".
# "Query parameter search_depth is invalid" has another subject.
_COMPLAINT = (
    r"\b{name}(?:[ _](?:parameter|param|text|string|field|value|length|size))?['\"`]*\s+(?:is|are|was|must|cannot|"
    r"can't|can not|could not|should|may|has|have|contains?|too|exceeds?|not|needs?|length)\b"
    r"|\b(?:invalid|empty|missing|malformed|blank|bad|short|long|large|small|unsupported|corrupt(?:ed)?)\s+"
    r"(?:search\s+)?{name}\b(?![ _](?:param|field|string|arg))"
    r"|^\W*{name}\W*:"
)
# These words speak of the account, the server or the tool's own options.
_OTHERS = re.compile(
    r"\b(?:plan|quota|credits?|billing|(?:api[ _-]?)?keys?|tokens?|auth\w*|permission|subscription|rate|per (?:second|"
    r"minute|day|month)|server|internal|tempora\w+|format|base64|encod\w+|content[ -]type)\b",
    re.IGNORECASE,
)


def refuses(body: bytes, name: str, sent: str = "") -> bool:
    """Return True if the body of an error says that an argument is wrong.

    Args:
        body: what the service has answered.
        name: what the service calls the argument.
        sent: the argument's value. A service may repeat it, and a model must not turn its mistake into a failure of
            the infrastructure by writing "quota".
    """
    if len(body) > MAX_BYTES:
        return False
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    complaint = re.compile(_COMPLAINT.format(name=re.escape(name).replace("_", "[ _]")), re.IGNORECASE)

    def own_words(text: str) -> str:
        return text.replace(sent, " ") if len(sent) > 2 else text

    texts = _texts(answer, name, MAX_DEPTH)
    return any(complaint.search(text) and not _OTHERS.search(own_words(text)) for text in texts)


def _texts(value: Any, name: str, depth: int) -> Iterator[str]:
    """Yield the messages of an error. An entry of FastAPI names the field in ``loc`` and not in its message."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list):
        for item in value:
            yield from _texts(item, name, depth - 1)
    elif depth and isinstance(value, dict):
        place = value.get("loc")
        if isinstance(place, list):
            yield f"{name} is refused" if place and place[-1] == name else ""
            return
        for key in _TEXTS:
            yield from _texts(value.get(key), name, depth - 1)
