# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories made by code: Mini-o3's layout, and OpenAI's chat format."""

import base64
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SYSTEM = "You are a helpful assistant. Output your thinking process within the <think> and </think> tags."
AFTER = "Continue your reasoning process inside <think> and </think>."


def observation(number, image=True):
    text = f"After the above Action {number - 1}, here is the the zoom-in image (Observation {number}):\n"
    return text + ("<image>.\n" if image else "") + AFTER


def zoom(box, source="original_image", thought="The sign is small, I zoom in."):
    return f'<think>{thought}</think><grounding>{{"bbox_2d": {box}, "source": "{source}"}}</grounding>'


def trajectory(*gpt, question="<image>\nWhat is on the sign?", images=None):
    """Turns: system, the question, then gpt turns with observations between them."""
    turns = [{"from": "system", "value": SYSTEM}, {"from": "human", "value": question}]
    for number, value in enumerate(gpt, 1):
        turns.append({"from": "gpt", "value": value})
        if number < len(gpt):
            turns.append({"from": "human", "value": observation(number)})
    return turns


ANSWER = "<think>It says stop.\nSure.</think><answer>STOP</answer>"


@pytest.fixture(scope="session")
def mini():
    return SimpleNamespace(zoom=zoom, trajectory=trajectory, observation=observation, answer=ANSWER)


@pytest.fixture
def write_mini(tmp_path, jpeg):
    """Write trajectories, each (turns or text, number of images, further columns), as the dataset's parquet."""
    import datasets

    def write(items, literal=repr):
        rows = []
        for number, (turns, images, *more) in enumerate(items):
            names = ["original_image.jpg", *[f"observation_{i}.jpg" for i in range(1, images)]][:images]
            rows.append(
                {
                    "conversations": turns if isinstance(turns, str) else literal(turns),
                    "images": [{"bytes": jpeg(64 + 32 * i, 64), "path": None} for i in range(images)],
                    "image_names": names,
                    "data_source": "visual_probe_train",
                    "sample_index": number,
                    "rollout_index": 0,
                    **(more[0] if more else {}),
                }
            )
        table = {name: [row[name] for row in rows] for name in rows[0]}
        text, number = datasets.Value("string"), datasets.Value("int64")
        kinds = {"images": datasets.List(datasets.Image()), "image_names": datasets.List(text)}
        features = {name: number if name.endswith("index") else kinds.get(name, text) for name in table}
        folder = tmp_path / "Mini-o3-Coldstart-Dataset"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        file = folder / "data" / "train-00000-of-00001.parquet"
        datasets.Dataset.from_dict(table, features=datasets.Features(features)).to_parquet(file)
        return folder

    return write


@pytest.fixture
def other_table(tmp_path):
    """Write a parquet of any columns where the dataset's file is expected."""

    def write(**columns):
        folder = tmp_path / "Mini-o3-Coldstart-Dataset" / "data"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / "train-00000-of-00001.parquet")
        return folder.parent

    return write


def url(data):
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"}}


def call(name, arguments, number="c1"):
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": number, "type": "function", "function": {"name": name, "arguments": text}}


ZOOM = {"bbox_2d": [10, 20, 300, 400], "label": "sign", "img_idx": 0}


@pytest.fixture(scope="session")
def chat(jpeg):
    def conversation(**changes):
        """A conversation of one zoom; ``changes`` replace messages by number or key."""
        messages = {
            "system": {"role": "system", "content": "Be exact."},
            "user": {"role": "user", "content": [url(jpeg(64, 64)), {"type": "text", "text": "What does it say?"}]},
            "acting": {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Too small. <image>",
                "tool_calls": [call("image_zoom_in", ZOOM)],
            },
            "tool": {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "text", "text": "Image 1: the region."}, url(jpeg(96, 64))],
            },
            "final": {"role": "assistant", "content": "<think>\nIt says STOP.\n</think>\n\n<answer>STOP</answer>"},
        }
        messages.update(changes)
        return [message for message in messages.values() if message is not None]

    return SimpleNamespace(conversation=conversation, url=url, call=call, zoom=ZOOM)


@pytest.fixture
def write_chat(tmp_path):
    """Write conversations, or lines as they are, as JSONL."""

    def write(conversations):
        lines = [item if isinstance(item, str) else json.dumps({"messages": item}) for item in conversations]
        path = tmp_path / "teacher.jsonl"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def sft(tmp_path):
    """Run a subcommand; returns (status, rows, manifest)."""
    from data_prep.__main__ import main

    def run(command, source, *options):
        folder = tmp_path / "sft"
        cache = ["--cache-dir", str(tmp_path / "cache")] if command == "sft-mini-o3" else []
        status = main([command, "--source", str(source), "--output", str(folder), *cache, *options])
        if status:
            assert not (folder / "sft.parquet").exists() and not list(folder.glob("*.partial"))
            return status, None, None
        manifest = json.loads((folder / "manifest.json").read_text())
        return status, pq.read_table(folder / "sft.parquet").to_pylist(), manifest

    return run
