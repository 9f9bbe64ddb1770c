# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl's SGLang adapter for the CPU. It sends weights by value, for a CPU has no device memory to share."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import torch
from sglang.srt.managers.io_struct import UpdateWeightsFromTensorReqInput
from verl.workers.rollout.sglang_rollout.sglang_rollout import ServerAdapter
from verl.workers.rollout.sglang_rollout.utils import get_named_tensor_buckets


class CPUServerAdapter(ServerAdapter):
    """verl's adapter for replicas of one process (``rollout.tensor_model_parallel_size=1``)."""

    async def update_weights(
        self,
        weights: Iterable[tuple[str, torch.Tensor]],
        global_steps: int | None = None,
        wire_format: str = "named_tensors",
        **kwargs: Any,
    ) -> None:
        """Send all weights in buckets, then drop the prefixes that the old ones have filled in.

        verl pickles handles of device memory. SGLang's reducer for them fails on a tensor of the host ("tuple index out
        of range").
        """
        await self._init_server_adapter()
        bucket_bytes = int(self.config.checkpoint_engine.update_weights_bucket_megabytes) << 20
        async for bucket in get_named_tensor_buckets(weights, bucket_bytes):
            tensors = [(name, tensor.detach().clone()) for name, tensor in bucket]
            request = UpdateWeightsFromTensorReqInput(serialized_named_tensors=[pickle.dumps(tensors)])
            await self._engine.update_weights_from_tensor(request)
        await self._engine.flush_cache()
        if global_steps is not None:
            await self.server_actor.set_global_steps.remote(global_steps)
