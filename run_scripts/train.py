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

from run_scripts.check import check, compose_sft
from run_scripts.checkpoints import keep_best, link_model, merge_model
from run_scripts.settings import (
    CONFIG_DIR,
    SIZES,
    STAGES,
    SettingError,
    Settings,
    in_every_process,
    prepare,
    rl_overrides,
    sft_overrides,
)
from run_scripts.summary import Metrics, new_attempt
from verl_ext.cpu.env import REPO_ROOT, cpu_environment

POLL_SECONDS = 5.0


def command(settings: Settings, overrides: list[str], environ: Mapping[str, str]) -> list[str]:
    """Return the training command. verl's SFT trainer runs under torchrun, once on each node."""
    if settings.stage != "sft":
        program = [sys.executable, "-m", "recipe.axpo.main_axpo", f"--config-dir={CONFIG_DIR}"]
        return [*program, *rl_overrides(settings), *overrides]
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


def run(settings: Settings, overrides: list[str]) -> int:
    """Train, keep the best checkpoint, and leave the model as ``OUTPUT/huggingface``; returns an exit code."""
    line = command(settings, overrides, os.environ)
    attempt = new_attempt(settings.output)
    environ = {**os.environ, **(cpu_environment() if settings.on_cpu else {})}
    environ["PYTHONPATH"] = os.pathsep.join([str(REPO_ROOT), *filter(None, [environ.get("PYTHONPATH")])])
    loggers = {"TENSORBOARD_DIR": str(settings.output / "tensorboard"), "VERL_FILE_LOGGER_PATH": str(attempt)}
    environ |= loggers
    if settings.stage != "sft":
        line += in_every_process(loggers)
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
