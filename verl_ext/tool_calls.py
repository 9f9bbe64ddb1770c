# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The contract between tools and whoever runs them: errors, records of calls, and the calls a trajectory has made.

A tool raises ``BadArgument`` if the model made a mistake. It raises ``ToolInfrastructureError`` if it failed itself:
then the rollout is left out, never scored as wrong.
"""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


class BadArgument(ValueError):
    """A mistake of the model: `argument` names it, the message is what the model is told.

    The message never repeats what the model wrote, so it stays short.
    """

    def __init__(self, argument: str, rule: str):
        super().__init__(f"Error: {argument} {rule}")
        self.argument, self.rule = argument, rule

    def __reduce__(self):  # the default would pass on the finished message alone
        return type(self), (self.argument, self.rule)


class ToolInfrastructureError(RuntimeError):
    """Raised when our side failed (backend down, our deadline, disk): the rollout is left out, never scored as wrong.

    `kind` is a short name for metrics, such as "deadline", "queue", "http", "image".
    """

    def __init__(self, message: str, kind: str = "other"):
        super().__init__(message)
        self.kind = kind

    def __reduce__(self):
        return type(self), (*self.args, self.kind)


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


MAX_RECORDS = 100_000  # nobody may be collecting: then the oldest records go


@dataclass(frozen=True)
class CallRecord:
    """One call.

    Attributes:
        tool: the tool's name in the schema.
        failure: None, or what went wrong: "model:<argument or kind>" for what the model can mend,
            "infrastructure:<kind>" for what it cannot.
        seconds: from the start of the work to its end.
        waited: seconds before that, in the queue of `max_concurrency`.
        truncated: the answer was cut to a limit.
    """

    tool: str
    failure: str | None
    seconds: float
    waited: float = 0.0
    truncated: bool = False


_records: deque[CallRecord] = deque(maxlen=MAX_RECORDS)
_lock = threading.Lock()


def record(call: CallRecord) -> None:
    """Keep a call until somebody drains."""
    with _lock:
        _records.append(call)


def drain() -> list[CallRecord]:
    """The calls since the last time, oldest first."""
    with _lock:
        calls = list(_records)
        _records.clear()
    return calls


def summarise(calls: Iterable[CallRecord], prefix: str = "tools") -> dict[str, float]:
    """Metrics for a logger.

    Keys, for each tool that was called: `<prefix>/<tool>/calls`, `failure_rate` (0..1), `failures/<kind>` (counts,
    where there are any), `truncations`, `latency_p50`, `latency_p95`, `latency_max`, `wait_p95` (seconds).
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
            "latency_p50": percentile([r.seconds for r in records], 50),
            "latency_p95": percentile([r.seconds for r in records], 95),
            "latency_max": max(r.seconds for r in records),
            "wait_p95": percentile([r.waited for r in records], 95),
        }
        values |= {f"failures/{kind}": count for kind, count in sorted(failures.items())}
        metrics |= {f"{prefix}/{tool}/{name}": float(value) for name, value in values.items()}
    return metrics


def percentile(values: list[float], percent: int) -> float:
    """Linear interpolation between the two nearest values."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
