# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Loaded at ``import verl`` in every process of a CPU run (``VERL_USE_EXTERNAL_MODULES=verl_ext.cpu.register``)."""

from __future__ import annotations

import functools
import os

import torch.distributed

from verl_ext.cpu.bootstrap import install
from verl_ext.versions import patch_applies

install()  # an interpreter without our sitecustomize (a notebook, a debugger) still gets the import hook


def dedupe_backends(backend: str | None) -> str | None:
    """Turn ``"cpu:gloo,cpu:gloo"`` into ``"cpu:gloo"``, and leave other strings.

    verl names one backend for the host and one for the device; here they are the same, which torch rejects as a
    duplicate device type.
    """
    if backend is None or "," not in backend:
        return backend
    return ",".join(dict.fromkeys(part.strip() for part in backend.split(",")))


def _patch_process_group() -> None:
    original = torch.distributed.init_process_group
    if getattr(original, "_verl_ext_cpu", False):
        return

    @functools.wraps(original)
    def init_process_group(backend=None, *args, **kwargs):
        return original(dedupe_backends(backend), *args, **kwargs)

    init_process_group._verl_ext_cpu = True
    torch.distributed.init_process_group = init_process_group


if os.environ.get("VERL_PLATFORM") == "cpu":
    import verl_ext.cpu.platform  # noqa: F401  registers the platform

    if patch_applies("a process group with one backend for host and device", "==0.9.1", "verl"):
        _patch_process_group()
