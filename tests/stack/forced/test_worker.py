# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The rollout worker in this process: what it keeps of a session, and whether its event loop stays free."""

from __future__ import annotations

import asyncio
import gc
import pickle
import time
import weakref

import pytest
import torch
from PIL import Image
from tensordict import NonTensorStack
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput
from verl.experimental.agent_loop.tool_agent_loop import AgentData

from recipe.axpo import rollout
from recipe.axpo.agent_loop import AXPOToolAgentLoop
from tests.stack.forced.engine import ScriptedClient
from tests.stack.forced.script import FAILS, Question, acting, call, plain, quiet, resampled, rest_of_call
from tests.stack.forced.world import load_config

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def worker(world):
    world.manager("axpo")  # its coordinator
    return rollout.AXPOAgentLoopWorker(
        load_config(world.model), ScriptedClient(world.engine), None, world.rewards.reward_loop_worker_handles
    )


async def roll_out(world, worker, questions, step):
    """Run a batch on a worker of this process."""
    batch, answers = world._batch(questions, "axpo_tool_agent", None)
    batch = pickle.loads(pickle.dumps(batch))  # as it reaches a worker
    script = {question.name: question for question in questions}
    await world.engine.load.remote(script, answers, world.max_length["axpo"])
    uids = list(batch["uid"])
    await worker.coordinator.open.remote(step, len(uids), 4, uids)
    await worker.generate_sequences(batch)
    await asyncio.gather(*worker.background_tasks)
    return await worker.coordinator.close.remote(step)


def test_nothing_outlives_its_session(world, worker, monkeypatch):
    """With the collector off: a reference cycle would keep every session's images alive."""
    seen = []

    def watch(cls):
        original = cls.__init__

        def watched(self, *args, **kwargs):
            original(self, *args, **kwargs)
            seen.append(weakref.ref(self))

        monkeypatch.setattr(cls, "__init__", watched)

    monkeypatch.setattr(rollout.logger, "disabled", True)  # pytest keeps log records, with the errors' tracebacks
    watch(AXPOToolAgentLoop)
    watch(AgentData)
    sessions = {**acting("a", False, 0.3), "b": [call("b", 0.4), FAILS], **plain("c", True), **plain("d", False)}
    again = [*resampled("a", True, False), [rest_of_call("take 2"), FAILS]]
    questions = [Question("hard", sessions, {"a": again}), quiet("other")]
    world.step += 1
    gc.collect()
    gc.disable()
    try:
        report = asyncio.run(roll_out(world, worker, questions, world.step))
        alive = [type(ref()).__name__ for ref in seen if ref() is not None]
    finally:
        gc.enable()
        world.forget()
    assert len(report.selected) == 1 and len(seen) == 2 * (8 + 3)
    assert alive == [] and worker._trees == {} and worker._features == {}


def session_with(world, worker, pixels):
    """Output of a session whose prompt and tool answer show an image of ``pixels`` each."""
    side = int(pixels**0.5) // 32 * 32
    images = [Image.effect_noise((side, side), 64).convert("RGB") for _ in range(2)]
    text = "<|vision_start|><|image_pad|><|vision_end|>"
    prompt, response = (worker.processor(text=[f"{text} look"], images=[image])["input_ids"][0] for image in images)
    prompt, response = list(map(int, prompt)), list(map(int, response))
    return AgentLoopOutput(
        prompt_ids=prompt,
        response_ids=response,
        response_mask=[1] * len(response),
        response_logprobs=[-0.5] * len(response),
        multi_modal_data={"images": images},
        num_turns=2,
        metrics=AgentLoopMetrics(),
        extra_fields={"min_global_steps": 0, "max_global_steps": 0, "turn_scores": [], "tool_rewards": []},
    )


@pytest.mark.parametrize("megapixels", [1, 4, 8])
def test_the_event_loop_stays_free_while_rows_are_written(world, worker, megapixels):
    worker.processor.image_processor.size = {"shortest_edge": 1024, "longest_edge": 10**8}
    outputs = [session_with(world, worker, megapixels * 10**6) for _ in range(3)]
    batch, _ = world._batch([quiet("big")], "axpo_tool_agent", None)
    row = {  # as verl takes a row out of a batch
        name: value[0].data if isinstance(value, NonTensorStack) else value[0]
        for name, value in batch.items()
        if isinstance(value, NonTensorStack | torch.Tensor)
    }
    uid = row["uid"]

    async def tick(gaps):
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - before - 0.01)

    async def run(gaps):
        worker._trees[uid] = worker._new_tree(uid, len(outputs))
        ticker = asyncio.create_task(tick(gaps))
        await asyncio.gather(
            *(
                worker._agent_loop_postprocess(output.model_copy(), False, **row, session_id=i, global_steps=1)
                for i, output in enumerate(outputs)
            )
        )
        ticker.cancel()

    longest = []
    try:
        for _ in range(3):  # another process may take this one's CPU; code that blocks the loop does so every time
            gaps = []
            asyncio.run(run(gaps))
            longest.append(max(gaps))
    finally:
        worker._trees.clear()
        world.forget()
    print(f"{megapixels} MP, 3 rows with 2 images each: longest gaps {[round(1000 * gap) for gap in longest]} ms")
    assert min(longest) < 0.1
