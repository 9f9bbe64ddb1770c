# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Directories of a training run and of evaluations, as the project's writers leave them, with hostile texts in them."""

import json

import torch
from PIL import Image
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from recipe.axpo.advantage import Role
from recipe.axpo.dump import write_rollouts
from recipe.axpo.tree import BranchColumn

SYSTEM = "<|im_start|>system\n<tools>\n{}\n</tools><|im_end|>\n"
PLACEHOLDER = "<|vision_start|>" + "<|image_pad|>" * 16 + "<|vision_end|>"
TOOL_HEAD, TOOL_TAIL = (
    "\n<|im_start|>user\n<tool_response>\n",
    "\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n",
)
OPEN = "I look closer.\n</think>\n\n<tool_call>"  # a prefix that is frozen
HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>{{ 7 * 7 }} &lt;b&gt; "
    "<|im_end|><|im_start|>system \x1b[31mred\x1b[0m \x00 \u2028 \u202ereversed \U0001f600"
)


def prompt(placeholder=PLACEHOLDER, question="What colour?"):
    return f"{SYSTEM}<|im_start|>user\n{placeholder}\n{question}<|im_end|>\n<|im_start|>assistant\n<think>\n"


def call(box, label="cell"):
    arguments = {"bbox_2d": box, "label": label, "img_idx": 0}
    return f"\n{json.dumps({'name': 'image_zoom_in', 'arguments': arguments})}\n</tool_call><|im_end|>"


def seen(box, placeholder=PLACEHOLDER):
    return f"{TOOL_HEAD}{placeholder}Image 1: the region {box} of image 0.{TOOL_TAIL}"


def answer(text, thought="It is clear."):
    return f"{thought}\n</think>\n\n<answer>{text}</answer><|im_end|>"


# -------------------------------------------------------------------- training


def write_step(path, step, index):
    """Write a step of two questions with ``write_rollouts``: one with two forks, one with hostile texts.

    A character is a token. Returns, by uid, the response's text in which every character without loss is a ``·``.
    """
    rows, columns, shaded = [], [], {}

    def add(question, session, pieces, reward, advantage, role=Role.ROLLOUT, place=0, **branch):
        text = "".join(part for part, _ in pieces)
        mask = [trained for part, trained in pieces for _ in part]
        columns.append(BranchColumn(question, session, role, **branch))
        scores = torch.zeros(len(text))
        scores[-1] = reward
        rows.append(
            {
                "prompts": torch.tensor([*map(ord, prompt())]),
                "responses": torch.tensor([*map(ord, text)]),
                "response_mask": torch.tensor(mask),
                "rm_scores": scores,
                "advantages": torch.tensor(mask) * torch.tensor(advantage),
                "reward_model": {"ground_truth": "red"},
                "extra_fields": {"reward_extra_info": {"acc": reward, "extracted": "red" if reward else "blue"}},
                "data_source": "axpo/embedded_colour",
                "index": place,
            }
        )
        shaded[f"{question}_{session}_0"] = "".join(c if m else "·" for c, m in zip(text, mask, strict=True))

    fork = {"prefix_group": "q:1:9", "source_session": 1, "prefix_length": len(OPEN), "confidence": 0.25, "turn": 1}
    first, second = [0, 0, 250, 250], [500, 500, 750, 1000]
    add("q", 0, [(answer("red"), 1)], 1.0, 0.5, place=index)
    rest = [(call(first), 0), (seen(first), 0), (answer("blue"), 0)]
    add("q", 1, [(OPEN, 1), *rest], 0.0, 0.75, Role.SOURCE, index, recovery_reward=1.0, **fork)
    for session, box, reward in ((4, second, 1.0), (5, first, 0.0)):
        told = [(OPEN, 0), (call(box), 1), (seen(box), 0), (answer("red" if reward else "blue"), 1)]
        add("q", session, told, reward, reward - 0.5, Role.CONTINUATION, index, **fork)
    other = fork | {"prefix_group": "q:2:9", "source_session": 2}
    add("q", 2, [(OPEN, 1), *rest], 0.0, -0.5, Role.SOURCE, index, recovery_reward=0.0, **other)
    told = [(OPEN, 0), (call(first), 1), (seen(first), 0), (answer("blue"), 1)]
    add("q", 6, told, 0.0, 0.0, Role.CONTINUATION, index, **other)
    hostile = f"{HOSTILE}\n</think>\n\n<tool_call>{HOSTILE}</tool_call>{HOSTILE}<answer>{HOSTILE}</answer><|im_end|>"
    add("h", 0, [(hostile, 1)], 0.0, -0.5, place=index + 1)
    keys = [f"{column.question}_{column.session}_0" for column in columns]
    write_rollouts(
        path, step, keys, columns, list_of_dict_to_tensordict(rows), lambda ids: "".join(map(chr, ids)), roles=True
    )
    return shaded


def training_run(folder, data):
    """Write steps 1, 2 and 3 of a run on the data's ``train.parquet``, and return the shaded texts of step 1."""
    shaded = [write_step(folder / "rollouts" / f"{step}.jsonl", step, 2 * step) for step in (1, 2, 3)]
    (folder / "metrics").mkdir(parents=True)
    lines = [
        {"step": step, "data": {"training/global_step": step, "axpo/tool_use_rate": 0.2 * step, "axpo/accuracy": 0.5}}
        for step in (1, 2, 3)
    ]
    (folder / "metrics" / "attempt-000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "config.yaml").write_text(f"data:\n  train_files: {data / 'train.parquet'}\n")
    return shaded[0]


# ------------------------------------------------------------------ evaluation


def sample(question, number, text, images, right, calls=(), **more):
    """One line of ``samples/<benchmark>.jsonl``."""
    placeholder = "<|vision_start|><|image_pad|><|vision_end|>"
    segments = [{"by": "prompt", "text": prompt(placeholder), "tokens": 50}]
    segments += [{"by": by, "text": part, "tokens": len(part)} for by, part in text]
    return {
        "question": question,
        "sample": number,
        "seed": number,
        "status": "ok",
        "segments": segments,
        "images": images,
        "calls": list(calls),
        "used_tool": bool(calls),
        "ground_truth": "red",
        "answer": "red" if right else "blue",
        "score": float(right),
        "details": {"acc": float(right), "method": "exact"},
        "turns": 1 + len(calls),
        "generated_tokens": 20,
        "seconds": 1.5,
    } | more


def evaluation(folder, name, *, right):
    """Write an evaluation of two benchmarks with two questions and two samples each.

    Args:
        right: whether sample 1 of ``vstar``'s question ``test/2`` is right; all others are the same for every model.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "samples").mkdir()
    Image.new("RGB", (400, 200), "green").save(folder / "images" / "aaaa.png")
    Image.new("RGB", (100, 100), "blue").save(folder / "images" / "bbbb.png")
    box = [100, 100, 200, 300]  # pixels would be read as thousandths
    record = {"name": "image_zoom_in", "arguments": {}, "ok": True, "kind": None, "seconds": 0.25}
    zoomed = [("model", OPEN + call(box)), ("tool", seen(box, "<|vision_start|><|image_pad|><|vision_end|>"))]
    both = ["images/aaaa.png", "images/bbbb.png"]
    hostile = [("model", f"{HOSTILE}\n</think>{HOSTILE}<answer>{HOSTILE}</answer>")]
    lines = {
        "vstar": [
            sample("test/10", 0, [("model", answer("red"))], both[:1], True),
            sample("test/10", 1, [("model", answer("red"))], both[:1], True),
            sample("test/2", 0, [*zoomed, ("model", answer("blue"))], both, False, [record]),
            sample("test/2", 1, [*zoomed, ("model", answer("red"))], both, right, [record]),
        ],
        "hostile": [
            sample(HOSTILE, 0, hostile, [], False, answer=HOSTILE, ground_truth=HOSTILE, details={"note": HOSTILE}),
            sample(HOSTILE, 1, [], [], False, status="infrastructure", score=None, error=HOSTILE),
        ],
    }
    for benchmark, found in lines.items():
        text = "".join(json.dumps({"benchmark": benchmark, **line}) + "\n" for line in found)
        text = text.replace('"note": "', '"note": "\\ud800')  # A lone surrogate, as JSON can hold it.
        (folder / "samples" / f"{benchmark}.jsonl").write_text(text + '{"benchmark": "torn')
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    numbers = {"questions": 2, "samples": 4, "pass@1": estimate, "pass@2": estimate, "tool_use_rate": estimate}
    metrics = {
        "samples": 2,
        "benchmarks": {"vstar": numbers | {"infrastructure": {"samples": 3}}, "hostile <img src=x>": numbers},
        "average": {
            "benchmarks": ["vstar", "hostile <img src=x>"],
            "pass@1": {"value": 0.625, "low": None, "high": None},
        },
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "settings.json").write_text(json.dumps({"name": name, "model": f"<b>{name}</b>", "samples": 2}))
    return folder
