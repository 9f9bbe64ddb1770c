# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Mix prepared datasets into one training file, without rows of the benchmarks."""
