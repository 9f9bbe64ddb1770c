# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Map where AXPO helps, does nothing or hurts, with the tabular policy: studies, resumable runs, tables, pictures.

A run trains one arm in one cell for all seeds and appends one line to ``runs.jsonl``; a run that has its line is
skipped. ``write_report`` makes everything else from these lines.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from run_scripts.lab.tabular import (
    ANSWER,
    ARMS,
    CALL,
    LUCK,
    PREFIX,
    QUESTIONS,
    RATE,
    Arm,
    Cell,
    Policy,
    call_accuracy,
    train,
)

EARLY = 50  # step of the figures called early
WINDOWS = ((1, 20), (150, 170), (280, 300))  # steps that the acting rate is averaged over
RESULTS = Path(__file__).parent / "results" / "map"
Record = Mapping[str, Any]
_AXES = ("q", "p_tool", "p_guess", "luck")


@dataclass(frozen=True)
class Study:
    """Ask one question of a grid.

    Attributes:
        grid: cells, as ``--grid`` takes them.
        arms: names, the reference first.
        rates: learning rates.
        figures: what its tables need of a run, by key of ``runs.jsonl``.
    """

    grid: str
    arms: tuple[str, ...]
    figures: tuple[str, ...]
    rates: tuple[float, ...] = (RATE,)


_GUESSES = "p_guess=0.4,0.6,0.75,0.85,0.95"
_ABLATED = tuple(name for name in ARMS if name != "partly-wrong")  # this arm has a study of its own
STUDIES = {
    "pilot": Study(
        "q=0.3 p_tool=0.2 p_guess=0.6,0.75,0.85",
        _ABLATED,
        ("windows", "early_acting", "accuracy", "tokens", "recovery"),
    ),
    "rates": Study(
        "q=0.3 p_tool=0.2 p_guess=0.6,0.75,0.85",
        ("grpo", "axpo"),
        ("acting", "early_acting", "accuracy"),
        rates=(500.0, 1000.0, 1800.0, 2000.0, 4000.0, 8000.0),
    ),
    "border": Study(
        f"q=0.3 p_tool=0.05,0.1,0.2 {_GUESSES}",
        tuple(name for name in _ABLATED if name != "grpo-n10"),
        ("equal", "accuracy"),
    ),
    "map": Study(
        f"q=0.1,0.3,0.6 p_tool=0,0.02,0.05,0.1,0.2,0.4 {_GUESSES}",
        ("grpo", "axpo"),
        ("early", "equal", "accuracy"),
    ),
    "trigger": Study(
        f"q=0.3 p_tool=0.05,0.1,0.2 {_GUESSES}",
        ("axpo", "partly-wrong"),
        ("equal", "accuracy"),
    ),
    "luck": Study(
        "q=0.3 p_tool=0,0.05 p_guess=0.4,0.6,0.75 luck=0.05,0.1,0.2,0.3,0.4,0.5",
        ("grpo", "axpo"),
        ("acting", "accuracy"),
    ),
}


def parse_grid(text: str) -> list[Cell]:
    """Read cells from a text such as ``"q=0.1,0.3 p_tool=0.2 p_guess=0.6,0.75"``; ``luck=`` may be added.

    Raises:
        ValueError: a name that is missing or unknown, or a value out of its range.
    """
    axes = {"luck": str(LUCK)}
    axes |= dict(word.split("=", 1) if "=" in word else (word, "") for word in text.split())
    if set(axes) != set(_AXES):
        raise ValueError(
            f"--grid needs q=, p_tool= and p_guess=, or one of {', '.join([*STUDIES, 'all'])}; got {text!r}"
        )
    values = {}
    for name in _AXES:
        try:
            values[name] = [float(word) for word in axes[name].split(",")]
        except ValueError:
            raise ValueError(f"--grid: {name} needs numbers with commas, got {axes[name]!r}") from None
        open_ended = name == "q"
        for value in values[name]:
            if not (0 < value < 1 if open_ended else 0 <= value <= 1):
                raise ValueError(f"--grid: {name} must lie {'inside' if open_ended else 'in'} 0..1, got {value:g}")
    return [Cell(*point) for point in itertools.product(*values.values())]


# ---------------------------------------------------------------- runs


def run_cell(cell: Cell, arm: Arm, seeds: int, steps: int, rate: float) -> dict[str, Any]:
    """Train an arm in a cell with seeds 1..``seeds`` and return its record: a value for each seed, rounded.

    Keys, besides those that name the run:
        windows: acting rate over each of ``WINDOWS``, None beyond the last step.
        early_acting, early: acting rate and accuracy at step ``EARLY`` (or the last).
        acting, accuracy: at the last step.
        equal: accuracy once a run has sampled the fewest tokens that ``steps`` steps of 8 rollouts can cost.
        tokens: response tokens sampled, in thousands.
        recovery: share of the resampled prefixes with a correct continuation, over all steps; None without any.
        curve: acting rate, mean over seeds, every tenth step from the first.
    """
    history = list(itertools.islice(train(cell, arm, range(1, seeds + 1), rate), steps))
    acting, accuracy, tokens, selected, recovered = (
        np.array([getattr(step, name) for step in history])
        for name in ("acting", "accuracy", "tokens", "selected", "recovered")
    )
    spent = tokens.cumsum(0)
    # A step's figures are those of the policy before it, so they belong to the tokens spent before it.
    before = spent - tokens
    reached = (before <= steps * QUESTIONS * 8 * (PREFIX + ANSWER)).sum(0) - 1
    early = min(EARLY, steps) - 1
    figures = {
        "early_acting": acting[early],
        "early": accuracy[early],
        "acting": acting[-1],
        "accuracy": accuracy[-1],
        "equal": np.take_along_axis(accuracy, reached[None], 0)[0],
    }
    return {
        **asdict(cell),
        "arm": arm.name,
        "rate": rate,
        "steps": steps,
        "seeds": seeds,
        "windows": [_short(acting[first - 1 : last].mean(0)) if last <= steps else None for first, last in WINDOWS],
        **{name: _short(values) for name, values in figures.items()},
        "tokens": (spent[-1] // 1000).tolist(),
        "recovery": round(float(recovered.sum() / selected.sum()), 4) if selected.sum() else None,
        "curve": _short(acting.mean(1)[::10]),
    }


def _short(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]


def _key(record: Record) -> tuple:
    return tuple(record[name] for name in ("q", "p_tool", "p_guess", "luck", "arm", "rate", "steps", "seeds"))


def read_runs(root: Path) -> dict[tuple, Record]:
    """Return the records of a map's directory by what names them; a line cut off by an interruption is left out."""
    found = {}
    path = root / "runs.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[_key(record)] = record
    return found


def run_all(runs: Iterable[tuple[Cell, str, float]], root: Path, seeds: int, steps: int) -> None:
    """Run what is not yet in ``runs.jsonl`` and print progress with the time left."""
    root.mkdir(parents=True, exist_ok=True)
    done = read_runs(root)
    keys = {(*asdict(cell).values(), arm, rate, steps, seeds): (cell, arm, rate) for cell, arm, rate in runs}
    waiting = [keys[key] for key in keys if key not in done]
    print(f"{len(keys)} runs of {seeds} seeds, {len(keys) - len(waiting)} of them done", flush=True)
    started = shown = time.monotonic()
    path = root / "runs.jsonl"
    if path.exists() and not path.read_text().endswith("\n"):  # interrupted while writing
        path.write_text("".join(json.dumps(record) + "\n" for record in done.values()))
    with path.open("a") as file:
        for number, (cell, arm, rate) in enumerate(waiting, 1):
            file.write(json.dumps(run_cell(cell, ARMS[arm], seeds, steps, rate)) + "\n")
            file.flush()
            now = time.monotonic()
            if now - shown > 10 or number == len(waiting):
                shown = now
                left = (now - started) / number * (len(waiting) - number)
                print(f"{number}/{len(waiting)} runs, {left / 60:.1f} minutes left", file=sys.stderr, flush=True)


def runs_of(study: Study) -> Iterator[tuple[Cell, str, float]]:
    """Yield (cell, arm, rate) of a study."""
    for cell in parse_grid(study.grid):
        for rate in study.rates:
            for arm in study.arms:
                yield cell, arm, rate


def choose(grid: str, arms: str | None) -> dict[str, Study]:
    """Return the studies that ``--grid`` and ``--arms`` name; a grid of the user's own is called ``grid``.

    Raises:
        ValueError: an option that does not fit; the message names it.
    """
    if grid == "all" or grid in STUDIES:
        if arms:
            raise ValueError(f"--arms: the study {grid} has its own; give --grid as q=... p_tool=... p_guess=...")
        return dict(STUDIES) if grid == "all" else {grid: STUDIES[grid]}
    names = tuple(arms.split(",")) if arms else tuple(ARMS)
    if unknown := set(names) - ARMS.keys():
        raise ValueError(f"--arms: {', '.join(sorted(unknown))} is none of {', '.join(ARMS)}")
    parse_grid(grid)
    return {"grid": Study(grid, names, ("early", "equal", "accuracy"))}


# ---------------------------------------------------------------- report


def bootstrap(values: Sequence[float], resamples: int = 2000) -> tuple[float, float, float]:
    """Return the mean over seeds and its 95 % bootstrap interval (percentiles, resampling seeds)."""
    known = np.asarray(values, dtype=float)
    drawn = known[np.random.default_rng(0).integers(len(known), size=(resamples, len(known)))].mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(known.mean()), float(low), float(high)


def _cell(values: Sequence[float], digits: int = 2, sign: bool = False) -> str:
    # Adding 0 turns -0.0 into 0.0.
    mean, low, high = (f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}" for value in bootstrap(values))
    return f"{mean} [{low}, {high}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


class Results:
    """Hold the runs of one study's summary, by cell, arm and rate."""

    def __init__(self, study: Study, records: Iterable[Record]):
        self.study = study
        self.cells = parse_grid(study.grid)
        self._records = {
            (Cell(*(record[name] for name in _AXES)), record["arm"], record["rate"]): {
                name: _mapped(value, lambda number: number / 1000) if name in _RATES else value
                for name, value in record.items()
            }
            for record in records
        }

    def get(self, cell: Cell, arm: str, rate: float | None = None) -> Record:
        """Return a run's record."""
        return self._records[cell, arm, rate or self.study.rates[0]]

    def gain(self, cell: Cell, key: str, arm: str = "axpo", reference: str = "grpo") -> np.ndarray:
        """Return a figure of one arm minus that of another, for each seed."""
        return np.array(self.get(cell, arm)[key]) - np.array(self.get(cell, reference)[key])


_RATES = ("windows", "early_acting", "early", "acting", "accuracy", "equal")


def _mapped(values: Any, function: Callable[[float], float]) -> Any:
    """Apply a function to the numbers of a list that may hold lists or None."""
    if isinstance(values, list):
        return [_mapped(value, function) for value in values]
    return None if values is None else function(values)


def summary(study: Study, records: Mapping[tuple, Record], seeds: int, steps: int) -> dict[str, Any]:
    """Return what a study's tables need of the records, as ``results/map`` keeps it: rates in thousandths."""
    keep = (*_AXES, "arm", "rate", *study.figures)
    runs = []
    for cell, arm, rate in runs_of(study):
        record = records[(*asdict(cell).values(), arm, rate, steps, seeds)]
        runs.append(
            {
                name: _mapped(record[name], lambda value: round(1000 * value)) if name in _RATES else record[name]
                for name in keep
            }
        )
    return {"steps": steps, "seeds": seeds, "runs": runs}


def pilot_table(results: Results) -> str:
    """Return the acting rate of every arm over time, its accuracy at the end and its cost."""
    spans = [f"{first}-{last}" for first, last in WINDOWS]
    rows = []
    for cell in results.cells:
        for arm in results.study.arms:
            run = results.get(cell, arm)
            windows = [_cell(values) if values else "-" for values in run["windows"]]
            tokens = f"{np.mean(run['tokens']) / 1000:.1f}M"
            rows.append(
                [f"{cell.p_guess:g}", ARMS[arm].title, windows[0], _cell(run["early_acting"]), *windows[1:]]
                + [_cell(run["accuracy"], 3), tokens]
            )
    head = ["p_guess", "arm", f"acting, steps {spans[0]}", f"step {EARLY}", *spans[1:], "accuracy at the end", "tokens"]
    return _table(head, rows)


def earlier_table(results: Results, earlier: Sequence[Record]) -> str:
    """Return figures of an earlier program for the same model beside those of the pilot, with the spread of a seed."""
    rows = []
    for figure in earlier:
        run = results.get(Cell(0.3, 0.2, figure["p_guess"]), figure["arm"])
        name = figure["figure"]
        spans = [f"{first}-{last}" for first, last in WINDOWS]
        values = run["windows"][spans.index(name)] if name in spans else run["early_acting" if "50" in name else name]
        digits = 3 if name == "accuracy" else 2
        spread = np.std(values, ddof=1)
        what = (
            "accuracy at the end"
            if name == "accuracy"
            else f"acting, steps {name}"
            if name in spans
            else f"acting, {name}"
        )
        rows.append(
            [f"{figure['p_guess']:g}", ARMS[figure["arm"]].title, what, f"{figure['value']:.{digits}f}"]
            + [f"{np.mean(values):.{digits}f}", f"{spread:.{digits}f}"]
        )
    return _table(["p_guess", "arm", "figure", "earlier", "here", "SD of a seed"], rows)


def rates_table(results: Results) -> str:
    """Return both estimators at several learning rates."""
    rows = []
    for cell in results.cells:
        for rate in results.study.rates:
            row = [f"{cell.p_guess:g}", f"{rate:g}"]
            for arm in results.study.arms:
                run = results.get(cell, arm, rate)
                row += [_cell(run["early_acting"]), _cell(run["acting"]), _cell(run["accuracy"], 3)]
            rows.append(row)
    parts = [f"acting at step {EARLY}", "at the end", "accuracy"]
    return _table(
        ["p_guess", "rate", *(f"{ARMS[arm].title}: {part}" for arm in results.study.arms for part in parts)], rows
    )


def border_table(results: Results, key: str) -> str:
    """Return AXPO's accuracy and the difference of every other arm from it, paired by seed."""
    axes = sorted({cell.p_tool for cell in results.cells}), sorted({cell.p_guess for cell in results.cells})
    q = results.cells[0].q
    rows = []
    for p_tool in axes[0]:
        for arm in ("axpo", *(arm for arm in results.study.arms if arm != "axpo")):
            cells = [Cell(q, p_tool, p_guess) for p_guess in axes[1]]
            if arm == "axpo":
                texts = [_cell(results.get(cell, arm)[key]) for cell in cells]
            else:
                texts = [_cell(results.gain(cell, key, arm, "axpo"), sign=True) for cell in cells]
            rows.append([f"{p_tool:g}", ARMS[arm].title, *texts])
    return _table(["p_tool", "arm", *(f"p_guess {value:g}" for value in axes[1])], rows)


def gain_table(results: Results, key: str) -> str:
    """Return AXPO's accuracy minus GRPO's over the grid, paired by seed."""
    guesses = sorted({cell.p_guess for cell in results.cells})
    rows = []
    luck = results.cells[0].luck
    for q, p_tool in sorted({(cell.q, cell.p_tool) for cell in results.cells}):
        gains = [results.gain(Cell(q, p_tool, p_guess, luck), key) for p_guess in guesses]
        rows.append([f"{q:g}", f"{p_tool:g}", *(_cell(gain, sign=True) for gain in gains)])
    return _table(["q", "p_tool", *(f"p_guess {value:g}" for value in guesses)], rows)


def luck_table(results: Results) -> str:
    """Return acting and accuracy at the end where wrong calls are often lucky, and AXPO's gain."""
    rows = []
    for cell in results.cells:
        grpo, axpo = (results.get(cell, arm) for arm in ("grpo", "axpo"))
        rows.append(
            [f"{cell.p_tool:g}", f"{cell.p_guess:g}", f"{cell.luck:g}"]
            + [_cell(run[key]) for key in ("acting", "accuracy") for run in (grpo, axpo)]
            + [_cell(results.gain(cell, "accuracy"), sign=True)]
        )
    head = ["p_tool", "p_guess", "luck", "acting: GRPO", "AXPO", "accuracy: GRPO", "AXPO", "AXPO minus GRPO"]
    return _table(head, rows)


# figure that AXPO and GRPO are compared by -> what a table calls it
VIEWS = {"accuracy": "at the end", "early": f"at step {EARLY}", "equal": "at equal tokens"}


def verdict(gains: Sequence[float]) -> str:
    """Say whether AXPO helps or hurts: the interval lies on one side of 0 and the mean is at least 0.01 away."""
    mean, low, high = bootstrap(gains)
    if low > 0 and mean >= 0.01:
        return "helps"
    return "hurts" if high < 0 and mean <= -0.01 else "neither"


def count_table(results: Results) -> str:
    """Count the cells in which AXPO helps, hurts or does neither; those without a right call apart."""
    words = ("helps", "neither", "hurts")
    rows = []
    for key, title in VIEWS.items():
        row = [title]
        for possible in (True, False):
            cells = [cell for cell in results.cells if (cell.p_tool > 0) is possible]
            found = [verdict(results.gain(cell, key)) for cell in cells]
            row += [str(found.count(word)) for word in words]
        rows.append(row)
    return _table(["accuracy", *words, *(f"no right call: {word}" for word in words)], rows)


def tables(name: str, results: Results) -> dict[str, str]:
    """Return the tables of a study by name; a page holds each of them as it is."""
    if name == "pilot":
        return {"pilot": pilot_table(results)}
    if name == "rates":
        return {"rates": rates_table(results)}
    if name in ("border", "trigger"):
        return {VIEWS[key]: border_table(results, key) for key in ("accuracy", "equal")}
    if not {"grpo", "axpo"} <= set(results.study.arms):
        return {}
    if name == "luck":
        return {"luck": luck_table(results)}
    return {"counts": count_table(results), **{title: gain_table(results, key) for key, title in VIEWS.items()}}


def plot_map(results: Results, path: Path) -> None:
    """Draw AXPO's gain over GRPO: at the end, early, at equal tokens, for each q."""
    pyplot = _pyplot()
    axes = [sorted({getattr(cell, name) for cell in results.cells}) for name in ("q", "p_tool", "p_guess")]
    size, luck = (len(VIEWS), len(axes[0])), results.cells[0].luck
    figure, grid = pyplot.subplots(
        *size, figsize=(3.2 * size[1] + 1, 2.6 * size[0]), squeeze=False, layout="constrained"
    )
    for row, (key, title) in zip(grid, VIEWS.items(), strict=True):
        for place, q in zip(row, axes[0], strict=True):
            gains = np.array(
                [[results.gain(Cell(q, p_tool, guess, luck), key).mean() for guess in axes[2]] for p_tool in axes[1]]
            )
            image = place.imshow(gains, origin="lower", cmap="RdBu", vmin=-0.5, vmax=0.5, aspect="auto")
            for (y, x), gain in np.ndenumerate(gains):
                colour = "white" if abs(gain) > 0.3 else "black"
                place.text(x, y, f"{round(gain, 2) + 0.0:+.2f}", ha="center", va="center", fontsize=6, color=colour)
            place.set_xticks(range(len(axes[2])), [f"{value:g}" for value in axes[2]], fontsize=7)
            place.set_yticks(range(len(axes[1])), [f"{value:g}" for value in axes[1]], fontsize=7)
            place.set_title(f"q = {q:g}, {title}", fontsize=8)
        row[0].set_ylabel("p_tool", fontsize=8)
    for place in grid[-1]:
        place.set_xlabel("p_guess", fontsize=8)
    figure.colorbar(image, ax=grid, label="accuracy, AXPO minus GRPO", shrink=0.6)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def plot_acting(study: Study, records: Mapping[tuple, Record], seeds: int, steps: int, path: Path) -> None:
    """Draw the acting rate of some arms over the steps, for each cell of a study."""
    pyplot = _pyplot()
    cells = parse_grid(study.grid)
    figure, (row,) = pyplot.subplots(1, len(cells), figsize=(3.6 * len(cells), 2.8), sharey=True, squeeze=False)
    for place, cell in zip(row, cells, strict=True):
        for arm in study.arms:
            if arm in ("grpo", "grpo-n10", "grpo-n16", "axpo", "no-prefix", "one-group"):
                curve = records[(*asdict(cell).values(), arm, study.rates[0], steps, seeds)]["curve"]
                place.plot(range(1, steps + 1, 10), curve, label=ARMS[arm].title)
        place.set_title(f"q = {cell.q:g}, p_tool = {cell.p_tool:g}, p_guess = {cell.p_guess:g}", fontsize=8)
        place.set_xlabel("step", fontsize=8)
        place.grid(alpha=0.3)
    row[0].set_ylabel("acting", fontsize=8)
    row[-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def write_report(studies: Mapping[str, Study], root: Path, seeds: int, steps: int) -> str:
    """Write ``<study>.json``, ``map.md`` and the pictures into a map's directory and return the Markdown."""
    records = read_runs(root)
    parts = [f"# Map\n\n{seeds} seeds of {steps} steps; means with 95 % bootstrap intervals over seeds."]
    for name, study in studies.items():
        kept = summary(study, records, seeds, steps)
        write_summary(root / f"{name}.json", kept)
        results = Results(study, kept["runs"])
        parts += [f"## {name}: {title}\n\n{text}" for title, text in tables(name, results).items()]
        if name in ("pilot", "grid"):
            plot_acting(study, records, seeds, steps, root / f"{name}-acting.png")
        if name in ("map", "grid") and {"grpo", "axpo"} <= set(study.arms):
            plot_map(results, root / f"{name}.png")
    text = "\n\n".join(parts) + "\n"
    (root / "map.md").write_text(text)
    return text


def write_summary(path: Path, content: Mapping[str, Any]) -> None:
    """Write a summary, a line for each of its runs."""
    head = {name: value for name, value in content.items() if name != "runs"}
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in content["runs"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(head)[:-1] + ', "runs": [\n' + lines + "\n]}\n")


# ----------------------------------------------------------- Proposition 1

SAMPLES = 4  # n: continuations of a prefix, or fresh rollouts
LOOKS = (1, 10, 25, 50)  # steps
TRIALS = 50  # of n samples, for each question
FEWEST = 20  # questions; a step at which fewer trigger is left out


def count_recoveries(
    cell: Cell, arm: Arm, seeds: int, looks: Sequence[int] = LOOKS, trials: int = TRIALS
) -> list[dict[str, Any]]:
    """Count how often n samples of a triggered question hold a correct tool-using one, resampled and rolled out afresh.

    Every question that triggers at one of the steps is sampled from a prefix and afresh, with random numbers of their
    own, so that training is as without it.

    Returns:
        a record for each step at which at least ``FEWEST`` questions of all seeds trigger. Shares are means over the
        questions of a seed, one for each seed that has any: counted, and by the formula of Proposition 1. ``equal``
        rolls out afresh for at least the tokens of ``SAMPLES`` continuations.
    """
    policy, random = Policy(cell, seeds), np.random.default_rng(1)
    found = []
    for number, step in enumerate(
        itertools.islice(train(cell, arm, range(1, seeds + 1), policy=policy), max(looks)), 1
    ):
        place, cluster = step.triggered
        if number not in looks or len(place) < FEWEST:
            continue
        q, right = (values[place, cluster] for values in policy.probabilities())
        right = right[:, 0]
        success = call_accuracy(cell, right)  # p(t_src): a prefix of this policy says nothing about the call
        afford = np.ceil(SAMPLES * CALL / (PREFIX + q * CALL + (1 - q) * ANSWER)).astype(int)
        most = max(SAMPLES, afford.max())

        def correct(size: int, acting: np.ndarray | float, right: np.ndarray = right) -> np.ndarray:
            acts, calls, scores = random.random((3, len(right), trials, size))
            acting = np.broadcast_to(acting, right.shape)[:, None, None]
            return (acts < acting) & (scores < np.where(calls < right[:, None, None], 1.0, cell.luck))

        afresh = correct(most, q)
        shares = {
            "resampled": correct(SAMPLES, 1.0).any(-1).mean(-1),
            "resampled_formula": 1 - (1 - success) ** SAMPLES,
            "afresh": afresh[..., :SAMPLES].any(-1).mean(-1),
            "afresh_formula": 1 - (1 - q * success) ** SAMPLES,
            "equal": (afresh & (np.arange(most) < afford[:, None, None])).any(-1).mean(-1),
            "equal_formula": 1 - (1 - q * success) ** afford,
            "q": q,
            "success": success,
        }
        present = np.unique(place)
        found.append(
            {
                **asdict(cell),
                "arm": arm.name,
                "step": number,
                "questions": len(place),
                "shares": {
                    name: _short(np.array([value[place == seed].mean() for seed in present]))
                    for name, value in shares.items()
                },
            }
        )
    return found


def proposition_table(runs: Iterable[Record]) -> str:
    """Return both sides of Proposition 1 for ``SAMPLES`` samples, counted and by its formula."""
    head = ["p_guess", "arm", "step", "questions", "q", "p(t_src)"]
    head += ["resampled", "formula", "afresh", "formula", "afresh, same tokens", "formula"]
    rows = []
    for run in runs:
        row = [f"{run['p_guess']:g}", ARMS[run["arm"]].title, str(run["step"]), str(run["questions"])]
        row += [f"{np.mean(run['shares'][name]):.2f}" for name in ("q", "success")]
        for side in ("resampled", "afresh", "equal"):
            row += [_cell(run["shares"][side]), f"{np.mean(run['shares'][side + '_formula']):.2f}"]
        rows.append(row)
    return _table(head, rows)


def write_proposition(root: Path, seeds: int) -> str:
    """Count Proposition 1 in two cells under GRPO and AXPO; write ``proposition.json`` and return the table."""
    runs = [
        run
        for p_guess in (0.6, 0.85)
        for arm in ("grpo", "axpo")
        for run in count_recoveries(Cell(0.3, 0.2, p_guess), ARMS[arm], seeds)
    ]
    write_summary(root / "proposition.json", {"seeds": seeds, "runs": runs})
    return proposition_table(runs)
