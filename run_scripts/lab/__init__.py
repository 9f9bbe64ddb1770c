# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Experiments with AXPO on a model that trains in minutes on a CPU."""
