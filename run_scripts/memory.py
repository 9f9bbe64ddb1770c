# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Estimate the memory of a run from the model's configuration: per GPU in the update and in the rollout, and on a host.

Plain arithmetic, with what it leaves out added as a constant. ``tests/run_scripts/test_memory.py`` compares the part of
the update with measured peaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GIB = 2**30
FP32, BF16 = 4, 2
ADAM_BYTES = 4 * FP32  # of a parameter: master weight, gradient, two moments
RUNTIME_GIB = 3.0  # of a training process: CUDA context, NCCL, allocator slack
ENGINE_GIB = 6.0  # of the engine beside weights and KV cache: activations of a step, CUDA graphs, encoder
IMAGE_BYTES = 24  # of a pixel in the TransferQueue: three channels in fp32, twice (two frames of a patch)


@dataclass(frozen=True)
class ModelSize:
    """Hold the numbers of a Qwen3-VL configuration that memory depends on.

    Attributes:
        parameters: all of them, vision tower included.
        pixels_per_token: area of an image that becomes one token.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    pixels_per_token: int

    @classmethod
    def read(cls, path: str) -> ModelSize:
        """Read a model's directory, or a Hub id that is in the local cache. Nothing is downloaded.

        Raises:
            OSError: the configuration is not on this machine.
            ValueError: it is no configuration of a vision-language model.
        """
        import torch
        from transformers import AutoConfig, AutoModelForImageTextToText

        config = AutoConfig.from_pretrained(path, local_files_only=True)
        if not hasattr(config, "text_config") or not hasattr(config, "vision_config"):
            raise ValueError(f"{path} has no text_config and vision_config")
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)
        text, vision = config.text_config, config.vision_config
        return cls(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            intermediate=text.intermediate_size,
            heads=text.num_attention_heads,
            kv_heads=text.num_key_value_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            vocabulary=text.vocab_size,
            pixels_per_token=(vision.patch_size * vision.spatial_merge_size) ** 2,
        )

    @property
    def kv_bytes(self) -> int:
        """Return the bytes of a token in the KV cache, in bf16: 147,456 for Qwen3-VL-8B."""
        return 2 * self.layers * self.kv_heads * self.head_dim * BF16

    @property
    def layer_parameters(self) -> int:
        """Return the parameters of one text layer."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return attention + 3 * self.hidden * self.intermediate


def activation_bytes(
    model: ModelSize, tokens: int, *, width: int = BF16, checkpointing: bool = True, fused_logits: bool = True
) -> int:
    """Estimate what a forward and backward pass over ``tokens`` tokens of one GPU holds at its peak, in bytes.

    With gradient checkpointing that is the input of every layer, and one layer computed anew with its gradients.
    Without it every layer keeps its intermediate results.

    Args:
        model: the model's size.
        tokens: tokens of a micro-batch on this GPU.
        width: bytes of a number.
        checkpointing: whether layers are computed anew in the backward pass.
        fused_logits: whether logits are computed in pieces; otherwise logits, log-softmax and gradient exist at once.
    """
    # A layer keeps its two normalised inputs, query, key, value and their rotated forms, attention's output, the MLP's
    # three intermediate results, and the residual stream.
    inside = 8 * model.hidden + 2 * model.head_dim * (2 * model.heads + 2 * model.kv_heads) + 4 * model.intermediate
    logits = 0 if fused_logits else 3 * tokens * model.vocabulary * FP32
    if checkpointing:
        # The logits are gone when the first layer is computed anew.
        return tokens * width * model.layers * model.hidden + max(logits, tokens * width * 2 * inside)
    return tokens * width * model.layers * inside + logits


@dataclass(frozen=True)
class Estimate:
    """Hold the estimate of one GPU in GiB, and of a host.

    Attributes:
        update: parts of the update's peak.
        rollout: parts of the rollout's peak; what rests of the training process included.
        kv_tokens: tokens that the engine's KV cache of one replica holds.
        host: parts of a node's memory.
        step_tokens: most tokens of a step's rows.
    """

    update: dict[str, float]
    rollout: dict[str, float]
    kv_tokens: int
    host: dict[str, float]
    step_tokens: int


def estimate(model: ModelSize, config: Any, gpu_gib: float, image_pixels: int, images_a_row: float) -> Estimate:
    """Estimate a run on FSDP2 or Megatron.

    Args:
        model: the model's size.
        config: the composed configuration of ``main_axpo``.
        gpu_gib: memory of one GPU.
        image_pixels: area of an image as the model sees it.
        images_a_row: images of a row, the prompt's and those that tools return.
    """
    actor, rollout, data = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.data
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    tensor = rollout.tensor_model_parallel_size
    state = model.parameters * ADAM_BYTES / gpus / GIB
    engine_options = actor.get("fsdp_config") or actor.get("megatron")
    resting = state if not engine_options.param_offload else 0.0
    if engine_options.optimizer_offload:
        resting *= FP32 / ADAM_BYTES
    reference = 0.0 if _reference_offloaded(config) or not actor.use_kl_loss else model.parameters * FP32 / gpus / GIB
    tokens = actor.ppo_max_token_len_per_gpu
    checkpointing = bool(config.actor_rollout_ref.model.enable_gradient_checkpointing)
    fused = bool(config.actor_rollout_ref.model.get("use_fused_kernels")) or actor.strategy == "megatron"
    unsharded = BF16 * 2 * (model.layer_parameters + model.vocabulary * model.hidden) / GIB
    update = {
        "weights, gradients, optimizer": state,
        "reference": reference,
        "gathered layers": unsharded,
        "activations": activation_bytes(model, tokens, checkpointing=checkpointing, fused_logits=fused) / GIB,
        "runtime": RUNTIME_GIB,
    }
    weights = BF16 * model.parameters / tensor / GIB
    cache = rollout.gpu_memory_utilization * gpu_gib - weights - ENGINE_GIB
    kept = {"training process": resting + reference + RUNTIME_GIB}
    rows = data.train_batch_size * rollout.n * (1 + _extra_share(config))
    row_tokens = data.max_prompt_length + data.max_response_length
    pictures = rows * images_a_row * image_pixels * IMAGE_BYTES / GIB
    offloaded = (state * gpus if engine_options.optimizer_offload else 0) + (
        model.parameters * FP32 / GIB if _reference_offloaded(config) else 0
    )
    return Estimate(
        update=update,
        rollout={"engine's weights": weights, "engine's activations": ENGINE_GIB, "KV cache": max(cache, 0.0), **kept},
        kv_tokens=max(0, int(cache * GIB * tensor / model.kv_bytes)),
        host={
            "images of a step in the TransferQueue": pictures,
            "offloaded weights and optimizer": offloaded / config.trainer.nnodes,
            "processes": 8.0 * config.trainer.n_gpus_per_node + 16.0,
        },
        step_tokens=int(rows * row_tokens),
    )


def _extra_share(config: Any) -> float:
    """Return how many rows branching may add, as a share of the ordinary ones."""
    return config.axpo.budget_ratio if config.algorithm.adv_estimator == "axpo" else 0.0


def _reference_offloaded(config: Any) -> bool:
    reference = config.actor_rollout_ref.ref
    return bool((reference.get("fsdp_config") or reference.get("megatron")).param_offload)
