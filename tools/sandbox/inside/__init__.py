# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hold the code that runs in the jail. It imports nothing from outside this directory, which the jail does not show."""
