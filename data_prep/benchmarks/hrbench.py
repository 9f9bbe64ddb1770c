# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare HR-Bench: 200 questions about 4K or 8K images, with the four options in four cyclic orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.core import Context, Dataset, Drop, Part, Row, format_options, option_letter
from data_prep.core.images import base64_bytes


def rows(source: Mapping[str, Any], context: Context) -> Row:
    """Convert one question in one order of its options.

    Raises:
        Drop: the image is missing, there are fewer than two options, or the answer is none of them.
    """
    given = [source[letter] for letter in "ABCD"]
    options = [option.strip() for option in given if option is not None]
    if len(options) < 2 or None in given[: len(options)]:
        raise Drop("options not found", str(given))
    truth = (source["answer"] or "").strip()
    letter = option_letter(truth, options) if truth else ""
    if letter is None:
        raise Drop("answer is no option", f"{truth!r} of {options}")
    if not source["image"]:
        raise Drop("missing image")
    meta = {
        "category": source["category"],
        "cycle": str(source["cycle_category"]),
        "index": source["index"],
    }
    question = f"{source['question']}\n{format_options(options)}"
    image = base64_bytes(source["image"])
    return Row(question, letter, [image], {"type": "choice", "options": options}, meta)


def hrbench(size: str) -> Dataset:
    """Describe the benchmark for the size ``4k`` or ``8k``."""
    return Dataset(
        name=f"hrbench_{size}",
        help=f"HR-Bench {size.upper()}: 200 questions x 4 option orders; accuracy is the mean over the orders.",
        licence='"other" on the dataset card',
        ability="perception",
        parts={
            f"hrbench_{size}": Part(
                "DreamMr/HR-Bench",
                config="hrbench_version_split",
                split=f"hrbench_{size}",
                rows=800,
                # the repository also has each size as TSV
                data_file=f"hr_bench_{size}.parquet",
            )
        },
        columns={
            "index": "int|str",
            "question": "str",
            "answer": "str?",
            "category": "str",
            **dict.fromkeys("ABCD", "str?"),
            "cycle_category": "str|int",
            "image": "str?",
        },
        rows=rows,
        # The card does not say whether the index continues over the orders. With the order it is unique in any case.
        id_columns=("index", "cycle_category"),
    )


DATASETS = {f"hrbench_{size}": hrbench(size) for size in ("4k", "8k")}
