# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""List the datasets by name. A module has one ``DATASET`` or several ``DATASETS``; see ``data_prep/core/spec.py``."""

from __future__ import annotations

import importlib

from data_prep.core.spec import Dataset

BENCHMARKS = {
    "mathvision": "data_prep.benchmarks.mathvision",
    "dynamath": "data_prep.benchmarks.dynamath",
    "math_vr": "data_prep.benchmarks.math_vr",
    "vstar": "data_prep.benchmarks.vstar",
    "visualprobe": "data_prep.benchmarks.visualprobe",
    "hrbench_4k": "data_prep.benchmarks.hrbench",
    "hrbench_8k": "data_prep.benchmarks.hrbench",
    "hr_mmsearch": "data_prep.benchmarks.hr_mmsearch",
    "mmsearch": "data_prep.benchmarks.mmsearch",
}
TRAINING = {
    "deepeyes": "data_prep.training.deepeyes",
    "visualprobe_train": "data_prep.training.visualprobe_train",
    "fvqa": "data_prep.training.fvqa",
    "pyvision_image": "data_prep.training.pyvision_image",
    "virl39k": "data_prep.training.virl39k",
    "geometry3k": "data_prep.training.geometry3k",
    "math_vr_train": "data_prep.training.math_vr_train",
}
REGISTRY = {**BENCHMARKS, **TRAINING}


def load_dataset_spec(name: str) -> Dataset:
    """Return the description of a registered dataset.

    Raises:
        KeyError: no dataset has the name.
    """
    module = importlib.import_module(REGISTRY[name])
    return module.DATASETS[name] if hasattr(module, "DATASETS") else module.DATASET
