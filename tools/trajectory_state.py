# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep state that belongs to one trajectory.

verl creates and releases a tool for every call, so longer-lived state is attached to the trajectory's ``agent_data``.
The key is that object and not its request id, because the continuations of one prefix share the id of their source.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

State = TypeVar("State")


class PerTrajectory(Generic[State]):
    """Keep one state for each trajectory and end it with the trajectory.

    Args:
        start: creates the state of a new trajectory.
        end: receives a state once its ``agent_data`` is gone. It must be quick and must not raise.
    """

    def __init__(self, start: Callable[[], State], end: Callable[[State], None] = lambda state: None):
        self._start, self._end = start, end
        self._states: dict[int, State] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    def get(self, agent_data: Any) -> State:
        """Return the state of a trajectory. Create it if it does not exist yet."""
        key = id(agent_data)
        with self._lock:
            if key not in self._states:
                # This comes first, because some objects cannot be weakly referenced.
                ending = weakref.finalize(agent_data, self._forget, key)
                try:
                    self._states[key] = self._start()
                except BaseException:
                    ending.detach()
                    raise
            return self._states[key]

    def _forget(self, key: int) -> None:
        # Do not take the lock: the garbage collector may run in the thread that holds it.
        self._end(self._states.pop(key))
