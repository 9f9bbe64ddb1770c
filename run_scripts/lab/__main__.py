# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Try AXPO against GRPO and its own variants, with seeds, on a model that trains in minutes on a CPU.

python -m run_scripts.lab list
python -m run_scripts.lab run gap --seeds 5 --steps 60     # resumable; what is done is skipped
python -m run_scripts.lab report gap                       # rebuilt from the runs' own metrics
python -m run_scripts.lab map                              # a two-line policy instead of a model: minutes, one core
python -m run_scripts.lab proposition                      # both sides of Proposition 1, counted with that policy
python -m run_scripts.lab confidence                       # does a call's confidence measure its entropy?
python -m run_scripts.lab evidence                         # summaries, tables and pictures of docs/evidence.md
"""

from __future__ import annotations

import argparse
import itertools
import re
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
    run.usage = run.format_usage().removeprefix("usage: ").rstrip() + " [OVERRIDE ...]"
    run.epilog = "Further arguments are Hydra overrides of all runs; use another --output with them."
    tabular = commands.add_parser("map", help="where AXPO helps, does nothing or hurts: a tabular policy over a grid")
    tabular.add_argument("--grid", default="all", help='a study, "all" of them, or "q=0.3 p_tool=0.1,0.2 p_guess=0.75"')
    tabular.add_argument("--arms", help="comma-separated names, with a grid of your own (default: all)")
    proposition = commands.add_parser("proposition", help="resampling against fresh rollouts, counted")
    for command in (tabular, proposition):
        command.add_argument("--seeds", type=int, default=20, help="seeds 1 to N of every arm")
        command.add_argument("--output", type=Path, default=Path("outputs/lab/map"), help="directory of the map")
    tabular.add_argument("--steps", type=int, default=300, help="training steps of 32 questions")
    # argparse takes no list of positionals after options.
    args, overrides = parser.parse_known_args(argv)
    if unknown := [text for text in overrides if args.command != "run" or not re.match(r"~|[^-].*=", text)]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.command in ("map", "proposition"):
        return _map(args, tabular if args.command == "map" else proposition)
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
    return 0 if run_all(jobs, args.jobs, overrides) else 1


def _map(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from run_scripts.lab import map as maps

    if args.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {args.seeds}")
    root = args.output.resolve()
    if args.command == "proposition":
        print(maps.write_proposition(root, args.seeds))
        return 0
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, got {args.steps}")
    try:
        studies = maps.choose(args.grid, args.arms)
    except ValueError as error:
        parser.error(str(error))
    maps.run_all(itertools.chain(*map(maps.runs_of, studies.values())), root, args.seeds, args.steps)
    print(maps.write_report(studies, root, args.seeds, args.steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
