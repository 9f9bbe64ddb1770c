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
"""Subclassing what verl has already decorated with ``@ray.remote``."""

from __future__ import annotations


def undecorated(actor_class) -> type:
    """The plain class behind a ``@ray.remote`` class, to inherit from (Ray refuses to inherit from the decorated one).

    Raises:
        TypeError: if ``actor_class`` is not a Ray actor class.
    """
    metadata = getattr(actor_class, "__ray_metadata__", None)
    if metadata is None:
        raise TypeError(f"{actor_class!r} is not a Ray actor class")
    modified = metadata.modified_class
    return getattr(modified, "__ray_actor_class__", modified)
