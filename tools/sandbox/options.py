# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the python tool."""

from __future__ import annotations

from typing import Literal

import pydantic

from tools.sandbox.jail import JailConfig, Limits
from tools.sandbox.runtime import MODULES
from tools.sandbox.session import GRACE_SECONDS
from verl_ext.service.options import Options


class PythonOptions(Options):
    """Where code runs, and what it may use. Sizes in MiB are those of one trajectory's interpreter."""

    backend: Literal["local", "sandbox_fusion"] = "local"
    isolation: Literal["bubblewrap", "none"] = "bubblewrap"
    """`none` gives code of the model everything that you may do yourself: files, network, processes."""
    code_timeout_s: float = pydantic.Field(20.0, gt=0, le=3600)
    """Seconds for one call's code. Then it is stopped and the model is told; variables are kept where possible."""
    timeout_s: float = pydantic.Field(120.0, gt=0, allow_inf_nan=False)
    max_concurrency: int = pydantic.Field(8, ge=1)
    memory_mb: int = pydantic.Field(1024, ge=64)
    """Beyond what the libraries themselves take."""
    disk_mb: int = pydantic.Field(64, ge=1)
    threads: int = pydantic.Field(32, ge=2)
    cpu_s: int = pydantic.Field(600, ge=1)
    """CPU time of a trajectory in all."""
    max_code_chars: int = pydantic.Field(50_000, ge=1)
    max_output_chars: int = pydantic.Field(8_000, ge=100)
    """Of the text a call returns; the middle is cut out."""
    max_images: int = pydantic.Field(4, ge=0)
    """Of one call; further ones are mentioned only."""
    factor: int = pydantic.Field(32, ge=1)
    min_pixels: int = pydantic.Field(1024, ge=1)
    max_pixels: int = pydantic.Field(1_048_576, ge=1024)
    """Area of a returned image; its sides are multiples of `factor`."""
    max_pixels_per_trajectory: int | None = pydantic.Field(None, ge=1)
    """Area of all images that tools have returned in one trajectory; beyond it images are mentioned only."""
    packages: list[str] = list(MODULES)
    """Packages the code may import besides the standard library and pillow; they must be installed here."""
    spares: int = pydantic.Field(2, ge=0)
    """Interpreters that are kept ready."""
    max_idle: int = pydantic.Field(256, ge=1)
    max_idle_mb: int = pydantic.Field(8192, ge=64)
    """Interpreters that wait for their trajectory's next call: beyond this number, or this memory in all, the one that
    has waited longest is ended, and its calls are run again if there is a next one."""
    url: str | None = None
    """Address of a SandboxFusion server, for `backend: sandbox_fusion`."""

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.timeout_s < 2 * self.code_timeout_s + GRACE_SECONDS:
            raise ValueError(
                f"timeout_s ({self.timeout_s:g}), which ends in a failure of ours, must be at least twice "
                f"code_timeout_s ({self.code_timeout_s:g}) plus {GRACE_SECONDS:g}"
            )
        if self.max_pixels < max(self.min_pixels, self.factor**2):
            raise ValueError(f"max_pixels ({self.max_pixels}) must be at least min_pixels and factor * factor")
        if self.backend == "sandbox_fusion" and not self.url:
            raise ValueError("url: backend sandbox_fusion needs the server's address, such as http://host:8080")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://")
        return self

    def jail(self) -> JailConfig:
        """What the local backend is started with."""
        limits = Limits(
            memory_mb=self.memory_mb,
            disk_mb=self.disk_mb,
            threads=self.threads,
            cpu_s=self.cpu_s,
            output_bytes=4 * self.max_output_chars,
            images=self.max_images,
            image_pixels=self.max_pixels,
        )
        packages = tuple(dict.fromkeys([*self.packages, "pillow"]))  # images come and go through it
        return JailConfig(isolation=self.isolation, packages=packages, limits=limits)
