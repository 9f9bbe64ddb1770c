# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check a run before Ray starts: its options, and the tools, rows and model that it reads, against each other."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from recipe.axpo.config import (
    AGENT_LOOP,
    AGENT_LOOP_CLASS,
    MODEL,
    ROLLOUT,
    AXPOConfig,
    ConfigError,
    branching_enabled,
)
from recipe.axpo.plugins import PluginError, config_problems, load_plugins
from recipe.axpo.refusals import class_names, option_problems

FILES = ("train_files", "val_files")
GROUP_SIZE = "__rollout_n__"  # column by which verl takes the number of rollouts of a row
TOOLS = f"{ROLLOUT}.multi_turn.tool_config_path"
PATCH_SIZE, MERGE_SIZE = 16, 2  # Qwen3-VL's, for a model whose configuration is not on this machine
SGLANG = SpecifierSet(">=0.5.13,<0.5.15")
SGLANG_FIX = 'pip install "verl==0.9.1" "sglang==0.5.14"'


def validate_axpo_config(config: DictConfig) -> AXPOConfig:
    """Check everything that would otherwise fail, or silently do something else, after minutes of start-up.

    Raises:
        ConfigError: naming the option, its value and what to set.
    """
    options = AXPOConfig.from_config(config)
    try:
        load_plugins(config)
    except PluginError as error:
        raise ConfigError(str(error)) from error
    for message in problems(config):
        raise ConfigError(message)
    return options


def problems(config: DictConfig) -> Iterator[str]:
    """Yield what is wrong with a configuration and its files, most basic first. The plugins must be loaded."""
    yield from option_problems(config)
    yield from data_problems(config)
    yield from vision_problems(config)
    yield from config_problems(config, list(existing_files(config)))


def _parquet_files(config: DictConfig, option: str) -> list[Path]:
    """Return the local parquet files of an option; others (``hdfs://...``, JSON) are left to verl."""
    files = config.data.get(option)
    if files is None:
        return []
    if not (OmegaConf.is_list(files) or isinstance(files, list | tuple)):
        files = [files]
    local = (Path(str(file)).expanduser() for file in files if "://" not in str(file))
    return [path for path in local if path.suffix == ".parquet"]


def _configured_tools(rollout: DictConfig, option: str) -> dict[str, Any]:
    from verl.tools.tool_registry import load_all_tools
    from verl.utils.import_utils import resolve_config_path

    paths = {"tool_config_path": None, "function_tool_path": None}
    if rollout.multi_turn.get(option):
        paths[option] = resolve_config_path(rollout.multi_turn[option])
    return {tool.name: tool for tool in load_all_tools(**paths)}


def data_problems(config: DictConfig) -> Iterator[str]:
    """Check the tools, and the tools, agent loops and images that the rows ask for."""
    rollout = config.actor_rollout_ref.rollout
    tools: dict[str, Any] = {}
    for option in ("tool_config_path", "function_tool_path"):
        try:
            tools |= _configured_tools(rollout, option)
        except Exception as error:  # the file is the user's: anything may be wrong with it
            yield f"{ROLLOUT}.multi_turn.{option}: {type(error).__name__}: {error}"
            return
    if not tools:
        yield f"no tool is configured: set {TOOLS} to a YAML of schemas such as tools/image_zoom_in.yaml"
    yield from _answer_problems(config, tools)
    yield from _timeout_problems(config, tools)
    if branching_enabled(config):
        yield from _agent_loop_problems(rollout)
    most_images = 0
    for option in FILES:
        for path in _parquet_files(config, option):
            if not path.exists():
                yield f"data.{option}: {path} does not exist; write it with `python -m data_prep`"
                continue
            rows = _read_rows(path, config)
            yield from _row_problems(config, option, path, rows, tools)
            most_images = max(most_images, rows.most_images)
    yield from _engine_problems(rollout, tools, most_images)


# ---------------------------------------------------------------- tools


def _answer_problems(config: DictConfig, tools: dict[str, Any]) -> Iterator[str]:
    """Compare the longest answers of tools with verl's limits."""
    limit = config.actor_rollout_ref.rollout.multi_turn.max_tool_response_length
    for name, tool in tools.items():
        most = getattr(tool, "max_answer_chars", None)
        if most is not None and most > limit:
            yield (
                f"{ROLLOUT}.multi_turn.max_tool_response_length ({limit}) must be at least {most}, what {name} may "
                "return: verl would cut the rest out without a word"
            )
    area, response = _pixels_of_a_token(config), config.data.max_response_length
    for name, tool in tools.items():
        images, pixels = _images_of_a_call(tool)
        tokens = images * pixels // area
        if tokens > response // 2:  # the other half is for the thoughts before the call and the answer after it
            yield (
                f"{TOOLS}: one answer of {name} may hold {images} image(s) of {pixels} pixels, {tokens} tokens, more "
                f"than half of data.max_response_length ({response}): verl counts what tools return as response, and "
                f"would end the rollout there; set max_pixels of {name} to at most {response // 2 * area // images} "
                f"or data.max_response_length to at least {2 * tokens}"
            )


def _timeout_problems(config: DictConfig, tools: dict[str, Any]) -> Iterator[str]:
    limit = AXPOConfig.from_config(config).tool_timeout_s
    for name, tool in tools.items():
        options = getattr(tool, "options", None)
        call, queue = (getattr(options, option, None) for option in ("timeout_s", "queue_timeout_s"))
        if call is not None and queue is not None and call + queue > limit:
            yield (
                f"axpo.tool_timeout_s ({limit:g}) must be at least {call + queue:g}, the timeout_s ({call:g}) plus "
                f"queue_timeout_s ({queue:g}) of {name} in {TOOLS}: a call within the tool's own limits would be cut "
                "off"
            )


def _images_of_a_call(tool: Any) -> tuple[int, int]:
    """Return the most images of one call of a tool and the most pixels of each; (0, 0) if it returns none."""
    options = getattr(tool, "options", None)
    pixels = getattr(options, "max_pixels", None)
    if pixels is None:
        return 0, 0
    images = next((getattr(options, name) for name in ("max_images", "max_results") if hasattr(options, name)), 1)
    budget = getattr(options, "max_pixels_per_trajectory", None)
    return (images, pixels if budget is None else min(pixels, budget // max(images, 1))) if images else (0, 0)


def _agent_loop_problems(rollout: DictConfig) -> Iterator[str]:
    """Check the file that may put another class behind the name of AXPO's agent loop."""
    from verl.utils.import_utils import resolve_config_path

    option, path = f"{ROLLOUT}.agent.agent_loop_config_path", rollout.agent.get("agent_loop_config_path")
    if not path:
        return
    try:
        entries = OmegaConf.load(resolve_config_path(path))
        targets = [entry.get("_target_") for entry in entries if entry.get("name") == AGENT_LOOP]
        others = [target for target in targets if AGENT_LOOP_CLASS not in class_names(target)]
    except Exception as error:  # the file is the user's: anything may be wrong with it
        yield f"{option}: {type(error).__name__}: {error}"
        return
    if others:
        yield (
            f"{option}: {path} makes {AGENT_LOOP} the class {others[0]}, which is no subclass of {AGENT_LOOP_CLASS} "
            "and offers no fork; give it another name"
        )


# ---------------------------------------------------------------- rows


@dataclass
class _Rows:
    """Collect what the rows of a file ask for."""

    agent_loops: set[Any] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    most_images: int = 0  # in one prompt
    own_sizes: bool = False  # rows say how often they are rolled out


def _read_rows(path: Path, config: DictConfig) -> _Rows:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    parquet, found = pq.ParquetFile(path), _Rows()
    names = set(parquet.schema_arrow.names)
    found.own_sizes = GROUP_SIZE in names
    prompt = config.data.get("prompt_key", "prompt")
    # the images themselves are large; their placeholders in the prompt are as many
    counted = prompt in names and config.data.get("image_key", "images") in names
    columns = [name for name in ("agent_name", "extra_info") if name in names] + [prompt] * counted
    for batch in parquet.iter_batches(batch_size=1024, columns=columns):
        if "agent_name" in names:
            found.agent_loops.update(pc.unique(batch.column("agent_name")).to_pylist())
        if "extra_info" in names:
            for info in batch.column("extra_info").to_pylist():
                found.tools.update((info or {}).get("tool_selection") or ())
        if counted:
            prompts = batch.column(prompt).to_pylist()
            found.most_images = max([found.most_images, *map(_count_images, prompts)])
    if "agent_name" not in names:
        found.agent_loops = {config.actor_rollout_ref.rollout.agent.default_agent_loop}
    return found


def _count_images(messages: Any) -> int:
    if not isinstance(messages, list):
        return 0
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    return sum(content.count("<image>") for content in contents if isinstance(content, str))


def _row_problems(config: DictConfig, option: str, path: Path, rows: _Rows, tools: dict[str, Any]) -> Iterator[str]:
    for tool in sorted(rows.tools - tools.keys()):
        yield (
            f"data.{option}: rows of {path.name} ask for the tool {tool!r}, which {TOOLS} does not configure "
            f"(configured: {', '.join(sorted(tools)) or 'none'})"
        )
    if rows.own_sizes and option == "train_files" and branching_enabled(config):
        yield (
            f"data.{option}: rows of {path.name} have the column {GROUP_SIZE}, but every question of a batch must have "
            f"{ROLLOUT}.n rollouts: the budget and what is decided early are computed from it; drop the column"
        )
    other = sorted(str(name) for name in rows.agent_loops - {AGENT_LOOP})
    if other and option == "train_files" and branching_enabled(config):
        yield (
            f"data.{option}: rows of {path.name} run the agent loop {other[0]!r}, which cannot resume from a prefix; "
            f"write agent_name={AGENT_LOOP} or leave the column out and set "
            f"{ROLLOUT}.agent.default_agent_loop={AGENT_LOOP}"
        )


# ---------------------------------------------------------------- engine and model


def _engine_problems(rollout: DictConfig, tools: dict[str, Any], most_images: int) -> Iterator[str]:
    """Check what the engine does with images, where there are any: in ``most_images`` or in answers of tools."""
    most_of_a_call = max((_images_of_a_call(tool)[0] for tool in tools.values()), default=0)
    if rollout.name == "vllm":
        needed = most_images + most_of_a_call * _calls(rollout.multi_turn)
        option, limit = _image_limit(rollout)
        if limit is not None and limit < needed:
            yield (
                f"{option} must be at least {needed}, got {limit}: a prompt has up to {most_images} image(s) and each "
                f"call returns up to {most_of_a_call}; vLLM refuses a request with more, and the rollouts that use "
                "tools would be left out as infrastructure failures"
            )
    if rollout.name == "sglang":
        yield from _sglang_problems()


def _calls(multi_turn: DictConfig) -> int:
    """Return how many calls verl executes in one rollout at most; 1 if there is no limit."""
    assistant, user = multi_turn.max_assistant_turns, multi_turn.max_user_turns
    limits = ([] if assistant is None else [assistant - 1]) + ([] if user is None else [user])
    return min(limits, default=1)


def _image_limit(rollout: DictConfig) -> tuple[str, int | None]:
    """Return the option that limits the images of one request to vLLM, and its value."""
    if rollout.get("limit_images"):
        return f"{ROLLOUT}.limit_images", rollout.limit_images
    option = f"{ROLLOUT}.engine_kwargs.vllm.limit_mm_per_prompt"
    limits = OmegaConf.select(rollout, "engine_kwargs.vllm.limit_mm_per_prompt") or {}
    limit = (json.loads(limits) if isinstance(limits, str) else limits).get("image")
    return f"{option}.image", limit if limit is None or isinstance(limit, int) else limit.get("count")


def _sglang_problems() -> Iterator[str]:
    try:
        installed = Version(importlib.metadata.version("sglang"))
    except importlib.metadata.PackageNotFoundError:
        return  # the engine runs elsewhere, or verl will say so
    if installed in SGLANG:
        return
    if installed < Version("0.5.13"):
        why = (
            "this one takes no ids beside processed images; it decodes the ids of such a prompt and encodes the text "
            "again, so that the actor would train on a prompt that the engine never saw (sglang #26555)"
        )
    else:
        why = "this one needs a transformers that verl 0.9.1 refuses, and from 0.5.20 on verl cannot start it"
    yield f"{ROLLOUT}.name=sglang needs sglang {SGLANG}, got {installed}: {why}; {SGLANG_FIX}, or {ROLLOUT}.name=vllm"


def _vision_config(config: DictConfig) -> dict[str, Any]:
    """Return the ``vision_config`` of a model that lies on this machine; else an empty one."""
    path = Path(str(config.actor_rollout_ref.model.path)).expanduser() / "config.json"
    try:
        return json.loads(path.read_text()).get("vision_config") or {}
    except (OSError, ValueError):
        return {}  # a model on the Hub, or one that verl will refuse


def _pixels_of_a_token(config: DictConfig) -> int:
    vision = _vision_config(config)
    patch = vision.get("patch_size") or config.data.get("image_patch_size") or PATCH_SIZE
    return (patch * (vision.get("spatial_merge_size") or MERGE_SIZE)) ** 2


def vision_problems(config: DictConfig) -> Iterator[str]:
    """Check the options that must be those of the model's vision tower."""
    given, patch = config.data.get("image_patch_size"), _vision_config(config).get("patch_size")
    if given is not None and patch is not None and given != patch:
        yield (
            f"data.image_patch_size must be {patch}, the vision_config.patch_size of {MODEL}.path "
            f"({config.actor_rollout_ref.model.path}), got {given}: verl would filter prompts by the sizes of images "
            "that the rollout never sees"
        )


def existing_files(config: DictConfig) -> Iterator[tuple[str, Path]]:
    """Yield (option, path) of every local parquet file of the configuration that exists."""
    for option in FILES:
        for path in _parquet_files(config, option):
            if path.exists():
                yield option, path
