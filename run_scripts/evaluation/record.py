# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Write and read the samples of an evaluation.

The directory of an evaluation holds

    settings.json               what was evaluated, and how
    samples/<benchmark>.jsonl   one line for each finished sample, in the order in which they ended
    images/<hash>.png or .jpg   the images of all samples, each once
    metrics.json                the numbers

A line is appended by one ``write``. A process that is killed leaves at most one line without its end, which a reader
ignores and the next writer cuts off.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from PIL import Image

OK, INFRASTRUCTURE = "ok", "infrastructure"
PNG_PIXELS = 1 << 18  # Larger images are photographs more often than not. A PNG of one takes ten times the space.


class RecordError(ValueError):
    """Raised for a directory that is no evaluation, or a line that is no sample; the message names it and the fix."""


@dataclass(frozen=True)
class Segment:
    """Hold a run of tokens that have one author.

    Attributes:
        by: ``prompt``, ``model`` or ``tool``.
        text: special tokens included. The placeholder of an image is one ``<|image_pad|>``.
        tokens: number of tokens, with as many for an image as the model reads.
    """

    by: str
    text: str
    tokens: int


@dataclass(frozen=True)
class Call:
    """Describe one executed tool call.

    Attributes:
        name: as the model wrote it. There may be no such tool.
        arguments: as the model wrote them.
        ok: whether the tool answered the question it was asked.
        kind: what was wrong with the call, such as the name of an argument; None if nothing was.
        seconds: from the call to its answer.
    """

    name: str
    arguments: Any
    ok: bool
    kind: str | None
    seconds: float


@dataclass(frozen=True)
class Sample:
    """Hold one trajectory and its verdict.

    Attributes:
        benchmark: name of the benchmark.
        question: ``<part>/<index>`` of the row, the same for all models.
        sample: number of the sample, from 0.
        seed: of its sampling.
        status: ``ok``, or ``infrastructure`` if it could not be finished for reasons that are not the model's. Such a
            sample has an ``error``, is never counted as wrong and is tried again at the next start.
        segments: the whole trajectory.
        images: files relative to the directory, in the order of the placeholders.
        calls: executed calls in their order.
        used_tool: whether a call was executed, or closed outside of thinking, as training counts it.
        ground_truth: the row's reference.
        answer: what the scorer read, or None.
        score: the reward.
        details: all that the scorer says, such as ``acc``, ``method`` and ``process_score``.
        meta: what the data set says of the row, such as its cycle, variant, level or category.
        turns: of the model.
        generated_tokens: tokens that the model sampled.
        truncated: whether the response was cut at its greatest length.
        seconds: wall time, scoring included.
        error: why an ``infrastructure`` sample could not be finished.
    """

    benchmark: str
    question: str
    sample: int
    seed: int
    status: str = OK
    segments: tuple[Segment, ...] = ()
    images: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    used_tool: bool = False
    ground_truth: Any = None
    answer: str | None = None
    score: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    turns: int = 0
    generated_tokens: int = 0
    truncated: bool = False
    seconds: float = 0.0
    error: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Return what tells the sample from others of its benchmark."""
        return self.question, self.sample

    @property
    def correct(self) -> bool:
        """Return whether the answer is right. The score may also hold points for a wrong answer's steps."""
        return float(self.details.get("acc", self.score or 0.0)) >= 1.0

    def line(self) -> bytes:
        """Return the sample as one line of JSON."""
        record = asdict(self)
        if self.status == OK:
            del record["error"]
        line = orjson.dumps(record, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
        for character in ("\u0085", "\u2028", "\u2029"):  # ``str.splitlines`` breaks a line there
            line = line.replace(character.encode(), f"\\u{ord(character):04x}".encode())
        return line + b"\n"

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Sample:
        """Read a parsed line. Keys that are not known are left out."""
        values = {item.name: record[item.name] for item in fields(cls) if item.name in record}
        values["segments"] = tuple(Segment(**segment) for segment in values.get("segments", ()))
        values["calls"] = tuple(Call(**call) for call in values.get("calls", ()))
        values["images"] = tuple(values.get("images", ()))
        return cls(**values)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


# ------------------------------------------------------------------- reading


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a samples file, parsed; a torn last line is ignored.

    Raises:
        RecordError: another line is no JSON.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise RecordError(f"{path}, line {number} is no JSON ({error}); delete the line to go on") from error


def read_samples(path: Path, *, texts: bool = True) -> list[Sample]:
    """Return the samples of a benchmark, sorted by question and sample.

    A sample that failed and was done later is there once, as it was done.

    Args:
        path: the file.
        texts: whether to keep the segments. All of an evaluation take gigabytes, and numbers do not need them.

    Raises:
        RecordError: see ``read_lines``.
    """
    found: dict[tuple[str, int], Sample] = {}
    for record in read_lines(path):
        sample = Sample.from_dict(record if texts else {**record, "segments": ()})
        if sample.status == OK or found.get(sample.key, sample).status != OK:
            found[sample.key] = sample
    return [found[key] for key in sorted(found, key=_order)]


def _order(key: tuple[str, int]) -> tuple[str, int, str, int]:
    part, _, index = key[0].rpartition("/")
    return (part, int(index), "", key[1]) if index.isdecimal() else (part, -1, index, key[1])


def samples_file(directory: Path, benchmark: str) -> Path:
    """Return where the samples of a benchmark are."""
    return directory / "samples" / f"{benchmark}.jsonl"


def read_settings(directory: Path) -> dict[str, Any]:
    """Return ``settings.json``.

    Raises:
        RecordError: the directory holds no evaluation.
    """
    path = directory / "settings.json"
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise RecordError(
            f"{directory} holds no evaluation (no settings.json); run_scripts/evaluate.sh makes one"
        ) from None
    except orjson.JSONDecodeError as error:
        raise RecordError(f"{path} cannot be read ({error}); delete it and start the evaluation again") from error


def read_evaluation(directory: Path, *, texts: bool = True) -> dict[str, list[Sample]]:
    """Return benchmark -> samples, in the order in which ``settings.json`` names the benchmarks.

    Args:
        directory: of the evaluation.
        texts: see ``read_samples``.

    Raises:
        RecordError: see ``read_settings`` and ``read_lines``.
    """
    names = read_settings(directory)["benchmarks"]
    files = {name: samples_file(directory, name) for name in names}
    return {name: read_samples(path, texts=texts) for name, path in files.items() if path.exists()}


# ------------------------------------------------------------------- writing


class SampleWriter:
    """Append samples to a benchmark's file.

    Opening cuts off a last line that was not finished.

    Attributes:
        done: (question, sample) of what is finished already, failures apart.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.done: set[tuple[str, int]] = set()
        if path.exists():
            self.done = {(r["question"], r["sample"]) for r in read_lines(path) if r.get("status", OK) == OK}
            _cut_torn_line(path)
        self._file = path.open("ab", buffering=0)

    def write(self, sample: Sample) -> None:
        """Append one sample.

        Raises:
            ValueError: it is there already.
        """
        if sample.key in self.done:
            raise ValueError(
                f"{sample.benchmark}: sample {sample.sample} of question {sample.question} is done already"
            )
        line = sample.line()
        if self._file.write(line) != len(line):
            raise OSError(f"{self._file.name}: the disk is full")
        if sample.status == OK:
            self.done.add(sample.key)

    def close(self) -> None:
        """Close the file once all is on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> SampleWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _cut_torn_line(path: Path) -> None:
    """Cut a file behind its last line's end."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        file.truncate(end)


def save_images(directory: Path, images: Iterable[Image.Image]) -> tuple[str, ...]:
    """Write images that are not there yet. Return their names relative to the directory.

    Equal pixels have equal names, whichever process writes them.
    """
    names = []
    (directory / "images").mkdir(parents=True, exist_ok=True)
    for image in images:
        photograph = image.width * image.height > PNG_PIXELS and image.mode == "RGB"
        digest = sha256(repr((image.mode, image.size)).encode() + image.tobytes()).hexdigest()[:16]
        name = f"images/{digest}.{'jpg' if photograph else 'png'}"
        names.append(name)
        path = directory / name
        if path.exists():
            continue
        buffer = io.BytesIO()
        if photograph:
            image.save(buffer, format="JPEG", quality=90)
        else:
            image.save(buffer, format="PNG")
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(buffer.getvalue())
        partial.replace(path)
    return tuple(names)
