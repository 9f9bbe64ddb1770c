# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Derive every random number of an interpreter from one seed, so that cells that are executed again repeat them."""

from __future__ import annotations

import os
import random
import sys


def start(seed: int) -> None:
    """Seed the generators, and let those that ask the operating system for a seed ask a generator instead.

    The global generators of ``random`` and numpy run on from cell to cell, as in any notebook. ``default_rng()``,
    ``random.Random()``, ``secrets`` and ``uuid4()`` read ``os.urandom``.
    """
    source = random.Random(seed)

    def urandom(size: int) -> bytes:
        """Return bytes that depend on the notebook's seed alone."""
        return source.randbytes(size)

    seed_of_class = random.Random.seed

    def seeded(self, a=None, version=2):
        seed_of_class(self, int.from_bytes(urandom(32), "little") if a is None else a, version)

    os.urandom = random._urandom = urandom
    random.Random.seed = seeded
    random.seed = random._inst.seed  # The module holds the method that it had before.
    for name in ("random", "numpy.random", "sympy.core.random"):
        if name in sys.modules:
            sys.modules[name].seed(int.from_bytes(urandom(4), "little"))
