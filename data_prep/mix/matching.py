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
"""Finding a row's match among many: by Hamming distance of image hashes, by equal text, by common n-grams."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from data_prep.mix.fingerprint import Fingerprint, overlap
from data_prep.mix.recipe import Duplicates

_CHUNK = 1024


@dataclass(frozen=True)
class Match:
    """
    Attributes:
        key: number of the other row.
        by: ``image``, ``text`` (equal), ``overlap``, or two of them joined by ``+``.
        distance: bits between the closest images, None if images did not match.
        overlap: share of common n-grams, None if texts were not compared so.
    """

    key: int
    by: str
    distance: int | None = None
    overlap: float | None = None


class Index:
    """Rows that later ones are compared with."""

    def __init__(self, rules: Duplicates):
        self.rules = rules
        self._prints: list[Fingerprint] = []
        self._texts: dict[bytes, list[int]] = defaultdict(list)
        self._grams: dict[int, list[int]] = defaultdict(list)
        self._hashes = np.zeros(_CHUNK, np.uint64)
        self._owners = np.zeros(_CHUNK, np.int64)
        self._used = 0

    def __len__(self) -> int:
        return len(self._prints)

    def add(self, mark: Fingerprint) -> int:
        """Add a row; its number is the count of rows before it."""
        key = len(self._prints)
        self._prints.append(mark)
        self._texts[mark.text].append(key)
        if self.rules.text_overlap is not None:
            for gram in mark.sketch:
                self._grams[gram].append(key)
        for value in mark.hashes:
            if value is None:
                continue
            if self._used == len(self._hashes):
                self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
                self._owners = np.concatenate([self._owners, np.zeros_like(self._owners)])
            self._hashes[self._used], self._owners[self._used] = value, key
            self._used += 1
        return key

    def find(self, mark: Fingerprint) -> Match | None:
        """The best match: closest images first, then equal text, then the largest overlap; lowest number on a tie."""
        texts = self._by_text(mark)
        if self.rules.match == "both" and not texts:
            return None
        images = self._by_image(mark)
        matches = []
        for key in images.keys() | texts.keys():
            distance, share = images.get(key), texts.get(key)
            other = self._prints[key]
            pictured = bool(mark.hashes or other.hashes)
            if self.rules.match == "both" and (share is None or (pictured and distance is None)):
                continue
            # few words say nothing about images that differ
            short = min(mark.words, other.words) < self.rules.min_words
            if distance is None and pictured and short:
                continue
            by = ["image"] * (distance is not None) + (["text" if share == 1.0 else "overlap"] if share else [])
            matches.append(Match(key, "+".join(by), distance, share))
        if not matches:
            return None
        far = 1 << 20
        return min(matches, key=lambda m: (far if m.distance is None else m.distance, -(m.overlap or 0), m.key))

    def _by_image(self, mark: Fingerprint) -> dict[int, int]:
        found: dict[int, int] = {}
        for value in mark.hashes:
            if value is None:
                continue
            distances = np.bitwise_count(self._hashes[: self._used] ^ np.uint64(value))
            for place in np.flatnonzero(distances <= self.rules.image_distance):
                key, distance = int(self._owners[place]), int(distances[place])
                found[key] = min(distance, found.get(key, distance))
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
                        # equal n-grams in another order are no equal text
                        found[key] = min(share, 0.999)
        return found
