# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Tools of the forced cases."""

from __future__ import annotations

import asyncio

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse

from tools.base import AgentTool, Answer
from verl_ext.tool_calls import ToolInfrastructureError, past_calls


class FailingTool(BaseTool):
    """Fail as the caller asks: "ours ..." by an infrastructure failure, "hangs ..." by never ending, else by a bug."""

    async def create(self, instance_id=None, **kwargs):
        return "failing", ToolResponse()

    async def execute(self, instance_id, parameters, **kwargs):
        if parameters["label"].startswith("ours"):
            raise ToolInfrastructureError("the backend is down")
        if parameters["label"].startswith("hangs"):
            await asyncio.Event().wait()
        raise ValueError("the tool has a bug")

    async def release(self, instance_id, **kwargs):
        pass


class RememberingTool(AgentTool):
    """Says which calls its trajectory has made before."""

    async def call(self, parameters, agent_data, create_kwargs):
        before = ", ".join(past.parameters["label"] for past in past_calls(agent_data)) or "none"
        return Answer(f"Calls before: {before}.")
