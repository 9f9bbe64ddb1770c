# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Options and configurations: the good ones pass, every bad one is refused before Ray starts, by its name."""

import os
import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir

from data_prep.__main__ import main as data_prep
from recipe.axpo.config import AXPOConfig, ConfigError, validate_axpo_config
from verl_ext.cpu.env import REPO_ROOT


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("continuations", 1),
        ("continuations", 0),
        ("continuations", 2.0),
        ("continuations", True),
        ("continuations", None),
        ("budget_ratio", -0.01),
        ("budget_ratio", float("nan")),
        ("budget_ratio", float("inf")),
        ("budget_ratio", "a quarter"),
        ("fork", "middle"),
        ("ranking", "entropy"),
        ("correct_threshold", float("nan")),
        ("continuation_weight", -1),
        ("seed", 0.5),
        ("session_seeds", 1),
        ("trace_engine_calls", "yes"),
    ],
)
def test_bad_options_are_named(option, value):
    with pytest.raises(ConfigError, match=rf"axpo\.{option} must be"):
        AXPOConfig(**{option: value})


def test_defaults_are_the_papers():
    assert AXPOConfig() == AXPOConfig(continuations=4, budget_ratio=0.25, fork="first", ranking="confidence")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    data_prep(["embedded", "--output", str(folder), "--train=4", "--val=2"])
    return folder


def composed(data, *overrides, preset=True):
    folder = REPO_ROOT / "recipe" / "axpo" / "config"
    with initialize_config_dir(str(folder), version_base=None):
        files = [f"data.train_files={data / 'train.parquet'}", f"data.val_files={data / 'val.parquet'}"]
        path = [f"hydra.searchpath=[pkg://verl.trainer.config,file://{REPO_ROOT / 'run_scripts' / 'config'}]"]
        chosen = ["+preset=cpu"] if preset else []
        tools = [f"actor_rollout_ref.rollout.multi_turn.tool_config_path={REPO_ROOT / 'tools/image_zoom_in_tiny.yaml'}"]
        return compose("axpo_trainer", overrides=[*path, *chosen, *files, *tools, *overrides])


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("algorithm.adv_estimator=grpo",),
        ("axpo.budget_ratio=0", "axpo.fork=last", "axpo.ranking=random"),
        ("algorithm.adv_estimator=grpo", "actor_rollout_ref.actor.shuffle=true"),
    ],
)
def test_good_configurations_pass(data, overrides):
    assert isinstance(validate_axpo_config(composed(data, *overrides)), AXPOConfig)


@pytest.mark.parametrize("engine", ["dp", "megatron"])
@pytest.mark.parametrize("rollout", ["vllm", "sglang"])
def test_composes_with_engines_and_rollouts(data, engine, rollout):
    config = composed(data, f"model_engine={engine}", f"actor_rollout_ref.rollout.name={rollout}", preset=False)
    validate_axpo_config(config)
    assert config.algorithm.adv_estimator == "axpo" and config.actor_rollout_ref.rollout.name == rollout
    assert config.actor_rollout_ref.actor.strategy == ("megatron" if engine == "megatron" else "fsdp")


ROLLOUT = "actor_rollout_ref.rollout"
BAD = [
    ("algorithm.adv_estimator=gae", "algorithm.adv_estimator"),
    ("trainer.use_v1=false", "trainer.use_v1"),
    ("trainer.v1.trainer_mode=separate_async", "trainer.v1.trainer_mode"),
    ("trainer.v1.trainer_mode=colocate_async", "trainer.v1.trainer_mode"),
    (f"{ROLLOUT}.multi_turn.enable=false", "multi_turn.enable"),
    (f"{ROLLOUT}.multi_turn.max_assistant_turns=0", "max_assistant_turns"),
    (f"{ROLLOUT}.multi_turn.max_parallel_calls=2", "max_parallel_calls"),
    (f"{ROLLOUT}.calculate_log_probs=false", "calculate_log_probs"),
    (f"{ROLLOUT}.n=1", "rollout.n"),
    (f"{ROLLOUT}.full_determinism=true", "full_determinism"),
    ("reward.reward_model.enable=true", "reward.reward_model.enable_resource_pool"),
    ("actor_rollout_ref.actor.ppo_mini_batch_size=3", "ppo_mini_batch_size"),
    ("actor_rollout_ref.actor.shuffle=true", "actor.shuffle"),
    ("algorithm.use_kl_in_reward=true", "use_kl_in_reward"),
    ("algorithm.filter_groups.enable=true", "filter_groups.enable"),
    ("algorithm.rollout_correction.rollout_is=token", "rollout_correction"),
    ("critic.enable=true", "critic.enable"),
    ("data.train_files=/nowhere/train.parquet", "data.train_files"),
    (f"{ROLLOUT}.multi_turn.tool_config_path=null", "tool_config_path"),
    (f"{ROLLOUT}.multi_turn.tool_config_path=nowhere.yaml", "tool_config_path"),
    ("axpo.continuations=1", "axpo.continuations"),
    ("axpo.budget_ratio=-1", "axpo.budget_ratio"),
    ("+axpo.budget=3", "axpo.budget is no option"),
]


@pytest.mark.parametrize(("override", "named"), BAD, ids=[override for override, _ in BAD])
def test_bad_configurations_are_named(data, override, named):
    with pytest.raises(ConfigError) as refused:
        validate_axpo_config(composed(data, override))
    assert named in str(refused.value)


@pytest.fixture(scope="module")
def other_rows(data, tmp_path_factory):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(data / "train.parquet")
    folder = tmp_path_factory.mktemp("other")
    info = [{**row, "tool_selection": ["telescope"]} for row in table["extra_info"].to_pylist()]
    tools = table.set_column(table.schema.get_field_index("extra_info"), "extra_info", pa.array(info))
    pq.write_table(tools, folder / "tool.parquet")
    loop = pa.array(["tool_agent"] * table.num_rows)
    loops = table.set_column(table.schema.get_field_index("agent_name"), "agent_name", loop)
    pq.write_table(loops, folder / "loop.parquet")
    return folder


def test_a_tool_that_is_not_configured(data, other_rows):
    with pytest.raises(ConfigError, match=r"'telescope'.*tool_config_path.*image_zoom_in"):
        validate_axpo_config(composed(data, f"data.train_files={other_rows / 'tool.parquet'}"))


def test_an_agent_loop_that_cannot_resume(data, other_rows):
    with pytest.raises(ConfigError, match=r"'tool_agent'.*agent_name=axpo_tool_agent"):
        validate_axpo_config(composed(data, f"data.train_files={other_rows / 'loop.parquet'}"))
    grpo = ("algorithm.adv_estimator=grpo", f"data.train_files={other_rows / 'loop.parquet'}")
    validate_axpo_config(composed(data, *grpo))  # verl's own loop is good enough there


def test_the_entry_point_refuses_before_ray_starts(data, tmp_path):
    command = [sys.executable, "-m", "recipe.axpo.main_axpo", "axpo.continuations=1", f"hydra.run.dir={tmp_path}"]
    result = subprocess.run(command, cwd=REPO_ROOT, env=os.environ, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    assert "configuration error: axpo.continuations must be an integer of at least 2" in result.stderr
    assert "Started a local Ray instance" not in result.stdout + result.stderr
