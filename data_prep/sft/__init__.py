# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert trajectories with tool calls to rows for supervised fine-tuning."""
