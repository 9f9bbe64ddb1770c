# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Mix prepared files into one training file without benchmark rows: ``python -m data_prep mix``."""

from __future__ import annotations

import argparse
import glob
from collections import Counter
from pathlib import Path
from typing import Any

from data_prep.core.files import write_json, write_text
from data_prep.core.lock import sole_writer
from data_prep.core.options import at_least, output_directory
from data_prep.errors import DataError, OptionError
from data_prep.mix.fingerprint import Fingerprint
from data_prep.mix.matching import Index
from data_prep.mix.recipe import Benchmarks, Duplicates, Filters, Recipe, read_recipe
from data_prep.mix.report import Offence, as_html, as_json, counts
from data_prep.mix.sampling import choose, wanted
from data_prep.mix.scan import Record, scan
from data_prep.mix.write import write_mix

HELP = "Mix prepared datasets by a YAML recipe, without rows that the benchmarks hold."
OUTPUT = "train.parquet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="YAML; see data_prep/mix/recipes/")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help=f"directory for {OUTPUT} and reports")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that read and hash images")
    parser.add_argument("--report-pairs", type=int, default=200, metavar="N", help="pairs shown on the page")


def files_of(patterns: list[str], base: Path, where: str) -> list[Path]:
    """Find files by patterns relative to ``base``. Keep the order of the patterns and sort the files of each.

    Raises:
        OptionError: a pattern matches no file.
    """
    files: list[Path] = []
    for pattern in patterns:
        found = sorted(Path(name) for name in glob.glob(str(base / pattern), recursive=True))
        found = [path for path in found if path.is_file()]
        if not found:
            raise OptionError("--recipe", f"{where}: no file matches {base / pattern}")
        files += found
    return list(dict.fromkeys(files))


class _Prints:
    """Hold the rows of an index and their sources."""

    def __init__(self, rules: Duplicates):
        self.index = Index(rules)
        self.rows: list[tuple[str, Record]] = []

    def add(self, source: str, record: Record) -> None:
        self.index.add(_print(record))
        self.rows.append((source, record))

    def offence(self, source: str, record: Record) -> Offence | None:
        match = self.index.find(_print(record))
        return None if match is None else Offence(source, record, *self.rows[match.key], match)


def _print(record: Record) -> Fingerprint:
    assert record.print is not None
    return record.print


def read_benchmarks(rules: Benchmarks, base: Path, ngram: int | None, workers: int) -> tuple[_Prints, dict[str, int]]:
    """Return an index of the benchmarks, and the number of rows of each.

    Raises:
        OptionError: a directory has no parquet files, or two have the same name.
    """
    prints, rows = _Prints(rules), {}
    for folder in rules.folders:
        path = base / folder
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else []
        # An interrupted run leaves its shards in a hidden directory.
        files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        name = path.resolve().name
        if not files:
            raise OptionError("--recipe", f"benchmarks.folders: no parquet file in {path}")
        if name in rows:
            raise OptionError("--recipe", f"benchmarks.folders: two directories are called {name}")
        records, _, rows[name] = scan(name, files, Filters(), compare=True, ngram=ngram, workers=workers)
        for record in records:
            prints.add(name, record)
    return prints, rows


def clean(
    name: str, records: list[Record], benchmarks: _Prints | None, seen: _Prints | None
) -> tuple[list[Record], list[Offence], list[Offence]]:
    """Return the rows to keep, those that match a benchmark, and those that repeat an earlier row."""
    kept, contaminated, repeated = [], [], []
    for record in records:
        if benchmarks is not None and (offence := benchmarks.offence(name, record)):
            contaminated.append(offence)
        elif seen is not None and (offence := seen.offence(name, record)):
            repeated.append(offence)
        else:
            if seen is not None:
                seen.add(name, record)
            kept.append(record)
    return kept, contaminated, repeated


def run(args: argparse.Namespace) -> None:
    """Write the mix and its reports.

    Raises:
        OptionError: an option or the recipe is bad. Nothing has been written yet.
        DataError: files cannot be used, rows are too few, or another run writes to the directory.
    """
    at_least(1, workers=args.workers)
    at_least(0, report_pairs=args.report_pairs)
    output_directory(args.output)
    recipe = read_recipe(args.recipe)
    base = args.recipe.resolve().parent
    files = {
        source.name: files_of(source.files, base, f"sources.{number}.files")
        for number, source in enumerate(recipe.sources)
    }
    result = mix(recipe, base, files, args.workers)
    with sole_writer(args.output):
        _write(result, recipe, args)


def _write(result: dict[str, Any], recipe: Recipe, args: argparse.Namespace) -> None:
    write_json(args.output / "mix.json", {"recipe": recipe.model_dump(mode="json"), **result["facts"]}, indent=1)
    titles = {"contaminated": "Rows that a benchmark holds", "repeated": "Rows that occur twice"}
    report = {key: as_json(result[key], title) for key, title in titles.items()}
    write_json(args.output / "contamination.json", report, indent=1)
    page = as_html([(title, result[key]) for key, title in titles.items()], args.report_pairs)
    write_text(args.output / "contamination.html", page)
    if not result["rows"]:
        raise DataError(
            "the mix has no rows: every source is empty after filters and comparison. "
            f"{args.output / 'contamination.html'} and mix.json list the reasons"
        )
    write_mix(result["rows"], args.output / OUTPUT, recipe.seed, recipe.shuffle)
    left_out = f"{len(result['contaminated'])} rows that a benchmark holds, {len(result['repeated'])} that occur twice"
    print(f"{len(result['rows'])} rows in {args.output / OUTPUT}; left out: {left_out}")


def mix(recipe: Recipe, base: Path, files: dict[str, list[Path]], workers: int = 1) -> dict[str, Any]:
    """Choose the rows of a mix.

    Args:
        recipe: validated recipe.
        base: directory to which the benchmarks' directories are relative.
        files: name of a source -> its files.
        workers: number of processes.

    Returns:
        ``rows`` (records in the order of sources), ``contaminated`` and ``repeated`` (offences), ``facts`` (counts).
    """
    ngram = recipe.ngram()
    rules = recipe.benchmarks
    benchmarks, benchmark_rows = read_benchmarks(rules, base, ngram, workers) if rules else (None, {})
    seen = _Prints(recipe.duplicates) if recipe.duplicates else None
    compare = bool(recipe.rules())
    contaminated: list[Offence] = []
    repeated: list[Offence] = []
    left, facts = {}, {}
    for source in recipe.sources:
        filters = source.filters.over(recipe.filters)
        paths = files[source.name]
        records, refused, read = scan(source.name, paths, filters, compare=compare, ngram=ngram, workers=workers)
        left[source.name], held, twice = clean(source.name, records, benchmarks, seen)
        contaminated += held
        repeated += twice
        facts[source.name] = {
            "read": read,
            "refused_by_filter": dict(sorted(refused.items())),
            "contaminated": len(held),
            "repeated": len(twice),
            "left": len(left[source.name]),
        }
    amounts = wanted(recipe, {name: len(records) for name, records in left.items()})
    rows: list[Record] = []
    for source in recipe.sources:
        own = left[source.name]
        chosen = choose(source, amounts[source.name], len(own), recipe.seed)
        most = max(Counter(chosen).values(), default=0)
        facts[source.name] |= {"asked": amounts[source.name], "taken": len(chosen), "most_repeats_of_a_row": most}
        rows += [own[number] for number in chosen]
    summary = {
        "rows": len(rows),
        "by_data_source": dict(sorted(Counter(record.data_source for record in rows).items())),
        "sources": facts,
        "benchmarks": benchmark_rows,
        "contaminated_counts": counts(contaminated),
    }
    return {"rows": rows, "contaminated": contaminated, "repeated": repeated, "facts": summary}
