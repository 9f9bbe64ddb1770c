# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A process group under the backend string that verl builds for device "cpu"."""

import pytest
import torch
import torch.distributed as dist
import verl  # noqa: F401  loads verl_ext.cpu.register in a CPU run
from verl.utils.device import get_device_name, get_nccl_backend

from verl_ext.cpu.register import dedupe_backends


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("cpu:gloo", "cpu:gloo"),
        ("cpu:gloo, cpu:gloo", "cpu:gloo"),
        ("cpu:gloo,cuda:nccl,cpu:gloo", "cpu:gloo,cuda:nccl"),
        ("cpu:gloo,cpu:mpi", "cpu:gloo,cpu:mpi"),  # a contradiction is torch's to report
    ],
)
def test_dedupe_backends(given, expected):
    assert dedupe_backends(given) == expected


@pytest.mark.skipif(get_device_name() != "cpu", reason="not a CPU run")
@pytest.mark.parametrize("by_name", [False, True])
def test_a_group_of_one(tmp_path, by_name):
    backend = f"cpu:gloo,{get_device_name()}:{get_nccl_backend()}"  # as verl.utils.distributed writes it
    assert backend == "cpu:gloo,cpu:gloo"
    rest = {"init_method": f"file://{tmp_path}/store", "rank": 0, "world_size": 1}
    if by_name:
        dist.init_process_group(backend=backend, **rest)
    else:
        dist.init_process_group(backend, **rest)
    try:
        values = torch.arange(3.0)
        dist.all_reduce(values)
        assert values.tolist() == [0.0, 1.0, 2.0]
    finally:
        dist.destroy_process_group()
