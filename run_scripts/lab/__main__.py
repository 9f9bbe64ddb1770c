# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Try AXPO against GRPO and its own variants, with seeds, on a model that trains in minutes on a CPU.

python -m run_scripts.lab list
python -m run_scripts.lab run gap --seeds 5 --steps 60     # resumable; what is done is skipped
python -m run_scripts.lab report gap                       # rebuilt from the runs' own metrics
python -m run_scripts.lab confidence                       # does a call's confidence measure its entropy?
python -m run_scripts.lab evidence                         # summaries, tables and pictures of docs/evidence.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from run_scripts.lab.suites import ARMS, SUITES


def main(argv: list[str] | None = None) -> int:
    """Read the command line and run one command; returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m run_scripts.lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the suites and their arms")
    run = commands.add_parser("run", help="train the arms of a suite")
    report = commands.add_parser("report", help="tables and plots of what has been run")
    confidence = commands.add_parser("confidence", help="compare confidence and exact entropy of the shipped policy")
    confidence.add_argument("--scenes", type=int, default=2048, help="sampled first turns, a multiple of 64")
    evidence = commands.add_parser("evidence", help="write the evidence page from finished runs and kept summaries")
    for command in (run, report):
        command.add_argument("suite", choices=SUITES, help="see `list`")
    for command in (run, report, evidence):
        command.add_argument("--output", type=Path, default=Path("outputs/lab"), help="directory of the lab")
    run.add_argument("--seeds", type=int, help="seeds 1 to N of every arm (default: the suite's)")
    run.add_argument("--steps", type=int, default=60, help="training steps of 8 questions")
    run.add_argument("--jobs", type=int, default=1, help="runs at the same time; each needs 10 GiB and one core")
    run.add_argument("--arms", help="comma-separated names, instead of all arms of the suite")
    run.add_argument("overrides", nargs="*", help="Hydra overrides of all runs; use another --output with them")
    args = parser.parse_args(argv)
    if args.command == "list":
        for name, suite in SUITES.items():
            print(f"{name}: {suite.help} ({suite.seeds} seeds)")
            for arm in suite.arms:
                print(f"    {arm:<20} {ARMS[arm].title:<24} {' '.join(ARMS[arm].overrides)}")
        return 0
    if args.command == "report":
        from run_scripts.lab.report import write_report

        print(write_report(args.suite, args.output.resolve()))
        return 0
    if args.command == "evidence":
        from run_scripts.lab.evidence import write_page

        print(f"wrote {write_page(args.output.resolve())}")
        return 0
    if args.command == "confidence":
        from run_scripts.lab.confidence import write_confidence

        print(write_confidence(args.scenes))
        return 0
    from run_scripts.lab.runs import Job, run_all

    arms = args.arms.split(",") if args.arms else SUITES[args.suite].arms
    if unknown := set(arms) - ARMS.keys():
        run.error(f"--arms: {', '.join(sorted(unknown))} is none of {', '.join(ARMS)}")
    seeds = SUITES[args.suite].seeds if args.seeds is None else args.seeds
    for name, value in (("--seeds", seeds), ("--steps", args.steps), ("--jobs", args.jobs)):
        if value < 1:
            run.error(f"{name} must be at least 1, got {value}")
    root = args.output.resolve()
    jobs = [Job(arm, seed, args.steps, root) for seed in range(1, seeds + 1) for arm in arms]
    return 0 if run_all(jobs, args.jobs, args.overrides) else 1


if __name__ == "__main__":
    sys.exit(main())
