# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What the search tools share: HTTP with retries, a rate limit, a record and replay cache, an offline index, text."""
