# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes this interpreter, and all that a test starts, a CPU run, unless there is a GPU or a platform is asked for.

Runs before anything imports torch, verl or vLLM: those read their environment once, at import.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]
if str(REPO_ROOT) not in sys.path:
    sys.path.insert(0, str(REPO_ROOT))


from verl_ext.cpu.env import prepare_interpreter  # noqa: E402  found by the line above

prepare_interpreter()


@pytest.fixture(autouse=True)
def _warnings_are_logged():
    """Undo what importing vLLM does to the root logger and pytest's handlers: their levels would hide warnings."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in root.handlers:
        handler.setLevel(logging.NOTSET)
