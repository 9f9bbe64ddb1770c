# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
from pathlib import Path

import pytest

from data_prep.registry import BENCHMARKS
from run_scripts.evaluation.__main__ import main, make_parser
from run_scripts.evaluation.engine import compose
from run_scripts.evaluation.record import read_settings
from run_scripts.evaluation.settings import model_name, read_arguments, weights_digest
from run_scripts.settings import TINY_MODEL, SettingError

REPO_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def read(embedded_data, tmp_path):
    """Read a command line for a CPU and the embedded task."""

    def run(*words, environ=None):
        given = [f"--output={tmp_path / 'out'}", f"--benchmarks=embedded={embedded_data / 'val.parquet'}", *words]
        args, rest = make_parser().parse_known_args(["run", *given])
        return read_arguments(args, rest, {"HARDWARE": "cpu"} if environ is None else environ)

    return run


def test_defaults_of_a_cpu(read):
    settings = read()
    assert settings.model == str(TINY_MODEL) and settings.name == "tiny_model" and settings.samples == 4
    assert [path.name for path in settings.tools] == ["image_zoom_in_tiny.yaml"]
    assert [question.id for question in settings.benchmarks[0].questions] == ["val/0", "val/1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n=0"], "--n must be at least 1"),
        (["--limit=0"], "--limit must be at least 1"),
        (["--in-flight=0"], "--in-flight must be at least 1"),
        (["--model=/nowhere"], "--model: /nowhere is no directory"),
        (["--benchmarks=vstar", "--data=/nowhere"], "python -m data_prep vstar --output /nowhere/vstar"),
        (["--benchmarks=mine", "--data=/nowhere"], "mine=PATH names it"),
        (["--benchmarks=a/b"], "neither a name nor name=path"),
        (["--tools=hammer"], "there is no tool 'hammer'; name one of"),
        (["--add-tools=hammer"], "--add-tools: there is no tool 'hammer'"),
        (["hello"], "hello is neither an option nor a Hydra override"),
    ],
)
def test_bad_options_are_named(read, words, message):
    with pytest.raises(SettingError, match=message.replace("(", r"\(")):
        read(*words)


def test_bad_environment_is_named(read):
    with pytest.raises(SettingError, match="HARDWARE must be one of"):
        read(environ={"HARDWARE": "abacus"})
    with pytest.raises(SettingError, match="--model must name"):
        read(environ={})


def test_the_nine_are_the_default(tmp_path, monkeypatch):
    for name in BENCHMARKS:
        (tmp_path / name).mkdir()
    args, rest = make_parser().parse_known_args(["run", f"--data={tmp_path}", "--model=Org/Model"])
    with pytest.raises(SettingError, match="holds no parquet file of mathvision"):
        read_arguments(args, rest, {})


def test_the_configuration_is_that_of_training(read):
    settings = read("--seed=5", "actor_rollout_ref.rollout.val_kwargs.temperature=0.6")
    settings.prepare()
    config = compose(settings)
    rollout = config.actor_rollout_ref.rollout
    assert rollout.val_kwargs.temperature == 0.6 and rollout.val_kwargs.n == 4 and config.axpo.seed == 5
    assert config.axpo.session_seeds and rollout.nnodes == 1 and rollout.n_gpus_per_node == 1
    assert rollout.agent.default_agent_loop == "axpo_tool_agent"
    assert config.reward.custom_reward_function.reward_kwargs.thinking == "required"  # read off the chat template
    with pytest.raises(SettingError, match="axpo.tool_timeout_s must be"):
        compose(read("axpo.tool_timeout_s=-1"))


def test_tools_may_be_left_out_and_added(read):
    settings = read("--tools=none")
    settings.prepare()
    compose(settings)
    settings = read("--add-tools=image_search")
    assert settings.added_tools == ("image_search",) and settings.tools[-1].name == "image_search.yaml"


def test_a_directory_holds_one_evaluation(read, tmp_path):
    read("--limit=1").prepare()
    read("--n=8").prepare()  # more of the same
    assert read_settings(tmp_path / "out")["samples"] == 8
    for words in (["--seed=1"], ["axpo.tool_timeout_s=5"], ["--tools=none"], ["--engine=sglang"]):
        with pytest.raises(SettingError, match="name another directory with --output"):
            read(*words).prepare()


def test_other_weights_at_the_same_path_are_noticed(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(1 << 18))
    before = weights_digest(str(tmp_path))
    assert before == weights_digest(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(bytes(1 << 17) + b"\1" + bytes((1 << 17) - 1))
    assert weights_digest(str(tmp_path)) != before
    assert weights_digest("Org/Model") is None


def test_names():
    assert model_name("/runs/qwen3vl_8b_axpo/huggingface") == "qwen3vl_8b_axpo"
    assert model_name("Qwen/Qwen3-VL-8B-Thinking") == "Qwen3-VL-8B-Thinking"


def test_help_and_errors_of_the_script(tmp_path, capsys):
    done = subprocess.run(
        ["bash", "run_scripts/evaluate.sh", "--help"], cwd=REPO_ROOT, capture_output=True, text=True,
        env={**os.environ, "HARDWARE": ""},
    )  # fmt: skip
    assert done.returncode == 0 and "--benchmarks" in done.stdout and "goes on where it was stopped" in done.stdout
    assert main(["run", "--model=/nowhere"]) == 2
    assert "error: --model: /nowhere is no directory" in capsys.readouterr().err


def test_settings_are_json(read, tmp_path):
    read().prepare()
    found = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert found["benchmarks"] == ["embedded"] and found["questions"] == {"embedded": 2} and found["weights"]
