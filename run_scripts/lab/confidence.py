# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare a call's confidence, which costs nothing, with the exact entropy of the policy at the call's tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data_prep.embedded.scene import SceneConfig, make_scene, scene_rng
from recipe.axpo.forks import find_tool_call_spans
from run_scripts.tiny_model.measure import Policy

BATCH = 64


@torch.no_grad()
def sample_calls(model: Path, scenes: int, seed: int) -> list[tuple[float, float]]:
    """Sample one first turn for each scene at temperature 1 and return (confidence, entropy) of each call.

    Confidence is what the recipe ranks by. Entropy is the mean over the same tokens, in nats, of the exact entropy of
    the policy's distribution over the vocabulary.
    """
    torch.manual_seed(seed)
    policy = Policy(model)
    tag = policy.processor.tokenizer.convert_tokens_to_ids
    found = []
    for first in range(0, scenes, BATCH):
        played = [make_scene("colour", SceneConfig(), scene_rng(seed, "val", first + i)) for i in range(BATCH)]
        images = [[Image.fromarray(s.image).resize((s.config.low_size,) * 2)] for s in played]
        prompts = [policy.prompt(scene) for scene in played]
        inputs = policy.processor(text=prompts, images=images, return_tensors="pt", padding=True)
        made = policy.model.generate(
            **inputs,
            max_new_tokens=96,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        ids = made.sequences[:, inputs["input_ids"].shape[1] :]
        log_probs = torch.log_softmax(torch.stack(made.logits, 1).float(), -1)  # (batch, tokens, vocabulary)
        entropy = -(log_probs.exp() * log_probs).nan_to_num(0.0).sum(-1)
        chosen = log_probs.gather(-1, ids[..., None])[..., 0]
        for row in range(BATCH):
            spans = find_tool_call_spans(
                ids[row].tolist(),
                [1] * ids.shape[1],
                chosen[row].tolist(),
                open_id=tag("<tool_call>"),
                close_id=tag("</tool_call>"),
                think_close_id=tag("</think>"),
            )
            for span in spans[:1]:
                found.append((span.confidence, float(entropy[row, span.start : span.end].mean())))
    return found


def correlations(pairs: list[tuple[float, float]], draws: int = 2000) -> dict[str, list[float]]:
    """Return Pearson's and Spearman's correlation of confidence with negative entropy, each with a bootstrap interval.

    Returns:
        name -> [value, lower, upper], the 95 % interval from ``draws`` samples of the pairs with replacement.
    """
    confidence, entropy = np.asarray(pairs).T
    rng = np.random.default_rng(0)
    found = {}
    for name, scale in (("pearson", lambda values: values), ("spearman", _ranks)):

        def value(index, scale=scale):
            return np.corrcoef(scale(confidence[index]), scale(-entropy[index]))[0, 1]

        many = [value(rng.integers(0, len(pairs), len(pairs))) for _ in range(draws)]
        found[name] = [float(value(np.arange(len(pairs)))), *map(float, np.percentile(many, [2.5, 97.5]))]
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def write_confidence(scenes: int, seed: int = 5) -> str:
    """Measure the shipped checkpoint, keep the result for the evidence page and return it as JSON."""
    from run_scripts.lab.evidence import KEPT
    from run_scripts.lab.runs import CHECKPOINT

    pairs = sample_calls(CHECKPOINT, scenes, seed)
    text = json.dumps({"scenes": scenes, "seed": seed, "calls": len(pairs), **correlations(pairs)})
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "confidence.json").write_text(text + "\n")
    return text
