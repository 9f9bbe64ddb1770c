# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts ``qwen3vl_*.sh``: what they start, and what ``--check`` finds."""

import importlib.metadata
import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from run_scripts import train
from run_scripts.check import compose_rl, compose_sft
from run_scripts.checkpoints import BEST, keep_best, last_checkpoint, link_model
from run_scripts.settings import BACKENDS, CONFIG_DIR, ENGINES, SIZES, STAGES, SettingError, Settings

REPO_ROOT = Path(__file__).resolve().parents[2]
HARDWARE = sorted(path.stem for path in (CONFIG_DIR / "hardware").glob("*.yaml"))
VARIANTS = sorted(path.stem for path in (CONFIG_DIR / "variant").glob("*.yaml"))
ROLLOUT, ACTOR = "actor_rollout_ref.rollout", "actor_rollout_ref.actor"


def settings(size="8b", stage="axpo", **environ):
    return Settings.read(size, stage, environ)


def words(stage, size="8b", **environ):
    return train.command(settings(size, stage, **environ), [], environ)


# ---------------------------------------------------------------- the scripts


@pytest.mark.parametrize("size, stage", itertools.product(SIZES, STAGES))
def test_script_names_its_size_and_stage(size, stage):
    script = REPO_ROOT / "run_scripts" / f"qwen3vl_{size}_{stage}.sh"
    last = script.read_text().splitlines()[-1]
    assert last.endswith(f'/train.sh" {size} {stage} "$@"')


def test_axpo_and_grpo_differ_in_one_option():
    axpo, grpo = (words(stage, OUTPUT="/out", MODEL="/model") for stage in ("axpo", "grpo"))
    different = [pair for pair in zip(axpo, grpo, strict=True) if pair[0] != pair[1]]
    assert different == [("algorithm.adv_estimator=axpo", "algorithm.adv_estimator=grpo")]


def test_rl_starts_from_what_sft_writes():
    sft, rl = settings(stage="sft"), settings(stage="axpo")
    assert Path(rl.model) == sft.output / "huggingface"
    assert settings(stage="sft").model == "Qwen/Qwen3-VL-8B-Thinking"


def test_overrides_of_the_user_come_last():
    line = train.command(settings(MODEL="/m"), ["trainer.nnodes=4"], {})
    assert line[-1] == "trainer.nnodes=4"


def test_script_prints_its_command(tmp_path):
    environ = {"PATH": "/usr/bin:/bin", "AXPO_VENV": str(Path(sys.executable).parents[1]), "OUTPUT": str(tmp_path)}
    script = REPO_ROOT / "run_scripts" / "qwen3vl_4b_grpo.sh"
    line = [str(script), "--print", "trainer.nnodes=3"]
    done = subprocess.run(["bash", *line], env=environ, capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == 0, done.stderr
    said, expected = shlex.split(done.stdout), {"+size=4b", "algorithm.adv_estimator=grpo"}
    assert expected | {f"trainer.default_local_dir={tmp_path}/checkpoints"} <= set(said)
    assert said[-1] == "trainer.nnodes=3"


@pytest.mark.parametrize(
    "environ, message",
    [
        ({"HARDWARE": "8xh99"}, "HARDWARE must be one of 2x8xh100, 8x40gb, 8xh100, cpu, got '8xh99'"),
        ({"BACKEND": "fsdp"}, "BACKEND must be one of fsdp2, megatron, got 'fsdp'"),
        ({"ENGINE": "hf"}, "ENGINE must be one of vllm, sglang"),
        ({"VARIANT": "nothing"}, "VARIANT must be one of "),
        ({"NNODES": "two"}, "NNODES must be a positive integer, got 'two'"),
        ({"NNODES": "0"}, "NNODES must be a positive integer"),
        ({"HARDWARE": "cpu", "BACKEND": "megatron"}, "BACKEND=megatron needs GPUs"),
        ({"HARDWARE": "8x40gb", "BACKEND": "megatron"}, "HARDWARE=8x40gb is a preset of BACKEND=fsdp2"),
    ],
)
def test_bad_setting(environ, message):
    with pytest.raises(SettingError, match=message.replace("(", r"\(")):
        settings(**environ)


def test_missing_model_and_data_are_told_before_anything_starts(tmp_path):
    with pytest.raises(SettingError, match="run run_scripts/qwen3vl_8b_sft.sh first"):
        train.prepare(settings(OUTPUT=str(tmp_path / "run"), DATA=str(tmp_path)))
    with pytest.raises(SettingError, match="no train.parquet and no val.parquet"):
        train.prepare(settings(MODEL="Qwen/Qwen3-VL-8B-Thinking", DATA=str(tmp_path)))


def test_sft_on_several_nodes_says_what_torchrun_needs():
    with pytest.raises(SettingError, match="NODE_RANK must be set on each of the 2 nodes"):
        words("sft", HARDWARE="2x8xh100")
    line = words("sft", HARDWARE="2x8xh100", NODE_RANK="1", MASTER_ADDR="10.0.0.1")
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=10.0.0.1", "--nproc-per-node=8"} <= set(line)


# ---------------------------------------------------------------- the configurations


def test_sizes_and_backends_reach_verl():
    config = compose_rl(train.rl_overrides(settings("2b", MODEL="/m", BACKEND="megatron", ENGINE="sglang")))
    parts = config.actor_rollout_ref
    assert (config.model_engine, parts.actor.strategy, parts.ref.strategy) == ("megatron",) * 3
    assert parts.ref.megatron.tensor_model_parallel_size == 2 and parts.rollout.name == "sglang"
    config = compose_rl(train.rl_overrides(settings("8b", MODEL="/m", VARIANT="rollouts_x2", NNODES="4")))
    assert (config.actor_rollout_ref.rollout.n, config.trainer.nnodes) == (16, 4)
    assert config.actor_rollout_ref.ref.log_prob_max_token_len_per_gpu == 24576


def test_variables_reach_every_process():
    overrides = train.in_every_process({"PYTHONPATH": "/a:/b c", "VERL_FILE_LOGGER_PATH": "/out/x=1.jsonl"})
    config = compose_rl([*train.rl_overrides(settings(MODEL="/m")), *overrides])
    variables = config.ray_kwargs.ray_init.runtime_env.env_vars
    assert variables == {"PYTHONPATH": "/a:/b c", "VERL_FILE_LOGGER_PATH": "/out/x=1.jsonl"}


def test_a_batch_has_two_optimizer_steps_so_that_the_clip_acts():
    for hardware in HARDWARE:
        config = compose_rl(train.rl_overrides(settings(MODEL="/m", HARDWARE=hardware)))
        assert config.data.train_batch_size == 2 * config.actor_rollout_ref.actor.ppo_mini_batch_size


def test_sft_keeps_a_hugging_face_directory():
    for hardware in HARDWARE:
        config = compose_sft(train.sft_overrides(settings(stage="sft", HARDWARE=hardware)))
        assert "hf_model" in config.checkpoint.save_contents


ABOUT_THIS_MACHINE = ("this machine has", "the host needs", "/dev/shm", "is not installed", "sglang is not")


def found(capsys, stage, overrides=(), **environ):
    """Run ``--check`` and return the problems that do not concern this machine."""
    settings_ = settings(environ.pop("size", "8b"), stage, **environ)
    from run_scripts.check import check

    check(settings_, list(overrides))
    lines = [line.removeprefix("PROBLEM  ") for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
    return [line for line in lines if not any(text in line for text in ABOUT_THIS_MACHINE)]


@pytest.fixture
def start(model_dirs, embedded_data, tmp_path, monkeypatch):
    """Return the environment of a run that has everything."""
    monkeypatch.chdir(REPO_ROOT)
    return lambda size: {"MODEL": str(model_dirs[size]), "DATA": str(embedded_data), "OUTPUT": str(tmp_path / "run")}


@pytest.mark.parametrize("size, backend, engine", itertools.product(SIZES, BACKENDS, ENGINES))
def test_check_finds_nothing_wrong_with_the_scripts(size, backend, engine, start, capsys):
    for stage in ("grpo", "axpo"):
        assert not found(capsys, stage, size=size, BACKEND=backend, ENGINE=engine, **start(size))


def test_check_refuses_an_sglang_that_does_not_fit(start, capsys, monkeypatch):
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.5.15" if name == "sglang" else version(name))
    (problem,) = found(capsys, "axpo", ENGINE="sglang", **start("8b"))
    assert "rollout.name=sglang needs sglang <0.5.15,>=0.5.13, got 0.5.15" in problem


@pytest.mark.parametrize("size, hardware", itertools.product(SIZES, HARDWARE))
def test_check_finds_nothing_wrong_with_the_presets(size, hardware, start, capsys):
    for stage in STAGES:
        assert not found(capsys, stage, size=size, HARDWARE=hardware, **start(size))


@pytest.mark.parametrize("variant", VARIANTS)
def test_check_finds_nothing_wrong_with_the_variants(variant, start, capsys):
    for backend, engine in itertools.product(BACKENDS, ENGINES):
        problems = found(capsys, "axpo", BACKEND=backend, ENGINE=engine, VARIANT=variant, **start("8b"))
        if engine == "sglang" and variant in ("arpo_branching", "entropy_ranking"):
            (problem,) = problems
            assert "axpo.ranking=entropy needs actor_rollout_ref.rollout.name=vllm" in problem
        else:
            assert not problems


@pytest.mark.parametrize(
    "override, message",
    [
        ("axpo.continuation=3", "Could not override 'axpo.continuation'"),
        ("actor_rollout_ref.actor.optim.lrr=1", "Could not override 'actor_rollout_ref.actor.optim.lrr'"),
        ("axpo.continuations=1", "axpo.continuations must be an integer of at least 2"),
        (f"{ROLLOUT}.tensor_model_parallel_size=3", f"{ROLLOUT}.tensor_model_parallel_size (3) must divide"),
        (f"{ACTOR}.ulysses_sequence_parallel_size=5", f"{ACTOR}.ulysses_sequence_parallel_size (5) must divide"),
        (f"{ROLLOUT}.max_model_len=9000", f"{ROLLOUT}.max_model_len must be at least 24576"),
        (f"{ROLLOUT}.max_model_len=null", f"{ROLLOUT}.max_model_len must be at least 24576"),
        ("data.max_response_length=1024", "more than half of data.max_response_length (1024)"),
        ("data.train_files=/nowhere.parquet", "/nowhere.parquet does not exist"),
        (f"{ROLLOUT}.multi_turn.tool_config_path=tools/python.yaml", "ask for the tool 'image_zoom_in'"),
        (f"{ROLLOUT}.multi_turn.tool_config_path=tools/nothing.yaml", "tools/nothing.yaml"),
        (f"{ROLLOUT}.gpu_memory_utilization=0.3", "the KV cache holds"),
        (f"{ROLLOUT}.gpu_memory_utilization=0.95", "need 94 GiB of 79 during the rollout"),
        (f"{ACTOR}.ppo_max_token_len_per_gpu=200000", "the update needs about"),
        ("data.train_batch_size=100", "data.train_batch_size"),
        (f"{ACTOR}.optim.lr=fast", f"{ACTOR}.optim.lr must be a number, got 'fast'"),
        ("trainer.save_freq=often", "trainer.save_freq must be a number, got 'often'"),
        ("axpo.early_release=maybe", "axpo.early_release must be true or false, got 'maybe'"),
    ],
)
def test_check_names_the_problem(override, message, start, capsys):
    lines = found(capsys, "axpo", [override], **start("8b"))
    assert any(message in line for line in lines), lines


MISTAKES = {
    # what users get wrong most: environment or overrides, the line, and the fix that it must name
    "a wrong path to the data": (
        {"DATA": "/nowhere"},
        [],
        "DATA: /nowhere has no train.parquet",
        "python -m data_prep",
    ),
    "a wrong path to the model": ({"MODEL": "/nowhere/model"}, [], "MODEL: /nowhere/model is no directory", "a Hub id"),
    "no model yet": (
        {"MODEL": "/nowhere/huggingface"},
        [],
        "MODEL: /nowhere/huggingface does not",
        "qwen3vl_8b_sft.sh",
    ),
    "a key that does not exist": ({}, ["axpo.budget=1"], "Could not override 'axpo.budget'", "+axpo.budget=1"),
    "too little memory for the update": (
        {"HARDWARE": "8x40gb"},
        [f"{ACTOR}.ppo_max_token_len_per_gpu=98304", f"{ACTOR}.fsdp_config.optimizer_offload=false"],
        "the update needs about",
        "optimizer_offload=true",
    ),
    "too little memory for the engine": (
        {},
        [f"{ROLLOUT}.gpu_memory_utilization=0.3"],
        "the KV cache holds",
        "raise actor_rollout_ref.rollout.tensor_model_parallel_size",
    ),
    "tensor parallelism that does not divide the GPUs": (
        {},
        [f"{ROLLOUT}.tensor_model_parallel_size=3"],
        f"{ROLLOUT}.tensor_model_parallel_size (3) must divide",
        "the number of GPUs (8)",
    ),
    "tensor parallelism of the actor that does not divide the GPUs": (
        {"BACKEND": "megatron"},
        [f"{ACTOR}.megatron.tensor_model_parallel_size=3"],
        f"{ACTOR}.megatron.tensor_model_parallel_size (3) must divide",
        "the number of GPUs (8)",
    ),
    "rows that ask for a tool that is not configured": (
        {},
        [f"{ROLLOUT}.multi_turn.tool_config_path=tools/python.yaml"],
        "data.train_files: rows of train.parquet ask for the tool 'image_zoom_in'",
        f"{ROLLOUT}.multi_turn.tool_config_path does not configure",
    ),
    "max_model_len below prompt and response": (
        {},
        [f"{ROLLOUT}.max_model_len=9000"],
        f"{ROLLOUT}.max_model_len must be at least 24576",
        "got 9000",
    ),
    "a zoom larger than the response": (
        {},
        ["data.max_response_length=1024"],
        "one answer of image_zoom_in may hold 1 image(s)",
        "set max_pixels of image_zoom_in to at most",
    ),
}


@pytest.mark.parametrize("environ, overrides, line, fix", MISTAKES.values(), ids=MISTAKES)
def test_check_has_a_line_with_the_fix_for(environ, overrides, line, fix, start, capsys):
    hits = [said for said in found(capsys, "axpo", overrides, **{**start("8b"), **environ}) if line in said]
    assert len(hits) == 1 and fix in hits[0], hits


@pytest.mark.parametrize("wanted, fits", [("transformers<5.0.0", False), ("transformers>=5", True)])
def test_check_compares_megatron_bridge_with_transformers(wanted, fits, start, capsys, tmp_path, monkeypatch):
    folder = tmp_path / "site" / "megatron_bridge-0.3.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Name: megatron-bridge\nVersion: 0.3.1\nRequires-Dist: {wanted}\n")
    monkeypatch.syspath_prepend(folder.parent)
    lines = found(capsys, "axpo", **start("8b"), BACKEND="megatron")
    assert any("Megatron-Bridge 0.3.1 is made for transformers" in line for line in lines) != fits, lines


def test_check_prints_every_problem(start, capsys):
    wrong = ["axpo.continuations=1", f"{ROLLOUT}.max_model_len=9000", f"{ROLLOUT}.tensor_model_parallel_size=3"]
    lines = found(capsys, "axpo", wrong, **start("8b"))
    assert len(lines) == 3, lines


def test_summary_draws_a_run(tmp_path, capsys):
    from run_scripts.summary import main as summary

    folder = tmp_path / "run" / "metrics"
    folder.mkdir(parents=True)
    rows = [{"training/global_step": step, "axpo/tool_use_rate": step / 10} for step in range(1, 6)]
    lines = [json.dumps({"step": row["training/global_step"], "data": row}) for row in rows]
    (folder / "attempt-000.jsonl").write_text("\n".join(lines))
    summary([f"mine={tmp_path / 'run'}", "--plot", str(tmp_path / "gap.svg")])
    assert "rollouts that call the tool" in capsys.readouterr().out
    assert "mine" in (tmp_path / "gap.svg").read_text()
    with pytest.raises(SystemExit):
        summary([str(tmp_path)])


# ---------------------------------------------------------------- checkpoints


def save(folder, step, last=None):
    path = folder / f"global_step_{step}" / "actor"
    path.mkdir(parents=True)
    (path / "weights.pt").write_text(str(step))
    (folder / "latest_checkpointed_iteration.txt").write_text(str(last or step))


def best(folder):
    return (folder / BEST / "actor" / "weights.pt").read_text()


def test_the_best_checkpoint_outlives_verls_removal(tmp_path):
    import shutil

    for step, accuracy in ((1, 0.4), (2, 0.6), (3, 0.5)):
        save(tmp_path, step)
        keep_best(tmp_path, {0: 0.9, **{k: v for k, v in ((1, 0.4), (2, 0.6), (3, 0.5)) if k <= step}})
        if step > 1:
            shutil.rmtree(tmp_path / f"global_step_{step - 1}")
        assert accuracy and best(tmp_path) == str(min(step, 2))


def test_a_resumed_run_compares_with_the_best_before(tmp_path):
    save(tmp_path, 5)
    keep_best(tmp_path, {5: 0.7})
    save(tmp_path, 6)
    keep_best(tmp_path, {6: 0.6})
    assert best(tmp_path) == "5"
    save(tmp_path, 7)
    keep_best(tmp_path, {7: 0.7})  # of equals, the later
    assert best(tmp_path) == "7"


def test_a_checkpoint_that_is_still_written_is_not_taken(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2, last=1)
    keep_best(tmp_path, {1: 0.1, 2: 0.9})
    assert best(tmp_path) == "1" and last_checkpoint(tmp_path).name == "global_step_1"


def test_link_follows_the_last_checkpoint(tmp_path):
    checkpoints, target = tmp_path / "checkpoints", tmp_path / "huggingface"
    for step in (1, 2):
        save(checkpoints, step)
        (checkpoints / f"global_step_{step}" / "huggingface").mkdir()
        link_model(checkpoints, target)
        assert target.resolve() == checkpoints / f"global_step_{step}" / "huggingface"


def test_no_checkpoint_is_an_error_that_says_why(tmp_path):
    with pytest.raises(FileNotFoundError, match="trainer.save_freq"):
        last_checkpoint(tmp_path)
