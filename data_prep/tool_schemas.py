# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Tool schemas as a rollout will list them in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

TOOLS_DIR = Path(__file__).resolve().parents[1] / "tools"


def load_tool_schemas(names: Sequence[str], tools_dir: Path = TOOLS_DIR) -> list[dict[str, Any]]:
    """Read ``tools/<name>.yaml`` for each name.

    They go through verl's own schema class, which drops what it does not know: the SFT prompt must be the prompt of the
    rollout, token for token.

    Raises:
        FileNotFoundError: no such tool.
    """
    from verl.tools.schemas import OpenAIFunctionToolSchema

    schemas = []
    for name in names:
        config = yaml.safe_load((tools_dir / f"{name}.yaml").read_text())
        for tool in config["tools"]:
            schema = OpenAIFunctionToolSchema.model_validate(tool["tool_schema"])
            schemas.append(schema.model_dump(exclude_unset=True, exclude_none=True))
    return schemas
