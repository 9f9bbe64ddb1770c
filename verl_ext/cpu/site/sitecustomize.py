# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run at the start of every interpreter that has this directory on its ``PYTHONPATH``.

vLLM's engine processes are spawned. They import torchvision and vLLM before this project's modules, so no later place
is early enough. Nothing happens unless ``VERL_PLATFORM=cpu``.
"""

import os

if os.environ.get("VERL_PLATFORM") == "cpu":
    from verl_ext.cpu.bootstrap import install

    install()
