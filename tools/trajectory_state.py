# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""State that belongs to one trajectory.

verl creates and releases a tool for every call, so whatever must live longer hangs on the trajectory's `agent_data`.
It is keyed by that object, not by its request id: the continuations of one prefix share the id of their source.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

State = TypeVar("State")


class PerTrajectory(Generic[State]):
    """One state for each trajectory, ended when the trajectory is.

    Args:
        start: makes the state of a new trajectory.
        end: called once with a state when its `agent_data` is gone; it must be quick and must not raise.
    """

    def __init__(self, start: Callable[[], State], end: Callable[[State], None] = lambda state: None):
        self._start, self._end = start, end
        self._states: dict[int, State] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    def get(self, agent_data: Any) -> State:
        """The state of a trajectory, started if it has none yet."""
        key = id(agent_data)
        with self._lock:
            if key not in self._states:
                ending = weakref.finalize(agent_data, self._forget, key)  # first: it refuses some objects
                try:
                    self._states[key] = self._start()
                except BaseException:
                    ending.detach()
                    raise
            return self._states[key]

    def _forget(self, key: int) -> None:
        # without the lock: the garbage collector may come by in the thread that holds it
        self._end(self._states.pop(key))
