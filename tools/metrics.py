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
"""Figures of the tools: every call of this process leaves one record, whoever runs the rollout collects them."""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

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
