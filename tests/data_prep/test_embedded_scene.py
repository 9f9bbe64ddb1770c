# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded task's images: unreadable when scaled down, readable in a crop, true by construction."""

import numpy as np
import pytest
from PIL import Image

from data_prep.embedded.ink import COLOURS, GLYPHS, compensation, glyph_bitmap, ink
from data_prep.embedded.scene import ANSWERS, KINDS, SceneConfig, make_scene, scene_rng
from data_prep.errors import OptionError


def scene(kind="colour", index=0, split="train", seed=0, **config):
    return make_scene(kind, SceneConfig(**config), scene_rng(seed, split, index))


def shrink(image: np.ndarray, side: int, how=Image.Resampling.BICUBIC) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), how)).astype(int)


def specks(crop: np.ndarray) -> np.ndarray:
    """(32, 32) colour name or "" of each block of a 128 px crop: the slow, obvious reader."""
    names = np.full((32, 32), "", dtype=object)
    for row in range(32):
        for column in range(32):
            block = crop[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].reshape(16, 3).tolist()
            for name, rgb in {**COLOURS, "white": (255, 255, 255)}.items():
                if sum(tuple(pixel) == rgb for pixel in block) == 4:
                    names[row, column] = name
    return names


def read(kind: str, crop: np.ndarray) -> str:
    names = specks(crop)
    if kind == "colour":
        found = set(names[5:27, 5:27].flat)
        assert len(found) == 1
        return found.pop()
    inked = names == "white"
    if kind == "count":
        assert inked.sum() % 16 == 0
        return str(inked.sum() // 16)
    rows, columns = np.where(inked)
    shape = inked[rows.min() : rows.max() + 1 : 2, columns.min() : columns.max() + 1 : 2]
    fits = [g for g in GLYPHS if np.array_equal(np.pad(glyph_bitmap(g), 0)[:, _used(g)], shape)]
    assert len(fits) == 1
    return fits[0]


def _used(glyph: str) -> np.ndarray:
    return glyph_bitmap(glyph).any(axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_reads_as_constructed(kind):
    for index in range(3):
        s = scene(kind, index)
        for row in range(4):
            for column in range(4):
                assert read(kind, s.crop((row, column))) == s.contents[row][column]


@pytest.mark.parametrize("kind", KINDS)
def test_other_cells_hold_other_answers(kind):
    for index in range(20):
        s = scene(kind, index)
        flat = [a for row in s.contents for a in row]
        assert flat.count(s.answer) == 1 and s.answer in ANSWERS[kind] and s.hint in ANSWERS[kind]


@pytest.mark.parametrize("how", [Image.Resampling.BICUBIC, Image.Resampling.BOX], ids=["bicubic", "area"])
@pytest.mark.parametrize("factor", [4, 8])
def test_ink_vanishes_when_scaled_down_and_shows_in_a_crop(how, factor):
    background = np.full((32, 32), 72)
    inked = np.zeros((32, 32), dtype=bool)
    inked[4:20, 4:12] = inked[25:27, 20:31] = True
    images = [
        ink(background, np.broadcast_to(rgb, (32, 32, 3)), inked, factor)
        for rgb in [*COLOURS.values(), (255, 255, 255)]
    ]
    for image in images:
        assert np.abs(shrink(image, 32, how) - 72).max() <= 2
    crops = [shrink(image[16:80, 16:48], 64, Image.Resampling.NEAREST) for image in images]
    for i, one in enumerate(crops):
        for other in crops[:i]:
            assert np.abs(one - other).max() > 200


def test_scenes_that_differ_in_the_truth_only_look_the_same_to_the_model(monkeypatch):
    plain = scene("colour", 3)
    shown = shrink(plain.image, 128)
    for name, rgb in COLOURS.items():
        swapped = {**COLOURS, plain.answer: rgb, name: COLOURS[plain.answer]}
        monkeypatch.setattr("data_prep.embedded.scene.COLOURS", {**swapped, plain.hint: swapped[plain.hint]})
        other = scene("colour", 3)
        monkeypatch.undo()
        low = shrink(other.image, 128)
        inner = np.s_[8:-8, 8:-8]  # the frame, painted in the hint's colour, is swapped too
        assert np.abs(low - shown)[inner].max() <= 2, name
        if name != plain.answer:
            assert np.abs(other.crop(plain.target).astype(int) - plain.crop(plain.target)).max() > 200


def test_block_mean_is_the_background_exactly():
    levels = np.arange(66, 190, 3)
    for rgb in COLOURS.values():
        colour = np.broadcast_to(rgb, (len(levels), 3))
        around = compensation(levels, colour)
        assert np.array_equal(4 * colour + 12 * around, 16 * np.repeat(levels[:, None], 3, 1))
    with pytest.raises(ValueError, match="divisible by 3"):
        compensation(np.array([100]), np.array([[255, 0, 0]]))


def test_dark_cell_and_hint_are_visible_when_scaled_down():
    for index in range(10):
        s = scene("colour", index)
        low = shrink(s.image, 128)
        means = low[4:-4, 4:-4].mean(axis=2)
        cells = {
            (r, c): low[32 * r + 8 : 32 * r + 24, 32 * c + 8 : 32 * c + 24].mean() for r in range(4) for c in range(4)
        }
        assert min(cells, key=cells.get) == s.target and means.std() > 5
        assert tuple(low[1, 64]) == COLOURS[s.hint]


@pytest.mark.parametrize("kind", KINDS)
def test_row_depends_on_seed_and_index_only(kind):
    assert np.array_equal(scene(kind, 5).image, scene(kind, 5).image)
    digests = {
        scene(kind, i, split, seed).digest() for i in range(5) for split in ("train", "val", "sft") for seed in (0, 1)
    }
    assert len(digests) == 30


def test_boxes_are_the_crops():
    s = scene()
    assert s.box((0, 0)) == [0, 0, 250, 250] and s.box((2, 3)) == [750, 500, 1000, 750]
    x1, y1, x2, y2 = (v * 512 // 1000 for v in s.box(s.target))
    assert np.array_equal(s.image[y1:y2, x1:x2], s.crop(s.target))


@pytest.mark.parametrize("accuracy", [0.0, 0.75, 1.0])
def test_hint_agrees_with_the_truth_at_the_given_rate(accuracy):
    scenes = [scene("colour", i, guess_accuracy=accuracy, grid=2, image_size=256) for i in range(200)]
    rate = np.mean([s.hint == s.answer for s in scenes])
    assert abs(rate - accuracy) <= 4 * np.sqrt(accuracy * (1 - accuracy) / 200)


@pytest.mark.parametrize(
    "config, option",
    [
        ({"image_size": 500}, "--image-size"),
        ({"image_size": 256}, "--image-size"),
        ({"grid": 1}, "--grid"),
        ({"guess_accuracy": 1.5}, "--guess-accuracy"),
    ],
)
def test_bad_sizes_name_the_option(config, option):
    with pytest.raises(OptionError, match=option) as error:
        SceneConfig(**config)
    assert error.value.option == option
