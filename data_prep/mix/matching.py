# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Match a row with many: by Hamming distance of image hashes, by equal text, by common n-grams."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from data_prep.mix.fingerprint import Fingerprint, differences, overlap
from data_prep.mix.recipe import Duplicates

_CHUNK = 1024
_FAR = 1e9


@dataclass(frozen=True)
class Match:
    """Describe how a row matches another.

    Attributes:
        key: number of the other row.
        by: ``image``, ``text`` (equal), ``overlap``, or two of them joined by ``+``.
        distance: bits between the hashes of the closest images, or None if images did not match.
        difference: difference of the thumbnails of these images, 0 to 2.
        overlap: share of common n-grams, or None if texts did not match.
    """

    key: int
    by: str
    distance: int | None = None
    difference: float | None = None
    overlap: float | None = None


class Index:
    """Hold rows that later rows are compared with."""

    def __init__(self, rules: Duplicates):
        self.rules = rules
        self._prints: list[Fingerprint] = []
        self._texts: dict[bytes, list[int]] = defaultdict(list)
        self._grams: dict[int, list[int]] = defaultdict(list)
        self._hashes = np.zeros(_CHUNK, np.uint64)
        self._owners = np.zeros((_CHUNK, 2), np.int64)  # row number, image number
        self._used = 0

    def __len__(self) -> int:
        return len(self._prints)

    def add(self, mark: Fingerprint) -> int:
        """Add a row and return its number, the count of earlier rows."""
        key = len(self._prints)
        self._prints.append(mark)
        self._texts[mark.text].append(key)
        if self.rules.text_overlap is not None:
            for gram in mark.sketch:
                self._grams[gram].append(key)
        for number, image in enumerate(mark.pictures):
            if image is None:
                continue
            if self._used == len(self._hashes):
                self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
                self._owners = np.concatenate([self._owners, np.zeros_like(self._owners)])
            self._hashes[self._used], self._owners[self._used] = image.hash, (key, number)
            self._used += 1
        return key

    def find(self, mark: Fingerprint) -> Match | None:
        """Return the best match: closest images, then equal text, then largest overlap, then lowest number."""
        texts = self._by_text(mark)
        if self.rules.match == "both" and not texts:
            return None
        images = self._by_image(mark, texts.keys() if self.rules.match == "both" else None)
        matches = []
        for key in images.keys() | texts.keys():
            difference, distance = images.get(key, (None, None))
            share = texts.get(key)
            if distance is None and not self._text_suffices(mark, self._prints[key]):
                continue
            by = ["image"] * (distance is not None) + (["text" if share == 1.0 else "overlap"] if share else [])
            matches.append(Match(key, "+".join(by), distance, difference, share))
        if not matches:
            return None
        return min(matches, key=lambda m: (_FAR if m.difference is None else m.difference, -(m.overlap or 0), m.key))

    def _text_suffices(self, mark: Fingerprint, other: Fingerprint) -> bool:
        """Return True if matching questions suffice without matching images."""
        pictured = bool(mark.pictures) + bool(other.pictures)
        if pictured and self.rules.match == "both":
            return False
        # Other options make another question. If one row has no options, they may have been omitted there.
        if mark.options and other.options and mark.options != other.options:
            return False
        # Short questions need their image. Templates repeat long questions for different images.
        least = (0, self.rules.min_words, self.rules.min_words_pictured)[pictured]
        return min(mark.words, other.words) >= least

    def _by_image(self, mark: Fingerprint, rows: Collection[int] | None) -> dict[int, tuple[float, int]]:
        """Map rows to (difference, distance) of the closest images. Compare only ``rows`` unless it is None."""
        found: dict[int, tuple[float, int]] = {}
        for image in mark.pictures:
            if image is None:
                continue
            distances = np.bitwise_count(self._hashes[: self._used] ^ np.uint64(image.hash))
            places = np.flatnonzero(distances <= self.rules.image_distance)
            if rows is not None:
                places = places[np.isin(self._owners[places, 0], list(rows))]
            for start in range(0, len(places), _CHUNK):  # thousands of drawings may have similar hashes
                block = places[start : start + _CHUNK]
                others = [self._prints[key].pictures[number] for key, number in self._owners[block]]
                apart = differences(image.thumb, [other.thumb for other in others])
                for place, other, difference in zip(block, others, apart, strict=True):
                    # Hashes of photographs are specific. They also match crops, in which every pixel has moved.
                    sure = not (image.paper or other.paper) and distances[place] <= self.rules.photo_distance
                    if sure or difference <= self.rules.image_difference:
                        key, close = int(self._owners[place, 0]), (round(float(difference), 4), int(distances[place]))
                        found[key] = min(close, found.get(key, close))
        return found

    def _by_text(self, mark: Fingerprint) -> dict[int, float]:
        if not mark.words:
            return {}
        found = dict.fromkeys(self._texts.get(mark.text, ()), 1.0)
        threshold = self.rules.text_overlap
        if threshold is not None:
            common = Counter(key for gram in mark.sketch for key in self._grams.get(gram, ()))
            for key in common:
                if key not in found:
                    share = overlap(mark.sketch, self._prints[key].sketch)
                    if share >= threshold:
                        # Equal n-grams may come in another order, so this is not equal text.
                        found[key] = min(share, 0.999)
        return found
