# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Subclassing what verl has already decorated with ``@ray.remote``."""

from __future__ import annotations


def undecorated(actor_class) -> type:
    """Return the plain class behind a ``@ray.remote`` class, which Ray allows to inherit from.

    Raises:
        TypeError: if ``actor_class`` is not a Ray actor class.
    """
    metadata = getattr(actor_class, "__ray_metadata__", None)
    if metadata is None:
        raise TypeError(f"{actor_class!r} is not a Ray actor class")
    modified = metadata.modified_class
    return getattr(modified, "__ray_actor_class__", modified)
