# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The memory estimate: published sizes, and measured peaks of small models."""

import pytest
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from run_scripts.memory import ModelSize, activation_bytes

HEAD_DIM, VOCABULARY = 64, 8192


@pytest.mark.parametrize(
    "size, billions, kv_bytes", [("2b", 2.13, 114_688), ("4b", 4.44, 147_456), ("8b", 8.77, 147_456)]
)
def test_sizes_of_qwen3_vl(size, billions, kv_bytes, model_dirs):
    found = ModelSize.read(str(model_dirs[size]))
    assert found.parameters == pytest.approx(billions * 1e9, rel=0.01)
    assert (found.kv_bytes, found.pixels_per_token, found.vocabulary) == (kv_bytes, 1024, 151_936)


def test_a_model_that_is_not_here_is_an_error_and_no_download():
    with pytest.raises(OSError):
        ModelSize.read("/nowhere/at/all")


def small_qwen3vl(hidden, layers, intermediate, heads):
    text = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 4),
        "head_dim": HEAD_DIM,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
        "rope_scaling": {"rope_type": "default", "mrope_section": [12, 10, 10], "mrope_interleaved": True},
    }
    vision = {"hidden_size": 64, "intermediate_size": 128, "depth": 2, "num_heads": 2, "out_hidden_size": hidden}
    vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)
    return Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa", dtype=torch.float32)


def measured_peak(hidden, layers, intermediate, heads, tokens, checkpointing):
    """Return the bytes that a forward, backward and Adam step in fp32 adds at its peak."""
    model = small_qwen3vl(hidden, layers, intermediate, heads).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step(count):
        ids = torch.randint(10, VOCABULARY, (1, count))
        log_probs = torch.log_softmax(model(input_ids=ids).logits.float(), -1).gather(-1, ids[..., None])
        (-log_probs.mean()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    step(8)  # gradients and moments exist from here on
    # The allocator's own record: resident memory also depends on what the C library keeps.
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step(tokens)
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize(
    "hidden, layers, intermediate, heads, tokens, checkpointing",
    [
        (256, 4, 1024, 4, 2048, True),
        (384, 6, 1024, 6, 4096, True),
        (512, 8, 1536, 8, 2048, True),
        (512, 8, 1536, 8, 2048, False),
    ],
)
def test_estimate_is_near_the_measured_peak(hidden, layers, intermediate, heads, tokens, checkpointing):
    measured = measured_peak(hidden, layers, intermediate, heads, tokens, checkpointing)
    model = ModelSize(0, layers, hidden, intermediate, heads, max(1, heads // 4), HEAD_DIM, VOCABULARY, 1024)
    estimate = activation_bytes(model, tokens, width=4, checkpointing=checkpointing, fused_logits=False)
    assert estimate == pytest.approx(measured, rel=0.1)
