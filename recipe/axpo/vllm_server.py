# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl's vLLM server that also returns the entropy of each token, for ``axpo.ranking=entropy``. Imports vLLM.

verl asks vLLM for the log-probability of the sampled token alone, whatever a request says. Here the engine is asked for
those of the ``TOP`` most likely tokens, too, which is as many as vLLM gives by default.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import ray
from recipe.axpo.forks import entropy
from recipe.axpo.trajectory import ENTROPIES_KEY

from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer, vLLMReplica

TOP = 20


class _EntropyEngine:
    """vLLM's engine. It notes the entropies of requests that want log-probabilities, by their id."""

    def __init__(self, engine: Any):
        self._engine = engine
        self.entropies: dict[str, list[float]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, *, sampling_params: Any, request_id: str, **kwargs: Any) -> AsyncIterator[Any]:
        wanted = sampling_params.logprobs is not None
        if wanted:
            sampling_params.logprobs = TOP
        found = None
        async for found in self._engine.generate(sampling_params=sampling_params, request_id=request_id, **kwargs):
            yield found
        if wanted and found is not None and found.outputs:
            tokens = found.outputs[0].logprobs
            self.entropies[request_id] = [entropy(each.logprob for each in token.values()) for token in tokens]


class EntropyVLLMServer(vLLMHttpServer):
    """verl's server with the engine above."""

    async def generate(
        self, prompt_ids: list[int], sampling_params: dict[str, Any], request_id: str, *args: Any, **kwargs: Any
    ) -> TokenOutput:
        """Generate as verl's server does; the output's extra fields have the entropies."""
        if not isinstance(self.engine, _EntropyEngine):
            self.engine = _EntropyEngine(self.engine)
        output = await super().generate(prompt_ids, sampling_params, request_id, *args, **kwargs)
        if (entropies := self.engine.entropies.pop(request_id, None)) is not None:
            output.extra_fields[ENTROPIES_KEY] = entropies
        return output


class EntropyVLLMReplica(vLLMReplica):
    """verl's replica with the server above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.server_class = ray.remote(EntropyVLLMServer)
