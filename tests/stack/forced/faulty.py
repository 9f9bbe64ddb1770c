# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A rollout worker whose writes to the TransferQueue are lost where the script says so."""

from __future__ import annotations

import ray
import transfer_queue as tq

from recipe.axpo.rollout import AXPOAgentLoopManager, AXPOAgentLoopWorker

LOST_ROW, LOST_STATUS = "lost row", "lost status"  # in the text of a response


class FaultyWorker(AXPOAgentLoopWorker):
    """The real worker; the two calls that write are wrapped in this process."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        put_batch, put = tq.async_kv_batch_put, tq.async_kv_put
        lost: set[str] = set()  # questions whose status is lost

        async def async_kv_batch_put(keys, partition_id, fields=None, **kwargs):
            if fields is not None and "responses" in fields.keys():
                text = self.tokenizer.decode(fields["responses"][0].tolist())
                if LOST_ROW in text:
                    raise ConnectionError("the row was lost")
                if LOST_STATUS in text:
                    lost.add(keys[0].split("_")[0])
            return await put_batch(keys=keys, partition_id=partition_id, fields=fields, **kwargs)

        async def async_kv_put(key, partition_id, **kwargs):
            if key in lost:
                raise ConnectionError("the status was lost")
            return await put(key=key, partition_id=partition_id, **kwargs)

        tq.async_kv_batch_put, tq.async_kv_put = async_kv_batch_put, async_kv_put


class FaultyManager(AXPOAgentLoopManager):
    """The real manager with these workers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(FaultyWorker)
