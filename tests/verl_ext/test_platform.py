# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The CPU platform answers everything that verl asks of one, and a process meets it only by asking for it."""

import json
import os
import subprocess
import sys

import pytest
import torch
import verl  # noqa: F401  loads verl_ext.cpu.register in a CPU run
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import get_platform

from verl_ext.cpu.env import REPO_ROOT, SITE_DIR
from verl_ext.cpu.platform import PlatformCPU


@pytest.fixture
def platform():
    return PlatformCPU()


def test_nothing_abstract_is_left(platform):
    assert PlatformBase.__abstractmethods__ and not PlatformCPU.__abstractmethods__
    # every method of the base without required arguments, inherited ones included, answers
    for name in ("set_device", "set_allocator_settings", "manual_seed", "manual_seed_all"):
        assert getattr(platform, name)(0) is None
    for name in ("synchronize", "empty_cache", "profiler_start", "profiler_stop", "cudart"):
        assert getattr(platform, name)() is None
    assert platform.is_available() and platform.device_count() == 1
    assert platform.get_device_capability() == (None, None)
    assert torch.zeros(1).to(platform.current_device()).device.type == platform.device_name
    with platform.nvtx_range("step"):
        pass


@pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="not a CPU run")
def test_is_verls_platform_but_never_detected(platform):
    assert type(get_platform()) is PlatformCPU
    assert not platform.is_platform_available()


def test_seed_and_random_state(platform):
    device = platform.device_module
    platform.manual_seed_all(7)
    state = device.get_rng_state()
    first = torch.rand(4)
    device.set_rng_state(state)
    assert torch.equal(torch.rand(4), first)
    device.manual_seed_all(7)
    assert torch.equal(torch.rand(4), first)


def test_memory_figures(platform):
    device = platform.device_module
    # bytes: this process holds torch and verl
    assert 1e8 < device.memory_allocated() < 1e12 and device.memory_reserved() > 1e8
    assert 1e8 < device.max_memory_allocated() < 1e12 and device.max_memory_reserved() > 1e8
    free, total = device.mem_get_info()
    assert 0 < free <= total


def test_device_module_is_torch_cpu_for_the_rest(platform):
    device = platform.device_module
    assert device.Stream is torch.cpu.Stream and device.current_stream() is not None
    with pytest.raises(AttributeError):
        device.no_such_function  # noqa: B018


@pytest.mark.stack
def test_verl_without_the_variable_knows_nothing_of_it():
    """``import verl`` on a machine like any other, with our folders on its path."""
    ours = ("VERL_PLATFORM", "VERL_USE_EXTERNAL_MODULES")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    code = (
        "import json, sys, verl\n"
        "from verl.plugin.platform.platform_manager import PlatformRegistry\n"
        "ours = [m for m in sys.modules if m.startswith('verl_ext')]\n"
        "print(json.dumps([ours, 'cpu' in PlatformRegistry._platforms]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": os.pathsep.join([str(SITE_DIR), str(REPO_ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[], False]
