# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the contract between tools and an agent loop: errors, call records, and the calls of a trajectory.

If the model makes a mistake, the tool raises ``BadArgument`` and the model receives a one-line error. If the tool
itself fails, it raises ``ToolInfrastructureError`` and the rollout is dropped, not scored as incorrect.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class BadArgument(ValueError):
    """Raised if the model made a mistake.

    ``argument`` names the wrong argument. The message is what the model receives. It never repeats what the model
    wrote, so it stays short.
    """

    def __init__(self, argument: str, rule: str):
        super().__init__(f"Error: {argument} {rule}")
        self.argument, self.rule = argument, rule

    def __reduce__(self):  # The default would pass the finished message as ``argument``.
        return type(self), (self.argument, self.rule)


class ToolInfrastructureError(RuntimeError):
    """Raised if the tool itself failed: a backend is down, a deadline has passed, a disk is full.

    The rollout is dropped, not scored as incorrect. ``kind`` is a short name for metrics, such as ``"deadline"``,
    ``"queue"``, ``"http"`` or ``"image"``.
    """

    def __init__(self, message: str, kind: str = "other"):
        super().__init__(message)
        self.kind = kind

    def __reduce__(self):
        return type(self), (*self.args, self.kind)


@dataclass(frozen=True)
class PastCall:
    """Describe a call that was executed earlier in a trajectory.

    Attributes:
        tool: the tool's name in the schema.
        parameters: the arguments of the call.
        lost_state: True if the call ended the state that its tool had kept. A replay then starts behind this call.
        replay: additional values that the tool needs to execute the call again.
    """

    tool: str
    parameters: dict[str, Any]
    lost_state: bool = False
    replay: dict[str, Any] = field(default_factory=dict)


def past_calls(agent_data: Any) -> list[PastCall]:
    """Return the executed calls of a trajectory, in order, as a list to append to.

    A trajectory that resumes from a fork starts with the calls of its prefix. A stateful tool replays them to restore
    its state, such as the variables of an interpreter.
    """
    return agent_data.__dict__.setdefault("past_tool_calls", [])


MAX_RECORDS = 100_000  # If no caller drains the records, the oldest ones are dropped.


@dataclass(frozen=True)
class CallRecord:
    """Record one call for the metrics.

    Attributes:
        tool: the tool's name in the schema.
        failure: None if the call succeeded, ``"model:<argument or kind>"`` if the model made a mistake, or
            ``"infrastructure:<kind>"`` if the infrastructure failed.
        seconds: time from the start of the work to its end.
        waited: seconds that the call spent in the queue of ``max_concurrency``.
        truncated: True if the answer was cut to a limit.
        counts: metrics of the tool's own that this call adds one to.
    """

    tool: str
    failure: str | None
    seconds: float
    waited: float = 0.0
    truncated: bool = False
    counts: tuple[str, ...] = ()


_records: deque[CallRecord] = deque(maxlen=MAX_RECORDS)
_lock = threading.Lock()


def record(call: CallRecord) -> None:
    """Keep a call until ``drain`` is called."""
    with _lock:
        _records.append(call)


def drain() -> list[CallRecord]:
    """Return the calls recorded since the last ``drain``, oldest first."""
    with _lock:
        calls = list(_records)
        _records.clear()
    return calls


def summarise(calls: Iterable[CallRecord], prefix: str = "tools") -> dict[str, float]:
    """Compute metrics for a logger.

    Each tool that was called has these keys: ``<prefix>/<tool>/calls``, ``failure_rate`` (0 to 1), ``failures/<kind>``
    (counts, where there are any), ``truncations``, ``latency_p50``, ``latency_p95``, ``latency_max`` and ``wait_p95``
    (seconds), and the tool's own ``CallRecord.counts``.
    """
    by_tool: dict[str, list[CallRecord]] = {}
    for call in calls:
        by_tool.setdefault(call.tool, []).append(call)
    metrics: dict[str, float] = {}
    for tool, records in sorted(by_tool.items()):
        failures = Counter(r.failure for r in records if r.failure is not None)
        values = {
            "calls": len(records),
            "failure_rate": failures.total() / len(records),
            "truncations": sum(r.truncated for r in records),
            "latency_p50": np.percentile([r.seconds for r in records], 50),
            "latency_p95": np.percentile([r.seconds for r in records], 95),
            "latency_max": max(r.seconds for r in records),
            "wait_p95": np.percentile([r.waited for r in records], 95),
        }
        values |= {f"failures/{kind}": count for kind, count in sorted(failures.items())}
        values |= sorted(Counter(name for r in records for name in r.counts).items())
        metrics |= {f"{prefix}/{tool}/{name}": float(value) for name, value in values.items()}
    return metrics
