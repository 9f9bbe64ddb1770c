# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Train Qwen3-VL: supervised fine-tuning, then GRPO or AXPO. The scripts ``qwen3vl_*.sh`` call this.

    bash run_scripts/qwen3vl_8b_sft.sh                         # writes outputs/qwen3vl_8b_sft/huggingface
    bash run_scripts/qwen3vl_8b_axpo.sh                        # starts from it
    bash run_scripts/qwen3vl_8b_axpo.sh --check                # what would go wrong, in seconds, without a GPU
    bash run_scripts/qwen3vl_8b_axpo.sh axpo.continuations=8   # any Hydra override

The environment sets what most runs change:
  HARDWARE   8xh100 (default), 8x40gb, 2x8xh100, cpu: a file of run_scripts/config/hardware
  MODEL      directory or Hub id. Default of SFT: Qwen/Qwen3-VL-*-Thinking. Default of RL: what the SFT script wrote
  DATA       directory with sft.parquet, train.parquet and val.parquet (default: data; on a CPU the embedded task)
  OUTPUT     directory of the run (default: outputs/<script>); the same command resumes from its last checkpoint
  BACKEND    fsdp2 (default) or megatron
  ENGINE     vllm (default) or sglang
  VARIANT    an ablation or baseline: a file of run_scripts/config/variant
  NNODES     number of nodes (default: the hardware's). For SFT also NODE_RANK, MASTER_ADDR and MASTER_PORT
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from run_scripts.checkpoints import keep_best, link_model, merge_model
from run_scripts.summary import Metrics, new_attempt
from verl_ext.cpu.env import REPO_ROOT, cpu_environment

CONFIG_DIR = REPO_ROOT / "run_scripts" / "config"
TINY_MODEL = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"
SIZES = ("2b", "4b", "8b")
STAGES = ("sft", "grpo", "axpo")
BACKENDS = ("fsdp2", "megatron")
ENGINES = ("vllm", "sglang")
POLL_SECONDS = 5.0


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


def command(settings: Settings, overrides: list[str], environ: Mapping[str, str]) -> list[str]:
    """Return the training command. verl's SFT trainer runs under torchrun, once on each node."""
    if settings.stage != "sft":
        program = [sys.executable, "-m", "recipe.axpo.main_axpo", f"--config-dir={CONFIG_DIR}"]
        return [*program, *rl_overrides(settings), *overrides]
    from run_scripts.check import compose_sft

    config = compose_sft(sft_overrides(settings) + overrides)
    launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={config.trainer.n_gpus_per_node}"]
    if config.trainer.nnodes == 1:
        launcher.append("--standalone")
    else:
        for name in ("NODE_RANK", "MASTER_ADDR"):
            if not environ.get(name):
                raise SettingError(f"{name} must be set on each of the {config.trainer.nnodes} nodes")
        launcher += [f"--nnodes={config.trainer.nnodes}", f"--node-rank={environ['NODE_RANK']}"]
        launcher += [f"--master-addr={environ['MASTER_ADDR']}", f"--master-port={environ.get('MASTER_PORT', '29500')}"]
    program = ["-m", "verl.trainer.sft_trainer", f"--config-dir={CONFIG_DIR / 'sft'}"]
    return [*launcher, *program, *sft_overrides(settings), *overrides]


def prepare(settings: Settings) -> None:
    """Check that the model and the data are there; on a CPU, write the embedded task's data once.

    Raises:
        SettingError: a file is missing.
    """
    if settings.stage != "sft" and settings.model.endswith("/huggingface") and not Path(settings.model).exists():
        raise SettingError(
            f"MODEL: {settings.model} does not exist; run run_scripts/qwen3vl_{settings.size}_sft.sh first, or name "
            f"another start such as MODEL=Qwen/Qwen3-VL-{settings.size.upper()}-Thinking"
        )
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


def run(settings: Settings, overrides: list[str]) -> int:
    """Train, keep the best checkpoint, and leave the model as ``OUTPUT/huggingface``; returns an exit code."""
    line = command(settings, overrides, os.environ)
    attempt = new_attempt(settings.output)
    environ = {**os.environ, **(cpu_environment() if settings.on_cpu else {})}
    environ["PYTHONPATH"] = os.pathsep.join([str(REPO_ROOT), *filter(None, [environ.get("PYTHONPATH")])])
    environ |= {"TENSORBOARD_DIR": str(settings.output / "tensorboard"), "VERL_FILE_LOGGER_PATH": str(attempt)}
    print(shlex.join(line), flush=True)
    process, metrics = subprocess.Popen(line, env=environ, cwd=REPO_ROOT), Metrics(settings.output / "metrics")
    # A scheduler asks this process to end; the trainer must end with it.
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    checkpoints = settings.output / "checkpoints"
    try:
        while True:
            try:
                code = process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                code = None
            metrics.refresh()
            keep_best(checkpoints, metrics.validation)
            if code is not None:
                break
    except KeyboardInterrupt:
        process.wait()
        print("\ninterrupted; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    if code == 0 and settings.stage == "sft":
        link_model(checkpoints, settings.output / "huggingface")
    elif code == 0:
        merge_model(checkpoints, settings.output / "huggingface", settings.backend, environ)
    if code == 0:
        print(f"the model is {settings.output / 'huggingface'}")
    return code


def main(argv: list[str] | None = None) -> int:
    """Read the command line; everything that is no option goes to Hydra. Returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="bash run_scripts/qwen3vl_{2b,4b,8b}_{sft,grpo,axpo}.sh",
        usage="%(prog)s [--check] [--print] [Hydra overrides]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("size", choices=SIZES, help=argparse.SUPPRESS)
    parser.add_argument("stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="check everything that needs no GPU, and estimate memory")
    parser.add_argument("--print", action="store_true", help="print the training command and end")
    args, overrides = parser.parse_known_args(argv)
    if unknown := [word for word in overrides if "=" not in word and not word.startswith("~")]:
        parser.error(f"{unknown[0]} is neither an option nor a Hydra override (name=value)")
    try:
        settings = Settings.read(args.size, args.stage, os.environ)
        if args.check:
            from run_scripts.check import check

            return check(settings, overrides)
        if args.print:
            print(shlex.join(command(settings, overrides, os.environ)))
            return 0
        prepare(settings)
        return run(settings, overrides)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
