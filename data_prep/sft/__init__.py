# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets to parquet in verl's layout: ``python -m data_prep --help``."""
