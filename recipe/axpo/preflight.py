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
"""Tools and rows of a configuration: what they ask for, against what is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recipe.axpo.config import AGENT_LOOP, REWARD, branching_enabled


def _as_paths(files: Any) -> list[Path]:
    """The local files of an option; remote ones (``hdfs://...``) are left to verl."""
    if files is None:
        return []
    if not (OmegaConf.is_list(files) or isinstance(files, list | tuple)):
        files = [files]
    return [Path(str(file)).expanduser() for file in files if "://" not in str(file)]


def _configured_tools(rollout: DictConfig, option: str) -> dict[str, Any]:
    from verl.tools.tool_registry import load_all_tools
    from verl.utils.import_utils import resolve_config_path

    paths = {"tool_config_path": None, "function_tool_path": None}
    if rollout.multi_turn.get(option):
        paths[option] = resolve_config_path(rollout.multi_turn[option])
    return {tool.name: tool for tool in load_all_tools(**paths)}


def data_problems(config: DictConfig) -> Iterator[str]:
    """Tools and agent loops that the rows ask for, against what is configured."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rollout = config.actor_rollout_ref.rollout
    tools: dict[str, Any] = {}
    for option in ("tool_config_path", "function_tool_path"):
        try:
            tools |= _configured_tools(rollout, option)
        except Exception as error:  # the file is the user's: anything may be wrong with it
            yield f"actor_rollout_ref.rollout.multi_turn.{option}: {type(error).__name__}: {error}"
            return
    if not tools:
        yield (
            "no tool is configured: set actor_rollout_ref.rollout.multi_turn.tool_config_path to a YAML of schemas "
            "such as tools/image_zoom_in.yaml"
        )
    limit = rollout.multi_turn.max_tool_response_length
    for name, tool in tools.items():
        most = getattr(tool, "max_answer_chars", None)
        if most is not None and most > limit:
            yield (
                f"actor_rollout_ref.rollout.multi_turn.max_tool_response_length ({limit}) must be at least {most}, "
                f"what {name} may return: verl would cut the rest out without a word"
            )
    for option in ("train_files", "val_files"):
        for path in _as_paths(config.data.get(option)):
            if path.suffix != ".parquet":
                continue
            if not path.exists():
                yield f"data.{option}: {path} does not exist; write it with `python -m data_prep`"
                continue
            parquet = pq.ParquetFile(path)
            names = set(parquet.schema_arrow.names)
            loops: set[str] = set()
            wanted: set[str] = set()
            columns = [name for name in ("agent_name", "extra_info") if name in names]
            for batch in parquet.iter_batches(batch_size=1024, columns=columns):
                if "agent_name" in columns:
                    loops.update(pc.unique(batch.column("agent_name")).to_pylist())
                if "extra_info" in columns:
                    for info in batch.column("extra_info").to_pylist():
                        wanted.update((info or {}).get("tool_selection") or ())
            if "agent_name" not in columns:
                loops = {rollout.agent.default_agent_loop}
            for tool in sorted(wanted - tools.keys()):
                yield (
                    f"data.{option}: rows of {path.name} ask for the tool {tool!r}, which "
                    "actor_rollout_ref.rollout.multi_turn.tool_config_path does not configure "
                    f"(configured: {', '.join(sorted(tools)) or 'none'})"
                )
            other = sorted(str(name) for name in loops - {AGENT_LOOP})
            if other and option == "train_files" and branching_enabled(config):
                yield (
                    f"data.{option}: rows of {path.name} run the agent loop {other[0]!r}, which cannot resume from a "
                    f"prefix; write agent_name={AGENT_LOOP} or leave the column out and set "
                    f"actor_rollout_ref.rollout.agent.default_agent_loop={AGENT_LOOP}"
                )


def scoring_problems(config: DictConfig) -> Iterator[str]:
    """The reward's options, and rows that they cannot score."""
    import pyarrow.parquet as pq

    from recipe.axpo.scoring import RowError, needs_judge
    from recipe.axpo.scoring.judge import read_options
    from recipe.axpo.scoring.scorer import OPTIONS, Scorer

    function = config.reward.get("custom_reward_function") or {}
    if function.get("path") != REWARD:
        return
    kwargs = OmegaConf.to_container(function.get("reward_kwargs") or OmegaConf.create({}), resolve=True)
    if unknown := sorted(set(kwargs) - {"judge", "thinking"}):
        yield f"{OPTIONS}.{unknown[0]} is no option of {REWARD}; there are judge, thinking"
    try:
        judge = read_options(kwargs.get("judge"))
        Scorer(judge, kwargs.get("thinking", "auto"))
    except ValueError as error:
        yield f"{OPTIONS}: {error}"
        return
    judged = judge.enabled or judge.fallback is not None
    for option in ("train_files", "val_files"):
        for path in _as_paths(config.data.get(option)):
            if path.suffix != ".parquet" or not path.exists():
                continue
            parquet = pq.ParquetFile(path)
            names = set(parquet.schema_arrow.names)
            if not {"data_source", "reward_model"} <= names:
                continue
            columns = sorted(names & {"data_source", "reward_model", "extra_info"})
            for batch in parquet.iter_batches(batch_size=1024, columns=columns):
                for row in batch.to_pylist():
                    truth = (row["reward_model"] or {}).get("ground_truth")
                    try:
                        needed = needs_judge(row["data_source"], truth, row.get("extra_info"))
                    except RowError as error:
                        yield f"data.{option}: {path.name}: {error}"
                        return
                    if needed and not judged:
                        yield (
                            f"data.{option}: rows of {path.name} ({row['data_source']}) need a judge: set "
                            f"{OPTIONS}.judge.base_url and .model (any OpenAI-compatible API), or "
                            f"{OPTIONS}.judge.fallback=rules to compare by rules"
                        )
                        return
