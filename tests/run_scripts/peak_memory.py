# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Print the bytes that one training step of a small Qwen3-VL adds at its peak: forward, backward and Adam, in fp32.

python tests/run_scripts/peak_memory.py HIDDEN LAYERS INTERMEDIATE HEADS VOCABULARY TOKENS CHECKPOINTING
"""

import sys
import threading
import time

from verl_ext.cpu.env import prepare_interpreter

prepare_interpreter()

import psutil  # noqa: E402
import torch  # noqa: E402
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration  # noqa: E402

HEAD_DIM = 64


def build(hidden, layers, intermediate, heads, vocabulary):
    text = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 4),
        "head_dim": HEAD_DIM,
        "vocab_size": vocabulary,
        "tie_word_embeddings": True,
        "rope_scaling": {"rope_type": "default", "mrope_section": [12, 10, 10], "mrope_interleaved": True},
    }
    vision = {"hidden_size": 64, "intermediate_size": 128, "depth": 2, "num_heads": 2, "out_hidden_size": hidden}
    vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)
    return Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa", dtype=torch.float32)


def main(hidden, layers, intermediate, heads, vocabulary, tokens, checkpointing):
    model = build(hidden, layers, intermediate, heads, vocabulary).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step(count):
        ids = torch.randint(10, vocabulary, (1, count))
        log_probs = torch.log_softmax(model(input_ids=ids).logits.float(), -1).gather(-1, ids[..., None])
        (-log_probs.mean()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    step(8)  # gradients and moments exist from here on
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step(tokens)
    done.set()
    watcher.join()
    print(peak - before)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
