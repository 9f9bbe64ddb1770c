# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""HR-Bench 4K; see ``hrbench.py``."""

from data_prep.benchmarks.hrbench import hrbench

DATASET = hrbench("4k")
