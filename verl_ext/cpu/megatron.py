# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl's Megatron engine on a CPU: real schedules, weights and losses, with Megatron's own layers in float32.

Megatron-Core and Megatron-Bridge name CUDA in many places and Transformer Engine in a few. ``on_host`` answers for the
first. For the second: Megatron-Bridge imports Transformer Engine for LoRA alone, and its Qwen3-VL takes Transformer
Engine's layers, for which Megatron-Core has equals in PyTorch. Packed rows (``use_remove_padding``) and context
parallelism need Transformer Engine's attention and stay out of reach.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import megatron.core.tensor_parallel.random as megatron_random
import torch
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer.dot_product_attention import DotProductAttention
from torch.overrides import TorchFunctionMode


def _import_bridge() -> None:
    """Import Megatron-Bridge without Transformer Engine, whose names its LoRA layers need at import only."""
    library, layers = ModuleType("transformer_engine"), ModuleType("transformer_engine.pytorch")
    layers.Linear = layers.LayerNormLinear = type("Linear", (torch.nn.Module,), {})  # type: ignore[attr-defined]
    layers.ops = SimpleNamespace(Sequential=torch.nn.Sequential)  # type: ignore[attr-defined]
    library.pytorch = layers  # type: ignore[attr-defined]
    import megatron.core.extensions.transformer_engine  # noqa: F401  finds that there is none

    sys.modules.update({"transformer_engine": library, "transformer_engine.pytorch": layers})
    try:
        import megatron.bridge.peft.lora  # noqa: F401
    finally:
        del sys.modules["transformer_engine"], sys.modules["transformer_engine.pytorch"]


_import_bridge()

from megatron.bridge.models.conversion.mapping_registry import MegatronMappingRegistry  # noqa: E402
from megatron.bridge.models.conversion.param_mapping import AutoMapping  # noqa: E402
from megatron.bridge.models.qwen_vl import qwen3_vl_provider  # noqa: E402
from megatron.bridge.models.qwen_vl.modelling_qwen3_vl import model as qwen3_vl_model  # noqa: E402
from megatron.bridge.models.qwen_vl.qwen3_vl_bridge import Qwen3VLBridge  # noqa: E402
from verl.workers.engine.base import EngineRegistry  # noqa: E402
from verl.workers.engine.megatron.transformer_impl import MegatronEngineWithLMHead  # noqa: E402

# What Megatron fuses by CUDA kernels or Transformer Engine, and where it makes its weights.
OVERRIDES = {
    "use_cpu_initialization": True,
    "attention_backend": "local",
    "gradient_accumulation_fusion": False,
    "bias_activation_fusion": False,
    "bias_dropout_fusion": False,
    "masked_softmax_fusion": False,
    "persist_layer_norm": False,
}


class _Nothing:
    """Stand for a CUDA stream or event: every method does nothing."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self


class _OnHost(TorchFunctionMode):
    """Make on the host what is asked for on a CUDA device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.type and len(args) == 1 and not kwargs:  # the distributed optimizer asks
            return func(*args).replace("torch.", "torch.cuda.")
        if "cuda" in str((kwargs or {}).get("device")):
            kwargs["device"] = "cpu"
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def on_host() -> Iterator[None]:
    """Let Megatron's calls of ``torch.cuda`` do on the host what they should, or nothing, in this thread."""

    def nothing(*args: Any, **kwargs: Any) -> None:
        return None

    def rng_state(*args: Any, **kwargs: Any) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(state: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        torch.set_rng_state(state)

    cuda = {name: nothing for name in ("set_device", "synchronize", "empty_cache")}
    cuda |= {"Stream": _Nothing, "Event": _Nothing, "current_stream": _Nothing, "default_stream": _Nothing}
    cuda |= {"current_device": lambda: "cpu", "stream": lambda stream: contextlib.nullcontext()}
    cuda |= {"get_rng_state": rng_state, "manual_seed": torch.manual_seed}
    with (
        patch.multiple(torch.cuda, **cuda),
        patch.multiple(torch.cuda.nvtx, range_push=nothing, range_pop=nothing),
        patch.multiple(megatron_random, _get_cuda_rng_state=rng_state, _set_cuda_rng_state=set_rng_state),
        _OnHost(),
    ):
        yield


class _CausalAttention(DotProductAttention):
    """Megatron's attention in PyTorch, without a mask: rows are padded on the right, behind all that counts.

    It reads a mask as (batch, 1, query, key), true where nothing is attended; the model passes Transformer Engine's
    (batch, token), true for what is a token.
    """

    def forward(self, query: Any, key: Any, value: Any, attention_mask: Any, *args: Any, **kwargs: Any) -> Any:
        return super().forward(query, key, value, None, *args, **kwargs)


def _local_spec(qk_layernorm: bool, **kwargs: Any) -> Any:
    spec = get_gpt_layer_local_spec(qk_layernorm=qk_layernorm, normalization="RMSNorm")
    spec.submodules.self_attention.submodules.core_attention = _CausalAttention
    return spec


class _VisionModel(qwen3_vl_model.Qwen3VLVisionModelHF):
    """The vision tower of transformers 5 with the two results that Megatron-Bridge 0.3.1, made for 4, unpacks."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        output = super().forward(*args, **kwargs)
        return output.pooler_output, output.deepstack_features


_mapping_registry = Qwen3VLBridge.mapping_registry


def _local_registry(bridge: Qwen3VLBridge) -> MegatronMappingRegistry:
    """Return the bridge's table of weights, with the norms where Megatron's own layers have them."""
    norms = {"input_layernorm": "input_layernorm", "pre_mlp_layernorm": "post_attention_layernorm"}
    megatron, transformers = "language_model.decoder.layers.*.{}.weight", "model.language_model.layers.*.{}.weight"
    added = [AutoMapping(megatron.format(name), transformers.format(other)) for name, other in norms.items()]
    return MegatronMappingRegistry(*_mapping_registry(bridge).mappings, *added)


qwen3_vl_provider.get_gpt_layer_with_transformer_engine_spec = _local_spec
qwen3_vl_model.Qwen3VLVisionModelHF = _VisionModel
Qwen3VLBridge.mapping_registry = _local_registry


@EngineRegistry.register(model_type="language_model", backend="megatron", device="cpu")
class CPUMegatronEngineWithLMHead(MegatronEngineWithLMHead):
    """verl's Megatron language-model engine on the host, in float32. Call it within ``on_host``."""

    def __init__(self, model_config: Any, engine_config: Any, optimizer_config: Any, checkpoint_config: Any):
        # verl's configuration takes half precision only, its engine any.
        object.__setattr__(engine_config, "dtype", "float32")
        engine_config.override_transformer_config.update(OVERRIDES)
        super().__init__(model_config, engine_config, optimizer_config, checkpoint_config)
