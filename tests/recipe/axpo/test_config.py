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
"""Options that cannot run are refused before Ray starts, and the message names the option."""

import copy
import functools
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import recipe.axpo.advantage  # noqa: F401  registers the estimator, as every process of a run does
from recipe.axpo.config import AXPOConfig, ConfigError, branching_enabled, validate_axpo_config
from tests.tools.sample_tools import SCHEMA
from verl_ext.cpu.env import REPO_ROOT, cpu_environment

CONFIG_DIR = REPO_ROOT / "recipe" / "axpo" / "config"
PRESETS = REPO_ROOT / "run_scripts" / "config"

# ---------------------------------------------------------------- the group axpo


@pytest.mark.parametrize(
    "option, value",
    [
        *[("continuations", value) for value in (1, 0, -4, True, 4.0, "4", None)],
        *[("budget_ratio", value) for value in (-0.1, float("nan"), float("inf"), True, "0.25", None)],
        *[("fork", value) for value in ("any", "", "First", None, 1, ["first"])],
        *[("ranking", value) for value in ("entropy", "", None)],
        *[("correct_threshold", value) for value in (float("nan"), float("-inf"), "1", None, True)],
        *[("continuation_weight", value) for value in (-1.0, float("nan"), float("inf"), None)],
        *[("seed", value) for value in (0.5, True, "0", None)],
        *[("session_seeds", value) for value in (1, "yes", None)],
        *[("trace_engine_calls", value) for value in (0, "no", None)],
    ],
)
def test_bad_value(option, value):
    with pytest.raises(ConfigError, match=rf"^axpo\.{option} must be ") as error:
        AXPOConfig(**{option: value})
    assert str(error.value).endswith(f"got {value!r}")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"continuations": 2},
        {"budget_ratio": 0},  # measures, branches nothing
        {"budget_ratio": 2.5},
        {"fork": "last"},
        {"fork": "least_confident", "ranking": "random", "seed": -1},
        {"correct_threshold": 0},
        {"continuation_weight": 0},
    ],
)
def test_good_values(options):
    read = AXPOConfig.from_config(OmegaConf.create({"axpo": options}))
    assert {name: getattr(read, name) for name in options} == options


def test_unknown_option_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"^axpo\.branches is no option of AXPO; there are .*continuations"):
        AXPOConfig.from_config(OmegaConf.create({"axpo": {"branches": 4}}))


def test_no_group_means_defaults():
    assert AXPOConfig.from_config(OmegaConf.create({})) == AXPOConfig()


def test_yaml_says_what_the_dataclass_says():
    group = OmegaConf.load(CONFIG_DIR / "axpo_trainer.yaml").axpo
    assert AXPOConfig(**group) == AXPOConfig()
    assert list(group) == list(AXPOConfig.__dataclass_fields__)  # every option is explained there


# ---------------------------------------------------------------- a whole configuration


def write_rows(path, rows=3, agent_name="axpo_tool_agent", tools=("image_zoom_in",)):
    """A parquet file with the columns that are looked at; ``agent_name=None`` leaves that one out."""
    columns = {
        "data_source": ["axpo/embedded_colour"] * rows,
        "extra_info": [{"index": i, "tool_selection": list(tools)} for i in range(rows)],
    }
    if agent_name is not None:
        columns["agent_name"] = [agent_name] * rows
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "good.parquet")
    write_rows(folder / "no_agent.parquet", agent_name=None)
    write_rows(folder / "tool_agent.parquet", agent_name="tool_agent")
    write_rows(folder / "search.parquet", tools=["image_zoom_in", "tavily-search"])
    pq.write_table(pa.table({"prompt": ["x"]}), folder / "bare.parquet")
    (folder / "broken.yaml").write_text("tools:\n  - class_name: no.such.module.Tool\n    config: {type: native}\n")
    for name, size in (("wordy", 66), ("brief", 65)):
        tool = {"class_name": "tests.tools.sample_tools.SampleTool", "config": {"type": "native", "size": size}}
        (zoom,) = yaml.safe_load((REPO_ROOT / "tools" / "image_zoom_in.yaml").read_text())["tools"]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"tools": [zoom, tool | {"tool_schema": SCHEMA}]}))
    return folder


@pytest.fixture
def read(data, monkeypatch):
    """Compose like ``main_axpo``: the CPU preset, good data, and then the overrides; ``{data}`` is the data folder."""
    monkeypatch.chdir(REPO_ROOT)  # tools/... is relative to where a user starts

    def compose_with(*overrides, preset=True):
        given = [
            f"hydra.searchpath=[pkg://verl.trainer.config,file://{PRESETS}]",
            *(["+preset=cpu"] if preset else []),
            f"data.train_files={data}/good.parquet",
            f"data.val_files={data}/good.parquet",
            *(override.replace("{data}", str(data)) for override in overrides),
        ]
        if not preset:
            return _compose(tuple(given))
        # composing takes a third of a second and there are a hundred cases: once, then the overrides by Hydra
        config = copy.deepcopy(_compose(tuple(given[:4])))
        for override in OverridesParser.create().parse_overrides(given[4:]):
            OmegaConf.update(config, override.key_or_group, override.value(), force_add=override.is_add())
        return config

    return compose_with


@functools.cache
def _compose(overrides):
    with initialize_config_dir(str(CONFIG_DIR), version_base=None):
        return compose("axpo_trainer", overrides=list(overrides))


ROLLOUT, ACTOR = "actor_rollout_ref.rollout", "actor_rollout_ref.actor"
ZOOM = f"{ROLLOUT}.multi_turn.tool_config_path=tools/image_zoom_in.yaml"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["algorithm.adv_estimator=grpo"],
        [ZOOM],
        [f"{ROLLOUT}.multi_turn.tool_config_path={{data}}/brief.yaml"],
        ["axpo.continuations=8", "axpo.budget_ratio=1", "axpo.fork=last", "axpo.ranking=random"],
        [f"{ROLLOUT}.n=2", "data.train_batch_size=4"],
        [f"{ROLLOUT}.multi_turn.max_assistant_turns=null"],
        ["trainer.use_v1=true", "trainer.v1.trainer_mode=sync"],
        ["reward.reward_model.enable=true", "reward.reward_model.enable_resource_pool=true"],
        ["data.train_files=[{data}/good.parquet,{data}/no_agent.parquet]"],
        ["data.train_files={data}/bare.parquet"],
        ["data.train_files=hdfs://cluster/train.parquet", "data.val_files=null"],  # remote: verl's business
        ["data.train_files=train.json"],
        ["data.val_files={data}/tool_agent.parquet"],  # validation never branches
        # what is refused for AXPO is stock verl under GRPO
        ["algorithm.adv_estimator=grpo", f"{ACTOR}.shuffle=true", "algorithm.use_kl_in_reward=true"],
        ["algorithm.adv_estimator=grpo", "data.train_files={data}/tool_agent.parquet"],
    ],
    ids=" ".join,
)
def test_good_configuration(read, overrides):
    config = read(*overrides)
    assert validate_axpo_config(config) == AXPOConfig.from_config(config)
    assert branching_enabled(config) is ("algorithm.adv_estimator=grpo" not in overrides)


@pytest.mark.parametrize("rollout", ["vllm", "sglang"])
@pytest.mark.parametrize("engine, strategy", [("dp", "fsdp"), ("megatron", "megatron")])
def test_every_engine_composes_with_every_rollout(read, engine, strategy, rollout):
    """Running them takes GPUs; the configuration must not."""
    config = read(f"model_engine={engine}", f"{ROLLOUT}.name={rollout}", ZOOM, preset=False)
    validate_axpo_config(config)
    assert (config.actor_rollout_ref.actor.strategy, config.actor_rollout_ref.rollout.name) == (strategy, rollout)


def test_rows_of_the_embedded_task_pass(read, tmp_path):
    from data_prep.__main__ import main as data_prep

    data_prep(["embedded", "--output", str(tmp_path), "--train=4", "--val=2"])
    validate_axpo_config(read(f"data.train_files={tmp_path}/train.parquet", f"data.val_files={tmp_path}/val.parquet"))


def test_verls_own_validation_takes_the_configuration(read):
    """What ``main_axpo`` calls next."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    config = read()
    assert need_reference_policy(config) and not need_critic(config)
    validate_config(config=config, use_reference_policy=True, use_critic=False)


BAD = [
    # what makes it fail, what the message must hold
    ("algorithm.adv_estimator=gae", "algorithm.adv_estimator must be axpo or grpo"),
    ("trainer.use_v1=false", "trainer.use_v1 must be true"),
    ("trainer.v1.trainer_mode=separate_async", "trainer.v1.trainer_mode must be sync, got 'separate_async'"),
    ("trainer.v1.trainer_mode=colocate_async", "trainer.v1.trainer_mode must be sync, got 'colocate_async'"),
    (f"{ROLLOUT}.multi_turn.enable=false", f"{ROLLOUT}.multi_turn.enable must be true"),
    (f"{ROLLOUT}.multi_turn.max_assistant_turns=0", f"{ROLLOUT}.multi_turn.max_assistant_turns must be at least 1"),
    (f"{ROLLOUT}.multi_turn.max_user_turns=0", f"{ROLLOUT}.multi_turn.max_user_turns must be at least 1"),
    (f"{ROLLOUT}.calculate_log_probs=false", f"{ROLLOUT}.calculate_log_probs must be true"),
    (f"{ROLLOUT}.n=1", f"{ROLLOUT}.n must be at least 2"),
    ("reward.reward_model.enable=true", "needs reward.reward_model.enable_resource_pool=true"),
    ("data.train_batch_size=6", f"data.train_batch_size (6) must be a multiple of {ACTOR}.ppo_mini_batch_size (4)"),
    (f"{ACTOR}.ppo_mini_batch_size=16", "data.train_batch_size (8) must be a multiple of"),
    (f"{ACTOR}.shuffle=true", f"{ACTOR}.shuffle must be false"),
    (f"{ROLLOUT}.full_determinism=true", f"{ROLLOUT}.full_determinism must be false"),
    ("algorithm.use_kl_in_reward=true", "algorithm.use_kl_in_reward must be false"),
    ("algorithm.filter_groups.enable=true", "algorithm.filter_groups.enable must be false"),
    ("algorithm.rollout_correction.rollout_is=token", "algorithm.rollout_correction.rollout_is and .rollout_rs"),
    ("algorithm.rollout_correction.rollout_rs=token_k1", "algorithm.rollout_correction.rollout_is and .rollout_rs"),
    ("critic.enable=true", "critic.enable must be null or false"),
    ("distillation.enabled=true", "distillation must be disabled"),
    (f"{ROLLOUT}.multi_turn.max_parallel_calls=2", f"{ROLLOUT}.multi_turn.max_parallel_calls must be 1"),
    ("axpo.continuations=1", "axpo.continuations must be an integer of at least 2"),
    ("+axpo.resamples=4", "axpo.resamples is no option"),
    (f"{ROLLOUT}.multi_turn.tool_config_path=null", "no tool is configured: set actor_rollout_ref.rollout.multi_turn"),
    (f"{ROLLOUT}.multi_turn.tool_config_path=no/such.yaml", f"{ROLLOUT}.multi_turn.tool_config_path: FileNotFound"),
    (f"{ROLLOUT}.multi_turn.tool_config_path=/no/such.yaml", f"{ROLLOUT}.multi_turn.tool_config_path: FileNotFound"),
    (f"{ROLLOUT}.multi_turn.tool_config_path={{data}}/broken.yaml", "multi_turn.tool_config_path: ModuleNotFound"),
    (f"{ROLLOUT}.multi_turn.tool_config_path={{data}}/wordy.yaml", "max_tool_response_length (65536) must be at least"),
    (f"{ROLLOUT}.multi_turn.function_tool_path=no/such.py", f"{ROLLOUT}.multi_turn.function_tool_path: FileNotFound"),
    ("data.train_files={data}/missing.parquet", "missing.parquet does not exist; write it with"),
    ("data.val_files=[{data}/good.parquet,{data}/missing.parquet]", "data.val_files: "),
    ("data.train_files={data}/search.parquet", "rows of search.parquet ask for the tool 'tavily-search'"),
    ("data.val_files={data}/search.parquet", "data.val_files: rows of search.parquet ask for the tool"),
    ("data.train_files={data}/tool_agent.parquet", "run the agent loop 'tool_agent', which cannot resume"),
]


@pytest.mark.parametrize("override, message", BAD, ids=[override for override, _ in BAD])
def test_bad_configuration(read, override, message):
    with pytest.raises(ConfigError) as error:
        validate_axpo_config(read(override))
    assert message in str(error.value)


def test_rows_without_an_agent_name_run_the_default_loop(read):
    config = read("data.train_files={data}/no_agent.parquet", f"{ROLLOUT}.agent.default_agent_loop=tool_agent")
    with pytest.raises(ConfigError, match="run the agent loop 'tool_agent', which cannot resume"):
        validate_axpo_config(config)


# ---------------------------------------------------------------- the entry point


@pytest.mark.stack
def test_entry_point_stops_before_ray_starts(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "recipe.axpo.main_axpo",
            f"--config-dir={PRESETS}",
            "+preset=cpu",
            f"trainer.default_local_dir={tmp_path}",
            f"+ray_kwargs.ray_init._temp_dir={tmp_path / 'ray'}",
            "axpo.continuations=1",
        ],
        env={**os.environ, **cpu_environment()},
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "configuration error: axpo.continuations must be an integer of at least 2 (K), got 1"
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ray").exists() and "Started a local Ray instance" not in done.stderr
