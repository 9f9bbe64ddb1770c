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
"""What a tool raises: a mistake of the model, which it is told about, or a failure of ours, which it never sees."""


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
