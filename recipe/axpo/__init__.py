# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""AXPO (Agent eXplorative Policy Optimization) as a recipe on verl: one file per step of the method."""
