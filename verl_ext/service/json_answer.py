# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the JSON answer of a service whose form is known, at a cost that the service cannot raise.

``json.loads`` builds every value that a service sends and holds the interpreter's lock meanwhile: 8 MiB of ``[],`` take
almost a second. ``msgspec`` skips what the form does not name.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

MAX_OBJECTS = 100_000  # More objects than any answer has. Each takes about 100 bytes.
LENIENT_BYTES = 1 << 17  # ``json.loads`` takes at most 15 ms for this size.
Form = TypeVar("Form")


def read_json(body: bytes, form: type[Form], max_objects: int = MAX_OBJECTS) -> Form:
    """Return a body as an instance of ``form``, a ``msgspec.Struct``.

    A body up to ``LENIENT_BYTES`` may have what Python's encoder writes beyond the standard: NaN, which is read as
    null, or half a pair of surrogates where a service has cut a text, which is read as a question mark.

    Args:
        body: the answer.
        form: what is read of it.
        max_objects: opening braces that the body may have, in texts, too.

    Raises:
        ValueError: the body is no JSON or has another form.
    """
    if body.count(b"{") > max_objects:
        raise ValueError("too many objects")
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if len(body) > LENIENT_BYTES:
            raise ValueError("no JSON") from None
    try:
        value = json.loads(body, parse_constant=lambda name: None)
        return msgspec.json.decode(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), type=form)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(error)) from None
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None


def _explain(error: msgspec.ValidationError) -> str:
    return str(error).replace("`", "")[:200]


def form_of(name: str, fields: dict[str, Any]) -> type[msgspec.Struct]:
    """Return a form for the fields of an object, for ``field_of``. All of them are optional.

    Args:
        name: the name of the form.
        fields: the type of each field. A dot leads into an object (``"data.items"``).

    Raises:
        ValueError: one field is an object and a value at once.
    """
    tree: dict[str, Any] = {}
    for path, kind in fields.items():
        *parents, leaf = path.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise ValueError(f"{path} leads into {parent}, which another field reads as a value")
        if branch.setdefault(leaf, kind) is not kind:
            raise ValueError(f"{path} is read in two ways")
    return _struct(name, tree)


def _struct(name: str, tree: dict[str, Any]) -> type[msgspec.Struct]:
    kinds = {key: _struct(key, kind) if isinstance(kind, dict) else kind for key, kind in tree.items()}
    return msgspec.defstruct(
        name,
        [(_attribute(key), kind | None, None) for key, kind in kinds.items()],
        rename={_attribute(key): key for key in kinds},
    )


def field_of(value: Any, path: str) -> Any:
    """Return a field of an instance of ``form_of``, or None if it is missing."""
    for key in path.split("."):
        value = None if value is None else getattr(value, _attribute(key))
    return value


def _attribute(key: str) -> str:
    return f"f_{key.encode().hex()}"  # A key may hold characters that no attribute has.
