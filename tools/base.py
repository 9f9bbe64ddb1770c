# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What all tools share: typed options, a deadline, bounded concurrency, errors of two kinds, and figures of every call.

A tool is a class with `Options` and one coroutine `call`. It returns an `Answer`, or raises `BadArgument` (the model is
told in one short line) or `ToolInfrastructureError` (the rollout is left out).
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

VERL_KEYS = ("type", "class_name")  # verl's own entries in a tool's config


@dataclass(frozen=True)
class Answer:
    """What the model gets: a text and images, and what the metrics get."""

    text: str
    images: list[Image.Image] = field(default_factory=list)
    truncated: bool = False  # cut to a limit
    failure: str | None = None  # what the model did wrong, in one word, where the text says more than one line
    lost_state: bool = False  # see PastCall
    replay: dict[str, Any] = field(default_factory=dict)  # see PastCall
    metrics: dict[str, Any] = field(default_factory=dict)


class AgentTool(BaseTool):
    """A verl tool with the shared behaviour of this module.

    Raises:
        ValueError: at start, for an option that is unknown or out of range; the message names it.
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
            parameters: what the model wrote, an object of JSON; anything may be in it or missing.
            agent_data: verl's trajectory, or None.
            create_kwargs: the row's `tools_kwargs[<tool>].create_kwargs`.
        """

    @property
    def max_answer_chars(self) -> int | None:
        """Most characters that a call returns, where it can be long; verl's own limit must not be lower."""
        return None

    def check(self) -> list[Check]:
        """What this tool needs, and whether it is there; for `python -m tools check`."""
        return [Check("nothing to set up", True, "")]

    async def create(self, instance_id: str | None = None, **kwargs) -> tuple[str, ToolResponse]:
        """Start a call (verl's life cycle is one call, not one trajectory)."""
        instance_id = instance_id or str(uuid4())
        self._create_kwargs[instance_id] = kwargs.get("create_kwargs") or {}
        return instance_id, ToolResponse()

    async def release(self, instance_id: str, **kwargs) -> None:
        """End a call."""
        self._create_kwargs.pop(instance_id, None)

    @rollout_trace_op
    async def execute(self, instance_id: str, parameters: dict[str, Any], **kwargs) -> tuple[ToolResponse, float, dict]:
        """Run a call within the tool's limits and count it.

        Args:
            instance_id: as returned by `create`.
            parameters: the call's arguments.
            agent_data: verl's trajectory (keyword).

        Returns:
            The response, a reward of 0.0, and metrics: `ok`, `error` (the argument or the kind of failure that the
            model can mend, or None), `truncated` where true, and the tool's own.

        Raises:
            ToolInfrastructureError: our side failed.
        """
        agent_data = kwargs.get("agent_data")
        queued, started = time.monotonic(), None

        def on_start(_: float) -> None:
            nonlocal started
            started = time.monotonic()

        failure, truncated = None, False
        try:
            if not isinstance(parameters, dict):
                names = ", ".join(self.tool_schema.function.parameters.properties)
                raise BadArgument("arguments", f"must be an object with {names}.")
            create_kwargs = self._create_kwargs.get(instance_id, {})
            answer = await self.gate.run(lambda: self.call(parameters, agent_data, create_kwargs), on_start)
            failure = None if answer.failure is None else f"model:{answer.failure}"
            truncated = answer.truncated
            if agent_data is not None:
                past_calls(agent_data).append(PastCall(self.name, parameters, answer.lost_state, answer.replay))
        except BadArgument as error:
            failure, answer = f"model:{error.argument}", Answer(str(error), failure=error.argument)
        except BaseException as error:
            # what nobody foresaw is ours, too
            kind = failure_kind(error)
            failure = f"infrastructure:{kind}"
            if isinstance(error, ToolInfrastructureError) or not isinstance(error, Exception):
                raise
            raise ToolInfrastructureError(f"{self.name}: {type(error).__name__}: {error}"[:500], kind) from error
        finally:
            ended = time.monotonic()
            began = ended if started is None else started  # it may never have had its turn
            record(CallRecord(self.name, failure, ended - began, began - queued, truncated))
        # whatever a tool has read must not look like a turn's end or an image to the tokenizer
        text = neutralise(answer.text)
        response = ToolResponse(text=text, **({"image": answer.images} if answer.images else {}))
        figures = {"ok": answer.failure is None, "error": answer.failure, **answer.metrics}
        return response, 0.0, figures | ({"truncated": True} if truncated else {})


def failure_kind(error: BaseException) -> str:
    """One word for metrics: the kind of a `ToolInfrastructureError`, else "timeout" (not ours, which is "deadline"),
    "os", "memory", "cancelled", and "bug" for what no tool should raise.
    """
    if isinstance(error, ToolInfrastructureError):
        return error.kind
    kinds = {TimeoutError: "timeout", OSError: "os", MemoryError: "memory"}  # the first one is an OSError, too
    kinds[asyncio.CancelledError] = "cancelled"
    return next((kind for error_type, kind in kinds.items() if isinstance(error, error_type)), "bug")
