# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Share what all tools need: options, a deadline, bounded concurrency, two kinds of errors, and a record per call.

A tool is a class with ``Options`` and one coroutine ``call``. It returns an ``Answer``. If the model makes a mistake,
it raises ``BadArgument`` and the model receives a one-line error. If the tool itself fails, it raises
``ToolInfrastructureError`` and the rollout is dropped, not scored as incorrect.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from PIL import Image
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_ext.service.limits import Gate
from verl_ext.service.options import Check, Options, parse_options
from verl_ext.service.text import neutralise
from verl_ext.tool_calls import BadArgument, CallRecord, PastCall, ToolInfrastructureError, past_calls, record

VERL_KEYS = ("type", "class_name")  # Entries that verl itself reads from a tool's config.


@dataclass(frozen=True)
class Answer:
    """Hold what a call returns to the model and to the metrics.

    Attributes:
        text: the text for the model.
        images: the images for the model.
        truncated: True if the text or the images were cut to a limit.
        failure: one word for the model's mistake, where ``text`` explains it in more than one line.
        lost_state: see ``PastCall``.
        replay: see ``PastCall``.
        metrics: the tool's own figures.
        counts: see ``CallRecord``.
    """

    text: str
    images: list[Image.Image] = field(default_factory=list)
    truncated: bool = False
    failure: str | None = None
    lost_state: bool = False
    replay: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    counts: tuple[str, ...] = ()


class AgentTool(BaseTool):
    """Add options, limits and call records to a verl tool.

    Raises:
        ValueError: at start, if an option is unknown or out of range. The message names the option.
    """

    Options: ClassVar[type[Options]] = Options

    def __init__(self, config: dict, tool_schema: OpenAIFunctionToolSchema):
        super().__init__(config, tool_schema)
        self.options = parse_options(
            self.name, self.Options, {name: value for name, value in config.items() if name not in VERL_KEYS}
        )
        self.gate = Gate(
            self.name,
            max_concurrency=self.options.max_concurrency,
            timeout_s=self.options.timeout_s,
            queue_timeout_s=self.options.queue_timeout_s,
        )
        self._create_kwargs: dict[str, dict] = {}

    @abstractmethod
    async def call(self, parameters: dict[str, Any], agent_data: Any, create_kwargs: dict[str, Any]) -> Answer:
        """Answer one call.

        Args:
            parameters: the JSON object that the model wrote. Any entry may be missing or have any type.
            agent_data: verl's trajectory, or None.
            create_kwargs: ``tools_kwargs[<tool>].create_kwargs`` of the row.
        """

    @property
    def max_answer_chars(self) -> int | None:
        """Return the maximum length of a long answer, or None if answers are short.

        verl's own limit must not be lower.
        """
        return None

    def check(self) -> list[Check]:
        """Return what this tool needs and whether it is available, for ``python -m tools check``."""
        return [Check("nothing to set up", True, "")]

    async def create(self, instance_id: str | None = None, **kwargs) -> tuple[str, ToolResponse]:
        """Start a call. In verl a tool instance lives for one call, not for one trajectory."""
        instance_id = instance_id or str(uuid4())
        self._create_kwargs[instance_id] = kwargs.get("create_kwargs") or {}
        return instance_id, ToolResponse()

    async def release(self, instance_id: str, **kwargs) -> None:
        """End a call."""
        self._create_kwargs.pop(instance_id, None)

    @rollout_trace_op
    async def execute(self, instance_id: str, parameters: dict[str, Any], **kwargs) -> tuple[ToolResponse, float, dict]:
        """Run a call within the tool's limits and record it.

        Args:
            instance_id: the id that ``create`` returned.
            parameters: the call's arguments.
            kwargs: ``agent_data``, verl's trajectory.

        Returns:
            The response, a reward of 0.0, and metrics: ``ok``, ``error`` (the argument or the kind of the model's
            mistake, or None), ``truncated`` where true, and the tool's own figures.

        Raises:
            ToolInfrastructureError: the infrastructure failed.
        """
        agent_data = kwargs.get("agent_data")
        queued, started = time.monotonic(), None

        def on_start(_: float) -> None:
            nonlocal started
            started = time.monotonic()

        failure, truncated, counts = None, False, ()
        try:
            if not isinstance(parameters, dict):
                names = ", ".join(self.tool_schema.function.parameters.properties)
                raise BadArgument("arguments", f"must be an object with {names}.")
            create_kwargs = self._create_kwargs.get(instance_id, {})
            answer = await self.gate.run(lambda: self.call(parameters, agent_data, create_kwargs), on_start)
            failure = None if answer.failure is None else f"model:{answer.failure}"
            truncated, counts = answer.truncated, answer.counts
            if agent_data is not None:
                past_calls(agent_data).append(PastCall(self.name, parameters, answer.lost_state, answer.replay))
        except BadArgument as error:
            failure, answer = f"model:{error.argument}", Answer(str(error), failure=error.argument)
        except BaseException as error:
            # An unforeseen error counts as an infrastructure failure, too.
            kind = failure_kind(error)
            failure = f"infrastructure:{kind}"
            if isinstance(error, ToolInfrastructureError) or not isinstance(error, Exception):
                raise
            raise ToolInfrastructureError(f"{self.name}: {type(error).__name__}: {error}"[:500], kind) from error
        finally:
            ended = time.monotonic()
            began = ended if started is None else started  # The call may have ended in the queue.
            record(CallRecord(self.name, failure, ended - began, began - queued, truncated, counts))
        # Text that a tool has read must not look like the end of a turn or an image to the tokenizer.
        text = neutralise(answer.text)
        response = ToolResponse(text=text, **({"image": answer.images} if answer.images else {}))
        figures = {"ok": answer.failure is None, "error": answer.failure, **answer.metrics}
        return response, 0.0, figures | ({"truncated": True} if truncated else {})


def failure_kind(error: BaseException) -> str:
    """Return one word for the metrics.

    A ``ToolInfrastructureError`` names its own kind. Other errors map to ``"timeout"`` (an error of the tool's own
    code; the deadline of the call is ``"deadline"``), ``"os"``, ``"memory"``, ``"cancelled"``, or ``"bug"`` for
    anything else.
    """
    if isinstance(error, ToolInfrastructureError):
        return error.kind
    # TimeoutError is a subclass of OSError and must be tested first.
    kinds = {TimeoutError: "timeout", OSError: "os", MemoryError: "memory"}
    kinds[asyncio.CancelledError] = "cancelled"
    return next((kind for error_type, kind in kinds.items() if isinstance(error, error_type)), "bug")
