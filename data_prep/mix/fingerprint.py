# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Fingerprint a row: a perceptual hash and a thumbnail of each image, and the words of its question."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image, ImageStat

from data_prep.core.images import BadImage, check_image
from data_prep.core.text import inline_options

SKETCH = 64  # number of n-gram hashes in the sketch of a text
FLAT = 3.0  # standard deviation of grey values (0..255) below which an image has no structure to hash
DRAFT = (512, 512)  # px; JPEG decodes directly to about this size. The hash needs 32 px.
THUMB = 64  # px; smaller thumbnails do not distinguish pages of text
_MEDIA = re.compile(r"[<\[]image[>\]]")
_SPACING = re.compile(r"\\[,;:!> ]|\\(?:quad|qquad|left|right|displaystyle)(?![a-zA-Z])")
# Signs that change the meaning of a question are kept. Commas and dollar signs are dropped.
_DROPPED = re.compile(r"[^\w+\-*/=<>^%\\]+")
_WORD = re.compile(r"\w+|[+*/=<>^%\-]")
_HEADING = re.compile(r"\s*\b(?:answer\s+)?(?:choices?|options?)\s*:\s*$", re.IGNORECASE)  # of a list of options


@dataclass(frozen=True)
class Picture:
    """Hold what is compared of an image.

    Attributes:
        hash: 64 bits that are similar for copies, but also for unrelated line drawings and pages of text.
        thumb: ``THUMB`` x ``THUMB`` grey values, which distinguish those.
        paper: True if one shade covers at least half of the image, as in drawings, plots and pages of text.
    """

    hash: int
    thumb: bytes
    paper: bool


@dataclass(frozen=True)
class Fingerprint:
    """Hold what is compared of a row.

    Attributes:
        text: digest of the normalised question without its options.
        options: digest of the sorted options, or empty bytes.
        words: number of words and signs in the question without its options.
        sketch: smallest hashes of its word n-grams, ascending. It is empty if the overlap is not compared.
        pictures: one entry per image. None stands for an image without structure.
    """

    text: bytes
    options: bytes
    words: int
    sketch: tuple[int, ...]
    pictures: tuple[Picture | None, ...]


def _plain(text: str) -> str:
    return _SPACING.sub(" ", _MEDIA.sub(" ", unicodedata.normalize("NFKC", text).casefold()))


def normalised(text: str) -> str:
    """Normalise case and Unicode, and remove spacing, image tags and irrelevant punctuation."""
    return _DROPPED.sub("", _plain(text))


def words_of(text: str) -> list[str]:
    """Return the words and signs of a text in order."""
    return _WORD.findall(_plain(text))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def sketch_of(words: list[str], ngram: int) -> tuple[int, ...]:
    """Return the ``SKETCH`` smallest hashes of the word n-grams. A text below ``ngram`` words is one n-gram."""
    if not words:
        return ()
    grams = {" ".join(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))}
    hashes = (int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "little") for gram in grams)
    return tuple(sorted(hashes)[:SKETCH])


def overlap(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Return the Jaccard similarity of two sketches. It is exact if both texts have at most ``SKETCH`` n-grams."""
    if not first or not second:
        return 0.0
    union = sorted(set(first) | set(second))
    if len(first) == SKETCH or len(second) == SKETCH:
        union = union[:SKETCH]
    return len(set(first) & set(second) & set(union)) / len(union)


def stem_and_options(question: str) -> tuple[str, list[str]]:
    """Split a question into stem and options. If the stem is empty, return the whole text without options."""
    stem, options = inline_options(question) or (question, [])
    stem = _HEADING.sub("", stem) if options else stem
    return (stem, options) if words_of(stem) else (question, [])


def picture(data: bytes) -> Picture | None:
    """Return hash and thumbnail of an image, or None for an image of one colour.

    Raises:
        BadImage: the image cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", DRAFT)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                # Transparent areas become white, because hidden pixels must not make two images differ.
                layer = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            grey = image.convert("L")
    except Exception as error:  # a decoder may raise nearly anything on broken bytes
        raise BadImage("corrupt image", f"{type(error).__name__}: {error}") from error
    if ImageStat.Stat(grey).stddev[0] < FLAT:
        return None
    bits = imagehash.phash(grey).hash.flatten()
    thumb = grey.resize((THUMB, THUMB), Image.Resampling.LANCZOS).tobytes()
    shades = np.bincount(np.frombuffer(thumb, np.uint8) >> 4)
    return Picture(int.from_bytes(np.packbits(bits).tobytes(), "big"), thumb, 2 * int(shades.max()) >= len(thumb))


def differences(thumb: bytes, others: Sequence[bytes]) -> np.ndarray:
    """Return the differences to other thumbnails, from 0 to 2: root mean squares at mean 0 and variance 1.

    Squares give weight to the few pixels that differ between drawings, where most pixels are paper.
    """
    pixels = np.frombuffer(thumb + b"".join(others), np.uint8).reshape(len(others) + 1, -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)
    return np.linalg.norm(pixels[1:] - pixels[0], axis=1)


def check_image_header(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Decode only the header if possible.

    Raises:
        BadImage: the bytes are not a usable image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception:  # ``check_image`` distinguishes PIL's pixel limit from broken bytes
        return check_image(data)


def fingerprint(question: str, images: list[bytes], ngram: int | None) -> Fingerprint:
    """Return the fingerprint of a row.

    Args:
        question: question of the row.
        images: encoded images.
        ngram: words of an n-gram. None makes no sketch.

    Raises:
        BadImage: an image cannot be decoded.
    """
    stem, options = stem_and_options(question)
    words = words_of(stem)
    choices = "\n".join(sorted(map(normalised, options)))
    return Fingerprint(
        text=_digest(normalised(stem)),
        options=_digest(choices) if options else b"",
        words=len(words),
        sketch=sketch_of(words, ngram) if ngram else (),
        pictures=tuple(picture(image) for image in images),
    )
