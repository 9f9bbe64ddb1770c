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
"""Tools of the forced cases."""

from __future__ import annotations

import asyncio

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse

from tools.base import AgentTool, Answer
from tools.errors import ToolInfrastructureError
from tools.trajectory import past_calls


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
