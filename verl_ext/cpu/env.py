# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The environment of a CPU run. ``eval "$(python -m verl_ext.cpu.env)"`` sets it in a shell."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from verl_ext.cpu.bootstrap import install

REPO_ROOT = Path(__file__).resolve().parents[2]
SITE_DIR = Path(__file__).resolve().parent / "site"


def cpu_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that make verl, Ray and vLLM run on a CPU.

    Args:
        base: environment to extend; its ``PYTHONPATH`` and thread settings are kept. Default: ``os.environ``.

    Returns:
        Only the variables to set, not the whole environment.
    """
    base = os.environ if base is None else base
    paths = [str(SITE_DIR), str(REPO_ROOT), *filter(None, base.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "VERL_PLATFORM": "cpu",
        "VERL_USE_EXTERNAL_MODULES": "verl_ext.cpu.register",
        # sitecustomize must be found by every interpreter of the run, vLLM's spawned ones included
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        # threads cost more than they gain on a tiny model: with two of them a step took twice as long
        "OMP_NUM_THREADS": base.get("OMP_NUM_THREADS") or "1",
        # GiB for the KV cache; the default takes half of the machine's memory
        "VLLM_CPU_KVCACHE_SPACE": base.get("VLLM_CPU_KVCACHE_SPACE", "1"),
        # pinning threads to cores starves the trainer that shares them
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_MLA_DISABLE": "1",
        "SGLANG_USE_CPU_ENGINE": "1",
        # compiling costs 20 s at start and gains nothing on a tiny model
        "TORCHDYNAMO_DISABLE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": base.get("HF_HUB_OFFLINE", "1"),
        "RAY_DEDUP_LOGS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray hides accelerators from actors that ask for none; there are none to hide
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def without_gpu() -> bool:
    """Return whether this is a CPU run: ``VERL_PLATFORM`` says so, or no NVIDIA driver is installed."""
    asked_for = os.environ.get("VERL_PLATFORM")
    return asked_for == "cpu" if asked_for else shutil.which("nvidia-smi") is None


def prepare_interpreter() -> None:
    """Make this interpreter, and all that it starts, a CPU run, unless there is a GPU or a platform was asked for.

    Call it before torch, verl or vLLM are imported: those read their environment once, at import.
    """
    if without_gpu():
        os.environ.update(cpu_environment())
        install()


if __name__ == "__main__":
    for name, value in cpu_environment().items():
        print(f"export {name}={shlex.quote(value)}")
