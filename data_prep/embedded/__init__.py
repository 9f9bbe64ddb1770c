# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make the embedded task, a synthetic perception benchmark in which the answer is only visible in a crop."""
