# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Placeholder."""


class EndpointClient:
    """Placeholder."""

    def __init__(self, *args):
        raise NotImplementedError
