# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search offline: a BM25 index of texts, an index of images by perceptual hash, and thumbnails."""
