# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The CPU platform, its environment, and that a run leaves nothing behind."""

import os
import subprocess
import sys
import time

import psutil
import torch

from verl_ext.cpu.env import REPO_ROOT, SITE_DIR, cpu_environment
from verl_ext.cpu.launch import launch, remove_stale_segments


def test_environment_keeps_what_was_there():
    env = cpu_environment({"PYTHONPATH": f"/mine:{REPO_ROOT}", "OMP_NUM_THREADS": "3"})
    assert env["PYTHONPATH"].split(os.pathsep) == [str(SITE_DIR), str(REPO_ROOT), "/mine"]
    assert env["OMP_NUM_THREADS"] == "3" and env["VERL_PLATFORM"] == "cpu"


def test_environment_of_a_shell():
    script = f'eval "$({sys.executable} -m verl_ext.cpu.env)" && echo "$VERL_PLATFORM $VERL_USE_EXTERNAL_MODULES"'
    result = subprocess.run(["bash", "-c", script], cwd=REPO_ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "cpu verl_ext.cpu.register", result.stderr


def test_platform_is_what_verl_sees():
    import verl  # noqa: F401
    from verl.utils.device import get_device_name, get_nccl_backend, get_resource_name, get_torch_device, is_support_ipc

    assert (get_device_name(), get_nccl_backend(), get_resource_name()) == ("cpu", "gloo", "GPU")
    assert is_support_ipc() is False
    device = get_torch_device()
    state = device.get_rng_state()
    first = torch.rand(3)
    device.set_rng_state(state)
    assert torch.equal(first, torch.rand(3))
    available, total = device.mem_get_info()
    assert 0 < available <= total and 0 < device.memory_allocated() <= device.max_memory_allocated()
    assert device.is_available() and device.empty_cache() is None


def test_engine_is_registered_for_the_cpu():
    from verl.workers.engine.base import EngineRegistry

    import verl_ext.cpu.engine as engine

    for backend in ("fsdp", "fsdp2"):
        assert EngineRegistry.get_engine_cls("language_model", backend) is engine.CPUFSDPEngineWithLMHead


def test_a_run_leaves_nothing_behind(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "from multiprocessing import shared_memory, resource_tracker\n"
        "segment = shared_memory.SharedMemory(create=True, size=4096)\n"
        "resource_tracker.unregister(segment._name, 'shared_memory')\n"
        "print(segment.name, flush=True)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    log = tmp_path / "log.txt"
    with launch([sys.executable, "-c", code], log, ray=False) as run:
        deadline = time.monotonic() + 30
        while len(log.read_text().split()) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        segment, child = log.read_text().split()[:2]
        assert psutil.pid_exists(int(child)) and os.path.exists(f"/dev/shm/{segment}")
        assert {process.pid for process in run.members()} >= {run.process.pid, int(child)}
        assert run.memory()["total"] > 0
    assert run.process.poll() is not None and not psutil.pid_exists(int(child))
    assert not os.path.exists(f"/dev/shm/{segment}")


def test_segments_in_use_are_left_alone():
    from multiprocessing import shared_memory

    segment = shared_memory.SharedMemory(create=True, size=4096)
    try:
        remove_stale_segments(since=0.0 if os.environ.get("CI") else time.time() - 5)
        assert os.path.exists(f"/dev/shm/{segment.name}")
    finally:
        segment.close()
        segment.unlink()
