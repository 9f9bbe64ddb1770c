# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What ``actor_rollout_ref.model.external_lib`` loads on device "cpu": the FSDP engine, and the adapter of SGLang."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch
import verl.workers.engine.fsdp.transformer_impl as fsdp_impl
import verl.workers.rollout.base as rollout_base
from torch.distributed.fsdp import CPUOffloadPolicy
from verl.workers.engine.base import EngineRegistry
from verl.workers.rollout.utils import get_vision_placeholder_token_ids

import verl_ext.position_ids  # noqa: F401  multimodal rows of equal length occur in every toy run
from verl_ext.versions import patch_applies

# a name, so that SGLang is imported only where it is the rollout engine
rollout_base._ROLLOUT_REGISTRY["sglang", "async"] = "verl_ext.cpu.sglang_rollout.CPUServerAdapter"
_VERL_PINS_MEMORY = patch_applies("the reference model offloads to pinned memory", "==0.9.1", "verl")


@contextmanager
def _unpinned_offload():
    """Offload without pinning: verl pins host memory, which needs an accelerator to pin for."""
    original = fsdp_impl.CPUOffloadPolicy
    fsdp_impl.CPUOffloadPolicy = lambda pin_memory=False: CPUOffloadPolicy(pin_memory=False)
    try:
        yield
    finally:
        fsdp_impl.CPUOffloadPolicy = original


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CPUFSDPEngineWithLMHead(fsdp_impl.FSDPEngineWithLMHead):
    """verl's FSDP language-model engine, unpinned, with the rollout's vocabulary.

    verl forbids the rollout engine to sample ``<|image_pad|>`` and ``<|video_pad|>``, but its actor still gives them a
    share of the probability. A large model's share is nothing; a tiny one's reached 0.4 % on an unlucky token, and with
    it the difference between rollout and actor log-probabilities. Here the actor leaves them out, too.
    """

    def _build_fsdp_module(self, module):
        with _unpinned_offload() if _VERL_PINS_MEMORY else nullcontext():
            return super()._build_fsdp_module(module)

    def prepare_model_outputs(self, output, output_args, micro_batch, logits_processor_func):
        """Take the placeholders' share of the probability away before log-probabilities are computed."""
        banned = get_vision_placeholder_token_ids(self.model_config.processor) if self.model_config.processor else []
        if banned:
            # Finite, unlike the rollout's -inf: prompts hold these tokens, and 0 * inf under their mask would be NaN.
            output.logits = output.logits.index_fill(-1, torch.tensor(banned), -1e4)
        return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
