# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Load tool schemas as a rollout lists them in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

TOOLS_DIR = Path(__file__).resolve().parents[1] / "tools"


def load_tool_schemas(names: Sequence[str], tools_dir: Path = TOOLS_DIR) -> list[dict[str, Any]]:
    """Read ``tools/<name>.yaml`` for each name.

    verl's own schema class reads them and drops unknown keys. The SFT prompt therefore equals the prompt of a rollout,
    token for token.

    Raises:
        FileNotFoundError: a tool does not exist.
    """
    from verl.tools.schemas import OpenAIFunctionToolSchema

    schemas = []
    for name in names:
        config = yaml.safe_load((tools_dir / f"{name}.yaml").read_text())
        for tool in config["tools"]:
            schema = OpenAIFunctionToolSchema.model_validate(tool["tool_schema"])
            schemas.append(schema.model_dump(exclude_unset=True, exclude_none=True))
    return schemas
