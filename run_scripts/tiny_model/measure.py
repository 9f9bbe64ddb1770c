# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure a policy on unseen scenes of the embedded task: tool rate, box accuracy, reading, guessing.

python -m run_scripts.tiny_model.measure --model DIR
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

from data_prep.embedded.rl import TOOL_CONFIG, prompt_text
from data_prep.embedded.scene import Scene, SceneConfig, make_scene, scene_rng
from data_prep.embedded.sft import zoom_answer
from data_prep.tool_schemas import load_tool_schemas

CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


class Policy:
    """A checkpoint that continues prompts by sampling at temperature 1."""

    def __init__(self, path: str | Path):
        self.processor = AutoProcessor.from_pretrained(path)
        self.processor.tokenizer.padding_side = "left"
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()
        self.tools = load_tool_schemas([TOOL_CONFIG])

    def prompt(self, scene: Scene) -> str:
        """Render the prompt of a scene, generation prompt included."""
        content = [{"type": "image"}, {"type": "text", "text": "\n" + prompt_text(scene)}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], tools=self.tools, tokenize=False, add_generation_prompt=True
        )

    @torch.no_grad()
    def generate(self, prompts: list[str], images: list[list[Image.Image]], max_new_tokens: int = 96, **options: Any):
        """Continue each prompt by sampling.

        Args:
            options: further options of ``transformers``' ``generate``.

        Returns:
            Its output, whose ``sequences`` begin with the prompts, and the length of the padded prompts in tokens.
        """
        inputs = self.processor(text=prompts, images=images, return_tensors="pt", padding=True)
        sampling = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "return_dict_in_generate": True}
        made = self.model.generate(**inputs, max_new_tokens=max_new_tokens, **sampling, **options)
        return made, inputs["input_ids"].shape[1]

    def sample(self, prompts: list[str], images: list[list[Image.Image]], max_new_tokens: int = 96) -> list[str]:
        """Continue each prompt until its end-of-turn token, which is cut off."""
        made, length = self.generate(prompts, images, max_new_tokens)
        return [self.processor.tokenizer.decode(row[length:]).split("<|im_end|>")[0] for row in made.sequences]


def shown_image(scene: Scene) -> Image.Image:
    """Return a scene's image as the model sees it."""
    return Image.fromarray(scene.image).resize((scene.config.low_size,) * 2)


def called_cell(text: str, scene: Scene) -> tuple[int, int] | None:
    """Return (row, column) of the cell that a zoom call asks for, or ``None``: no call, a broken one, another box."""
    match = CALL.search(text)
    if not match:
        return None
    try:
        box = json.loads(match.group(1))["arguments"]["bbox_2d"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return None
    cells = ((r, c) for r in range(scene.config.grid) for c in range(scene.config.grid))
    return next((cell for cell in cells if scene.box(cell) == box), None)


def answered(text: str) -> str | None:
    """Return the content of the answer tag."""
    match = ANSWER.search(text)
    return match.group(1) if match else None


def measure(model: str | Path, scenes: int = 128, *, kind: str = "colour", seed: int = 0) -> dict[str, float]:
    """Play ``scenes`` unseen scenes once each.

    Returns:
        tool_rate: share of scenes with a well-formed call; box_accuracy: of those, with the right box; read_accuracy:
        of those, answering what the crop shows; hint_accuracy: of the scenes without a call, answering the hint;
        guess_accuracy: of those, right; accuracy: right answers; malformed: neither a usable call nor an answer.
    """
    torch.manual_seed(seed)
    policy = Policy(model)
    played = [make_scene(kind, SceneConfig(), scene_rng(seed, "val", i)) for i in range(scenes)]
    shown = [shown_image(s) for s in played]
    prompts = [policy.prompt(s) for s in played]
    turns = policy.sample(prompts, [[image] for image in shown])

    calls = [(i, cell) for i, s in enumerate(played) if (cell := called_cell(turns[i], s)) is not None]
    finals = {}
    if calls:
        longer = [
            f"{prompts[i]}{turns[i]}<|im_end|>\n<|im_start|>user\n<tool_response>\n<|vision_start|><|image_pad|>"
            f"<|vision_end|>{zoom_answer(played[i].box(cell))}\n</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n<think>\n"
            for i, cell in calls
        ]
        images = [[shown[i], Image.fromarray(played[i].crop(cell))] for i, cell in calls]
        finals = {i: answered(text) for (i, _), text in zip(calls, policy.sample(longer, images), strict=True)}
    guesses = {i: a for i in range(scenes) if i not in finals and (a := answered(turns[i])) is not None}

    def share(hits, of) -> float:
        return round(sum(hits) / len(of), 3) if of else float("nan")

    return {
        "scenes": scenes,
        "tool_rate": share((1 for _ in calls), played),
        "box_accuracy": share((cell == played[i].target for i, cell in calls), calls),
        "read_accuracy": share((finals[i] == played[i].contents[cell[0]][cell[1]] for i, cell in calls), calls),
        "hint_accuracy": share((a == played[i].hint for i, a in guesses.items()), guesses),
        "guess_accuracy": share((a == played[i].answer for i, a in guesses.items()), guesses),
        "accuracy": share((a == played[i].answer for i, a in {**finals, **guesses}.items()), played),
        "malformed": share((1 for i in range(scenes) if i not in finals and i not in guesses), played),
    }


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m run_scripts.tiny_model.measure",
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    checkpoint = Path(__file__).resolve().parent / "checkpoint"
    parser.add_argument("--model", type=Path, default=checkpoint, help="checkpoint folder")
    parser.add_argument("--scenes", type=int, default=128, help="number of unseen scenes")
    parser.add_argument("--kind", default="colour", help="question kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes and sampling")
    args = parser.parse_args(argv)
    print(json.dumps(measure(args.model, args.scenes, kind=args.kind, seed=args.seed), indent=2))


if __name__ == "__main__":
    main()
