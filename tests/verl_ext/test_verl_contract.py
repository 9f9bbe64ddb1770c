# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What this project relies on in verl 0.9.1. When verl moves, each test prints one line for each thing that moved.

``VERL`` lists modules, names, signatures and attributes. Imports, overridden methods and attributes of base classes are
collected from the sources and compared with it, so that none can be forgotten. Registry names and configuration keys
follow below.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from recipe.axpo import refusals
from recipe.axpo.ray_classes import undecorated
from verl_ext.cpu.env import REPO_ROOT

PACKAGES = ("recipe/axpo", "verl_ext", "tools", "data_prep", "run_scripts")
ANY = r"[\w.]+"

# A module, and below it what is used of it: a name, ``name(signature)``, or ``class: attributes of its instances``.
VERL = """
verl.experimental.agent_loop.agent_loop
    register(agent_name)
    AgentLoopOutput: prompt_ids response_ids response_mask response_logprobs multi_modal_data reward_score
        num_turns extra_fields
    AgentLoopWorker.__init__(self, config, llm_client, teacher_client=None, reward_loop_worker_handles=None)
    AgentLoopWorker._agent_loop_postprocess(self, output, validate, **kwargs)
    AgentLoopWorker._compute_position_ids(self, input_ids, attention_mask, multi_modal_inputs, mm_processor_kwargs=None)
    AgentLoopWorker._compute_score(self, outputs, kwargs)
    AgentLoopWorker._run_agent_loop(self, sampling_params, trajectory, *, agent_name, trace=True, **kwargs)
    AgentLoopWorker._compute_multi_modal_inputs(self, output, input_ids)
    AgentLoopManager.__init__(self, config, llm_client, teacher_client=None, reward_loop_worker_handles=None)
verl.experimental.agent_loop.tool_agent_loop
    AgentData: assistant_turns image_data messages prompt_ids request_id response_logprobs response_mask
        tool_rewards turn_scores user_turns
    AgentState: GENERATING
    ToolAgentLoop.__init__(self, *args, tools=None, **kwargs)
    ToolAgentLoop.run(self, sampling_params, priority=0, **kwargs)
    ToolAgentLoop._handle_pending_state(self, agent_data, sampling_params)
    ToolAgentLoop._handle_generating_state(self, agent_data, sampling_params, ignore_termination=False)
    ToolAgentLoop._call_tool(self, tool_call, tools_kwargs, agent_data)
verl.experimental.agent_loop.tool_parser
    ToolParser.extract_tool_calls(self, responses_ids, tools=None)
verl.experimental.reward_loop
    RewardLoopManager(config, rm_resource_pool=None)
    RewardLoopManager: reward_loop_worker_handles
verl.model_merger
verl.plugin.platform.platform_base
    PlatformBase: device_name vendor_name device_module
    PlatformBase.is_available(self)
    PlatformBase.is_platform_available(self, use_smi_check=False)
    PlatformBase.current_device(self)
    PlatformBase.device_count(self)
    PlatformBase.set_device(self, device_index)
    PlatformBase.synchronize(self, device_index=None)
    PlatformBase.manual_seed(self, seed)
    PlatformBase.manual_seed_all(self, seed)
    PlatformBase.set_allocator_settings(self, settings)
    PlatformBase.empty_cache(self)
    PlatformBase.get_device_capability(self, device_index=0)
    PlatformBase.communication_backend_name(self)
    PlatformBase.visible_devices_envvar(self)
    PlatformBase.ray_resource_name(self)
    PlatformBase.ray_noset_envvars(self)
    PlatformBase.is_ipc_supported(self)
    PlatformBase.nvtx_range(self, msg)
    PlatformBase.profiler_start(self)
    PlatformBase.profiler_stop(self)
    PlatformBase.cudart(self)
verl.plugin.platform.platform_manager
    PlatformRegistry.register(platform)
verl.protocol
    DataProto(batch=None, non_tensor_batch=..., meta_info=...)
verl.tools.base_tool
    BaseTool: config name tool_schema
    BaseTool.__init__(self, config, tool_schema)
    BaseTool.create(self, instance_id=None, **kwargs)
    BaseTool.execute(self, instance_id, parameters, **kwargs)
    BaseTool.release(self, instance_id, **kwargs)
verl.tools.function_tool
    FunctionTool: fn is_async name
    FunctionTool.call(self, parameters)
verl.tools.schemas
    OpenAIFunctionToolSchema: type function
    ToolResponse: text image
verl.tools.tool_registry
    get_tool_class(cls_name)
    load_all_tools(tool_config_path, function_tool_path)
verl.trainer.config
verl.trainer.constants_ppo
    get_ppo_ray_runtime_env(config=None)
verl.trainer.main_ppo
    TaskRunnerV1.run(self, config)
    run_ppo(config, task_runner_class)
verl.trainer.ppo.core_algos
    register_adv_est(name_or_enum)
verl.trainer.ppo.padding_utils
    construct_minimal_padding_template(source_td, source_tag, eos_token_id)
verl.trainer.ppo.rollout_corr_helper
    compute_rollout_correction_and_add_to_batch(batch, rollout_corr_config)
verl.trainer.ppo.utils
    need_critic(config)
    need_reference_policy(config)
verl.trainer.ppo.v1.agent_loop_tq
    AgentLoopManagerTQ.__init__(self, *args, **kwargs)
    AgentLoopManagerTQ.generate_sequences(self, prompts)
    AgentLoopWorkerTQ.__init__(self, *args, **kwargs)
    AgentLoopWorkerTQ.generate_sequences(self, batch)
    AgentLoopWorkerTQ._run_prompt(self, prompt, sampling_params, trajectory, trace=False)
    AgentLoopWorkerTQ._agent_loop_postprocess(self, output, validate, **kwargs)
    apply_greedy_sampling_params(params)
verl.trainer.ppo.v1.trainer_base
    register_trainer(name)
    PPOTrainer.__init__(self, config)
    PPOTrainer.on_sample_begin(self)
    PPOTrainer._balance_batch(self, batch, metrics, logging_prefix='global_seqlen', keep_minibatch=False)
    PPOTrainer._compute_advantage(self, batch, metrics)
    PPOTrainer._compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch)
    PPOTrainer._log_rollout_data(self, batch, timing_raw, rollout_data_dir)
    PPOTrainer._update_actor(self, batch, metrics)
    PPOTrainer._val_metrics_update(self, data_sources, sample_uids, reward_extra_infos_dict, sample_turns,
        expected_acc_counts=None)
    PPOTrainer._validate(self)
verl.trainer.ppo.v1.trainer_sync
    PPOTrainerSync
verl.trainer.sft_trainer
verl.utils
    hf_processor(name_or_path, **kwargs)
    hf_tokenizer(name_or_path, correct_pad_token=True, correct_gemma2=True, **kwargs)
verl.utils.config
    omega_conf_to_dataclass(config, dataclass_type=None)
    validate_config(config, use_reference_policy, use_critic)
verl.utils.dataset.multiturn_sft_dataset
    MultiTurnSFTDataset: apply_chat_template_kwargs generation_prompt processor tokenizer tools
    MultiTurnSFTDataset._process_single_message(self, index, message, full_message, tools=None, enable_thinking=None)
    MultiTurnSFTDataset._read_files_and_process(self)
verl.utils.dataset.rl_dataset
    RLHFDataset(data_files, tokenizer, config, processor=None, max_samples=-1)
verl.utils.debug
    marked_timer(name, timing_raw, color=None, domain=None, category=None)
verl.utils.device
    auto_set_device(config)
verl.utils.fs
    copy_to_local(src, cache_dir=None, filelock='.file.lock', verbose=False, always_recopy=False, use_shm=False)
verl.utils.import_utils
    load_class_from_fqn(fqn, description='class')
    resolve_config_path(config_path)
verl.utils.metric
    reduce_metrics(metrics)
verl.utils.py_functional
    rename_dict(data, prefix='')
verl.utils.reward_score
    default_compute_score(data_source, solution_str, ground_truth, extra_info=None, sandbox_fusion_url=None,
        concurrent_semaphore=None, memory_limit_mb=None, **kwargs)
verl.utils.rollout_trace
    rollout_trace_op(func)
verl.utils.seqlen_balancing
    calculate_workload(seqlen_list)
    get_seqlen_balanced_partitions(seqlen_list, k_partitions, equal_size)
    log_seqlen_unbalance(seqlen_list, partitions, prefix)
verl.utils.tensordict_utils
    list_of_dict_to_tensordict(list_of_dicts)
    maybe_fix_3d_position_ids(data)
verl.utils.tokenizer
    get_processor_token_id(processor, token_name)
verl.utils.tokenizer.chat_template
    apply_chat_template(processor, messages, *, tokenize=True, add_generation_prompt=True, tools=None,
        return_dict=False, **kwargs)
verl.workers.engine.base
    EngineRegistry.register(model_type, backend, device='cuda', vendor=None)
    maybe_fix_3d_position_ids(data)
verl.workers.engine.fsdp.transformer_impl
    CPUOffloadPolicy
    FSDPEngineWithLMHead: model_config
    FSDPEngineWithLMHead.prepare_model_outputs(self, output, output_args, micro_batch, logits_processor_func)
    FSDPEngine._build_fsdp_module(self, module)
verl.workers.engine_workers
    maybe_fix_3d_position_ids(data)
verl.workers.rollout.base
    _ROLLOUT_REGISTRY
verl.workers.rollout.llm_server
    LLMServerManager.create(*args, **kwargs)
    LLMServerManager.get_client(self, client_cls=None, **kwargs)
    LLMServerManager.get_replicas(self)
    LLMServerManager.get_addresses(self)
verl.workers.rollout.replica
    RolloutReplica
    RolloutReplicaRegistry.register(name, loader)
    TokenOutput: token_ids stop_reason
    _load_sglang()
verl.workers.rollout.utils
    get_vision_placeholder_token_ids(processor)
verl.workers.rollout.vllm_rollout.utils
    vLLMColocateWorkerExtension
verl.workers.rollout.vllm_rollout.vllm_async_server
    vLLMHttpServer.generate(self, prompt_ids, sampling_params, request_id, image_data=None, video_data=None,
        audio_data=None, mm_processor_kwargs=None, priority=0, kv_transfer_params=None)
    vLLMHttpServer: engine
    vLLMReplica.__init__(self, replica_rank, config, model_config, gpus_per_node=8, is_reward_model=False,
        is_teacher_model=False, name_suffix='')
    vLLMReplica: server_class
verl.workers.utils.padding
    response_to_nested(tensor, response_mask)
"""

# What these import is not always installed.
OPTIONAL_SOURCES = {
    "recipe/axpo/sglang_server.py": "sglang",
    "verl_ext/cpu/sglang_rollout.py": "sglang",
    "verl_ext/cpu/megatron.py": "megatron",
}
if importlib.util.find_spec("megatron"):
    VERL += """
verl.workers.engine.megatron.transformer_impl
    MegatronEngineWithLMHead
    MegatronEngine.__init__(self, model_config, engine_config, optimizer_config, checkpoint_config)
"""
if importlib.util.find_spec("sglang"):
    VERL += """
verl.workers.rollout.sglang_rollout.async_sglang_server
    SGLangHttpServer.generate(self, prompt_ids, sampling_params, request_id, image_data=None, video_data=None,
        bootstrap_host=None, bootstrap_port=None, bootstrap_room=None)
    SGLangReplica.__init__(self, replica_rank, config, model_config, gpus_per_node=8, is_reward_model=False,
        is_teacher_model=False, name_suffix='')
    SGLangReplica: server_class
verl.workers.rollout.sglang_rollout.sglang_rollout
    ServerAdapter: config server_actor
    ServerAdapter.update_weights(self, weights, global_steps=None, wire_format='named_tensors', **kwargs)
    ServerAdapter._init_server_adapter(self)
verl.workers.rollout.sglang_rollout.utils
    get_named_tensor_buckets(iterable, bucket_bytes, fusion_groups=())
"""

# Where a registry is, and the names that configuration files, presets and refusals use of it.
REGISTRIES = {
    "verl.experimental.agent_loop.agent_loop:_agent_loop_registry": ("axpo_tool_agent", "tool_agent"),
    "verl.experimental.agent_loop.tool_parser:ToolParser._registry": ("hermes",),
    "verl.experimental.reward_loop.reward_manager.registry:REWARD_MANAGER": ("naive", "rate_limited"),
    "verl.plugin.platform.platform_manager:PlatformRegistry._platforms": ("cpu",),
    "verl.trainer.ppo.core_algos:ADV_ESTIMATOR_REGISTRY": ("axpo", "grpo"),
    "verl.trainer.ppo.core_algos:POLICY_LOSS_REGISTRY": (
        *("vanilla", "cispo"),
        *("geo_mean", "bypass_mode", "dro", "clip_cov", "kl_cov"),  # refused, or with conditions
    ),
    "verl.trainer.ppo.v1.trainer_base:TRAINER_REGISTRY": ("sync", "axpo"),
    "verl.workers.engine.base:EngineRegistry._engines": ("language_model",),
    "verl.workers.rollout.replica:RolloutReplicaRegistry._registry": ("vllm", "sglang"),
}

# What verl's configuration does not have: keys of this project, and what verl passes on as it is.
OWN_KEYS = {
    "axpo": "the method's own group",
    "hydra": "Hydra's own group",
    "actor_rollout_ref.rollout.engine_kwargs": "passed to the rollout engine",
    "reward.reward_kwargs": "read by reward managers, where it is given",
    "actor_rollout_ref.actor.megatron.override_transformer_config": "passed to Megatron-Core",
    "actor_rollout_ref.actor.fsdp_config.mixed_precision": "passed to FSDP",
    "actor_rollout_ref.ref.fsdp_config.mixed_precision": "passed to FSDP",
    "ray_kwargs.ray_init": "passed to ray.init",
    "reward.custom_reward_function.reward_kwargs": "passed to the reward function",
    "engine.mixed_precision": "passed to FSDP",
}


# ------------------------------------------------------------------------------- the table


def read_table(text: str) -> dict[str, dict[str, str]]:
    """Return module -> name -> what is expected of it: "" (it exists), "(signature)" or ": attributes"."""
    table: dict[str, dict[str, str]] = {}
    for line in filter(str.strip, re.sub(r"\n {8}", " ", text).splitlines()):  # deeper lines continue the one above
        if not line.startswith(" "):
            table[module := line.strip()] = {}
            continue
        name, expected = re.fullmatch(rf"\s+({ANY})(.*)", line).groups()
        table[module][name] = expected
    return table


def moved(table: dict[str, dict[str, str]], used: dict[str, str] = {}) -> list[str]:  # noqa: B006  only read
    """Compare the table with the installed verl; return one line for each thing that moved.

    Args:
        table: see ``read_table``.
        used: module -> the files of this project that import it, for the messages.
    """
    lines = []
    for module, names in table.items():
        where = f" (used by {used[module]})" if module in used else ""
        try:
            home = importlib.import_module(module)
        except ImportError as error:
            lines.append(f"{module} cannot be imported: {error}{where}")
            continue
        for name, expected in names.items():
            try:
                found = look_up(home, name)
            except AttributeError:
                lines.append(f"{module}.{name} is gone{where}")
                continue
            if expected.startswith("("):
                actual = signature(found)
                if actual != expected:
                    lines.append(f"{module}.{name} takes {actual}, it took {expected}{where}")
            for attribute in expected.removeprefix(":").split() if expected.startswith(":") else ():
                if attribute not in attributes(found):
                    lines.append(f"{module}.{name} has no {attribute} any more{where}")
    return lines


def look_up(home: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        home = getattr(home, name)
        if hasattr(home, "__ray_metadata__"):
            home = undecorated(home)
    return home


def parameters(function: Any) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    # Ray adds one to the methods of an actor class.
    return [one.replace(annotation=inspect.Parameter.empty) for one in found if one.name != "_ray_trace_ctx"]


def signature(function: Any) -> str:
    """Return a signature without annotations. Default factories of dataclasses are left out."""
    return re.sub(r"<factory>|<[^>]*>", "...", str(inspect.Signature(parameters(function))))


@cache
def attributes(cls: type) -> set[str]:
    """Return the attributes of a class and of its instances: fields, and what its methods assign to ``self``."""
    found = set(dir(cls)) | set(getattr(cls, "model_fields", ()))
    for base in cls.__mro__[:-1]:
        found |= set(vars(base).get("__annotations__", ()))
        try:
            found |= set(re.findall(r"\bself\.(\w+)\b(?=[^=\n(]*=[^=])", inspect.getsource(base)))
        except (OSError, TypeError):
            continue  # a class without Python source
    return found


# ------------------------------------------------------------------------- what the sources use


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((REPO_ROOT / package).rglob("*.py")):
            name = path.relative_to(REPO_ROOT)
            optional = OPTIONAL_SOURCES.get(name.as_posix())
            if optional is None or importlib.util.find_spec(optional):
                yield name, ast.parse(path.read_text())


def uses_of_verl(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) of each import, of each attribute of an imported module, and of each ``python -m``."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module.split(".")[0] == "verl":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("verl."):
                    modules[alias.asname] = alias.name
                    yield alias.name, None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"(?:pkg://)?verl(\.\w+)+", node.value) and node.value != "verl.plugins":
                yield node.value.removeprefix("pkg://"), None
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr


def our_classes() -> Iterator[tuple[type, ast.ClassDef]]:
    """Yield the classes of this project that inherit from verl's."""
    for path, tree in sources():
        if not any(True for _ in uses_of_verl(tree)):
            continue
        module = importlib.import_module(".".join(path.with_suffix("").parts))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                cls = getattr(module, node.name)
                if any(base.__module__.startswith("verl.") for base in cls.__mro__):
                    yield cls, node


def overrides() -> Iterator[tuple[type, type, str]]:
    """Yield (our class, verl's class, method) for each method that ours overrides."""
    for cls, _ in our_classes():
        for name, value in vars(cls).items():
            owners = [base for base in cls.__mro__[1:] if name in vars(base)]
            if owners and inspect.isfunction(value) and owners[0].__module__.startswith("verl."):
                yield cls, owners[0], name


# ------------------------------------------------------------------------------ names and signatures


def test_verl_has_what_the_table_says():
    table, used = read_table(VERL), {}
    for path, tree in sources():
        for module, _ in uses_of_verl(tree):
            used.setdefault(module, set()).add(str(path))
    lines = moved(table, {module: ", ".join(sorted(paths)) for module, paths in used.items()})
    assert not lines, "\n".join(["verl has moved:", *lines])


def test_the_table_has_every_use():
    table, missing = read_table(VERL), []
    for path, tree in sources():
        for module, name in uses_of_verl(tree):
            names = {known.split(".")[0] for known in table.get(module, ())}
            if module not in table or name is not None and name not in names and f"{module}.{name}" not in table:
                missing.append(f"{path} uses {module} {name or ''}")
    for cls, base, name in overrides():
        if f"{base.__name__}.{name}" not in table.get(base.__module__, ()):
            missing.append(
                f"{cls.__name__} overrides {base.__module__} {base.__name__}.{name}{signature(vars(base)[name])}"
            )
    assert not missing, "\n".join(["not in the table VERL:", *missing])


def test_overrides_take_what_verl_passes():
    lines = []
    for cls, base, name in overrides():
        ours, theirs = vars(cls)[name], vars(base)[name]
        if why := unfit(ours, theirs):
            lines.append(f"{cls.__name__}.{name}{signature(ours)} {why}: verl's takes {signature(theirs)}")
    assert not lines, "\n".join(lines)


def unfit(ours: Any, theirs: Any) -> str | None:
    """Say why an override cannot be called in every way in which verl's method can; None if it can."""
    kinds = inspect.Parameter
    mine = inspect.Signature(parameters(ours))
    given = parameters(theirs)
    if inspect.iscoroutinefunction(ours) != inspect.iscoroutinefunction(theirs):
        return "is not awaited alike"
    by_kind = {kind: [one for one in given if one.kind == kind] for kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)}
    for kind in by_kind:
        if by_kind[kind] and not any(one.kind == kind for one in mine.parameters.values()):
            return "takes no further arguments"
    named = [one for one in given if one.kind not in by_kind]
    for chosen in (named, [one for one in named if one.default is kinds.empty]):
        positional = [one.name for one in chosen if one.kind == kinds.POSITIONAL_OR_KEYWORD]
        keywords = {one.name: None for one in chosen if one.kind == kinds.KEYWORD_ONLY}
        for count in range(1, len(positional) + 1):  # self is always positional
            rest = {name: None for name in positional[count:]} | keywords
            try:
                bound = mine.bind(*positional[:count], **rest)
            except TypeError as error:
                return f"cannot be called as verl may ({error})"
            for name, value in bound.arguments.items():
                if isinstance(value, str) and name != value:
                    return f"has {name} where verl has {value}"
    return None


def test_attributes_of_base_classes_are_there():
    """What our classes read from ``self`` is assigned by them or by verl."""
    lines = []
    for cls, node in our_classes():
        read = {
            one.attr
            for one in ast.walk(node)
            if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "self"
        }
        lines += [f"{cls.__name__} reads self.{name}, which nothing sets" for name in sorted(read - attributes(cls))]
    assert not lines, "\n".join(lines)


def test_attributes_of_a_trajectory_are_in_the_table():
    known = set(read_table(VERL)["verl.experimental.agent_loop.tool_agent_loop"]["AgentData"].removeprefix(":").split())
    read = {
        node.attr
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "agent_data"
    }
    own = {"__dict__", "promised_pixels"}  # tools/images.py keeps its own figure there
    assert read - own == known, f"VERL has AgentData: {sorted(known)}, the sources read {sorted(read - own)}"


@pytest.fixture
def release_that_moved(monkeypatch):
    """Make a module as an other release of verl might have it."""

    class Loop:
        def __init__(self):
            self.messages = []

        async def run(self, params, *, priority):
            pass

    module = ModuleType("verl.moved")
    module.Loop, module.kept = Loop, lambda x: x
    monkeypatch.setitem(sys.modules, "verl.moved", module)


def test_each_thing_that_moved_is_one_line(release_that_moved):
    table = read_table("""
verl.moved
    kept(x)
    renamed(config)
    Loop: messages images
    Loop.run(self, sampling_params, priority=0)
    Loop.stop(self)
verl.removed
    something
""")
    assert moved(table, {"verl.moved": "recipe/axpo/agent_loop.py", "verl.removed": "tools/base.py"}) == [
        "verl.moved.renamed is gone (used by recipe/axpo/agent_loop.py)",
        "verl.moved.Loop has no images any more (used by recipe/axpo/agent_loop.py)",
        "verl.moved.Loop.run takes (self, params, *, priority), it took (self, sampling_params, priority=0) "
        "(used by recipe/axpo/agent_loop.py)",
        "verl.moved.Loop.stop is gone (used by recipe/axpo/agent_loop.py)",
        "verl.removed cannot be imported: No module named 'verl.removed' (used by tools/base.py)",
    ]


@pytest.mark.parametrize(
    "ours, why",
    [
        (lambda self, batch, metrics=None, **kwargs: None, None),
        (lambda self, *args, **kwargs: None, None),
        (lambda self, batch: None, "takes no further arguments"),
        (lambda self, batch, **kwargs: None, "cannot be called"),
        (lambda self, rows=None, metrics=None, **kwargs: None, "has rows where verl has batch"),
        (lambda self, batch, metrics, **kwargs: None, "cannot be called"),
    ],
)
def test_an_override_must_fit(ours, why):
    found = unfit(ours, lambda self, batch, metrics=None, **kwargs: None)
    assert found is None if why is None else why in found


# ------------------------------------------------------------------------------ registries


@pytest.mark.parametrize("place", REGISTRIES)
def test_registry_has_the_names(place):
    import recipe.axpo.advantage
    import recipe.axpo.agent_loop
    import recipe.axpo.trainer  # noqa: F401  they register
    import verl_ext.cpu.platform  # noqa: F401

    module, name = place.split(":")
    registry = look_up(importlib.import_module(module), name)
    missing = [entry for entry in REGISTRIES[place] if entry not in registry]
    assert not missing, f"{module}.{name} no longer has {', '.join(missing)}; it has {', '.join(map(str, registry))}"


# ------------------------------------------------------------------------------ configuration


@cache
def verl_config(name: str, *overrides: str) -> dict[str, Any]:
    with initialize_config_module("verl.trainer.config", version_base=None):
        return OmegaConf.to_container(compose(name, list(overrides)))


def rl_configs() -> list[dict[str, Any]]:
    return [verl_config("ppo_trainer", f"model_engine={engine}") for engine in ("dp", "megatron", "veomni")]


def keys_set(node: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted path of every value of a configuration file."""
    for name, value in node.items():
        dotted = f"{path}{name}"
        if name == "defaults" and not path:
            continue
        if isinstance(value, dict) and value:
            yield from keys_set(value, f"{dotted}.")
        else:
            yield dotted


def has(config: Any, dotted: str) -> bool:
    """Return whether a configuration has a key, or the dataclass it is read into. An empty group takes any key."""
    name, _, rest = dotted.partition(".")
    if not name or config == {}:
        return True
    if not isinstance(config, dict):
        return False
    if name in config:
        return has(config[name], rest)
    target = config.get("_target_")
    return bool(target) and not rest and name in {field.name for field in dataclasses.fields(load(target))}


def load(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def is_own(key: str) -> bool:
    return any(key == own or key.startswith(f"{own}.") for own in OWN_KEYS)


FOLDER = REPO_ROOT / "run_scripts" / "config"
FILES = [REPO_ROOT / "recipe" / "axpo" / "config" / "axpo_trainer.yaml", *sorted(FOLDER.rglob("*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPO_ROOT)))
def test_keys_of_the_configuration_are_verls(file):
    configs = [verl_config("sft_trainer_engine")] if FOLDER / "sft" in file.parents else rl_configs()
    unknown = [
        key
        for key in keys_set(yaml.safe_load(file.read_text()))
        if not is_own(key) and not any(has(config, key) for config in configs)
    ]
    assert not unknown, "\n".join(f"verl's configuration no longer has {key}" for key in unknown)


RULES = (*refusals.TRAINER_RULES, *refusals.ROLLOUT_RULES, *refusals.UNREAD_OPTIONS, *refusals.BRANCHING_RULES)


def test_own_keys_are_needed():
    configs = [verl_config("sft_trainer_engine"), *rl_configs()]
    used = [key for file in FILES for key in keys_set(yaml.safe_load(file.read_text()))]
    used += [rule.option for rule in RULES]
    needed = {own for own in OWN_KEYS for key in used if key == own or key.startswith(f"{own}.")}
    assert needed == OWN_KEYS.keys()
    known = [own for own in OWN_KEYS if any(has(config, f"{own}.x") for config in configs)]
    assert not known, f"verl has these itself: {known}"


def test_refused_options_are_verls():
    """A rule for an option that verl has renamed would refuse nothing."""
    options = [rule.option for rule in RULES if not is_own(rule.option)]
    gone = [option for option in options if not any(has(config, option) for config in rl_configs())]
    assert not gone, "\n".join(f"verl's configuration no longer has {option}, see refusals.py" for option in gone)


def test_a_key_that_verl_renamed_is_found():
    config = rl_configs()[0]
    assert has(config, "actor_rollout_ref.rollout.n") and has(config, "actor_rollout_ref.rollout.enable_sleep_mode")
    assert not has(config, "actor_rollout_ref.rollout.num") and not has(config, "actor_rollout_ref.rollout.n.x")
