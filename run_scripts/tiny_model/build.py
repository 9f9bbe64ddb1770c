# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Build a random-weight Qwen3-VL of under a million parameters, with its tokenizer, processor and chat template.

    python -m run_scripts.tiny_model.build --output DIR

Nothing is downloaded: the tokenizer is trained on the embedded task's own words and the tools' schemas.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from run_scripts.tiny_model.corpus import tokenizer_corpus

HERE = Path(__file__).resolve().parent
PIXELS = 128 * 128  # all images, crops included, are brought down to this area
SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
# As in Qwen3 these are single tokens, but no special ones: decoding with skip_special_tokens keeps them.
TAGS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
# Words, single digits, punctuation with the newlines that follow it, newlines, spaces.
PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def build_tokenizer(corpus: Iterable[str], vocab_size: int = 640) -> Qwen2TokenizerFast:
    """Train a byte-level BPE in Qwen's manner on ``corpus``.

    Args:
        corpus: texts; special tokens and tags in them are left out of training.
        vocab_size: upper bound of merges plus bytes; special tokens and tags come on top.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in TAGS])
    fast = Qwen2TokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        model_max_length=4096,
    )
    fast.chat_template = (HERE / "chat_template.jinja").read_text()
    return fast


def build_processor(tokenizer: Qwen2TokenizerFast) -> Qwen3VLProcessor:
    """Make a processor of patch 16, merge 2; images of at most ``PIXELS`` pixels."""
    sizes = {
        "patch_size": 16,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"shortest_edge": 32 * 32, "longest_edge": PIXELS},
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**sizes),
        chat_template=tokenizer.chat_template,
    )


def build_config(tokenizer: Qwen2TokenizerFast) -> Qwen3VLConfig:
    """Configure two text layers and two vision layers; the vocabulary is exactly the tokenizer's."""

    def token(text: str) -> int:
        return tokenizer.convert_tokens_to_ids(text)

    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
        },
        "tie_word_embeddings": True,
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": text["hidden_size"],
        "num_position_embeddings": 64,  # 8 x 8 patches: the grid of a 128 x 128 image
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        dtype="float32",
    )


def build_model(tokenizer: Qwen2TokenizerFast, seed: int = 0) -> Qwen3VLForConditionalGeneration:
    """Make random float32 weights, the same for the same seed."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(build_config(tokenizer)).float()
    ends = [tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>")]
    model.generation_config.update(eos_token_id=ends, pad_token_id=ends[1], do_sample=True, temperature=1.0)
    return model


def build(output: str | Path, seed: int = 0) -> Path:
    """Write a complete Hugging Face checkpoint folder with random weights and return its path."""
    output = Path(output)
    tokenizer = build_tokenizer(tokenizer_corpus())
    build_processor(tokenizer).save_pretrained(output)
    tokenizer.save_pretrained(output)
    build_model(tokenizer, seed).save_pretrained(output)
    return output


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m run_scripts.tiny_model.build", description=__doc__.split("\n")[0])
    parser.add_argument("--output", required=True, type=Path, help="folder for the checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random weights (default 0)")
    args = parser.parse_args(argv)
    print(f"random-weight checkpoint in {build(args.output, args.seed)}")


if __name__ == "__main__":
    main()
