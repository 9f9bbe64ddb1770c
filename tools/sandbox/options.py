# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the options of the sandbox and check them."""

from __future__ import annotations

from typing import Literal

import pydantic

from tools.sandbox.jail import JailConfig, Limits
from tools.sandbox.runtime import MODULES


class SandboxOptions(pydantic.BaseModel):
    """Limit what code may use. Sizes in MiB apply to one interpreter."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    isolation: Literal["bubblewrap", "none"] = "bubblewrap"
    """``none`` gives the code all rights of this process: files, network, processes."""
    code_timeout_s: float = pydantic.Field(20.0, gt=0, le=3600)
    """Seconds for one cell. A cell that takes longer is stopped. Its variables are kept where possible."""
    memory_mb: int = pydantic.Field(1024, ge=64)
    """Memory in addition to what the libraries take."""
    disk_mb: int = pydantic.Field(64, ge=1)
    """Size of each of the two writable directories."""
    threads: int = pydantic.Field(32, ge=2)
    """Threads of one interpreter."""
    cpu_s: int = pydantic.Field(600, ge=1)
    """CPU seconds of one interpreter, summed over all its cells."""
    max_output_chars: int = pydantic.Field(8_000, ge=100)
    """Characters of text that a caller shows. The sandbox keeps four bytes for each and cuts out the middle."""
    max_images: int = pydantic.Field(4, ge=0)
    """Images that one cell returns. Further images are counted only."""
    max_pixels: int = pydantic.Field(1_048_576, ge=1024)
    """Area of a returned image. Larger images are scaled down."""
    packages: list[str] = list(MODULES)
    """Packages that the code may import besides the standard library and Pillow. They must be installed here."""
    max_concurrency: int = pydantic.Field(8, ge=1)
    """Cells that run concurrently in this process."""
    spares: int = pydantic.Field(2, ge=0)
    """Interpreters that are kept ready."""
    max_idle: int = pydantic.Field(256, ge=1)
    """Interpreters that may wait for their next cell. Beyond this number the sandbox ends the one that has waited
    longest. Its cells are executed again if another one arrives."""
    max_idle_mb: int = pydantic.Field(8192, ge=64)
    """Memory of all waiting interpreters together. The same rule applies as for ``max_idle``."""

    def jail(self) -> JailConfig:
        """Return the configuration of the zygote."""
        limits = Limits(
            memory_mb=self.memory_mb,
            disk_mb=self.disk_mb,
            threads=self.threads,
            cpu_s=self.cpu_s,
            output_bytes=4 * self.max_output_chars,
            images=self.max_images,
            image_pixels=self.max_pixels,
        )
        packages = tuple(dict.fromkeys([*self.packages, "pillow"]))  # Images enter and leave through Pillow.
        return JailConfig(isolation=self.isolation, packages=packages, limits=limits)
