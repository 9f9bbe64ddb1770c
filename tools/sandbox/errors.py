# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the error that callers of the sandbox see."""


class SandboxError(RuntimeError):
    """Raised if the sandbox itself failed; the code that it ran is not to blame.

    ``kind`` is a short name for metrics: ``"sandbox"``, ``"killed"``, ``"busy"``, ``"disk"`` or ``"image"``.
    """

    def __init__(self, message: str, kind: str = "sandbox"):
        super().__init__(message)
        self.kind = kind

    def __reduce__(self):
        return type(self), (*self.args, self.kind)
