# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Options that cannot run are refused before Ray starts, and the message names the option."""

import copy
import functools
import importlib.metadata
import json
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
from recipe.axpo.config import AXPOConfig, ConfigError, branching_enabled
from recipe.axpo.preflight import validate_axpo_config
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
        *[("ranking", value) for value in ("length", "", None)],
        *[("correct_threshold", value) for value in (float("nan"), float("-inf"), "1", None, True)],
        *[("continuation_weight", value) for value in (-1.0, float("nan"), float("inf"), None)],
        *[("early_release", value) for value in (1, "yes", None)],
        *[
            (f"{name}_timeout_s", value)
            for name in ("session", "tool", "barrier", "close")
            for value in (0, -1.0, float("nan"), float("inf"), True, "60", None)
        ],
        # which must be larger than which
        *[("tool_timeout_s", value) for value in (3600.0, 4000)],
        *[("barrier_timeout_s", value) for value in (3600.0, 60)],
        *[("close_timeout_s", value) for value in (3600.0, 60)],
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
        {"early_release": False},
        {"tool_timeout_s": 1, "session_timeout_s": 2, "barrier_timeout_s": 3, "close_timeout_s": 2.5},
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


def write_rows(path, rows=3, agent_name="axpo_tool_agent", tools=("image_zoom_in",), source=None, images=None):
    """A parquet file with the columns that are looked at; ``agent_name=None`` leaves that one out."""
    columns = {
        "data_source": [source or "axpo/embedded_colour"] * rows,
        "extra_info": [{"index": i, "tool_selection": list(tools)} for i in range(rows)],
    }
    if agent_name is not None:
        columns["agent_name"] = [agent_name] * rows
    if images is not None:
        columns["images"] = [[{"bytes": b"x"}] * images] * rows
        columns["prompt"] = [[{"role": "user", "content": "<image>\n" * images + "Why?"}]] * rows
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "good.parquet")
    write_rows(folder / "no_agent.parquet", agent_name=None)
    write_rows(folder / "tool_agent.parquet", agent_name="tool_agent")
    write_rows(folder / "search.parquet", tools=["image_zoom_in", "tavily-search"])
    write_rows(folder / "images.parquet", images=2)
    for name, source in {"unknown": "axpo/no_such_set", "bare_name": "vstar", "gsm8k": "openai/gsm8k"}.items():
        write_rows(folder / f"{name}.parquet", source=source)
    for number, patch in ((14, 14), (16, 16)):
        (folder / f"model_{number}").mkdir()
        vision = {"patch_size": patch, "spatial_merge_size": 2}
        (folder / f"model_{number}" / "config.json").write_text(json.dumps({"vision_config": vision}))
    (folder / "loops.yaml").write_text(
        "- {name: other_agent, _target_: no.such.Loop}\n"
        "- {name: axpo_tool_agent, _target_: verl.experimental.agent_loop.tool_agent_loop.ToolAgentLoop}\n"
    )
    (folder / "own_loops.yaml").write_text(
        "- {name: other_agent, _target_: no.such.Loop}\n"
        "- {name: axpo_tool_agent, _target_: recipe.axpo.agent_loop.AXPOToolAgentLoop}\n"
    )
    pq.write_table(pa.table({"prompt": ["x"]}), folder / "bare.parquet")
    (folder / "broken.yaml").write_text("tools:\n  - class_name: no.such.module.Tool\n    config: {type: native}\n")
    (zoom,) = yaml.safe_load((REPO_ROOT / "tools" / "image_zoom_in.yaml").read_text())["tools"]
    for name, options in {
        "wordy": {"size": 66},
        "brief": {"size": 65},
        "slow": {"timeout_s": 300.5, "queue_timeout_s": 600.0},
        "in_time": {"timeout_s": 300.0, "queue_timeout_s": 600.0},
    }.items():
        tool = {"class_name": "tests.tools.sample_tools.SampleTool", "config": {"type": "native", **options}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"tools": [zoom, tool | {"tool_schema": SCHEMA}]}))
    for pixels in (98_304, 99_328):  # 96 and 97 tokens; the preset's response has 192
        zoom["config"] |= {"max_pixels": pixels}
        (folder / f"zoom_{pixels}.yaml").write_text(yaml.safe_dump({"tools": [zoom]}))
    return folder


@pytest.fixture
def read(data, monkeypatch):
    """Compose like ``main_axpo``: the CPU preset, good data, and then the overrides; ``{data}`` is the data folder."""
    monkeypatch.chdir(REPO_ROOT)  # tools/... is relative to where a user starts

    def compose_with(*overrides, preset=True):
        given = [
            f"hydra.searchpath=[pkg://verl.trainer.config,file://{PRESETS}]",
            *(["+hardware=cpu"] if preset else []),
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


ROLLOUT, ACTOR, MODEL = (f"actor_rollout_ref.{group}" for group in ("rollout", "actor", "model"))
TOOLS = f"{ROLLOUT}.multi_turn.tool_config_path"
ZOOM = f"{TOOLS}=tools/image_zoom_in.yaml"
REF = "actor_rollout_ref.ref"
FIXED = [
    f"{ACTOR}.use_dynamic_bsz=false",
    f"{ACTOR}.ppo_micro_batch_size_per_gpu=2",
    f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu=4",
]
FIXED_ALL = [*FIXED, f"{REF}.log_prob_micro_batch_size_per_gpu=8"]
FIXED_REF = [f"{REF}.log_prob_use_dynamic_bsz=false"]  # under an actor that batches by tokens
# room for the largest answer of that tool, 8,100 tokens, which the preset for the tiny model has not
LONG = ("data.max_response_length=16384", f"{ROLLOUT}.max_model_len=16704", f"{ACTOR}.ppo_max_token_len_per_gpu=16704")
GRPO = "algorithm.adv_estimator=grpo"
NORM = f"{ACTOR}.loss_agg_mode=seq-mean-token-sum-norm"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["algorithm.adv_estimator=grpo"],
        [ZOOM, *LONG],
        [f"{ROLLOUT}.multi_turn.tool_config_path={{data}}/brief.yaml", *LONG],
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
        [GRPO, f"{MODEL}.lora_rank=16", f"{ACTOR}.loss_agg_mode=token-mean"],
        [GRPO, "algorithm.rollout_correction.bypass_mode=true"],
        [GRPO, f"{ACTOR}.policy_loss.loss_mode=geo_mean", f"{ROLLOUT}.multi_turn.max_assistant_turns=1"],
        # every other value of an option that is refused for some
        [f"{ACTOR}.loss_agg_mode=seq-mean-token-sum"],
        [NORM],
        [f"{ACTOR}.policy_loss.loss_mode=gspo", "axpo.continuation_weight=0.5"],
        [f"{ACTOR}.policy_loss.loss_mode=dro"],
        [f"{ACTOR}.ppo_epochs=2"],
        ["+trainer.v1.sync.parameter_sync_step=1"],
        ["data.gen_batch_size=4"],
        ["trainer.val_only=true"],
        ["trainer.resume_mode=resume_path", "trainer.resume_from_path=checkpoints/global_step_1"],
        ["trainer.critic_warmup=1"],  # verl's first step is 1
        [f"{ROLLOUT}.max_model_len=512"],  # exactly prompt and response
        [f"{ROLLOUT}.max_model_len=512", f"+{ROLLOUT}.engine_kwargs.vllm.max_model_len=512"],
        [f"{ACTOR}.ppo_max_token_len_per_gpu=512"],
        [f"{ACTOR}.ppo_max_token_len_per_gpu=256", f"{ACTOR}.ulysses_sequence_parallel_size=2"],
        [f"{ACTOR}.ppo_max_token_len_per_gpu=100", *FIXED, f"{REF}.log_prob_micro_batch_size_per_gpu=1"],
        [*FIXED, f"{ACTOR}.ppo_max_token_len_per_gpu=100", f"{ACTOR}.use_kl_loss=false"],
        [*FIXED_ALL, f"{ACTOR}.ppo_micro_batch_size_per_gpu=5"],  # AXPO adds rows that carry no loss
        [GRPO, *FIXED_ALL],
        [GRPO, *FIXED_ALL, f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu=32"],
        [*FIXED_REF, f"{REF}.log_prob_micro_batch_size_per_gpu=3", f"{REF}.log_prob_max_token_len_per_gpu=9"],
        [f"{ACTOR}.clip_ratio=0.4"],  # what clip_ratio_high says
        [f"{ACTOR}.clip_ratio=0.3", f"{ACTOR}.clip_ratio_low=null"],
        [f"{ROLLOUT}.logprobs_mode=raw_logprobs"],
        [f"{ROLLOUT}.top_k=20", f"{ROLLOUT}.top_p=0.9", f"{ROLLOUT}.temperature=0.6"],
        [f"{ROLLOUT}.val_kwargs.do_sample=false", f"{ROLLOUT}.val_kwargs.temperature=0"],
        [f"{TOOLS}={{data}}/in_time.yaml", *LONG],
        [f"{TOOLS}={{data}}/slow.yaml", "axpo.tool_timeout_s=900.5", *LONG],
        [f"{TOOLS}={{data}}/zoom_98304.yaml"],
        [f"{MODEL}.path={{data}}/model_16"],
        [f"{MODEL}.path={{data}}/model_14", "data.image_patch_size=14"],
        [f"{MODEL}.path={{data}}/model_14", "data.image_patch_size=null"],  # the processor's own
        [f"{MODEL}.path={{data}}", "data.image_patch_size=14"],  # no configuration to compare with
        ["data.train_files={data}/images.parquet"],
        ["data.train_files={data}/images.parquet", f"+{ROLLOUT}.limit_images=4"],
        [
            "data.train_files={data}/images.parquet",
            f"+{ROLLOUT}.engine_kwargs.vllm.limit_mm_per_prompt={{image: 4, video: 0}}",
        ],
        [f"+{ROLLOUT}.engine_kwargs.vllm.limit_mm_per_prompt={{video: 0}}"],
        ["data.train_files={data}/gsm8k.parquet"],  # verl's own reward
        ["data.train_files={data}/gsm8k.parquet", "axpo.correct_threshold=-0.5"],
        ["data.train_files={data}/unknown.parquet", "reward.custom_reward_function.path=my_reward.py"],
        [GRPO, f"{ROLLOUT}.agent.agent_loop_config_path={{data}}/loops.yaml"],
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


@pytest.mark.parametrize(
    "virtual, group, refused", [(2, 3, True), (2, 4, False), (2, 6, False), (2, None, False), (1, 3, False)]
)
def test_groups_of_a_virtual_pipeline_hold_its_stages(read, virtual, group, refused):
    engine = f"{ACTOR}.megatron"
    option = f"{engine}.override_transformer_config.microbatch_group_size_per_vp_stage"
    stages = [f"{engine}.pipeline_model_parallel_size=4", f"{engine}.virtual_pipeline_model_parallel_size={virtual}"]
    config = read(
        "model_engine=megatron", ZOOM, *stages, f"+{option}={'null' if group is None else group}", preset=False
    )
    if not refused:
        validate_axpo_config(config)
        return
    with pytest.raises(ConfigError, match=rf"{option} must be at least 4, the pipeline_model_parallel_size, got 3"):
        validate_axpo_config(config)


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
    (f"{ROLLOUT}.agent.num_workers=0", f"{ROLLOUT}.agent.num_workers must be at least 1"),
    (f"{ROLLOUT}.name=trtllm", f"{ROLLOUT}.name must be vllm or sglang"),
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
    # the step would hang, be counted twice or lose its rows, under both estimators
    ("+trainer.v1.sync.parameter_sync_step=2", "trainer.v1.sync.parameter_sync_step must be 1, got 2: "),
    ("trainer.v1.sampler.sync_refill_failed_groups=true", "sampler.sync_refill_failed_groups must be false, got true"),
    ("skip.rollout_tq.enable=true", "skip.rollout_tq.enable must be false, got true"),
    ("skip.rollout.enable=true", "skip.rollout.enable must be false, got true"),
    ("skip.async_rollout.enable=true", "skip.async_rollout.enable must be false, got true"),
    ("data.gen_batch_size=3", "data.gen_batch_size (3) must divide data.train_batch_size (8)"),
    (f"{ROLLOUT}.agent.agent_loop_manager_class=null", f"{ROLLOUT}.agent.agent_loop_manager_class must be recipe"),
    (
        f"{ROLLOUT}.agent.agent_loop_manager_class=verl.trainer.ppo.v1.agent_loop_tq.AgentLoopManagerTQ",
        f"{ROLLOUT}.agent.agent_loop_manager_class must be recipe.axpo.rollout.AXPOAgentLoopManager or a subclass, got",
    ),
    (f"{ROLLOUT}.agent.agent_loop_manager_class=no.such.Manager", "or a subclass, got 'no.such.Manager': ImportError"),
    (f"{ROLLOUT}.agent.agent_loop_manager_class=Manager", "or a subclass, got 'Manager': ValueError"),
    # rollouts would be copies, or never end
    (f"{ROLLOUT}.temperature=0", f"{ROLLOUT}.temperature must be above 0, got 0"),
    (f"{ROLLOUT}.top_k=1", f"{ROLLOUT}.top_k must be -1 or above 1, got 1"),
    (f"{ROLLOUT}.ignore_eos=true", f"{ROLLOUT}.ignore_eos must be false, got true"),
    (f"{ROLLOUT}.val_kwargs.temperature=0", "val_kwargs.temperature must be above 0 with val_kwargs.do_sample=true"),
    # no call would be read, or none could be ranked
    (f"{ROLLOUT}.multi_turn.format=qwen3_coder", f"{ROLLOUT}.multi_turn.format must be hermes, got 'qwen3_coder'"),
    (f"{ROLLOUT}.multi_turn.format=gpt-oss", f"{ROLLOUT}.multi_turn.format must be hermes, got 'gpt-oss'"),
    (f"{ROLLOUT}.logprobs_mode=raw_logits", "logprobs_mode must be processed_logprobs or raw_logprobs, got"),
    (f"{ROLLOUT}.logprobs_mode=processed_logits", "logprobs_mode must be processed_logprobs or raw_logprobs, got"),
    (f"{ROLLOUT}.multi_turn.max_assistant_turns=1", "multi_turn.max_assistant_turns must be at least 2 (or null"),
    (f"{ROLLOUT}.agent.agent_loop_config_path={{data}}/loops.yaml", "loops.yaml makes axpo_tool_agent the class verl."),
    (f"{ROLLOUT}.agent.agent_loop_config_path=no/such.yaml", f"{ROLLOUT}.agent.agent_loop_config_path: FileNotFound"),
    # the longest rollouts would be lost, or the run would stop at the first of them
    (
        f"{ROLLOUT}.max_model_len=null",
        f"{ROLLOUT}.max_model_len must be at least 512, the sum of data.max_prompt_length",
    ),
    (
        f"{ROLLOUT}.max_model_len=511",
        f"{ROLLOUT}.max_model_len must be at least 512, the sum of data.max_prompt_length",
    ),
    ("data.max_response_length=384", f"{ROLLOUT}.max_model_len must be at least 704"),
    (f"+{ROLLOUT}.engine_kwargs.vllm.max_model_len=511", "engine_kwargs.vllm.max_model_len must be at least 512"),
    (f"{ROLLOUT}.prompt_length=256", f"{ROLLOUT}.prompt_length (256) must be data.max_prompt_length (320)"),
    (f"{ROLLOUT}.response_length=100", f"{ROLLOUT}.response_length (100) must be data.max_response_length (192)"),
    (f"{ACTOR}.ppo_max_token_len_per_gpu=511", f"{ACTOR}.ppo_max_token_len_per_gpu must be at least 512, got 511"),
    (f"{ROLLOUT}.log_prob_max_token_len_per_gpu=9", f"{ROLLOUT}.log_prob_max_token_len_per_gpu must be at least 512"),
    ("actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=9", "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu"),
    (
        f"{TOOLS}={{data}}/zoom_99328.yaml",
        "image_zoom_in may hold 1 image(s) of 99328 pixels, 97 tokens, more than half",
    ),
    (ZOOM, "8100 tokens, more than half of data.max_response_length (192)"),
    (f"{TOOLS}=tools/python.yaml", "one answer of python may hold 4 image(s) of 1048576 pixels, 4096 tokens"),
    # rows would not weigh 1/(B*N), or the method is not implemented
    (f"{ACTOR}.loss_agg_mode=token-mean", f"{ACTOR}.loss_agg_mode must be seq-mean-token-mean or"),
    (f"{ACTOR}.loss_agg_mode=token-sum", "got 'token-sum': with a mean or sum over tokens a row no longer weighs"),
    (f"{ACTOR}.policy_loss.loss_mode=geo_mean", f"{ACTOR}.policy_loss.loss_mode must not be 'geo_mean'"),
    (f"{ACTOR}.policy_loss.loss_mode=bypass_mode", f"{ACTOR}.policy_loss.loss_mode must not be 'bypass_mode'"),
    (
        "algorithm.rollout_correction.bypass_mode=true",
        "algorithm.rollout_correction.bypass_mode must be false, got true",
    ),
    (f"{MODEL}.lora_rank=16", f"{MODEL}.lora_rank must be 0, got 16: LoRA is not tested"),
    (f"{MODEL}.lora_adapter_path=a", f"{MODEL}.lora_adapter_path must be null, got 'a': LoRA is not tested"),
    (f"{MODEL}.lora.rank=16", f"{MODEL}.lora.rank must be 0, got 16: LoRA is not tested"),
    (f"{MODEL}.lora.adapter_path=a", f"{MODEL}.lora.adapter_path must be null, got 'a': LoRA is not tested"),
    (
        "+reward.reward_kwargs.overlong_buffer_cfg.enable=true",
        "reward.reward_kwargs.overlong_buffer_cfg.enable must be",
    ),
    ("axpo.correct_threshold=0", "axpo.correct_threshold must be above 0 and at most 1, got 0"),
    ("axpo.correct_threshold=2", "rows of good.parquet are rewarded 0 or 1, and no rollout would be correct"),
    # verl would ignore the value
    (f"{ACTOR}.freeze_vision_tower=true", f"{ACTOR}.freeze_vision_tower must be false, got true: no engine of verl"),
    (f"+{ACTOR}.use_rollout_log_probs=true", f"{ACTOR}.use_rollout_log_probs must be false, got true"),
    (f"{ACTOR}.use_prefix_grouper=true", f"{ACTOR}.use_prefix_grouper must be false, got true"),
    (f"{ACTOR}.calculate_sum_pi_squared=true", f"{ACTOR}.calculate_sum_pi_squared must be false, got true"),
    (f"{ACTOR}.grad_clip=0.5", f"{ACTOR}.grad_clip must be 1.0, got 0.5: verl's engines read {ACTOR}.optim.clip_grad"),
    (f"{ACTOR}.clip_ratio=0.3", f"{ACTOR}.clip_ratio must be 0.2, got 0.3: verl reads clip_ratio_low (0.2)"),
    ("actor_rollout_ref.hybrid_engine=false", "actor_rollout_ref.hybrid_engine must be true, got false"),
    (f"{ROLLOUT}.nnodes=1", f"{ROLLOUT}.nnodes must be 0, got 1"),
    (f"{ROLLOUT}.do_sample=false", f"{ROLLOUT}.do_sample must be true, got false"),
    (f"+{ROLLOUT}.repetition_penalty=1.1", f"{ROLLOUT}.repetition_penalty must be 1.0, got 1.1"),
    (f"{ROLLOUT}.over_sample_rate=0.1", f"{ROLLOUT}.over_sample_rate must be 0, got 0.1"),
    (f"+{ROLLOUT}.checkpoint_manager_class=a.B", f"{ROLLOUT}.checkpoint_manager_class must be null, got 'a.B'"),
    (f"{ROLLOUT}.multi_turn.num_repeat_rollouts=8", f"{ROLLOUT}.multi_turn.num_repeat_rollouts must be null, got 8"),
    (f"{ROLLOUT}.multi_turn.use_inference_chat_template=true", "multi_turn.use_inference_chat_template must be false"),
    ("data.reward_fn_key=source", "data.reward_fn_key must be data_source, got 'source'"),
    ("data.truncation=left", "data.truncation must be error, got 'left'"),
    ("algorithm.use_pf_ppo=true", "algorithm.use_pf_ppo must be false, got true"),
    ("trainer.balance_batch=false", "trainer.balance_batch must be true, got false"),
    ("trainer.esi_redundant_time=60", "trainer.esi_redundant_time must be 0, got 60"),
    ("trainer.critic_warmup=10", "trainer.critic_warmup must be 0, got 10"),
    ("trainer.resume_from_path=c/global_step_1", "trainer.resume_mode must be resume_path, got 'auto'"),
    ("custom_reward_function.path=my.py", "custom_reward_function.path must be null, got 'my.py': verl's V1 trainer"),
    ("reward_model.reward_manager=dapo", "reward_model.reward_manager must be null, got 'dapo'"),
    ("reward_model.rollout.name=vllm", "reward_model.rollout.name must be null, got 'vllm'"),
    ("sandbox_fusion.url=http://x", "sandbox_fusion.url must be null, got 'http://x': verl's V1 trainer does not read"),
    ("reward.sandbox_fusion.url=http://x", "reward.sandbox_fusion.url must be null, got 'http://x': verl passes it"),
    ("reward.reward_manager.name=rate_limited", "reward.reward_manager.name must not be 'rate_limited'"),
    (f"+{ACTOR}.megatron.router_replay.mode=R2", "megatron.router_replay.mode must be disabled, got 'R2'"),
    ("reward.num_workers=0", "reward.num_workers must be at least 1, got 0"),
    # what the rows, the tools and the model ask for
    (f"{MODEL}.path={{data}}/model_14", "data.image_patch_size must be 14, the vision_config.patch_size of"),
    ("data.train_files={data}/unknown.parquet", "rows of unknown.parquet have the data_source 'axpo/no_such_set'"),
    (
        "data.val_files={data}/bare_name.parquet",
        "data.val_files: rows of bare_name.parquet have the data_source 'vstar'",
    ),
    ("reward.custom_reward_function.path=null", "rows of good.parquet have the data_source 'axpo/embedded_colour'"),
]


@pytest.mark.parametrize("override, message", BAD, ids=[override for override, _ in BAD])
def test_bad_configuration(read, override, message):
    with pytest.raises(ConfigError) as error:
        validate_axpo_config(read(override))
    assert message in str(error.value)


SHARED = [
    "+trainer.v1.sync.parameter_sync_step=2",
    "trainer.v1.sampler.sync_refill_failed_groups=true",
    "skip.rollout_tq.enable=true",
    f"{ROLLOUT}.multi_turn.format=llama3_json",
    f"{ROLLOUT}.full_determinism=true",
    f"{ROLLOUT}.agent.agent_loop_manager_class=null",
    f"{ROLLOUT}.max_model_len=null",
    f"{ACTOR}.freeze_vision_tower=true",
    "custom_reward_function.path=my.py",
    "data.train_files={data}/unknown.parquet",
]


@pytest.mark.parametrize("override", SHARED)
def test_grpo_refuses_it_too(read, override):
    with pytest.raises(ConfigError):
        validate_axpo_config(read(GRPO, override))


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            [f"{ROLLOUT}.log_prob_use_dynamic_bsz=false"],
            "(false) must be actor_rollout_ref.actor.use_dynamic_bsz (true)",
        ),
        ([f"{ACTOR}.use_dynamic_bsz=false"], f"{ACTOR}.ppo_micro_batch_size_per_gpu must be at least 1, got null"),
        (FIXED, f"{REF}.log_prob_micro_batch_size_per_gpu must be at least 1, got null"),
        (FIXED_REF, f"{REF}.log_prob_micro_batch_size_per_gpu must be at least 1, got null"),
        ([*FIXED_REF, f"{REF}.log_prob_micro_batch_size=8"], f"{REF}.log_prob_micro_batch_size_per_gpu must be"),
        (
            [*FIXED, f"{REF}.log_prob_use_dynamic_bsz=true", f"{REF}.log_prob_max_token_len_per_gpu=9"],
            f"{REF}.log_prob_max_token_len_per_gpu must be at least 512, got 9",
        ),
        # verl adds rows under GRPO only to complete a mini-batch: 32 rows of one, 64 of the batch
        (
            [GRPO, *FIXED_ALL, f"{ACTOR}.ppo_micro_batch_size_per_gpu=5"],
            "each of 1 ranks has of a mini-batch into equal",
        ),
        (
            [GRPO, *FIXED_ALL, f"{ACTOR}.ppo_micro_batch_size_per_gpu=5"],
            "set it to 4 or actor_rollout_ref.actor.use_dyn",
        ),
        ([GRPO, *FIXED_ALL, f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu=24"], "(24) must cut the 64 rows"),
        (
            [GRPO, *FIXED_ALL, f"{REF}.log_prob_micro_batch_size_per_gpu=7"],
            "set it to 4 or actor_rollout_ref.ref.log_pro",
        ),
        ([GRPO, *FIXED_ALL, "trainer.n_gpus_per_node=16"], "(8) must cut the 4 rows"),
        ([GRPO, "trainer.n_gpus_per_node=3"], "(32) must be a multiple of the 3 data-parallel ranks"),
        (["trainer.val_only=true", "trainer.val_before_train=false"], "trainer.val_only=true needs trainer.val_before"),
        (
            [f"{ACTOR}.ppo_max_token_len_per_gpu=255", f"{ACTOR}.ulysses_sequence_parallel_size=2"],
            "at least 256 (2 ranks",
        ),
        ([NORM, f"{ACTOR}.loss_scale_factor=null"], f"{ACTOR}.loss_scale_factor must be a number with loss_agg_mode"),
        *[
            (
                [f"{ACTOR}.policy_loss.loss_mode={mode}", "axpo.continuation_weight=0.5"],
                f"must be 1 with {ACTOR}.policy",
            )
            for mode in ("dro", "clip_cov", "kl_cov")
        ],
        (
            [f"{TOOLS}={{data}}/slow.yaml", *LONG],
            "axpo.tool_timeout_s (900) must be at least 900.5, the timeout_s (300.5)",
        ),
        (
            ["axpo.tool_timeout_s=600", f"{TOOLS}={{data}}/brief.yaml", *LONG],
            "axpo.tool_timeout_s (600) must be at least 660, the timeout_s (60) plus queue_timeout_s (600) of image",
        ),
        # two images in the prompt, and two calls in three turns
        (
            ["data.train_files={data}/images.parquet", f"+{ROLLOUT}.limit_images=3"],
            f"{ROLLOUT}.limit_images must be at least 4, got 3",
        ),
        (
            [
                "data.train_files={data}/images.parquet",
                f"+{ROLLOUT}.engine_kwargs.vllm.limit_mm_per_prompt={{image: 1, video: 0}}",
            ],
            "engine_kwargs.vllm.limit_mm_per_prompt.image must be at least 4, got 1",
        ),
        (
            [f"{ROLLOUT}.name=sglang", f"+{ROLLOUT}.engine_kwargs.sglang.context_length=511"],
            "engine_kwargs.sglang.context_length must be at least 512",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_depend_on_each_other(read, overrides, message):
    with pytest.raises(ConfigError) as error:
        validate_axpo_config(read(*overrides))
    assert message in str(error.value)


def test_a_subclass_of_the_manager_or_of_the_agent_loop_is_fine(read, tmp_path, monkeypatch):
    (tmp_path / "my_manager.py").write_text(
        "from recipe.axpo.rollout import AXPOAgentLoopManager\nclass Mine(AXPOAgentLoopManager): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    validate_axpo_config(read(f"{ROLLOUT}.agent.agent_loop_manager_class=my_manager.Mine"))
    validate_axpo_config(read(f"{ROLLOUT}.agent.agent_loop_config_path={{data}}/own_loops.yaml"))


@pytest.mark.parametrize(
    "installed, why",
    [
        ("0.5.12", "encodes the text again"),
        ("0.5.12.post1", "encodes the text again"),
        ("0.5.13", None),
        ("0.5.13.post1", None),
        ("0.5.14", None),
        ("0.5.15", "needs a transformers that verl 0.9.1 refuses"),
        ("0.5.20", "verl cannot start it"),
    ],
)
def test_sglang_of_a_version_that_does_not_fit(read, monkeypatch, installed, why):
    versions = {"sglang": installed}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions[name])
    config = read(f"{ROLLOUT}.name=sglang", "data.train_files={data}/images.parquet")
    if why is None:
        validate_axpo_config(config)
        return
    with pytest.raises(ConfigError, match=rf"needs sglang .*0\.5\.13.*, got {installed}: .*{why}") as error:
        validate_axpo_config(config)
    assert 'pip install "verl==0.9.1" "sglang==0.5.14"' in str(error.value)


def test_defaults_are_a_configuration_that_runs(read):
    """Without the preset: what the trainer's own YAML says, with data and a tool."""
    config = read(ZOOM, preset=False)
    validate_axpo_config(config)
    rollout = config.actor_rollout_ref.rollout
    assert (rollout.prompt_length, rollout.response_length, rollout.max_model_len) == (8192, 16384, 24576)
    assert config.data.filter_overlong_prompts and config.data.image_patch_size == 16
    assert config.actor_rollout_ref.actor.loss_scale_factor == 16384


def test_the_presets_engine_options_join_the_defaults(read):
    options = read().actor_rollout_ref.rollout.engine_kwargs.vllm
    assert options.mm_processor_cache_gb == 0 and options.worker_extension_cls


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
            "+hardware=cpu",
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
