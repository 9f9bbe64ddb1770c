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
"""State that belongs to one trajectory.

verl creates and releases a tool for every call, so whatever must live longer hangs on the trajectory's `agent_data`.
It is keyed by that object, not by its request id: the continuations of one prefix share the id of their source.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class PastCall:
    """A call that was executed earlier in a trajectory.

    `lost_state` is True if with it ended what its tool had kept until then: to bring the state back, later calls do.
    `replay` is what the tool wants to know besides when it makes the call again.
    """

    tool: str
    parameters: dict[str, Any]
    lost_state: bool = False
    replay: dict[str, Any] = field(default_factory=dict)


def past_calls(agent_data: Any) -> list[PastCall]:
    """The trajectory's calls that got an answer, in order; a list to append to.

    A trajectory that resumes from a fork starts with the calls of its prefix: a tool with a state of its own (variables
    of an interpreter) can bring it about again.
    """
    return agent_data.__dict__.setdefault("past_tool_calls", [])


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
