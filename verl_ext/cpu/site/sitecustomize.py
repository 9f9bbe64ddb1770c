# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs at the start of every interpreter that has this folder on its ``PYTHONPATH``.

vLLM's engine processes are spawned, and import torchvision and vLLM before anything of ours: this is the one place
that is early enough. Does nothing unless ``VERL_PLATFORM=cpu``.
"""

import os

if os.environ.get("VERL_PLATFORM") == "cpu":
    from verl_ext.cpu.bootstrap import install

    install()
