# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Forced cases: everything real but the LLM engine, which plays a script."""
