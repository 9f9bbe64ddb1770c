# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What of a row is compared: a perceptual hash and a thumbnail of each image, and the words of its question."""

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

SKETCH = 64  # n-gram hashes kept of a text
FLAT = 3.0  # standard deviation of grey values (0..255) below which an image has no structure to hash
DRAFT = (512, 512)  # px; JPEG decodes to about this size at once, far above the 32 px that the hash looks at
THUMB = 64  # px; grey thumbnails of 4 KiB: fewer pixels no longer tell pages of text apart
_MEDIA = re.compile(r"[<\[]image[>\]]")
_SPACING = re.compile(r"\\[,;:!> ]|\\(?:quad|qquad|left|right|displaystyle)(?![a-zA-Z])")
# Signs that change what is asked stay; a comma or a dollar sign does not.
_DROPPED = re.compile(r"[^\w+\-*/=<>^%\\]+")
_WORD = re.compile(r"\w+|[+*/=<>^%\-]")
_HEADING = re.compile(r"\s*\b(?:answer\s+)?(?:choices?|options?)\s*:\s*$", re.IGNORECASE)  # of the options


@dataclass(frozen=True)
class Picture:
    """
    Attributes:
        hash: 64 bits that copies nearly share; so do unrelated line drawings and pages of text.
        thumb: ``THUMB`` x ``THUMB`` grey values, which tell those apart.
        paper: whether one shade covers half of it or more, as in drawings, plots and pages of text.
    """

    hash: int
    thumb: bytes
    paper: bool


@dataclass(frozen=True)
class Fingerprint:
    """
    Attributes:
        text: digest of the normalised question without its options.
        options: digest of the options whatever their order; empty without any.
        words: number of words and signs in the question without its options.
        sketch: smallest hashes of its word n-grams, ascending; empty if overlap is not asked for.
        pictures: of the images; None for an image without structure.
    """

    text: bytes
    options: bytes
    words: int
    sketch: tuple[int, ...]
    pictures: tuple[Picture | None, ...]


def _plain(text: str) -> str:
    return _SPACING.sub(" ", _MEDIA.sub(" ", unicodedata.normalize("NFKC", text).casefold()))


def normalised(text: str) -> str:
    """The text without case, spacing, image tags and punctuation that means nothing."""
    return _DROPPED.sub("", _plain(text))


def words_of(text: str) -> list[str]:
    """Words and signs, in order."""
    return _WORD.findall(_plain(text))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def sketch_of(words: list[str], ngram: int) -> tuple[int, ...]:
    """The ``SKETCH`` smallest hashes of the word n-grams; of a shorter text, of all its words as one."""
    if not words:
        return ()
    grams = {" ".join(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))}
    hashes = (int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "little") for gram in grams)
    return tuple(sorted(hashes)[:SKETCH])


def overlap(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Jaccard similarity of two sketches, 0 to 1; exact where both texts have at most ``SKETCH`` n-grams."""
    if not first or not second:
        return 0.0
    union = sorted(set(first) | set(second))
    if len(first) == SKETCH or len(second) == SKETCH:
        union = union[:SKETCH]
    return len(set(first) & set(second) & set(union)) / len(union)


def stem_and_options(question: str) -> tuple[str, list[str]]:
    """The question without its options, and these; all of the text where nothing but options is there."""
    stem, options = inline_options(question) or (question, [])
    stem = _HEADING.sub("", stem) if options else stem
    return (stem, options) if words_of(stem) else (question, [])


def picture(data: bytes) -> Picture | None:
    """Hash and thumbnail; None for an image of one colour.

    Raises:
        BadImage: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", DRAFT)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                # a hidden layer must not make two images differ, so what is transparent becomes white
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
    """Root mean square differences to other thumbnails once each has mean 0 and variance 1: 0 for equals, at most 2.

    The square, because in a drawing most pixels are paper: the few that differ must count.
    """
    pixels = np.frombuffer(thumb + b"".join(others), np.uint8).reshape(len(others) + 1, -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)
    return np.linalg.norm(pixels[1:] - pixels[0], axis=1)


def check_image_header(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, without decoding more than the header where that is possible.

    Raises:
        BadImage: no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception:  # PIL's limit of pixels, or broken bytes: the careful way says which
        return check_image(data)


def fingerprint(question: str, images: list[bytes], ngram: int | None) -> Fingerprint:
    """Fingerprint of a row.

    Args:
        question: text of the user.
        images: encoded.
        ngram: words of an n-gram; None for no sketch.

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
