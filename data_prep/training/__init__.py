# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Training sets that comparable work uses, one module each; the name of a module is the dataset's name."""
