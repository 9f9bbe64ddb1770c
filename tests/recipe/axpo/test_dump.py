# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The dump of a step: what stands in the file, how compactly, and that a reader never sees half of it."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from recipe.axpo.advantage import Role
from recipe.axpo.dump import write_rollouts
from recipe.axpo.tree import BranchColumn

ROW_KEYS = ["input", "output", "loss_spans", "data_source", "index"]
ROW_KEYS += ["gts", "score", "step", "uid", "question", "session", "advantage"]
ROW_KEYS += ["prompt_ids", "response_ids", "response_mask", "rollout_log_probs", "old_log_probs", "reward_extra_info"]
BRANCH_KEYS = ["role", "prefix_group", "recovery_reward", "source_session", "prefix_length", "confidence", "turn"]
BRANCH_KEYS += ["engine_calls"]


def decode(ids):
    return "".join(chr(97 + token) for token in ids)


def row(prompt=(1, 2), response=(3, 4, 5), mask=None, log_probs=None, reward=0.0, advantage=0.0, **fields):
    """One row as the TransferQueue holds it."""
    mask = torch.tensor([1] * len(response) if mask is None else mask)
    log_probs = torch.zeros(len(response)) if log_probs is None else torch.tensor(log_probs)
    scores = torch.zeros(len(response))
    scores[-1] = reward
    return {
        "prompts": torch.tensor(prompt),
        "responses": torch.tensor(response),
        "response_mask": mask,
        "rm_scores": scores,
        "advantages": mask * torch.tensor(advantage),
        "rollout_log_probs": log_probs,
        "old_log_probs": log_probs - 0.25,
        "reward_model": {"ground_truth": "red", "style": "rule"},
        "data_source": "axpo/embedded_colour",
        "index": 12,
        "extra_fields": {"reward_extra_info": {"acc": reward}, "turn_scores": []},
    } | fields


def write(path, rows, columns=None, keys=None, *, roles=False, step=7, decode=decode):
    columns = columns or [BranchColumn("q", i) for i in range(len(rows))]
    keys = keys or [f"{c.question}_{c.session}_0" for c in columns]
    write_rollouts(path, step, keys, columns, list_of_dict_to_tensordict(rows), decode, roles=roles)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_a_row_says(tmp_path):
    columns = [
        BranchColumn("q", 0),
        BranchColumn("q", 1, Role.SOURCE, "q:1:2", 1.0, 1, 2, 0.375, 1, ({"prompt_ids": [1, 2], "token_ids": [3]},)),
        BranchColumn("q", 8, Role.CONTINUATION, "q:1:2", None, 1, 2, 0.375, 1),
    ]
    rows = [
        row(reward=1.0, advantage=0.75),
        row(response=(3, 4, 6, 7), mask=(1, 1, 0, 0), log_probs=(-0.5, -0.25, -1.0, 0.0), advantage=-1.5),
        row(prompt=(9,), response=(3, 4, 8), mask=(0, 0, 1), reward=1.0, advantage=0.5),
    ]
    first, source, continuation = write(tmp_path / "rollouts" / "7.jsonl", rows, columns, roles=True)
    assert [list(entry) for entry in (first, source, continuation)] == [ROW_KEYS + BRANCH_KEYS] * 3
    assert source == {
        "input": "bc",
        "output": "degh",
        "loss_spans": [[0, 2]],
        "data_source": "axpo/embedded_colour",
        "index": 12,
        "gts": "red",
        "score": 0.0,
        "step": 7,
        "uid": "q_1_0",
        "question": "q",
        "session": 1,
        "advantage": -1.5,
        "prompt_ids": [1, 2],
        "response_ids": [3, 4, 6, 7],
        "response_mask": [1, 1, 0, 0],
        "rollout_log_probs": [-0.5, -0.25, -1.0, 0.0],
        "old_log_probs": [-0.75, -0.5, -1.25, -0.25],
        "reward_extra_info": {"acc": 0.0},
        "role": "source",
        "prefix_group": "q:1:2",
        "recovery_reward": 1.0,
        "source_session": 1,
        "prefix_length": 2,
        "confidence": 0.375,
        "turn": 1,
        "engine_calls": [{"prompt_ids": [1, 2], "token_ids": [3]}],
    }
    assert (first["role"], first["prefix_group"], first["engine_calls"]) == ("rollout", None, [])
    assert (first["score"], first["advantage"]) == (1.0, 0.75)
    # The advantage is read where the row is trained.
    assert (continuation["role"], continuation["advantage"], continuation["input"]) == ("continuation", 0.5, "j")


def test_without_branching_nothing_is_said_of_roles(tmp_path):
    (entry,) = write(tmp_path / "1.jsonl", [row()])
    assert list(entry) == ROW_KEYS


def test_which_characters_carry_loss(tmp_path):
    """A token may be several characters, and none."""
    texts = ["", "ab", "c", "\U0001f600", "de"]
    rows = [row(response=(1, 2, 0, 4, 3), mask=mask) for mask in ((1, 1, 1, 0, 1), (0, 1, 1, 0, 0), (0,) * 5, (1,) * 5)]
    entries = write(tmp_path / "1.jsonl", rows, decode=lambda ids: "".join(texts[i] for i in ids))
    assert [entry["output"] for entry in entries] == ["abcde\U0001f600"] * 4
    assert [entry["loss_spans"] for entry in entries] == [[[0, 3], [5, 6]], [[2, 3]], [], [[0, 6]]]


def test_a_row_without_trained_tokens(tmp_path):
    (entry,) = write(tmp_path / "1.jsonl", [row(mask=(0, 0, 0), advantage=2.0)])
    assert entry["advantage"] == 0.0


@pytest.mark.parametrize(
    "missing, keys",
    [
        ("rollout_log_probs", ["rollout_log_probs"]),  # GRPO with an agent loop that returns none
        ("old_log_probs", ["old_log_probs"]),
        ("advantages", ["advantage"]),
        ("reward_model", ["gts"]),
        ("extra_fields", ["reward_extra_info"]),
        ("data_source", ["data_source"]),
        ("index", ["index"]),
    ],
)
def test_a_column_that_the_rows_lack_is_left_out(tmp_path, missing, keys):
    rows = [{name: value for name, value in row().items() if name != missing} for _ in range(2)]
    for entry in write(tmp_path / "1.jsonl", rows):
        assert list(entry) == [key for key in ROW_KEYS if key not in keys]


def test_order(tmp_path):
    """By question, session and output. A session's number and an output's are numbers, not text."""
    places = [("b", 0, 0), ("a", 10, 0), ("a", 2, 10), ("a", 2, 9), ("a", 2, 0), ("b", 3, 0)]
    columns = [BranchColumn(question, session) for question, session, _ in places]
    keys = [f"{question}_{session}_{output}" for question, session, output in places]
    rows = [row(response=(i,)) for i in range(len(places))]
    entries = write(tmp_path / "1.jsonl", rows, columns, keys)
    assert [entry["uid"] for entry in entries] == ["a_2_0", "a_2_9", "a_2_10", "a_10_0", "b_0_0", "b_3_0"]
    assert [entry["response_ids"] for entry in entries] == [[4], [3], [2], [1], [0], [5]]


@pytest.mark.parametrize("lengths", [(3, 3), (3, 5), (1,)])
def test_rows_of_equal_and_of_different_length(tmp_path, lengths):
    """list_of_dict_to_tensordict stacks rows of equal length and nests others."""
    entries = write(tmp_path / "1.jsonl", [row(response=tuple(range(n))) for n in lengths])
    assert [entry["response_ids"] for entry in entries] == [list(range(n)) for n in lengths]


# ------------------------------------------------------------------- numbers


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-80, 0, width=32), min_size=1, max_size=20))
def test_log_probs_have_six_decimals(tmp_path_factory, log_probs):
    path = tmp_path_factory.mktemp("dump") / "1.jsonl"
    (entry,) = write(path, [row(response=(1,) * len(log_probs), log_probs=log_probs)])
    assert entry["rollout_log_probs"] == [pytest.approx(value, abs=5.01e-7) for value in log_probs]
    written = re.search(r'"rollout_log_probs":\[([^]]*)\]', path.read_text())[1].split(",")
    assert all(re.fullmatch(r"-?\d+(\.\d{1,6})?|-?\d(\.\d+)?e-0?\d", number) for number in written)
    assert all(len(number) <= len("-80.123456") for number in written) and "-0.0" not in written


def test_no_number_of_a_list_takes_more_room_than_it_must(tmp_path):
    path = tmp_path / "1.jsonl"
    log_probs = np.random.default_rng(0).exponential(0.4, 1000).astype(np.float32) * -1
    write(path, [row(response=(150_000,) * 1000, log_probs=log_probs.tolist())], decode=lambda ids: "")
    assert b" " not in path.read_bytes()
    assert path.stat().st_size < 1000 * (len("150000,") + len("1,") + 2 * len("-0.123456,")) + 500


def test_what_a_reward_function_may_add(tmp_path):
    info = {
        "acc": np.float32(0.5),
        "count": np.int64(3),
        "ok": np.bool_(True),
        "none": None,
        "nan": float("nan"),  # JSON has no such number.
        "vector": np.array([1, 2]),
        "transposed": np.zeros((2, 3)).T,
        "tensor": torch.tensor([1.5]),
        "text": "zwölf </s> \x00 \\u2028 \u2028 \u2029 \x85 \x0b",  # Some readers end a line at most of these.
        3: {"a": [1]},
    }
    (entry,) = write(tmp_path / "1.jsonl", [row(extra_fields={"reward_extra_info": info})])
    assert entry["reward_extra_info"] == {
        "acc": 0.5,
        "count": 3,
        "ok": True,
        "none": None,
        "nan": None,
        "vector": [1, 2],
        "transposed": [[0.0, 0.0]] * 3,
        "tensor": [1.5],
        "text": info["text"],
        "3": {"a": [1]},
    }


# ---------------------------------------------------------------------- file


def test_a_reader_sees_the_whole_file_or_none(tmp_path):
    path = tmp_path / "1.jsonl"
    seen = []

    def look(ids):
        seen.append(path.read_text() if path.exists() else None)
        seen.append(sorted(p.name for p in tmp_path.glob("*.jsonl")))
        return ""

    write(path, [row(), row()], decode=look)
    assert seen == [None, []] * 4
    old = path.read_text()
    seen.clear()
    with path.open() as reader:
        write(path, [row(response=(9,))], decode=look)
        assert reader.read() == old  # The new file took the name of the old one at once.
    assert seen == [old, ["1.jsonl"]] * 2
    assert path.read_text() != old
    assert [p.name for p in tmp_path.iterdir()] == ["1.jsonl"]


@pytest.mark.parametrize(
    "fault, error",
    [
        ({"extra_fields": {"reward_extra_info": {"x": object()}}}, TypeError),
        ({"responses": torch.tensor([-98])}, ValueError),  # decode() fails on it.
    ],
)
def test_a_failed_write_leaves_what_was_there(tmp_path, fault, error):
    path = tmp_path / "1.jsonl"
    write(path, [row()])
    old = path.read_text()
    bad = row(response=(1,)) | fault
    with pytest.raises(error):
        write(path, [row(response=(1,)), bad])
    assert path.read_text() == old
    assert [p.name for p in tmp_path.iterdir()] == ["1.jsonl"]


def test_other_columns_are_of_no_account(tmp_path):
    data = list_of_dict_to_tensordict([row()])
    data = TensorDict({**dict(data.items()), "pixel_values": torch.zeros(1, 3)}, batch_size=[1])
    write_rollouts(tmp_path / "1.jsonl", 1, ["q_0_0"], [BranchColumn("q", 0)], data, decode, roles=False)
    (line,) = (tmp_path / "1.jsonl").read_text().splitlines()
    assert list(json.loads(line)) == ROW_KEYS
