# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""m-rope position ids of rows that all have the same length (verl 0.9.1, any device).

A batch of (4, L) position ids, all of one length L, comes back from TransferQueue as a nested tensor that is ragged
along the axis of size 4: its rows are the right tensors under the wrong layout. verl then declares axis 2 ragged
(``maybe_fix_3d_position_ids``) without changing the offsets, and the first kernel that splits it fails
("split_with_sizes expects ..."). Rebuilding the nested tensor from its rows is the fix.
"""

from __future__ import annotations

import torch
import verl.utils.tensordict_utils as tensordict_utils
from tensordict import TensorDict

from verl_ext.versions import patch_applies


def fix_3d_position_ids(data: TensorDict) -> None:
    """Make ``data["position_ids"]`` (B rows of shape (R, L_i)) ragged along its last axis, in place."""
    if "position_ids" not in data.keys():
        return
    position_ids = data["position_ids"]
    if position_ids.dim() != 3 or not position_ids.is_nested:
        return
    values, offsets = position_ids.values(), position_ids.offsets()
    counts_tokens = values.shape[-1] == offsets[-1]
    if counts_tokens and "input_ids" in data.keys():  # 4 * B rows may happen to be as many as there are tokens
        counts_tokens = torch.equal(offsets.diff().cpu(), data["input_ids"].offsets().diff().cpu())
    if counts_tokens:  # only the number of the ragged axis was lost on the way: verl's own fix
        position_ids._ragged_idx = 2
        return
    num_rows, length = len(offsets) - 1, values.shape[-1]  # values hold the rows one below the other: (B * R, L)
    tokens_last = values.reshape(num_rows, -1, length).transpose(0, 1).reshape(-1, num_rows * length)
    data["position_ids"] = torch.nested.nested_tensor_from_jagged(
        tokens_last, offsets=torch.arange(num_rows + 1, device=values.device) * length, jagged_dim=2
    )


def apply() -> None:
    """Replace verl's function where it is defined and where it was imported by name."""
    import verl.workers.engine.base as engine_base
    import verl.workers.engine_workers as engine_workers

    for module in (tensordict_utils, engine_base, engine_workers):
        module.maybe_fix_3d_position_ids = fix_3d_position_ids


if patch_applies("ragged axis of m-rope position ids", "==0.9.1", "verl"):
    apply()
