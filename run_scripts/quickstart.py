# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Train a tiny Qwen3-VL agent with AXPO (or GRPO) on the embedded task: real verl, Ray and vLLM, on a CPU.

``run_scripts/quickstart_cpu.sh`` installs what this needs and calls it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tqdm import tqdm

from run_scripts.settings import in_every_process
from run_scripts.summary import Metrics, new_attempt, summary_table
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.cpu.launch import Run, launch

MEMORY_INTERVAL = 5.0  # seconds
CHECKPOINT = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; everything after ``--`` goes to Hydra."""
    argv = sys.argv[1:] if argv is None else argv
    split = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        prog="run_scripts/quickstart_cpu.sh",
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="Hydra overrides may follow after --, e.g. -- axpo.budget_ratio=0.5",
    )
    parser.add_argument("--estimator", choices=("axpo", "grpo"), default="axpo", help="advantage estimator")
    parser.add_argument("--steps", type=int, default=15, help="training steps of 8 questions with 8 rollouts each")
    parser.add_argument("--seed", type=int, default=0, help="seed of the data, its order and the sampling")
    parser.add_argument("--output", type=Path, default=None, help="folder of the run (default: outputs/quickstart/...)")
    parser.add_argument("--save-freq", type=int, default=10, help="steps between checkpoints; a rerun resumes from one")
    parser.add_argument("--val", type=int, default=64, help="validation questions, answered before and after")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds after which the run is given up")
    args = parser.parse_args(argv[:split])
    for name in ("steps", "save_freq", "val"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(args, name)}")
    args.overrides = argv[split + 1 :]
    args.output = args.output or Path("outputs/quickstart") / f"{args.estimator}-seed{args.seed}"
    args.output = args.output.resolve()
    return args


def prepare_data(args: argparse.Namespace) -> Path:
    """Write the embedded task's parquet files, or reuse those of an earlier call with the same options."""
    from data_prep.__main__ import main as data_prep

    folder = args.output / "data"
    # as many questions as the run asks: every step meets new ones
    wanted = {"train": 8 * max(args.steps, 32), "val": args.val, "seed": args.seed}
    stamp = folder / "options.json"
    if stamp.exists():
        found = json.loads(stamp.read_text())
        if found["seed"] == wanted["seed"] and found["val"] == wanted["val"] and found["train"] >= wanted["train"]:
            return folder
    data_prep(["embedded", "--output", str(folder), *(f"--{name}={value}" for name, value in wanted.items())])
    stamp.write_text(json.dumps(wanted))
    return folder


def command(args: argparse.Namespace, data: Path) -> list[str]:
    """Return the training command: what a user would type, plus the preset of the CPU."""
    return [
        sys.executable,
        "-m",
        "recipe.axpo.main_axpo",
        f"--config-dir={REPO_ROOT / 'run_scripts' / 'config'}",
        "+hardware=cpu",
        f"algorithm.adv_estimator={args.estimator}",
        f"axpo.seed={args.seed}",
        f"data.seed={args.seed}",
        f"data.train_files={data / 'train.parquet'}",
        f"data.val_files={data / 'val.parquet'}",
        f"actor_rollout_ref.model.path={CHECKPOINT}",
        f"trainer.default_local_dir={args.output / 'checkpoints'}",
        f"trainer.rollout_data_dir={args.output / 'rollouts'}",
        f"trainer.total_training_steps={args.steps}",
        f"trainer.save_freq={args.save_freq}",
        f"trainer.test_freq={args.steps}",
        *args.overrides,
    ]


def follow(run: Run, metrics: Metrics, args: argparse.Namespace) -> tuple[int, float]:
    """Show progress until the run ends; returns its exit code and peak memory in GiB (all of it: ``memory.jsonl``)."""
    started, sampled, peak = time.monotonic(), 0.0, 0.0
    with (
        tqdm(total=args.steps, desc="starting Ray, verl and vLLM (about a minute)", unit="step") as bar,
        (args.output / "memory.jsonl").open("a") as memory_log,
    ):
        while run.process.poll() is None:
            elapsed = time.monotonic() - started
            if elapsed > args.timeout:
                tqdm.write(f"giving up after {args.timeout:.0f} s (--timeout)", file=sys.stderr)
                return 124, peak
            time.sleep(0.5)
            metrics.refresh()
            latest = metrics.last_step
            if elapsed - sampled > MEMORY_INTERVAL:
                sampled, memory = elapsed, run.memory()
                peak = max(peak, memory["total"] + memory["shm"])
                memory_log.write(json.dumps({"seconds": round(elapsed), "step": latest, **memory}) + "\n")
                memory_log.flush()
            if latest is not None and latest > bar.n:
                bar.set_description("training")
                row = metrics.steps[latest]
                shown = {"tool": "axpo/tool_use_rate", "acc": "axpo/accuracy", "recovery": "axpo/recovery_rate"}
                bar.set_postfix({name: f"{row[key]:.2f}" for name, key in shown.items() if key in row})
                bar.update(latest - bar.n)
    metrics.refresh()
    return run.process.returncode, peak


def main(argv: list[str] | None = None) -> int:
    """Run the quickstart; returns an exit code."""
    args = parse_args(argv)
    if not (CHECKPOINT / "config.json").exists():
        print(f"no model in {CHECKPOINT}; build it with python -m run_scripts.tiny_model.sft", file=sys.stderr)
        return 1
    args.output.mkdir(parents=True, exist_ok=True)
    data = prepare_data(args)
    log = args.output / "log.txt"
    attempt = new_attempt(args.output)
    metrics = Metrics(args.output / "metrics")
    env = {"TENSORBOARD_DIR": str(args.output / "tensorboard"), "VERL_FILE_LOGGER_PATH": str(attempt)}
    print(f"{args.estimator.upper()}, {args.steps} steps, seed {args.seed}; the log goes to {log}", flush=True)
    started = time.monotonic()
    try:
        with launch([*command(args, data), *in_every_process(env)], log, env=env) as run:
            code, peak = follow(run, metrics, args)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    if code != 0:
        lines = log.read_text(errors="replace").splitlines()
        print("\n".join(lines[-30:]), file=sys.stderr)
        print(f"\nthe run failed with exit code {code}; the whole log is {log}", file=sys.stderr)
        return code
    print(summary_table(metrics, args.steps))
    print(f"\ntime         {time.monotonic() - started:.0f} s, peak memory {peak:.1f} GiB")
    print(f"TensorBoard  tensorboard --logdir {args.output / 'tensorboard'}")
    print(f"rollouts     {args.output / 'rollouts'}/<step>.jsonl (every row: role, source, prefix, reward, advantage)")
    print(f"checkpoints  {args.output / 'checkpoints'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
