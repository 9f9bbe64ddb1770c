# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a static page of an evaluation's directory or of a training run's, to be opened from disk."""
