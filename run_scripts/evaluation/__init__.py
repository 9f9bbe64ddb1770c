# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate a model on the benchmarks with the agent loop, tools and scoring of training, and compare evaluations."""
