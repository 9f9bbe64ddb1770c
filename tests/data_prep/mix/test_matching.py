# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Which rows count as the same: pictures of the kinds that benchmarks hold, copies of them, and questions."""

import io
import math
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data_prep.mix.fingerprint import THUMB, fingerprint, stem_and_options
from data_prep.mix.matching import Index
from data_prep.mix.recipe import Duplicates


def photo(seed):
    rng, draw_rng = np.random.default_rng(seed), random.Random(seed)
    image = Image.fromarray((rng.random((12, 16, 3)) * 255).astype("uint8")).resize(
        (320, 240), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, side = draw_rng.randrange(320), draw_rng.randrange(240), draw_rng.randrange(5, 40)
        draw.ellipse([x, y, x + side, y + side], fill=tuple(draw_rng.randrange(256) for _ in range(3)))
    return image


def paper(width, height):
    image = Image.new("RGB", (width, height), "white")
    return image, ImageDraw.Draw(image)


def triangle(seed):
    rng = random.Random(seed)
    image, draw = paper(400, 300)
    points = [(rng.randrange(30, 370), rng.randrange(30, 270)) for _ in range(3)]
    draw.line([*points, points[0]], "black", 2)
    for point, name in zip(points, "ABC", strict=True):
        draw.text(point, name, "black")
    return image


def bars(seed):
    rng = random.Random(seed)
    image, draw = paper(500, 400)
    draw.line([(40, 20), (40, 360), (480, 360)], "black")
    for bar in range(6):
        draw.rectangle([60 + bar * 70, 360 - rng.randrange(40, 300), 100 + bar * 70, 360], "steelblue")
    return image


def page(seed):
    rng = random.Random(seed)
    image, draw = paper(600, 200)
    for line in range(6):
        words = ("".join(rng.choices("abcdefghij", k=rng.randrange(2, 9))) for _ in range(12))
        draw.text((10, 10 + line * 28), " ".join(words), "black")
    return image


def line(seed):
    """Axes and one straight line."""
    rng = random.Random(seed)
    image, draw = paper(500, 400)
    draw.line([(250, 0), (250, 400)], "black")
    draw.line([(0, 200), (500, 200)], "black")
    slope, shift = rng.uniform(-2, 2), rng.uniform(-60, 60)
    draw.line([(x, 200 - slope * (x - 250) - shift) for x in range(0, 500, 5)], "blue", 2)
    return image


def wave(seed):
    """A grid, axes and a sine."""
    rng = random.Random(seed)
    image, draw = paper(500, 400)
    for step in range(0, 500, 50):
        draw.line([(step, 0), (step, 400)], "lightgrey")
        draw.line([(0, step), (500, step)], "lightgrey")
    draw.line([(0, 200), (500, 200)], "black")
    height, pace, start = rng.uniform(20, 120), rng.uniform(0.01, 0.05), rng.uniform(0, 6)
    draw.line([(x, 200 - height * math.sin(pace * x + start)) for x in range(0, 500, 3)], "red", 2)
    return image


KINDS = (photo, triangle, bars, page, line, wave)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shrunk(image, by):
    return image.resize((image.width // by, image.height // by))


COPIES = {
    "jpeg 30": lambda image: encode(image, "JPEG", quality=30),
    "half": lambda image: encode(shrunk(image, 2)),
    "quarter jpeg 60": lambda image: encode(shrunk(image, 4), "JPEG", quality=60),
    "webp x 1.7": lambda image: encode(image.resize((int(1.7 * image.width), int(1.7 * image.height))), "WEBP"),
}


def index_of(*rows, **rules):
    index = Index(Duplicates(**rules))
    for question, *images in rows:
        index.add(fingerprint(question, images, rules.get("ngram", 5) if rules.get("text_overlap") else None))
    return index


def matches(index, question, *images):
    return index.find(fingerprint(question, list(images), 5))


@pytest.fixture(scope="module")
def held():
    """Kind -> index of 80 different pictures."""
    return {kind: index_of(*[("", encode(kind(seed))) for seed in range(80)]) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_unrelated_pictures_do_not_match(held, kind):
    others = [matches(held[kind], "", encode(kind(seed))) for seed in range(5000, 5080)]
    # of two sets of random straight lines some few coincide
    assert sum(other is not None for other in others) <= (3 if kind is line else 0)


def test_the_hash_alone_takes_one_graph_for_another():
    loose = index_of(*[("", encode(line(seed))) for seed in range(120)], image_distance=4, image_difference=2)
    assert sum(matches(loose, "", encode(line(seed))) is not None for seed in range(5000, 5100)) > 20


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_copies_match(held, kind, copy):
    found = [matches(held[kind], "", COPIES[copy](kind(seed))) for seed in range(12)]
    right = sum(match is not None and match.key == seed and match.by == "image" for seed, match in enumerate(found))
    thin = kind in (line, wave) and copy == "quarter jpeg 60"  # little is left of lines of two pixels
    assert right >= (9 if thin else 12)


def test_photographs_cropped_by_a_hundredth_match(held):
    images = [photo(seed) for seed in range(12)]
    cropped = [image.crop((3, 2, 317, 238)) for image in images]
    assert sum(matches(held[photo], "", encode(image)) is not None for image in cropped) >= 10
    assert not fingerprint("", [encode(photo(0))], None).pictures[0].paper
    assert all(fingerprint("", [encode(kind(0))], None).pictures[0].paper for kind in KINDS if kind is not photo)


def test_an_image_costs_four_kib_and_equal_ones_differ_by_nothing():
    (image,) = fingerprint("", [encode(bars(0))], None).pictures
    assert len(image.thumb) == THUMB * THUMB == 4096
    match = matches(index_of(("", encode(bars(0)))), "", encode(bars(0)))
    assert (match.distance, match.difference) == (0, 0.0)


def test_more_near_pictures_than_one_block_holds():
    first, other = (fingerprint("", [encode(line(seed))], None) for seed in (1, 2))
    index = Index(Duplicates(image_distance=24))
    for mark in [first] * 1500 + [other]:
        index.add(mark)
    assert (index.find(first).key, index.find(other).key) == (0, 1500)


AREA = "What is the area of the shaded region in the figure shown below, in square centimetres?"
LONG = AREA[:-1] + ", if the two circles touch each other and the side of the outer square is 12 cm long?"
FOUR = "\n(A) red\n(B) blue\n(C) green\n(D) white"


@pytest.mark.parametrize(
    "first,second,same",
    [
        (AREA, AREA, False),
        (LONG, LONG, True),
        ("What is the color of the car?" + FOUR, "What is the color of the car?" + FOUR, False),  # a template
        (LONG + FOUR, LONG, True),
        (LONG + FOUR, LONG + "\nChoices: (A) green (B) red (C) white (D) blue", True),
        (LONG + FOUR, LONG + "\n(A) 1\n(B) 2\n(C) 3\n(D) 4", False),
    ],
)
def test_questions_beside_images_that_differ(first, second, same):
    assert (matches(index_of((first, encode(triangle(1)))), second, encode(triangle(2))) is not None) == same
    # beside the same image they always do
    both = index_of((first, encode(triangle(1))), match="both")
    assert matches(both, second, COPIES["half"](triangle(1))).by == "image+text"


def test_a_question_with_its_image_missing_needs_few_words():
    index = index_of((AREA + FOUR, encode(triangle(1))), ("Find x.", encode(triangle(3))))
    assert matches(index, AREA).by == "text" and matches(index, "Find x.") is None
    assert matches(index_of((AREA, encode(triangle(1))), min_words_pictured=8), AREA, encode(triangle(2))) is not None


@pytest.mark.parametrize("match", ["either", "both"])
def test_questions_without_images_are_told_apart_by_their_options(match):
    index = index_of(("Which of these is true?\n(A) 1 < 2\n(B) 2 < 1",), match=match)
    assert matches(index, "Which of these is true?\n(A) 2 < 1\n(B) 1 < 2") is not None
    assert matches(index, "Which of these is true?\n(A) 3 < 4\n(B) 4 < 3") is None


def test_stem_and_options():
    assert stem_and_options("Which?\nAnswer choices: (A) x (B) y") == ("Which?", ["x", "y"])
    assert stem_and_options("What are your options:") == ("What are your options:", [])
    assert stem_and_options("(A) x\n(B) y") == ("(A) x\n(B) y", [])
