# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The dump of a step: ``<rollout_data_dir>/<step>.jsonl``, one JSON object a row of the batch.

A line holds the row's text, token ids, mask, reward, advantage and log-probs, and its place in the data and in its
question's tree. At the paper's sizes a step is 20 million tokens. The trainer therefore only fetches the columns,
because the rows leave the TransferQueue at the end of the step. Decoding, rounding and JSON are left to a thread, see
``write_rollouts``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson  # It is ten times as fast as json and takes numpy arrays as they are.
import torch
from recipe.axpo.tree import BranchColumn
from tensordict import TensorDict

FIELDS = ("prompts", "responses", "response_mask", "rm_scores", "advantages", "rollout_log_probs", "old_log_probs")
FIELDS += ("reward_model", "extra_fields", "data_source", "index")
LOG_PROB_DECIMALS = 6  # Ratios of probabilities keep six digits, at half the length of a float's shortest text.
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE


def write_rollouts(
    path: Path,
    step: int,
    keys: Sequence[str],
    columns: Sequence[BranchColumn],
    data: TensorDict,
    decode: Callable[[list[int]], str],
    *,
    roles: bool,
) -> None:
    """Write the rows of a step, sorted by question and session. A reader never sees an unfinished file.

    Args:
        path: The file. An existing one is replaced.
        step: The training step.
        keys: (rows,) TransferQueue keys.
        columns: (rows,) Place of each row in its question's tree.
        data: ``FIELDS`` of the rows. A column that the rows lack is left out of the file.
        decode: Token ids -> text, special tokens included.
        roles: Whether the run branches. If not, the file says nothing of roles and forks.
    """

    def place(i: int) -> tuple:  # An agent loop with several outputs a session numbers them at the end of the key.
        return columns[i].question, columns[i].session, len(keys[i]), keys[i]

    rows = _Rows(data)
    unfinished = path.with_suffix(".jsonl.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with unfinished.open("wb") as file:
            for i in sorted(range(len(keys)), key=place):
                record = dict(rows.record(i, step, keys[i], columns[i], decode))
                if roles:
                    record |= _branch(columns[i])
                file.write(_line(record))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class _Rows:
    """Hold the fetched columns, row by row."""

    def __init__(self, data: TensorDict):
        self._columns = {
            name: data[name].unbind()
            if isinstance(data[name], torch.Tensor)
            else [getattr(item, "data", item) for item in data[name]]
            for name in FIELDS
            if name in data.keys()
        }

    def record(
        self, i: int, step: int, key: str, column: BranchColumn, decode: Callable[[list[int]], str]
    ) -> Iterator[tuple[str, Any]]:
        """Yield name and value of what every row holds, whether or not the run branches."""
        row = {name: values[i] for name, values in self._columns.items()}
        mask = row["response_mask"]
        output, spans = _decode_runs(row["responses"].tolist(), mask.tolist(), decode)
        yield "input", decode(row["prompts"].tolist())
        yield "output", output
        yield "loss_spans", spans
        for name in ("data_source", "index"):  # The question's row in the data, for a reader who wants its images.
            if name in row:
                yield name, row[name]
        if "reward_model" in row:
            yield "gts", row["reward_model"].get("ground_truth")
        yield "score", row["rm_scores"].sum().item()
        yield "step", step
        yield "uid", key
        yield "question", column.question
        yield "session", column.session
        if "advantages" in row:  # It is one number for all trained tokens of a row.
            trained = row["advantages"][mask.bool()]
            yield "advantage", trained[0].item() if len(trained) else 0.0
        yield "prompt_ids", row["prompts"].numpy()
        yield "response_ids", row["responses"].numpy()
        yield "response_mask", mask.numpy()
        for name in ("rollout_log_probs", "old_log_probs"):
            if name in row:
                # Adding zero turns -0.0 into 0.0.
                yield name, np.round(row[name].numpy().astype(np.float64), LOG_PROB_DECIMALS) + 0.0
        if "extra_fields" in row:
            yield "reward_extra_info", row["extra_fields"].get("reward_extra_info", {})


def _decode_runs(
    ids: Sequence[int], mask: Sequence[int], decode: Callable[[list[int]], str]
) -> tuple[str, list[list[int]]]:
    """Decode a response. The mask changes between whole characters, at tags and at the turns of tools.

    Returns:
        The text, and [start, end) of its characters that carry loss: a reader can shade them without the tokenizer.
    """
    text, spans = "", []
    for trained, run in groupby(range(len(ids)), key=lambda i: bool(mask[i])):
        start = len(text)
        text += decode([ids[i] for i in run])
        if trained:
            spans.append([start, len(text)])
    return text, spans


def _branch(column: BranchColumn) -> dict[str, Any]:
    values = column.as_dict()
    names = ("prefix_group", "recovery_reward", "source_session", "prefix_length", "confidence", "turn", "engine_calls")
    return {"role": column.role.name.lower()} | {name: values[name] for name in names}


def _line(record: dict[str, Any]) -> bytes:
    line = orjson.dumps(record, default=_plain, option=_JSON)
    for character in ("\u0085", "\u2028", "\u2029"):  # JSON allows them, but ``str.splitlines`` breaks the line there.
        line = line.replace(character.encode(), f"\\u{ord(character):04x}".encode())
    return line


def _plain(value: Any) -> Any:
    """Return tensors and unusual arrays as lists, for orjson."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
