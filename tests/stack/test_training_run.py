# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of the lab as a user starts them: verl's trainer, Ray, TransferQueue, FSDP2, vLLM and the tools, on the CPU."""

import math

import pytest
from transformers import AutoTokenizer

from data_prep.__main__ import main as data_prep
from run_scripts.lab.__main__ import main
from run_scripts.quickstart import CHECKPOINT
from run_scripts.report.__main__ import main as report
from run_scripts.summary import Metrics
from tests.run_scripts.chromium import PROGRAM, Chromium
from tests.stack.dumps import by_question, check_advantages, check_masks, read_dump
from verl_ext.cpu.env import REPO_ROOT

pytestmark = pytest.mark.stack

N, K, B = 8, 4, 8  # of the CPU preset


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Run an arm in one directory for all; returns the run's own."""
    root = tmp_path_factory.mktemp("lab")

    def run(arm, steps, *overrides):
        argv = ["run", "gap", f"--arms={arm}", "--seeds=1", f"--steps={steps}", f"--output={root}"]
        assert main([*argv, "data.val_max_samples=8", *overrides]) == 0
        return root / "runs" / arm / "seed1"

    run.root = root
    return run


@pytest.fixture(scope="module")
def axpo(lab):
    """Two steps, then the same command for four: the second call must go on where the first one stopped.

    Half of the rows have an image and the zoom tool, the others are text and have the python tool.
    """
    text = lab.root / "text"
    data_prep(["embedded", "--text", f"--output={text}", "--train=1024", "--val=1", "--seed=3"])
    overrides = [
        *("trainer.save_freq=1", "axpo.trace_engine_calls=true", "axpo.budget_ratio=0.5"),
        f"data.train_files=[{lab.root / 'data/guess50/train.parquet'},{text / 'train.parquet'}]",
        f"actor_rollout_ref.rollout.multi_turn.tool_config_path={REPO_ROOT / 'tests/stack/zoom_and_python.yaml'}",
        "actor_rollout_ref.rollout.multi_turn.max_tool_response_length=1100",  # what the python tool may answer
    ]
    output = lab("axpo-g50", 2, *overrides)
    first = set((output / "rollouts").iterdir())
    assert lab("axpo-g50", 4, *overrides, "trainer.val_before_train=false") == output
    return output, first


@pytest.fixture(scope="module")
def grpo(lab):
    return lab("grpo-g50", 4, "trainer.val_before_train=false")


def dumps(output):
    return {int(path.stem): read_dump(path) for path in (output / "rollouts").glob("*.jsonl")}


def test_resumes_from_the_last_checkpoint(axpo):
    output, first = axpo
    assert {path.stem for path in first} == {"1", "2"}
    assert set(dumps(output)) == {1, 2, 3, 4}
    attempts = sorted((output / "metrics").iterdir())
    assert len(attempts) == 2
    assert '"step":3,' in attempts[1].read_text() and '"step":1,' not in attempts[1].read_text()
    assert (output / "checkpoints" / "latest_checkpointed_iteration.txt").read_text().strip() == "4"


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


def test_a_page_shows_its_trees(axpo, tmp_path):
    """The run's own dumps, data and configuration make a page: trees, shaded text and images."""
    output, _ = axpo
    assert report([str(output), "--output", str(tmp_path / "page")]) == 0
    if PROGRAM is None:
        pytest.skip("no browser; as root: apt-get install chromium")
    browser = Chromium(tmp_path / "profile")
    try:
        browser.open(tmp_path / "page" / "index.html", "document.body && document.body.dataset.ready")
        browser.run("document.forms[0].g.value = ''; document.forms[0].r.value = '1'")
        browser.run("document.forms[0].dispatchEvent(new Event('input'))")
        sources = sum(row["role"] == "source" for rows in dumps(output).values() for row in rows)
        assert browser.run("document.getElementById('count').textContent").startswith(f"{sources} of ")
        browser.wait("document.querySelectorAll('.tree ul button').length >= 4")
        browser.wait("[...document.querySelectorAll('#detail img')].some((image) => image.naturalWidth > 0)")
        assert browser.run("document.querySelectorAll('.box').length > 0")
        assert browser.run("document.querySelectorAll('.turn.model .l1').length > 0") and browser.problems == []
    finally:
        browser.close()


def test_grpo_is_plain(grpo):
    for rows in dumps(grpo).values():
        assert len(rows) == B * N
        assert all("role" not in row for row in rows)
        for members in by_question(rows).values():
            assert len(members) == N
            check_advantages(members)
    metrics = Metrics(grpo / "metrics").steps
    assert all(step["axpo/selected_prefixes"] == 0 and "axpo/tool_use_rate" in step for step in metrics.values())


def test_report_of_what_was_run(axpo, grpo, capsys):
    root = grpo.parents[2]
    assert main(["report", "gap", f"--output={root}"]) == 0
    report = capsys.readouterr().out
    assert report == (root / "report" / "gap.md").read_text() + "\n"
    assert "| GRPO | 1 |" in report and "| AXPO | 1 |" in report
    assert (root / "report" / "gap.png").stat().st_size > 10_000
    lines = (root / "report" / "gap.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 4  # a line for every step of both
    # What is done is not run again.
    assert main(["run", "gap", "--arms=grpo-g50,axpo-g50", "--seeds=1", "--steps=4", f"--output={root}"]) == 0
    assert "2 runs, 2 of them done" in capsys.readouterr().out
