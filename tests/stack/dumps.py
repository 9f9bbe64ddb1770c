# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading dumped rollouts, and the checks every dump of an AXPO run must pass. Nothing here imports the recipe."""

import json
import math
import statistics
from collections import defaultdict
from pathlib import Path


def read_dump(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_question(rows: list[dict]) -> dict[str, list[dict]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row["question"]].append(row)
    return dict(groups)


def generated_positions(row: dict) -> list[int]:
    """Positions in ``response_ids`` that the engine generated in this row's own session, from the recorded requests.

    Asserts token identity on the way: what the engine was given is the row's own tokens up to there, what it gave is
    what follows.
    """
    tokens = row["prompt_ids"] + row["response_ids"]
    offset = len(row["prompt_ids"])
    positions = []
    assert row["engine_calls"], "no request recorded: run with axpo.trace_engine_calls=true"
    for call in row["engine_calls"]:
        start, end = len(call["prompt_ids"]), len(call["prompt_ids"]) + len(call["token_ids"])
        assert call["prompt_ids"] == tokens[:start]
        kept = call["token_ids"][: max(0, len(tokens) - start)]  # verl cuts the last turn at the response length
        assert kept == tokens[start:end]
        positions += range(start - offset, min(end, len(tokens)) - offset)
    return positions


def grpo(rewards: list[float], position: int) -> float:
    if len(rewards) == 1:
        return rewards[0] / (1 + 1e-6)
    return (rewards[position] - statistics.fmean(rewards)) / (statistics.stdev(rewards) + 1e-6)


def check_advantages(rows: list[dict]) -> None:
    """Eq. 2-4 and ordinary GRPO, recomputed from the rewards of one question's rows."""
    ordinary = [row for row in rows if row.get("role", "rollout") != "continuation"]
    rewards = [row["score"] for row in ordinary]
    for i, row in enumerate(ordinary):
        expected = rewards
        if row.get("role") == "source":
            siblings = [r for r in rows if r["role"] == "continuation" and r["prefix_group"] == row["prefix_group"]]
            assert row["recovery_reward"] == max(r["score"] for r in siblings)  # Eq. 3
            expected = rewards[:i] + [row["recovery_reward"]] + rewards[i + 1 :]
        assert math.isclose(row["advantage"], grpo(expected, i), rel_tol=1e-3, abs_tol=1e-4), row["uid"]
    for row in rows:
        if row.get("role") == "continuation":
            siblings = [r for r in rows if r["role"] == "continuation" and r["prefix_group"] == row["prefix_group"]]
            position = [r["uid"] for r in siblings].index(row["uid"])
            expected = grpo([r["score"] for r in siblings], position) if len(siblings) > 1 else 0.0
            assert math.isclose(row["advantage"], expected, rel_tol=1e-3, abs_tol=1e-4), row["uid"]


def check_masks(rows: list[dict], open_id: int) -> None:
    """Roles restrict masks as they should, and no generated token of the question's tree is trained twice."""
    sources = {row["session"]: row for row in rows if row["role"] == "source"}
    trained: set[tuple[int, int]] = set()
    for row in rows:
        generated = set(generated_positions(row))
        mask = {i for i, value in enumerate(row["response_mask"]) if value}
        origin = row["session"]
        if row["role"] == "rollout":
            assert mask == generated
        elif row["role"] == "source":
            assert mask == {i for i in generated if i < row["prefix_length"]}
            assert row["response_ids"][row["prefix_length"] - 1] == open_id
            assert open_id not in row["response_ids"][: row["prefix_length"] - 1]  # the first call is the fork
        else:
            fork, source = row["prefix_length"], sources[row["source_session"]]
            assert row["response_ids"][:fork] == source["response_ids"][:fork]
            assert row["prompt_ids"] == source["prompt_ids"]
            assert mask == generated and min(generated) == fork
        for position in mask:
            assert (origin, position) not in trained
            trained.add((origin, position))
