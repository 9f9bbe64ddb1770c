# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What verl 0.9.1 lacks and what is not part of AXPO: the CPU platform and small, version-guarded fixes."""
