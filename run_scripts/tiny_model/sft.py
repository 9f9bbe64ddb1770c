# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Cold start of the tiny model through verl's own SFT trainer, on a CPU.

    python -m run_scripts.tiny_model.sft --output DIR

Two stages, because a policy that picks the right cell in a third of its calls hardly shows a learner which cell is
right: first conversations whose calls always have the right box, then the mixture that has the Thinking-Acting Gap.
A stage whose checkpoint exists is reused; an interrupted one resumes from its last saved step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from verl_ext.cpu.env import cpu_environment

GUESS_ACCURACY = 0.75


@dataclass(frozen=True)
class Stage:
    """One run of the trainer: its data's rates and how long it learns from them."""

    name: str
    tool_rate: float
    box_accuracy: float
    steps: int
    scenes: int
    lr: float


def stages(steps: int) -> list[Stage]:
    """Divide ``steps`` between learning the skills and learning the mixture."""
    skills = round(steps * 0.7)
    return [
        Stage("skills", tool_rate=0.7, box_accuracy=1.0, steps=skills, scenes=2400, lr=2e-3),
        Stage("mixture", tool_rate=0.3, box_accuracy=0.32, steps=steps - skills, scenes=4800, lr=5e-4),
    ]


def free_port() -> int:
    """Return a port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def overrides(stage: Stage, model: Path, data: Path, output: Path, seed: int, batch_size: int) -> list[str]:
    """Return the Hydra overrides of ``verl.trainer.sft_trainer`` for one stage."""
    return [
        f"data.train_files={data}",
        f"data.train_batch_size={batch_size}",
        f"data.micro_batch_size_per_gpu={batch_size}",
        "data.use_dynamic_bsz=False",
        "data.max_length=512",
        "data.num_workers=1",
        "data.enable_thinking_default=null",
        f"model.path={model}",
        "model.external_lib=verl_ext.cpu.engine",
        "model.use_remove_padding=False",
        "model.enable_gradient_checkpointing=False",
        "+model.override_config.attn_implementation=sdpa",
        "engine.strategy=fsdp2",
        "engine.use_torch_compile=False",
        "engine.dtype=float32",
        "+engine.mixed_precision={param_dtype: fp32, reduce_dtype: fp32, buffer_dtype: fp32}",
        f"engine.seed={seed}",
        f"optim.lr={stage.lr}",
        "optim.lr_warmup_steps=30",
        "optim.lr_scheduler_type=cosine",
        "optim.min_lr_ratio=0.1",
        "optim.betas=[0.9,0.95]",
        "checkpoint.save_contents=[model,optimizer,extra,hf_model]",
        f"trainer.default_local_dir={output}",
        f"trainer.total_training_steps={stage.steps}",
        f"trainer.total_epochs={stage.steps}",  # never the limit: a run ends with the earlier of the two
        "trainer.save_freq=200",
        "trainer.max_ckpt_to_keep=1",
        f"trainer.seed={seed}",
        "trainer.logger=[console]",
        "trainer.project_name=tiny_model",
        f"trainer.experiment_name={stage.name}",
        "trainer.device=cpu",
    ]


def single_process_environment() -> dict[str, str]:
    """Return the environment of a CPU run in which torch.distributed finds a world of one."""
    world = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return {**os.environ, **cpu_environment(), **world}


def run_stage(stage: Stage, model: Path, work: Path, seed: int, batch_size: int) -> Path:
    """Prepare a stage's data, train, and return the folder with its Hugging Face checkpoint.

    Raises:
        subprocess.CalledProcessError: the trainer failed.
    """
    from data_prep.__main__ import main as data_prep

    output = work / stage.name
    final = output / f"global_step_{stage.steps}" / "huggingface"
    scenes = min(stage.scenes, stage.steps * batch_size)  # no more than a short run looks at
    if (final / "model.safetensors").exists():
        print(f"stage {stage.name}: reusing {final}")
        return final
    data = work / f"data_{stage.name}"
    if not (data / "sft.parquet").exists():
        rates = ["--tool-rate", str(stage.tool_rate), "--box-accuracy", str(stage.box_accuracy)]
        rates += ["--guess-accuracy", str(GUESS_ACCURACY), "--seed", str(1000 * seed + len(stage.name))]
        data_prep(["embedded", "--output", str(data), "--train", "0", "--val", "0", "--sft", str(scenes), *rates])
    command = [sys.executable, "-m", "verl.trainer.sft_trainer"]
    command += overrides(stage, model, data / "sft.parquet", output, seed, batch_size)
    subprocess.run(command, check=True, env=single_process_environment())
    return final


def publish(checkpoint: Path, base: Path, output: Path) -> None:
    """Copy trained weights, with the base model's tokenizer, processor and generation settings, to ``output``."""
    output.mkdir(parents=True, exist_ok=True)
    for file in base.iterdir():
        if file.is_file():
            shutil.copy(file, output / file.name)
    shutil.copy(checkpoint / "model.safetensors", output / "model.safetensors")
    (output / "model.safetensors").chmod(0o644)


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m run_scripts.tiny_model.sft",
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the trained checkpoint")
    parser.add_argument("--work", type=Path, help="folder for data and trainer state (default: OUTPUT.work)")
    parser.add_argument("--steps", type=int, default=650, help="optimizer steps over both stages")
    parser.add_argument("--batch-size", type=int, default=24, help="conversations a step")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, data and order")
    parser.add_argument(
        "--eval-scenes", type=int, default=128, help="unseen scenes to measure the policy on; 0 for none"
    )
    args = parser.parse_args(argv)
    if args.steps < 2:
        parser.error(f"--steps: needs at least one step for each of two stages, got {args.steps}")
    if args.batch_size < 1:
        parser.error(f"--batch-size: must be positive, got {args.batch_size}")

    from run_scripts.tiny_model.build import build

    work = args.work or args.output.with_name(args.output.name + ".work")
    base = build(work / "base", args.seed)
    model = base
    for stage in stages(args.steps):
        model = run_stage(stage, model, work, args.seed, args.batch_size)
    publish(model, base, args.output)
    print(f"checkpoint in {args.output}")
    if args.eval_scenes:
        from run_scripts.tiny_model.measure import measure

        print(json.dumps(measure(args.output, args.eval_scenes, seed=args.seed), indent=2))


if __name__ == "__main__":
    main()
