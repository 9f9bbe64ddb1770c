# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Describe the training sets that comparable work uses. A module has the name of its dataset."""
