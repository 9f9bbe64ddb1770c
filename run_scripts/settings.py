# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read what a script and the environment say of a run, and make Hydra overrides of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verl_ext.cpu.env import REPO_ROOT

CONFIG_DIR = REPO_ROOT / "run_scripts" / "config"
TINY_MODEL = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"
SIZES = ("2b", "4b", "8b")
STAGES = ("sft", "grpo", "axpo")
BACKENDS = ("fsdp2", "megatron")
ENGINES = ("vllm", "sglang")


class SettingError(ValueError):
    """Raised for an environment variable or a path that cannot be used; the message names it and the fix."""


@dataclass(frozen=True)
class Settings:
    """Hold what a script and the environment say of a run.

    Attributes:
        size: ``2b``, ``4b`` or ``8b``.
        stage: ``sft``, ``grpo`` or ``axpo``.
        model: directory or Hub id to start from.
        data: directory of the parquet files.
        output: directory of the run.
    """

    size: str
    stage: str
    hardware: str
    backend: str
    engine: str
    variant: str | None
    nnodes: int | None
    model: str
    data: Path
    output: Path

    @classmethod
    def read(cls, size: str, stage: str, environ: Mapping[str, str]) -> Settings:
        """Read the environment.

        Raises:
            SettingError: a variable has an unknown value.
        """

        def one_of(name: str, allowed: tuple[str, ...], default: str | None) -> str | None:
            value = environ.get(name) or default
            if value is not None and value not in allowed:
                raise SettingError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
            return value

        kind = CONFIG_DIR / "sft" if stage == "sft" else CONFIG_DIR
        hardware = one_of("HARDWARE", _names(kind / "hardware"), "8xh100")
        backend = one_of("BACKEND", BACKENDS, "fsdp2")
        if hardware == "cpu" and backend == "megatron":
            raise SettingError("BACKEND=megatron needs GPUs; leave it out with HARDWARE=cpu")
        if hardware == "8x40gb" and backend == "megatron":
            raise SettingError("HARDWARE=8x40gb is a preset of BACKEND=fsdp2: it shares sequences by Ulysses")
        nnodes = environ.get("NNODES")
        if nnodes and not (nnodes.isdecimal() and int(nnodes) > 0):
            raise SettingError(f"NNODES must be a positive integer, got {nnodes!r}")
        root = Path("outputs/cpu" if hardware == "cpu" else "outputs")
        output = Path(environ.get("OUTPUT") or root / f"qwen3vl_{size}_{stage}").expanduser().absolute()
        return cls(
            size=size,
            stage=stage,
            hardware=hardware,
            backend=backend,
            engine=one_of("ENGINE", ENGINES, "vllm"),
            variant=one_of("VARIANT", _names(CONFIG_DIR / "variant"), None),
            nnodes=int(nnodes) if nnodes else None,
            model=environ.get("MODEL") or _default_model(size, stage, hardware, output),
            data=Path(environ.get("DATA") or (root / "data" if hardware == "cpu" else "data")).expanduser().absolute(),
            output=output,
        )

    @property
    def on_cpu(self) -> bool:
        """Return whether the run trains the tiny model on this machine's CPU."""
        return self.hardware == "cpu"


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def _default_model(size: str, stage: str, hardware: str, output: Path) -> str:
    if stage != "sft":
        return str(output.with_name(f"qwen3vl_{size}_sft") / "huggingface")
    return str(TINY_MODEL) if hardware == "cpu" else f"Qwen/Qwen3-VL-{size.upper()}-Thinking"


def rl_overrides(settings: Settings) -> list[str]:
    """Return the Hydra overrides of ``recipe.axpo.main_axpo``; later ones win."""
    return [
        f"+size={settings.size}",
        f"+hardware={settings.hardware}",
        f"+backend={settings.backend}",
        *([f"+variant={settings.variant}"] if settings.variant else []),
        f"algorithm.adv_estimator={settings.stage}",
        f"actor_rollout_ref.rollout.name={settings.engine}",
        f"actor_rollout_ref.model.path={settings.model}",
        f"data.train_files={settings.data / 'train.parquet'}",
        f"data.val_files={settings.data / 'val.parquet'}",
        f"trainer.default_local_dir={settings.output / 'checkpoints'}",
        f"trainer.rollout_data_dir={settings.output / 'rollouts'}",
        f"trainer.experiment_name={settings.output.name}",
        *([f"trainer.nnodes={settings.nnodes}"] if settings.nnodes else []),
    ]


def sft_overrides(settings: Settings) -> list[str]:
    """Return the Hydra overrides of ``verl.trainer.sft_trainer``; later ones win."""
    return [
        f"+size={settings.size}",
        f"+hardware={settings.hardware}",
        f"model.path={settings.model}",
        f"data.train_files={settings.data / 'sft.parquet'}",
        "data.custom_cls.path=pkg://data_prep.sft.dataset",
        "data.custom_cls.name=ToolSFTDataset",
        "data.enable_thinking_default=null",
        f"trainer.default_local_dir={settings.output / 'checkpoints'}",
        "trainer.project_name=axpo",
        f"trainer.experiment_name={settings.output.name}",
        *([f"trainer.nnodes={settings.nnodes}"] if settings.nnodes else []),
    ]


def prepare(settings: Settings) -> None:
    """Check that the model and the data are there; on a CPU, write the embedded task's data once.

    Raises:
        SettingError: a file is missing.
    """
    hub_id = f"Qwen/Qwen3-VL-{settings.size.upper()}-Thinking"
    if settings.stage != "sft" and settings.model.endswith("/huggingface") and not Path(settings.model).exists():
        raise SettingError(
            f"MODEL: {settings.model} does not exist; run run_scripts/qwen3vl_{settings.size}_sft.sh first, or name "
            f"another start such as MODEL={hub_id}"
        )
    elif settings.model.startswith(("/", ".", "~")) and not Path(settings.model).expanduser().is_dir():
        raise SettingError(f"MODEL: {settings.model} is no directory; name one, or a Hub id such as {hub_id}")
    wanted = ["sft"] if settings.stage == "sft" else ["train", "val"]
    missing = [name for name in wanted if not (settings.data / f"{name}.parquet").exists()]
    if missing and settings.on_cpu:
        from data_prep.__main__ import main as data_prep

        data_prep(["embedded", "--output", str(settings.data), "--train=256", "--val=16", "--sft=256"])
    elif missing:
        raise SettingError(
            f"DATA: {settings.data} has no {' and no '.join(f'{name}.parquet' for name in missing)}; write it with "
            "python -m data_prep (data_prep/README.md), or name the directory with DATA="
        )
