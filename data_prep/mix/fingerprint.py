# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""What of a row is compared: perceptual hashes of its images, and its words."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image, ImageStat

from data_prep.core.images import BadImage, check_image

SKETCH = 64  # n-gram hashes kept of a text
FLAT = 3.0  # standard deviation of grey values (0..255) below which an image has no structure to hash
DRAFT = (512, 512)  # px; JPEG decodes to about this size at once, far above the 32 px that the hash looks at
_MEDIA = re.compile(r"[<\[]image[>\]]")
_SPACING = re.compile(r"\\[,;:!> ]|\\(?:quad|qquad|left|right|displaystyle)(?![a-zA-Z])")
# Signs that change what is asked stay; a comma or a dollar sign does not.
_DROPPED = re.compile(r"[^\w+\-*/=<>^%\\]+")
_WORD = re.compile(r"\w+|[+*/=<>^%\-]")


@dataclass(frozen=True)
class Fingerprint:
    """
    Attributes:
        text: digest of the normalised text.
        words: number of words and signs in it.
        sketch: smallest hashes of its word n-grams, ascending; empty if overlap is not asked for.
        hashes: of the images, 64 bits each; None for an image without structure.
    """

    text: bytes
    words: int
    sketch: tuple[int, ...]
    hashes: tuple[int | None, ...]


def _plain(text: str) -> str:
    return _SPACING.sub(" ", _MEDIA.sub(" ", unicodedata.normalize("NFKC", text).casefold()))


def normalised(text: str) -> str:
    """The text without case, spacing, image tags and punctuation that means nothing."""
    return _DROPPED.sub("", _plain(text))


def words_of(text: str) -> list[str]:
    """Words and signs, in order."""
    return _WORD.findall(_plain(text))


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


def image_hash(data: bytes) -> int | None:
    """64-bit perceptual hash; None for an image of one colour.

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
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


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
    words = words_of(question)
    return Fingerprint(
        text=hashlib.blake2b(normalised(question).encode(), digest_size=16).digest(),
        words=len(words),
        sketch=sketch_of(words, ngram) if ngram else (),
        hashes=tuple(image_hash(image) for image in images),
    )
