# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Offer a blocking notebook, for callers without an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from tools.sandbox.backends import Encode, LocalBackend
from tools.sandbox.options import SandboxOptions
from tools.sandbox.session import CellResult, PastCell


class Notebook:
    """Run cells one after the other in one namespace.

    If the sandbox has ended the interpreter between two cells, the notebook executes the earlier cells again. A cell
    that ends its own interpreter (``CellResult.ended``) loses all variables.

    Args:
        options: limits and packages.
        encode: turns an image of ``add_image`` into a suffix and the bytes of a file. The default takes PIL images and
            paths.
    """

    def __init__(self, options: SandboxOptions | None = None, encode: Encode | None = None):
        self._backend = LocalBackend(options or SandboxOptions(), encode)
        self._earlier: list[PastCell] = []
        self._images: list[Any] = []

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def add_image(self, image: Any) -> None:
        """Make an image visible to the next cells, as the last entry of ``images`` and ``image_paths``."""
        self._images.append(image)

    def run(self, code: str) -> CellResult:
        """Run a cell. Do not call it from a thread that runs an event loop.

        Raises:
            SandboxError: the sandbox failed.
        """
        result = asyncio.run(self._backend.run(code, self._earlier, list(self._images)))
        past = PastCell.of(code, len(self._images), result)
        self._earlier = [] if result.ended else [*self._earlier, past]
        return result

    def close(self) -> None:
        """End the interpreter."""
        self._backend.close()
