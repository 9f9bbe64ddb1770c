# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert datasets to parquet in verl's layout; see ``python -m data_prep --help``."""
