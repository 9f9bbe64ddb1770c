# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the command line of an evaluation, and make a configuration of it that a training run could have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from data_prep.core.files import write_json, write_text
from data_prep.registry import BENCHMARKS
from run_scripts.evaluation.questions import Benchmark, BenchmarkError, find_files, read_benchmark
from run_scripts.evaluation.record import RecordError, read_settings
from run_scripts.settings import CONFIG_DIR, ENGINES, TINY_MODEL, SettingError
from verl_ext.cpu.env import REPO_ROOT

TOOLS_DIR = REPO_ROOT / "tools"
HARDWARE = tuple(sorted(path.stem for path in (CONFIG_DIR / "hardware").glob("*.yaml")))
# A start with other values of these would mix two evaluations in one directory. More samples, questions or benchmarks
# only add to it.
FIXED = ("model", "weights", "engine", "endpoint", "seed", "tools", "added_tools", "overrides")


@dataclass(frozen=True)
class EvaluationSettings:
    """Hold what an evaluation does.

    Attributes:
        model: directory or Hub id; with an endpoint, of the tokenizer.
        name: what tables and plots call it.
        output: directory of the evaluation.
        benchmarks: with their questions.
        samples: of each question.
        limit: questions of each benchmark, or None for all.
        tools: YAML files of the configured tools.
        added_tools: names of tools that are offered beside those that a row names.
        endpoint: address of an OpenAI-compatible API, or None for verl's own servers.
        endpoint_model: the model's name there.
        api_key_env: environment variable with its key, or None.
        in_flight: samples at a time, or None for what the engine takes.
        overrides: Hydra overrides.
    """

    model: str
    name: str
    output: Path
    hardware: str
    engine: str
    benchmarks: tuple[Benchmark, ...]
    samples: int
    limit: int | None
    seed: int
    tools: tuple[Path, ...]
    added_tools: tuple[str, ...]
    endpoint: str | None
    endpoint_model: str | None
    api_key_env: str | None
    in_flight: int | None
    attempts: int
    overrides: tuple[str, ...]

    @property
    def on_cpu(self) -> bool:
        """Return whether the evaluation runs on this machine's CPU."""
        return self.hardware == "cpu"

    @property
    def tool_config(self) -> Path:
        """Return the file in which the configured tools are joined."""
        return self.output / "tools.yaml"

    def as_dict(self) -> dict[str, Any]:
        """Return what ``settings.json`` says."""
        return {
            "model": self.model,
            "weights": weights_digest(self.model),
            "name": self.name,
            "engine": "endpoint" if self.endpoint else self.engine,
            "endpoint": self.endpoint and {"url": self.endpoint, "model": self.endpoint_model},
            "benchmarks": [benchmark.name for benchmark in self.benchmarks],
            "questions": {benchmark.name: len(benchmark.questions) for benchmark in self.benchmarks},
            "files": {benchmark.name: [str(file) for file in benchmark.files] for benchmark in self.benchmarks},
            "samples": self.samples,
            "limit": self.limit,
            "seed": self.seed,
            "tools": [_shown(path) for path in self.tools],
            "added_tools": list(self.added_tools),
            "overrides": list(self.overrides),
            "hardware": self.hardware,
        }

    def hydra_overrides(self) -> list[str]:
        """Return the overrides of ``recipe.axpo.main_axpo``'s configuration; the user's are last and win."""
        rollout = "actor_rollout_ref.rollout"
        files = [str(file) for benchmark in self.benchmarks for file in benchmark.files]
        tool_config = self.tool_config if self.tools else "null"
        sglang = "+actor_rollout_ref.rollout.engine_kwargs.sglang.enable_deterministic_inference=true"
        return [
            f"+hardware={self.hardware}",
            "algorithm.adv_estimator=grpo",
            f"axpo.seed={self.seed}",
            "axpo.session_seeds=true",
            f"actor_rollout_ref.model.path={self.model}",
            f"{rollout}.name={self.engine}",
            f"{rollout}.multi_turn.tool_config_path={tool_config}",
            f"{rollout}.val_kwargs.n={self.samples}",
            # verl's standalone servers: the engine has the GPUs for itself
            f"{rollout}.nnodes=${{trainer.nnodes}}",
            f"{rollout}.enable_sleep_mode=false",
            f"{rollout}.free_cache_engine=false",
            *([] if self.on_cpu else [f"{rollout}.gpu_memory_utilization=0.85"]),
            *([sglang] if self.engine == "sglang" and not self.on_cpu else []),
            "data.train_files=[]",
            f"data.val_files=[{','.join(files)}]",
            # a prompt that is too long is reported; the trainer's filter would leave it out of the numbers
            "data.filter_overlong_prompts=false",
            "data.return_raw_chat=true",
            f"trainer.default_local_dir={self.output}",
            *self.overrides,
        ]

    def prepare(self) -> None:
        """Make the directory, or go on in one that holds the same evaluation.

        Raises:
            SettingError: it holds another one.
        """
        wanted = self.as_dict()
        try:
            found = read_settings(self.output)
        except RecordError:
            found = None
        if found:
            for key in FIXED:
                if found.get(key) != wanted[key]:
                    raise SettingError(
                        f"{self.output} holds an evaluation with {key}={found.get(key)!r}, this one has "
                        f"{wanted[key]!r}: name another directory with --output"
                    )
            wanted["benchmarks"] = list(dict.fromkeys([*found["benchmarks"], *wanted["benchmarks"]]))
            for key in ("questions", "files"):
                wanted[key] = found[key] | wanted[key]
        self.output.mkdir(parents=True, exist_ok=True)
        if self.tools:
            entries = [tool for path in self.tools for tool in yaml.safe_load(path.read_text())["tools"]]
            write_text(self.tool_config, yaml.safe_dump({"tools": entries}, sort_keys=False))
        write_json(self.output / "settings.json", wanted)


def weights_digest(model: str) -> str | None:
    """Return a short digest of a model's directory, which tells two checkpoints apart; None for a Hub id.

    It reads the configuration, and 64 KiB in the middle of each file of weights.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    digest = sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors"), *folder.glob("*.bin")]):
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(0 if path.suffix == ".json" else size // 2)
            digest.update(f"{path.name} {size}".encode() + file.read(1 << 16))
    return digest.hexdigest()[:16]


def _shown(path: Path) -> str:
    return str(path.relative_to(REPO_ROOT)) if path.is_relative_to(REPO_ROOT) else str(path)


# ------------------------------------------------------------------ command line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run``."""
    add = parser.add_argument
    add("--model", help="directory or Hub id (default: MODEL; with HARDWARE=cpu the tiny model)")
    add("--name", help="what tables and plots call it (default: from the model's path)")
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: OUTPUT, or outputs/evaluation/NAME; the same command goes on",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="directory of python -m data_prep all-benchmarks (default: DATA, or data)",
    )
    add("--benchmarks", metavar="A,B", help="names, or name=PATH of a parquet file or directory (default: the nine; "
        "with HARDWARE=cpu the embedded task)")  # fmt: skip
    add("--n", type=int, default=4, metavar="N", help="samples of each question (default: 4)")
    add("--limit", type=int, metavar="N", help="N questions of each benchmark, a random choice (default: all)")
    add("--seed", type=int, default=0, help="of the sampling (default: 0)")
    add("--engine", choices=ENGINES, help="default: ENGINE, or vllm")
    add("--tools", metavar="A,B", help="tools that are set up: names or YAML files; none for no tool (default: those "
        "that the rows name). A row is offered those of them that it names")  # fmt: skip
    add("--add-tools", metavar="A,B", help="tools, named likewise, that every row is offered beside its own, such "
        "as image_search")  # fmt: skip
    add("--endpoint", metavar="URL", help="OpenAI-compatible API without /chat/completions, instead of verl's servers")
    add("--endpoint-model", metavar="NAME", help="the model's name at the endpoint (default: --model)")
    add("--api-key-env", metavar="NAME", help="environment variable that holds the endpoint's key")
    add("--in-flight", type=int, metavar="N", help="samples at a time (default: max_num_seqs of each replica)")
    add("--attempts", type=int, default=2, metavar="N", help="for a sample whose infrastructure fails (default: 2)")


def read_arguments(
    args: argparse.Namespace, overrides: Sequence[str], environ: Mapping[str, str]
) -> EvaluationSettings:
    """Check the options and find the benchmarks.

    Raises:
        SettingError: an option has a bad value; the message names it and the fix.
    """
    for name in ("n", "limit", "in_flight", "attempts"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise SettingError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if unknown := [word for word in overrides if "=" not in word and not word.startswith("~")]:
        raise SettingError(f"{unknown[0]} is neither an option nor a Hydra override (name=value)")
    hardware = environ.get("HARDWARE") or "8xh100"
    if hardware not in HARDWARE:
        raise SettingError(f"HARDWARE must be one of {', '.join(HARDWARE)}, got {hardware!r}")
    on_cpu = hardware == "cpu"
    model = args.model or environ.get("MODEL") or (str(TINY_MODEL) if on_cpu else None)
    if model is None:
        raise SettingError("--model must name a directory or a Hub id, such as outputs/qwen3vl_8b_axpo/huggingface")
    if model.startswith(("/", ".", "~")) or Path(model).is_dir():
        if not Path(model).expanduser().is_dir():
            raise SettingError(f"--model: {model} is no directory")
        model = str(Path(model).expanduser().absolute())
    name = args.name or model_name(model)
    root = Path("outputs/cpu" if on_cpu else "outputs")
    output = args.output or Path(environ.get("OUTPUT") or root / "evaluation" / name)
    data = args.data or Path(environ.get("DATA") or (root / "data" if on_cpu else "data"))
    benchmarks = _benchmarks(args, data.expanduser().absolute(), on_cpu)
    offered = {tool for benchmark in benchmarks for question in benchmark.questions for tool in question.tools}
    added = [_tool_file(name, "--add-tools") for name in _names(args.add_tools)]
    return EvaluationSettings(
        model=model,
        name=name,
        output=output.expanduser().absolute(),
        hardware=hardware,
        engine=args.engine or environ.get("ENGINE") or "vllm",
        benchmarks=benchmarks,
        samples=args.n,
        limit=args.limit,
        seed=args.seed,
        tools=tuple(dict.fromkeys([*_tool_files(args.tools, sorted(offered), on_cpu), *added])),
        added_tools=tuple(name for path in added for name in _tool_names(path)),
        endpoint=args.endpoint and args.endpoint.rstrip("/"),
        endpoint_model=(args.endpoint_model or args.model) if args.endpoint else None,
        api_key_env=args.api_key_env,
        in_flight=args.in_flight,
        attempts=args.attempts,
        overrides=tuple(overrides),
    )


def model_name(model: str) -> str:
    """Return a model's name: the last part of its path that says something."""
    parts = [part for part in Path(model).parts if part not in ("/", "huggingface", "checkpoint", "actor")]
    return parts[-1] if parts else "model"


def _benchmarks(args: argparse.Namespace, data: Path, on_cpu: bool) -> tuple[Benchmark, ...]:
    entries = _names(args.benchmarks)
    if not entries and on_cpu and args.data is None:
        if not (data / "val.parquet").exists():
            from data_prep.__main__ import main as data_prep

            data_prep(["embedded", "--output", str(data), "--train=256", "--val=16", "--sft=256"])
        entries = (f"embedded={data / 'val.parquet'}",)
    try:
        found = dict(find_files(entry, data) for entry in entries or BENCHMARKS)
        return tuple(read_benchmark(name, files, args.limit) for name, files in found.items())
    except BenchmarkError as error:
        raise SettingError(str(error)) from error


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def _tool_files(text: str | None, offered: Sequence[str], on_cpu: bool) -> list[Path]:
    """Return the YAML files of the tools to set up."""
    if text == "none":
        return []
    names = _names(text) or tuple(offered)
    if on_cpu and text is None:
        names = tuple("image_zoom_in_tiny" if name == "image_zoom_in" else name for name in names)
    return [_tool_file(name, "--tools") for name in names]


def _tool_file(name: str, option: str) -> Path:
    path = Path(name).expanduser().absolute() if name.endswith((".yaml", ".yml")) else TOOLS_DIR / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in TOOLS_DIR.glob("*.yaml")))
        raise SettingError(f"{option}: there is no tool {name!r}; name one of {known}, or a YAML file")
    return path


def _tool_names(path: Path) -> list[str]:
    return [tool["tool_schema"]["function"]["name"] for tool in yaml.safe_load(path.read_text())["tools"]]


def cpu_preset(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether the environment asks for a run on the CPU."""
    return (os.environ if environ is None else environ).get("HARDWARE") == "cpu"
