# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hashes of images and texts."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from data_prep.core.images import BadImage
from data_prep.mix.fingerprint import SKETCH, normalised, overlap, picture, sketch_of, words_of
from data_prep.mix.sampling import shares


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def distance(first, second):
    return (picture(first).hash ^ picture(second).hash).bit_count()


def diagram(points, size=400, width=4):
    """A line drawing on white, as in geometry problems."""
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).line([(x * size, y * size) for x, y in points], "black", width)
    return image


TRIANGLE = [(0.1, 0.9), (0.8, 0.8), (0.4, 0.1), (0.1, 0.9)]
OTHERS = [
    [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.1)],
    [(0.5, 0.1), (0.9, 0.9), (0.1, 0.6), (0.5, 0.1)],
    [(0.2, 0.9), (0.2, 0.2), (0.9, 0.9), (0.2, 0.9)],
]


@pytest.mark.parametrize("size,kind", [(200, "PNG"), (600, "PNG"), (400, "JPEG"), (300, "WEBP")])
def test_copies_of_photographs_and_drawings_are_close(toy, size, kind):
    assert distance(toy.picture(3, (320, 240)), toy.picture(3, (size, size * 3 // 4), kind)) <= 4
    drawing = diagram(TRIANGLE)
    assert distance(encode(drawing), encode(drawing.resize((size, size)), kind)) <= 4


def test_others_are_far(toy):
    assert min(distance(toy.picture(0), toy.picture(seed)) for seed in range(1, 40)) > 10
    assert min(distance(encode(diagram(TRIANGLE)), encode(diagram(points))) for points in OTHERS) > 10


def test_flat_transparent_and_broken_images(toy):
    assert picture(encode(Image.new("RGB", (50, 50), (7, 7, 7)))) is None
    drawing = diagram(TRIANGLE).convert("RGBA")
    mask = diagram(TRIANGLE).convert("L").point(lambda value: 255 - value)
    black = Image.new("RGBA", drawing.size, (0, 0, 0, 0))
    black.putalpha(mask)
    assert distance(encode(drawing), encode(black)) <= 4  # black everywhere, the drawing is in the transparency
    with pytest.raises(BadImage):
        picture(b"no image")
    with pytest.raises(BadImage):
        picture(toy.picture(0)[:300])


def test_text_normalisation():
    assert normalised("What is\n $x$ , if X=3?<image>") == normalised("what is x if x = 3")
    assert normalised("x + 1") != normalised("x - 1") and normalised("2 > 1") != normalised("2 < 1")
    assert normalised("ﬁne １") == "fine1" and normalised("") == normalised("<image>") == ""
    assert normalised("x^2") != normalised("x2")


def test_overlap_is_exact_for_short_texts():
    first, second = words_of("a b c d e f"), words_of("a b c d e g")
    assert overlap(sketch_of(first, 2), sketch_of(second, 2)) == 4 / 6
    assert overlap(sketch_of(["a"], 5), sketch_of(["a"], 5)) == 1.0 and overlap((), ()) == 0.0


def test_overlap_of_long_texts_is_near():
    words = [f"w{i}" for i in range(2000)]
    sketch = sketch_of(words, 1)
    assert len(sketch) == SKETCH
    assert overlap(sketch, sketch_of(words[:1600] + [f"v{i}" for i in range(400)], 1)) == pytest.approx(2 / 3, abs=0.15)


@given(st.dictionaries(st.text(min_size=1), st.floats(0.01, 100), min_size=1, max_size=8), st.integers(0, 500))
@settings(max_examples=60, deadline=None)
def test_shares_add_up_and_are_near(weights, size):
    counts = shares(size, weights)
    total = sum(weights.values())
    assert sum(counts.values()) == size
    assert all(abs(counts[name] - size * weight / total) < 1 + 1e-6 for name, weight in weights.items())
