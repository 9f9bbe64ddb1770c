# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every batch: token identity, masks, one credit per token, advantages."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transfer_queue as tq
from transfer_queue import KVBatchMeta

from recipe.axpo.advantage import Role
from recipe.axpo.config import AXPOConfig
from tests.stack.forced.engine import Call
from tests.stack.forced.world import K, Row, Run, World

SESSION_FIELDS = {"uid", "session_id", "metrics", "global_steps", "axpo"}  # may differ between two runs of one script


def last_call(run: Run, question: str, row: Row) -> Call:
    """The request that ended a row: prompt and answer are the row's tokens, cut where the response got too long."""
    ids = tuple(row.ids("input_ids"))
    (found,) = (call for call in run.calls if call.question == question and call.ids[: len(ids)] == ids)
    return found


def row_of(run: Run, question: str, session: str, continuation: int | None = None) -> Row:
    """The row of a session, or of one of its continuations, by the script's names."""
    (found,) = (
        row
        for row in run.rows[question]
        if (call := last_call(run, question, row)).session == session and call.continuation == continuation
    )
    return found


def settled_of(run: Run, question: str) -> dict[str, Any]:
    """Script name -> the ``SettledRollout`` that selection has seen; those without a row are missing."""
    group = {rollout.session: rollout for rollout in run.report.groups[run.uids[question]]}
    rows = [row for row in run.rows[question] if row.session in group]
    return {last_call(run, question, row).session: group[row.session] for row in rows}


def roles(run: Run, question: str) -> dict[tuple[str, int | None], Role]:
    """(session, continuation) -> role of each row."""
    found = {}
    for row in run.rows[question]:
        call = last_call(run, question, row)
        found[call.session, call.continuation] = Role(row.column["role"])
    return found


ORDINARY = {(name, None): Role.ROLLOUT for name in "abcd"}


def tree(*sources: str) -> dict[tuple[str, int | None], Role]:
    """Roles of a question of which ``sources`` were resampled, all continuations settled."""
    return {
        **ORDINARY,
        **{(name, None): Role.SOURCE for name in sources},
        **{(name, k): Role.CONTINUATION for name in sources for k in range(K)},
    }


def text(world: World, row: Row) -> str:
    """The response, decoded."""
    return world.tokenizer.decode(row.ids("responses"))


def check_features(world: World, row: Row) -> int:
    """Placeholder tokens of a row against the features its images have; returns the number of images."""
    pad = world.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    grids = row.fields["multi_modal_inputs"]["image_grid_thw"]
    merged = world.processor.image_processor.merge_size**2
    assert row.ids("input_ids").count(pad) == sum(int(grid.prod()) // merged for grid in grids)
    return len(grids)


def owners(run: Run, question: str, row: Row) -> list[tuple[int, int] | None]:
    """For each response token: (request, index into its answer), or None where no model wrote it."""
    start, length = len(row.ids("prompts")), len(row.ids("responses"))
    found: list = [None] * length
    call, kept = last_call(run, question, row), None
    while True:
        for offset in range(len(call.token_ids) if kept is None else kept):
            position = len(call.prompt_ids) + offset - start
            if position < length:  # verl cuts what is too long
                assert found[position] is None
                found[position] = (call.number, offset)
        if call.parent is None:
            return found
        call, kept = run.calls[call.parent], call.cut


def check_rows(world: World, run: Run) -> None:
    """Tokens, log-probs, masks, keys and sampling of every row of a batch against the engine's record."""
    image_id = world.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    for question, rows in run.rows.items():
        assert [row.key for row in rows] == [f"{run.uids[question]}_{row.session}_0" for row in rows]
        trained: Counter = Counter()
        for row in rows:
            by = owners(run, question, row)
            column = row.fields.get("axpo") or {"role": Role.ROLLOUT}
            fork = column.get("prefix_length")
            begin, end = {
                Role.ROLLOUT: (0, len(by)),
                Role.SOURCE: (0, fork or len(by)),  # from scratch nothing of it is shared
                Role.CONTINUATION: (fork, len(by)),
            }[column["role"]]
            expected = [int(owner is not None and begin <= i < end) for i, owner in enumerate(by)]
            assert row.ids("response_mask") == expected
            assert row.ids("loss_mask") == expected
            assert row.ids("input_ids") == row.ids("prompts") + row.ids("responses")
            assert not any(m for m, token in zip(expected, row.ids("responses"), strict=True) if token == image_id)
            if "rollout_log_probs" in row.fields:  # a scripted engine may give none
                log_probs = [0.0 if owner is None else run.calls[owner[0]].log_probs[owner[1]] for owner in by]
                assert row.ids("rollout_log_probs") == pytest.approx(log_probs, nan_ok=True)
            trained.update(owner for owner, mask in zip(by, expected, strict=True) if mask)
            call = last_call(run, question, row)
            assert row.reward == float(f"<answer>{run.answers[question]}</answer>" in world.tokenizer.decode(call.ids))
            assert (call.continuation is not None) == (column["role"] == Role.CONTINUATION)
        assert max(trained.values(), default=1) == 1, "a token is trained in two rows"
        check_branches(world, run, question)
    calls = [call for call in run.calls if call.seed is not None]
    assert len({call.seed for call in calls}) == len({(c.question, c.session, c.continuation) for c in calls})


def check_branches(world: World, run: Run, question: str) -> None:
    """Continuations: cut behind a tag that the source wrote or before a turn, with its images and one id for all K."""
    tags = world.tokenizer.convert_tokens_to_ids(["<tool_call>", "</think>"])
    forks: dict[tuple[int, int], set[str]] = defaultdict(set)
    for call in (call for call in run.calls if call.question == question):
        parent = None if call.parent is None else run.calls[call.parent]
        if parent is not None and call.cut is None:
            assert call.request_id == parent.request_id, "not sticky: another replica would compute the prefix again"
        if call.cut is not None:
            forks[parent.number, call.cut].add(call.request_id)
            assert parent.continuation is None and call.continuation is not None
            assert call.cut == 0 or parent.token_ids[call.cut - 1] in tags
            assert call.prompt_ids == parent.ids[: len(call.prompt_ids)]
            assert call.image_sizes == parent.image_sizes
    first = [call for call in run.calls if call.question == question and call.parent is None]
    assert all(len(ids) == 1 for ids in forks.values()), "each continuation would compute the prefix again"
    fresh = [request_id for ids in forks.values() for request_id in ids]
    assert len({*fresh, *(call.request_id for call in first)}) == len(fresh) + len(first)


def normalised(rewards: list[float]) -> np.ndarray:
    """Group-normalised rewards, sample standard deviation."""
    rewards = np.array(rewards)
    return (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)


def expected_advantages(rows: list[Row]) -> dict[str, float]:
    """Eq. 2 and 4 from the roles in the rows, written down once more."""
    expected = {}
    originals = [row for row in rows if row.column["role"] != Role.CONTINUATION]
    rewards = [row.reward for row in originals]
    for i, row in enumerate(originals):
        recovery = row.column["recovery_reward"]
        own = rewards if recovery is None else rewards[:i] + [recovery] + rewards[i + 1 :]
        expected[row.key] = normalised(own)[i] if len(own) > 1 else 0.0  # alone, it has no baseline
    for group in {row.column["prefix_group"] for row in rows} - {None}:
        members = [r for r in rows if r.column["prefix_group"] == group and r.column["role"] == Role.CONTINUATION]
        values = normalised([row.reward for row in members]) if len(members) > 1 else [0.0]
        expected.update(zip((row.key for row in members), values, strict=True))
    return expected


def advantages(world: World, run: Run) -> dict[str, float]:
    """Key -> advantage by the trainer's own step, checked to lie on exactly the trained tokens and to be Eq. 2 or 4."""
    from recipe.axpo.trainer import AXPOTrainer

    rows = [row for group in run.rows.values() for row in group]
    meta = KVBatchMeta(partition_id="train", keys=[row.key for row in rows], tags=[row.tag for row in rows])
    trainer = SimpleNamespace(
        branching=True,
        axpo=AXPOConfig.from_config(world.config),
        config=world.config,
    )
    metrics: dict[str, float] = {}
    AXPOTrainer._compute_advantage(trainer, meta, metrics)
    data = tq.kv_batch_get(keys=meta.keys, partition_id="train", select_fields=["advantages", "returns"])
    expected = {key: value for group in run.rows.values() for key, value in expected_advantages(group).items()}
    result = {}
    for i, row in enumerate(rows):
        mask = row.fields["response_mask"].float()
        torch.testing.assert_close(data["advantages"][i], mask * float(expected[row.key]), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(data["returns"][i], data["advantages"][i])
        result[row.key] = expected[row.key]
    return result


def check_same_rows(left: Run, right: Run) -> None:
    """Two runs of one script have written the same rows, field for field, but for what names the run."""
    assert left.status == right.status and left.answers == right.answers
    for question, rows in left.rows.items():
        assert len(rows) == len(right.rows[question])
        for row in rows:
            call = last_call(left, question, row)
            other = row_of(right, question, call.session, call.continuation)
            same = {key: value for key, value in row.tag.items() if key != "global_steps"}
            assert same == {key: value for key, value in other.tag.items() if key != "global_steps"}
            assert row.fields.keys() - {"axpo"} == other.fields.keys() - {"axpo"}
            for name in other.fields.keys() - SESSION_FIELDS:
                assert_same(row.fields[name], other.fields[name], name)


def assert_same(left: Any, right: Any, name: str) -> None:
    """Equality that looks into containers, tensors and images, types included."""
    assert type(left) is type(right), name
    if isinstance(left, dict):
        assert left.keys() == right.keys(), name
        for key in left:
            assert_same(left[key], right[key], f"{name}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), name
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{name}[{i}]")
    elif isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype and torch.equal(left, right), name
    elif isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right, name)
    else:
        assert left == right, name
