# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The main job as a user runs it: verl's trainer, Ray, TransferQueue, FSDP2, vLLM and the tools, on the CPU."""

import math

import pytest
from transformers import AutoTokenizer

from data_prep.__main__ import main as data_prep
from run_scripts.quickstart import CHECKPOINT, main
from run_scripts.summary import Metrics
from tests.stack.dumps import by_question, check_advantages, check_masks, read_dump
from verl_ext.cpu.env import REPO_ROOT

pytestmark = pytest.mark.stack

N, K, B = 8, 4, 8  # of the CPU preset
NO_VALIDATION = ["trainer.val_before_train=false", "trainer.test_freq=-1"]


@pytest.fixture(scope="module")
def axpo(tmp_path_factory):
    """Two steps, then the same command for three: the second call must go on where the first one stopped.

    Half of the rows have an image and the zoom tool, the others are text and have the python tool.
    """
    output = tmp_path_factory.mktemp("axpo")
    data_prep(["embedded", "--text", f"--output={output / 'text'}", "--train=256", "--val=1", "--seed=3"])
    common = ["--seed=3", "--val=8", "--save-freq=1", f"--output={output}", "--timeout=600"]
    overrides = [
        *("--", "axpo.trace_engine_calls=true", "axpo.budget_ratio=0.5"),
        f"data.train_files=[{output / 'data/train.parquet'},{output / 'text/train.parquet'}]",
        f"actor_rollout_ref.rollout.multi_turn.tool_config_path={REPO_ROOT / 'tests/stack/zoom_and_python.yaml'}",
        "actor_rollout_ref.rollout.multi_turn.max_tool_response_length=1100",  # what the python tool may answer
    ]
    assert main(["--steps=2", *common, *overrides]) == 0
    first = set((output / "rollouts").iterdir())
    assert main(["--steps=3", *common, *overrides, *NO_VALIDATION]) == 0
    return output, first


@pytest.fixture(scope="module")
def grpo(tmp_path_factory):
    output = tmp_path_factory.mktemp("grpo")
    argv = ["--estimator=grpo", "--steps=2", "--seed=3", "--val=8", f"--output={output}", "--timeout=600"]
    assert main([*argv, "--", *NO_VALIDATION]) == 0
    return output


def dumps(output):
    return {int(path.stem): read_dump(path) for path in (output / "rollouts").glob("*.jsonl")}


def test_resumes_from_the_last_checkpoint(axpo):
    output, first = axpo
    assert {path.stem for path in first} == {"1", "2"}
    assert set(dumps(output)) == {1, 2, 3}
    attempts = sorted((output / "metrics").iterdir())
    assert len(attempts) == 2
    assert '"step":3' in attempts[1].read_text() and '"step":1,' not in attempts[1].read_text()
    assert (output / "checkpoints" / "latest_checkpointed_iteration.txt").read_text().strip() == "3"


def test_thinking_is_read_off_the_template(axpo):
    assert "thinking=required: the chat template opens <think>" in (axpo[0] / "log.txt").read_text()


def test_branches_within_the_budget(axpo):
    output, _ = axpo
    metrics = Metrics(output / "metrics").steps
    budget = math.floor(0.5 * B * N / K)
    branched = 0
    for step, rows in dumps(output).items():
        questions = by_question(rows)
        sources = sum(row["role"] == "source" for row in rows)
        assert len(questions) == B and sources <= budget
        assert sources == metrics[step]["axpo/selected_prefixes"]
        assert metrics[step]["axpo/infra_failures"] == 0
        for members in questions.values():
            ordinary = [row for row in members if row["role"] != "continuation"]
            assert sorted(row["session"] for row in ordinary) == list(range(N))
            chosen = [row for row in members if row["role"] == "source"]
            assert len(members) == N + K * len(chosen)
            if chosen:  # triggered: everyone who acted was wrong
                assert all(row["score"] < 1 for row in ordinary if "</tool_call>" in row["output"])
        branched += sources
    assert branched > 0, "the run never branched: the test has shown nothing"


def test_masks_tokens_and_advantages(axpo):
    output, _ = axpo
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    open_id = tokenizer.convert_tokens_to_ids("<tool_call>")
    image_id = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    images = 0
    for rows in dumps(output).values():
        for members in by_question(rows).values():
            check_masks(members, open_id)
            check_advantages(members)
        for row in rows:
            pads = [
                mask for token, mask in zip(row["response_ids"], row["response_mask"], strict=True) if token == image_id
            ]
            images += bool(pads)
            assert not any(pads)
    assert images > 0, "no tool ever returned an image"


def test_rows_without_images_train_beside_the_others(axpo):
    """The tiny model opens a call only where it sees an image, so none of these rows branches."""
    output, _ = axpo
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    image_id = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    for step, rows in dumps(output).items():
        text = ["keep the remainder modulo" in tokenizer.decode(row["prompt_ids"]) for row in rows]
        assert any(text) and not all(text), "all rows of this batch are of one kind"
        for row, without_image in zip(rows, text, strict=True):
            assert (image_id in row["prompt_ids"]) != without_image
            if without_image:
                assert any(row["response_mask"]) and image_id not in row["response_ids"]
        metrics = Metrics(output / "metrics").steps[step]
        assert all(math.isfinite(metrics[name]) for name in ("actor/grad_norm", "actor/pg_loss", "actor/kl_loss"))


def test_rollout_and_actor_agree_on_log_probs(axpo):
    output, _ = axpo
    for rows in dumps(output).values():
        for row in rows:
            for rollout, actor, mask in zip(
                row["rollout_log_probs"], row["old_log_probs"], row["response_mask"], strict=True
            ):
                assert not mask or abs(rollout - actor) < 1e-3


def test_optimizer_steps_are_those_of_grpo(axpo):
    output, _ = axpo
    metrics = Metrics(output / "metrics").steps
    assert all(step["axpo/optimizer_steps"] == 2 for step in metrics.values())
    assert any(step["actor/grad_norm"] > 0 for step in metrics.values())


def test_metrics_reach_tensorboard(axpo):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output, _ = axpo
    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    names = ("tool_use_rate", "triggered_questions", "selected_prefixes", "budget_used", "continuation_tokens_ratio")
    names += ("no_fork_found", "infra_failures", "call_confidence/selected", "recovery_rate")
    assert {f"axpo/{name}" for name in names} <= tags
    assert {f"tools/image_zoom_in/{name}" for name in ("calls", "failure_rate", "latency_p50", "wait_p95")} <= tags


def test_grpo_is_plain(grpo):
    for rows in dumps(grpo).values():
        assert len(rows) == B * N
        assert all("role" not in row for row in rows)
        for members in by_question(rows).values():
            assert len(members) == N
            check_advantages(members)
    metrics = Metrics(grpo / "metrics").steps
    assert all(step["axpo/selected_prefixes"] == 0 and "axpo/tool_use_rate" in step for step in metrics.values())
