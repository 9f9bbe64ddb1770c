# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What runs in the jail. Nothing here imports from the rest of the project, which the jail does not show."""
