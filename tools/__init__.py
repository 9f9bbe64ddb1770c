# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Provide the tools of the paper's agents: code, and one YAML of schemas each for ``multi_turn.tool_config_path``."""
