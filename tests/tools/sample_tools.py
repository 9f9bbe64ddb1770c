# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Tools for the tests of what all tools share: `do` is what a call does."""

from __future__ import annotations

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from tools.base import AgentTool, Answer
from verl_ext.service.options import Check, Options
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError, past_calls

SCHEMA = {
    "type": "function",
    "function": {
        "name": "sample",
        "description": "Do as told. For tests.",
        "parameters": {"type": "object", "properties": {"do": {"type": "string"}}, "required": ["do"]},
    },
}


class SampleOptions(Options):
    """One option of its own."""

    size: int = 3


class SampleTool(AgentTool):
    """Does what `parameters["do"]` says, or awaits the function given as `work`."""

    Options = SampleOptions

    def __init__(self, config=None, tool_schema=None, work=None):
        super().__init__(config or {}, tool_schema or OpenAIFunctionToolSchema.model_validate(SCHEMA))
        self.work = work
        self.seen_create_kwargs = []

    @property
    def max_answer_chars(self):
        return 1000 * self.options.size

    async def call(self, parameters, agent_data, create_kwargs):
        self.seen_create_kwargs.append(create_kwargs)
        if self.work is not None:
            return await self.work(parameters)
        match parameters.get("do"):
            case "fail":
                raise ToolInfrastructureError("the backend is down", "http")
            case "bug":
                raise KeyError("oops")
            case "long":
                return Answer("x" * 10, truncated=True)
            case "count":
                return Answer(f"{len(past_calls(agent_data))} before, size {self.options.size}")
            case _:
                raise BadArgument("do", "must be fail, bug, long or count.")


class KeyedTool(SampleTool):
    """Cannot be made without its key."""

    def __init__(self, config, tool_schema):
        super().__init__(config, tool_schema)
        raise ValueError(f"{self.name}: set SAMPLE_KEY\nto your key")

    def check(self):
        return []


class HalfReadyTool(SampleTool):
    """Has one thing and lacks another."""

    def check(self):
        return [Check("program", True, "at /bin/true"), Check("font", False, "install a font")]


class PlainTool(BaseTool):
    """A tool of verl's that knows nothing of ours."""

    async def execute(self, instance_id, parameters, **kwargs):
        return ToolResponse(text="plain"), 0.0, {}
