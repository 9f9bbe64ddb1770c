# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw scenes of the embedded task: one dark cell in a grid, and an answer that only a full-resolution crop shows.

Ground truth is by construction. The model sees the image scaled down to ``SceneConfig.low_size``. There every cell is
plain grey, the dark cell stands out, and a *hint* agrees with the truth in a share ``guess_accuracy`` of the scenes.
Every other cell holds another answer, so a crop of a wrong cell reads as a wrong answer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from data_prep.embedded.ink import COLOURS, GLYPHS, PERIOD, WHITE, enlarge, glyph_bitmap, ink
from data_prep.errors import OptionError

CELL_LOW = 32  # side of a cell in the down-scaled image: one visual token of patch 16, merge 2
FRAME_LOW = 4  # width of the frame in the down-scaled image
PLAIN_FRAME = (96, 96, 96)
ANSWERS = {"colour": tuple(COLOURS), "count": ("1", "2", "3", "4", "5", "6"), "glyph": tuple(GLYPHS)}
KINDS = tuple(ANSWERS)
QUESTIONS = {
    "colour": "What colour are the fine specks in the dark cell?",
    "count": "How many dots are in the dark cell?",
    "glyph": "Which character is in the dark cell?",
}
SPLITS = ("train", "val", "sft")  # the order is part of the random streams, so only append


@dataclass(frozen=True)
class SceneConfig:
    """Configure a scene. Sides are in pixels.

    Raises:
        OptionError: sizes do not fit together, or a rate is outside 0..1.
    """

    image_size: int = 512
    grid: int = 4
    guess_accuracy: float = 0.75

    def __post_init__(self):
        if self.grid < 2:
            raise OptionError("--grid", f"needs at least 2 cells along a side, got {self.grid}")
        if self.image_size < 1 or self.image_size % (self.low_size * PERIOD):
            raise OptionError(
                "--image-size",
                f"must be a multiple of {self.low_size * PERIOD} for a grid of {self.grid}, got {self.image_size}",
            )
        if not 0.0 <= self.guess_accuracy <= 1.0:
            raise OptionError("--guess-accuracy", f"must lie from 0 to 1, got {self.guess_accuracy}")

    @property
    def low_size(self) -> int:
        """Return the side of the image that the model sees."""
        return CELL_LOW * self.grid

    @property
    def factor(self) -> int:
        """Return the number of full-resolution pixels along one pixel of the down-scaled image."""
        return self.image_size // self.low_size


@dataclass(frozen=True)
class Scene:
    """Hold an image and its content. Cells are (row, column), and a crop shows ``contents[row][column]``."""

    kind: str
    image: np.ndarray = field(repr=False)  # (S, S, 3) uint8
    target: tuple[int, int]
    contents: tuple[tuple[str, ...], ...]
    hint: str
    config: SceneConfig

    @property
    def answer(self) -> str:
        """Return the content of the dark cell."""
        return self.contents[self.target[0]][self.target[1]]

    @property
    def question(self) -> str:
        """Return the question without image placeholder."""
        return QUESTIONS[self.kind]

    def box(self, cell: tuple[int, int]) -> list[int]:
        """Return [x1, y1, x2, y2] of a cell in coordinates relative to 1000, as the zoom tool expects."""
        row, column = cell
        edge = [round(1000 * i / self.config.grid) for i in range(self.config.grid + 1)]
        return [edge[column], edge[row], edge[column + 1], edge[row + 1]]

    def crop(self, cell: tuple[int, int]) -> np.ndarray:
        """Return the full-resolution pixels of a cell, (S / grid, S / grid, 3) uint8."""
        side = self.config.image_size // self.config.grid
        row, column = cell
        return self.image[row * side : (row + 1) * side, column * side : (column + 1) * side]

    def digest(self) -> str:
        """Hash the pixels, so that splits can be compared."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()


def scene_rng(seed: int, split: str, index: int, stream: int = 0) -> np.random.Generator:
    """Return the random stream of one scene, so that a row does not depend on the number of rows.

    ``stream`` 0 draws the scene. Other streams serve draws that must not change the scene.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index, stream]))


def _inked_blocks(kind: str, content: str, rng: np.random.Generator) -> np.ndarray:
    """Return a (32, 32) bool array of the blocks of a cell that carry ink."""
    if kind == "colour":
        return np.ones((CELL_LOW, CELL_LOW), dtype=bool)
    blocks = np.zeros((CELL_LOW, CELL_LOW), dtype=bool)
    if kind == "count":
        # Each ninth of the cell's inner part has at most one dot, so dots do not touch.
        for place in rng.choice(9, size=int(content), replace=False):
            top, left = 6 + 7 * np.array(divmod(place, 3)) + rng.integers(0, 3, size=2)
            blocks[top : top + 4, left : left + 4] = True
        return blocks
    bitmap = enlarge(glyph_bitmap(content), 2)
    top, left = rng.integers(10, 14), rng.integers(9, 17)  # clear of the frame and of the hint's plate
    blocks[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    return blocks


def _draw_frame(image: np.ndarray, kind: str, hint: str, factor: int) -> None:
    """Draw the frame and, visible at low resolution, the hint on it. Modify ``image`` in place."""
    width = FRAME_LOW * factor
    frame = np.ones(image.shape[:2], dtype=bool)
    frame[width:-width, width:-width] = False
    image[frame] = COLOURS[hint] if kind == "colour" else PLAIN_FRAME
    if kind == "count":
        for i in range(int(hint)):
            left = (i + 1) * 2 * width
            image[:width, left : left + width] = WHITE
    elif kind == "glyph":
        bitmap = enlarge(glyph_bitmap(hint), factor)
        image[: bitmap.shape[0] + 2 * factor, : bitmap.shape[1] + 2 * factor] = PLAIN_FRAME
        image[factor:, factor:][: bitmap.shape[0], : bitmap.shape[1]][bitmap] = WHITE


def make_scene(kind: str, config: SceneConfig, rng: np.random.Generator) -> Scene:
    """Draw one scene.

    Args:
        kind: one of ``KINDS``.
        config: sizes and the hint's accuracy.
        rng: random stream of the scene; see ``scene_rng``.
    """
    grid, factor, answers = config.grid, config.factor, ANSWERS[kind]
    answer = str(rng.choice(answers))
    others = [a for a in answers if a != answer]
    hint = answer if rng.random() < config.guess_accuracy else str(rng.choice(others))
    target = tuple(int(i) for i in rng.integers(0, grid, size=2))
    contents = [[str(a) for a in rng.choice(others, size=grid)] for _ in range(grid)]
    contents[target[0]][target[1]] = answer

    level = 3 * rng.integers(51, 62, size=(grid, grid))  # 153..183
    level[target] = 3 * rng.integers(23, 27)  # 69..78
    background = enlarge(level, CELL_LOW)
    # One level of noise on every block hides rounding errors of the down-scaling filter.
    background = background + 3 * rng.integers(-1, 2, size=background.shape)
    colour = np.empty((*background.shape, 3), dtype=int)
    inked = np.empty(background.shape, dtype=bool)
    for row in range(grid):
        for column in range(grid):
            at = np.s_[row * CELL_LOW : (row + 1) * CELL_LOW, column * CELL_LOW : (column + 1) * CELL_LOW]
            content = contents[row][column]
            colour[at] = COLOURS[content] if kind == "colour" else WHITE
            inked[at] = _inked_blocks(kind, content, rng)
    image = ink(background, colour, inked, factor)
    _draw_frame(image, kind, hint, factor)
    return Scene(kind, image, target, tuple(map(tuple, contents)), hint, config)
