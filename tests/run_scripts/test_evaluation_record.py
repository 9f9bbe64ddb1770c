# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from run_scripts.evaluation.record import (
    INFRASTRUCTURE,
    Call,
    RecordError,
    Sample,
    SampleWriter,
    Segment,
    read_evaluation,
    read_lines,
    read_samples,
    save_images,
)

REPO_ROOT = Path(__file__).resolve().parents[2]


def sample(question="test/0", number=0, **changes):
    values = {
        "segments": (Segment("prompt", "<|im_start|>user\nSay \u2028 \x85 <script>", 5), Segment("model", "42", 1)),
        "images": ("images/0.png",),
        "calls": (Call("image_zoom_in", {"bbox_2d": [0, 0, 1, 1]}, False, "bbox_2d", 0.5),),
        "score": 1.0,
        "details": {"acc": 1.0, "method": "number"},
        "meta": {"cycle": "0"},
    }
    return Sample("vstar", question, number, 7, **{**values, **changes})


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "samples" / "vstar.jsonl"
    given = [sample("test/10"), sample("test/9"), sample("test/9", 1, status=INFRASTRUCTURE, error="no engine")]
    with SampleWriter(path) as writer:
        for one in given:
            writer.write(one)
    assert len(path.read_text().splitlines()) == 3  # no text breaks a line
    assert read_samples(path) == [given[1], given[2], given[0]]
    assert read_samples(path, texts=False)[0] == replace(given[1], segments=())


def test_a_failure_that_is_mended_later_is_there_once(tmp_path):
    path = tmp_path / "vstar.jsonl"
    with SampleWriter(path) as writer:
        writer.write(sample(status=INFRASTRUCTURE, error="no engine"))
    with SampleWriter(path) as writer:
        assert writer.done == set()
        writer.write(sample())
        with pytest.raises(ValueError, match="is done already"):
            writer.write(sample())
    assert read_samples(path) == [sample()]
    with SampleWriter(path) as writer:
        assert writer.done == {("test/0", 0)}


def test_every_torn_line_is_cut_and_nothing_else(tmp_path):
    path = tmp_path / "vstar.jsonl"
    whole = sample("test/0").line() + sample("test/1").line()
    torn = sample("test/2").line()
    for length in (1, len(torn) // 2, len(torn) - 1):
        path.write_bytes(whole + torn[:length])
        assert [s.question for s in read_samples(path)] == ["test/0", "test/1"]
        with SampleWriter(path) as writer:
            writer.write(sample("test/2"))
        assert path.read_bytes() == whole + torn
    path.write_bytes(b"no line" * 20_000)
    SampleWriter(path).close()
    assert path.read_bytes() == b""


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "vstar.jsonl"
    path.write_bytes(sample().line() + b"{broken\n" + sample("test/1").line())
    with pytest.raises(RecordError, match="line 2 is no JSON"):
        list(read_lines(path))
    with pytest.raises(RecordError, match="holds no evaluation"):
        read_evaluation(tmp_path)


def test_images_are_named_by_their_pixels(tmp_path):
    small, large = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (800, 600), "red")
    names = save_images(tmp_path, [small, large, small.copy()])
    assert names[0] == names[2] and names[0].endswith(".png") and names[1].endswith(".jpg")
    assert Image.open(tmp_path / names[0]).getpixel((0, 0)) == (255, 0, 0)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == sorted({n[7:] for n in names})


WRITE = """
import asyncio, random, sys
from pathlib import Path
from run_scripts.evaluation.drive import Task, drive
from run_scripts.evaluation.record import Sample, SampleWriter, Segment

writer = SampleWriter(Path(sys.argv[1]))
tasks = [Task("vstar", f"test/{i}", i, j) for i in range(60) for j in range(4) if (f"test/{i}", j) not in writer.done]

async def run(task):
    await asyncio.sleep(random.random() / 200)
    text = f"{task.question} {task.sample} " * random.randint(1, 4000)
    return Sample("vstar", task.question, task.sample, 0, segments=(Segment("model", text, 1),), score=1.0)

asyncio.run(drive(tasks, run, writer.write, in_flight=16))
"""


def test_killed_anywhere_it_loses_none_and_repeats_none(tmp_path):
    path, rng, kills = tmp_path / "vstar.jsonl", random.Random(0), 0
    command = [sys.executable, "-c", WRITE, str(path)]
    environ = {**os.environ, "PYTHONPATH": str(REPO_ROOT)}
    while True:
        before = len(list(read_lines(path))) if path.exists() else 0
        with subprocess.Popen(command, env=environ, cwd=REPO_ROOT) as process:
            wanted = before + rng.randint(1, 70)
            while process.poll() is None and (not path.exists() or len(list(read_lines(path))) < wanted):
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                break
        kills += 1
        if kills == 2:  # as if the kernel had written half a line
            with path.open("ab") as file:
                file.write(sample("test/1000").line()[:200])
    assert kills >= 2
    keys = [(record["question"], record["sample"]) for record in map(json.loads, path.read_text().splitlines())]
    assert len(keys) == 240 and set(keys) == {(f"test/{i}", j) for i in range(60) for j in range(4)}
