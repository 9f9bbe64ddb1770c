# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the trajectories of an evaluation's directory, or of a training run's, as entries of a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from run_scripts.report.images import ImageFiles, TrainingImages
from run_scripts.report.transcript import Turn, of_dump, of_segments

MAX_ENTRIES = 20_000  # of a training run without --steps
WRONG, RIGHT, INFRASTRUCTURE = range(3)
ROLES = ("rollout", "source", "continuation")
RECOVERED = 3  # the role of a source that a continuation has recovered
BRIEF = 80  # characters of a call in a tree
PREFIX = 240  # characters of a frozen prefix in a tree
_DIGITS = re.compile(r"(\d+)")


class ReportError(ValueError):
    """Raised if a directory holds nothing to show; says what to do."""


@dataclass(frozen=True)
class Entry:
    """Hold a trajectory: what the list filters by, and the rest as JSON.

    Attributes:
        group: benchmark, or step.
        place: orders the entries of a question.
        model: number of the directory on the command line.
        prompt: the prompt's turns, which most entries of a question share.
        body: everything else that is shown.
    """

    group: str
    question: str
    place: tuple[int, ...]
    model: int
    number: int
    verdict: int
    calls: int
    tokens: int
    role: int
    prompt: str
    body: str

    @property
    def order(self) -> tuple:
        """Return the place in the list: a question's entries are together, and numbers are in their order."""
        name = [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(self.question)]
        return name, self.model, self.place


def compact(value: Any) -> str:
    """Return JSON in ASCII that is also a JavaScript expression, and safe inside of a script element.

    Lone surrogates and U+2028 are escaped as every other character beyond ASCII.
    """
    return json.dumps(value, separators=(",", ":"), default=str).replace("<", "\\u003c")


def _loads(line: bytes) -> Any:
    """Parse a line; None for a torn one. Only ``json`` accepts lone surrogates, and orjson is ten times as fast."""
    for loads in (orjson.loads, json.loads):
        try:
            return loads(line)
        except ValueError:
            continue
    return None


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's object, or an empty one where there is no such file."""
    return json.loads(path.read_text()) if path.exists() else {}


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _split(turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Return the prompt's turns and the others."""
    first = next((i for i, turn in enumerate(turns) if turn["by"] in ("model", "tool")), len(turns))
    return turns[:first], turns[first:]


def _calls(turns: Sequence[Turn]) -> int:
    return sum(block["k"] == "call" for turn in turns for block in turn["b"])


def _details(value: Any) -> str | None:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) if value else None


# ------------------------------------------------------------------ evaluation


def read_evaluation(directory: Path, model: int, images: ImageFiles) -> Iterator[Entry]:
    """Yield the samples of an evaluation. One that failed and was made later is there once, as it was made.

    Args:
        directory: holds ``samples/<benchmark>.jsonl`` and ``images``.
        model: number of the directory on the command line.
        images: where images go.
    """
    for path in sorted((directory / "samples").glob("*.jsonl")):
        found: dict[tuple[str, int], Entry] = {}
        with path.open("rb") as file:
            for line in file:
                sample = _loads(line)
                if sample is None:
                    continue
                key = str(sample["question"]), sample["sample"]
                if sample["status"] == "ok" or key not in found:
                    found[key] = _of_sample(sample, directory, model, images)
        yield from found.values()


def _of_sample(sample: Mapping[str, Any], directory: Path, model: int, images: ImageFiles) -> Entry:
    names = [images.link(directory, name) for name in sample.get("images") or ()]

    def sizes(number: int) -> Sequence[tuple[int, int]]:
        size = images.sizes.get(names[number] or "") if number < len(names) else None
        return [size] if size else []

    prompt, turns = _split(of_segments(sample.get("segments") or (), sizes))
    details = sample.get("details") or {}
    verdict = INFRASTRUCTURE
    if sample["status"] == "ok":  # The score may also hold points for a wrong answer's steps.
        verdict = RIGHT if details.get("acc", sample["score"]) >= 1.0 else WRONG
    facts = [(name, _number(sample[key])) for name, key in _SAMPLE_FACTS if sample.get(key) is not None]
    body = {
        "t": turns,
        "images": names,
        "truth": sample.get("ground_truth"),
        "answer": sample.get("answer"),
        "facts": facts,
        "calls": sample.get("calls") or [],
        "details": _details({key: sample[key] for key in ("details", "meta") if sample.get(key)}),
        "error": sample.get("error"),
    }
    number, tokens = sample["sample"], sample.get("generated_tokens") or 0
    calls = max(len(sample.get("calls") or ()), int(sample.get("used_tool", False)))
    group, question = str(sample["benchmark"]), str(sample["question"])
    return Entry(group, question, (number,), model, number, verdict, calls, tokens, 0, compact(prompt), compact(body))


_SAMPLE_FACTS = (
    ("score", "score"),
    ("turns", "turns"),
    ("tokens", "generated_tokens"),
    ("seconds", "seconds"),
    ("seed", "seed"),
)


# -------------------------------------------------------------------- training


def steps_of(directory: Path) -> list[int]:
    """Return the steps whose rollouts a training run's directory holds."""
    return sorted(int(path.stem) for path in (directory / "rollouts").glob("*.jsonl") if path.stem.isdigit())


def choose_steps(directory: Path, wanted: Sequence[int] | None) -> list[int]:
    """Return the steps to show: those wanted, or as many as have ``MAX_ENTRIES`` rows, evenly, first and last included.

    Raises:
        ReportError: a wanted step has no file.
    """
    steps = steps_of(directory)
    if wanted is not None:
        if missing := sorted(set(wanted) - set(steps)):
            raise ReportError(f"--steps: {directory / 'rollouts'} has no step {missing[0]}, only {_ranges(steps)}")
        return sorted(set(wanted))
    with (directory / "rollouts" / f"{steps[-1]}.jsonl").open("rb") as file:
        rows = sum(1 for _ in file)
    most = max(2, MAX_ENTRIES // max(rows, 1))
    if len(steps) <= most:
        return steps
    return sorted({steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)})


def _ranges(steps: Sequence[int]) -> str:
    return f"{steps[0]} to {steps[-1]}" if steps else "none"


def read_training(
    directory: Path, model: int, images: ImageFiles, steps: Sequence[int], data: Sequence[Path]
) -> Iterator[Entry]:
    """Yield the rows of a training run's steps.

    Args:
        directory: holds ``rollouts/<step>.jsonl``.
        model: number of the directory on the command line.
        images: where images go.
        steps: which steps.
        data: parquet files with the questions' images.
    """
    found = TrainingImages(data, images)
    for step in steps:
        with (directory / "rollouts" / f"{step}.jsonl").open("rb") as file:
            rows = [row for line in file if (row := _loads(line)) is not None]
        names = found.names(key for row in rows if (key := _key(row)) is not None)
        for row in rows:
            yield _of_row(row, model, images, names.get(_key(row) or ("", ""), []))


def _key(row: Mapping[str, Any]) -> tuple[str, str] | None:
    return (row["data_source"], str(row["index"])) if "index" in row and "data_source" in row else None


def _of_row(row: Mapping[str, Any], model: int, images: ImageFiles, names: list[str]) -> Entry:
    key = _key(row)

    def sizes(number: int) -> Sequence[tuple[int, int]]:
        size = images.sizes.get(names[number]) if number < len(names) else None
        return [size] if size else []

    prompt, turns = _split(of_dump(row, sizes))
    role = ROLES.index(row.get("role", "rollout"))
    session, source = row["session"], row.get("source_session")
    recovery = row.get("recovery_reward")
    recovered = role == 1 and recovery is not None and recovery > row["score"]
    tokens = len(row["response_ids"]) - (row["prefix_length"] or 0 if role == 2 else 0)
    info = row.get("reward_extra_info") or {}
    facts = [("reward", row["score"]), ("advantage", row.get("advantage"))]
    facts += [("reward of the prefix", recovery), ("confidence of the call", row.get("confidence"))]
    facts += [("tokens of the prefix", row.get("prefix_length")), ("turn of the fork", row.get("turn"))]
    facts += [("tokens", len(row["response_ids"]))]
    body = {
        "t": turns,
        "images": names,
        "truth": row.get("gts"),
        "answer": info.get("extracted"),
        "facts": [(name, _number(value)) for name, value in facts if value is not None],
        "details": _details(info),
        "reward": _number(row["score"]),
        "advantage": _number(row["advantage"]) if "advantage" in row else None,
        "source": source,
        "brief": _brief(turns),
        "unshaded": "loss_spans" not in row,
    }
    if role == 1:
        body |= {"recovery": _number(recovery), "confidence": _number(row.get("confidence")), "fork": _fork(turns, row)}
    place = (source, 1, session) if role == 2 else (session, 0, 0)
    question = f"{key[0]} {key[1]}" if key else row["question"]
    return Entry(
        str(row["step"]),
        question,
        place,
        model,
        session,
        RIGHT if row["score"] >= 1.0 else WRONG,
        _calls(turns),
        tokens,
        RECOVERED if recovered else role,
        compact(prompt),
        compact(body),
    )


def _text(block: Mapping[str, Any]) -> str:
    return "".join(piece[0] for piece in block.get("p", ()))


def _blocks(turns: Sequence[Turn]) -> list[Mapping[str, Any]]:
    return [block for turn in turns if turn["by"] == "model" for block in turn["b"]]


def _brief(turns: Sequence[Turn]) -> str:
    """Return the first call behind the fork, or the first of all, or the answer, on one line."""
    blocks = _blocks(turns)
    fork = next((i for i, block in enumerate(blocks) if block["k"] == "fork"), 0)
    told = [block for block in blocks[fork:] if block["k"] in ("call", "answer")]
    if not told:
        return ""
    text = " ".join(_text(told[0]).split())
    if "arguments" in told[0]:
        arguments = json.loads(told[0]["arguments"])
        values = arguments.values() if isinstance(arguments, dict) else [arguments]
        text = f"{told[0]['name']}({', '.join(map(str, values))})"
    return text if len(text) <= BRIEF else text[: BRIEF - 1] + "…"


def _fork(turns: Sequence[Turn], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the frozen prefix of a source: its length in tokens, the turn, and how its text ends."""
    blocks = _blocks(turns)
    fork = next((i for i, block in enumerate(blocks) if block["k"] == "fork"), 0)
    text = re.sub(r"\n\s+", "\n", "".join(map(_text, blocks[:fork])).strip())
    text = text if len(text) <= PREFIX else "…" + text[-PREFIX:]
    return {"tokens": row.get("prefix_length"), "turn": row.get("turn"), "text": text}
