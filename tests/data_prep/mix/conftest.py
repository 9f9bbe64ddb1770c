# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared files with pictures that differ, made by code."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from data_prep.core.parquet import RowWriter
from data_prep.rows import rl_row


def picture(seed, size=(160, 120), kind="PNG", quality=60):
    """A random scene of rectangles; other seeds look different, other sizes the same."""
    rng = np.random.default_rng(seed)
    canvas = np.full((240, 320, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(12):
        x, y = rng.integers(0, 260), rng.integers(0, 190)
        canvas[y : y + rng.integers(20, 110), x : x + rng.integers(20, 110)] = rng.integers(0, 255, 3)
    buffer = io.BytesIO()
    image = Image.fromarray(canvas).resize(size, Image.Resampling.BICUBIC)
    image.save(buffer, kind, **({"quality": quality} if kind == "JPEG" else {}))
    return buffer.getvalue()


def row(number, question, images=(), source="toy", answer="7", scoring=None, meta=None):
    return rl_row(
        data_source=f"axpo/{source}",
        question=question,
        images=[{"bytes": image} for image in images],
        ground_truth=answer,
        split="train",
        index=number,
        ability="math",
        tools={"python": {}},
        instruction="Put the final answer in \\boxed{}.",
        extra={"id": f"{source}-{number}", "scoring": json.dumps(scoring or {}), "meta": json.dumps(meta or {})},
    )


def write(path, rows, group_bytes=20_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with RowWriter(path, group_bytes=group_bytes) as writer:
        for item in rows:
            writer.write(item)
    return path


LONG = "How many of the small rectangles in the upper half of picture {} touch the border of it?"


@pytest.fixture(scope="session")
def toy():
    return SimpleNamespace(picture=picture, row=row, write=write, long=LONG)


@pytest.fixture
def mix(tmp_path):
    """Write a recipe and run it; returns the output folder, or the status where it is not 0."""
    from data_prep.__main__ import main

    def run(recipe, *options, output="out"):
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        folder = tmp_path / output
        status = main(["mix", "--recipe", str(tmp_path / "recipe.yaml"), "--output", str(folder), *options])
        return folder if status == 0 else status

    return run
