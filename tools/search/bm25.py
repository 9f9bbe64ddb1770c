# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search in a corpus of your own with BM25, without a network.

The index is built once, next to the corpus or in `index_dir`, and memory-mapped by all workers of a machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

logger = logging.getLogger(__name__)

FORMAT = 2  # part of an index's name: count up when tokens or files change
TEXT_FIELDS = ("text", "content", "contents")
WHOLE_HASH_BYTES = 2**28  # larger corpora are known by samples and their time of change
SAMPLES, SAMPLE_BYTES = 64, 2**16
_EAST_ASIAN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # written without blanks: every character is a word
_WORD = re.compile(rf"[{_EAST_ASIAN}]|[^\W_{_EAST_ASIAN}]+")
_TITLED = re.compile(r'"([^"\n]*)"\n')  # `contents` of the usual Wikipedia dump: a quoted title, then the text


def words(text: str) -> list[str]:
    """The words that BM25 compares: however they are composed, full-width or not, without case."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class Bm25Index:
    """A searchable corpus.

    Args:
        corpus: JSON lines (.jsonl) or .parquet with `text` (or `content`, `contents`) and optionally `title`, `url`,
            `id`.
        index_dir: folder for the index, which holds a copy of the texts; None: next to the corpus.

    Raises:
        ValueError: the corpus cannot be read, or the index cannot be written; the message names the option.
    """

    def __init__(self, corpus: str, index_dir: str | None = None):
        path = Path(corpus).expanduser()
        if not path.is_file():
            raise ValueError(f"corpus: there is no file {corpus}")
        parent = path.parent if index_dir is None else Path(index_dir).expanduser()
        try:
            self._known = _fingerprint(path)
            self.folder = parent / f"{path.name}.bm25-{self._known}"
        except OSError as error:
            raise ValueError(f"corpus: cannot read {corpus}: {error}") from error
        if not self.folder.is_dir():
            self._build(path, parent)
        try:
            self._open()
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise ValueError(f"index_dir: {self.folder} is damaged ({error}); delete it") from error

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def search(self, query: str, num_results: int) -> list[dict[str, Any]]:
        """The best documents, best first and of equal ones the first; those without a word of the query never.

        Returns:
            Dicts with `title`, `url`, `content`, `score`.
        """
        tokens = self._bm25.get_tokens_ids(words(query))
        if not tokens:
            return []
        scores = self._bm25.get_scores_from_ids(tokens)
        count = min(num_results, len(scores))
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        candidates = np.flatnonzero((scores >= least) & (scores > 0))
        best = candidates[np.lexsort((candidates, -scores[candidates]))][:count]
        return [{**self._document(int(row)), "score": round(float(scores[row]), 6)} for row in best]

    def _document(self, row: int) -> dict[str, Any]:
        start, end = int(self._offsets[row]), int(self._offsets[row + 1])
        return json.loads(os.pread(self._documents.fileno(), end - start, start))

    def _open(self) -> None:
        # numpy alone: numba's kernels would be compiled in every worker
        self._bm25 = _library().BM25.load(self.folder, mmap=True, show_progress=False, backend="numpy")
        self._offsets = np.load(self.folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
        self._documents = open(self.folder / "documents.jsonl", "rb")  # noqa: SIM115  open as long as the index

    def _build(self, corpus: Path, parent: Path) -> None:
        """Build beside, then rename: nobody ever sees half of an index. The lock only saves others the work."""
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with FileLock(parent / f".{corpus.name}.bm25.lock"):
                if self.folder.is_dir():
                    return
                temporary = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=parent))
                try:
                    _write_index(corpus, temporary)
                    if _fingerprint(corpus) != self._known:
                        raise ValueError(f"corpus: {corpus} has changed while its index was built; start again")
                    os.chmod(temporary, 0o755)
                    os.rename(temporary, self.folder)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise ValueError(
                f"index_dir: cannot write the index of {corpus} to {parent}: {error}; choose a folder with index_dir"
            ) from error


def _library():
    """bm25s, imported where it is needed, and not with its messages of every step."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s


def _write_index(corpus: Path, folder: Path) -> None:
    bm25s = _library()
    logger.info("building the BM25 index of %s", corpus)
    vocabulary: dict[str, int] = {}
    ids: list[np.ndarray] = []
    offsets = [0]
    with open(folder / "documents.jsonl", "wb") as file:
        for document in read_corpus(corpus):
            line = json.dumps(document).encode() + b"\n"
            file.write(line)
            offsets.append(offsets[-1] + len(line))
            tokens = words(f"{document['title']} {document['content']}")
            ids.append(np.array([vocabulary.setdefault(word, len(vocabulary)) for word in tokens], np.int32))
    if not vocabulary:
        raise ValueError(f"corpus: {corpus} holds no document with a word in it")
    vocabulary[""] = len(vocabulary)  # bm25s wants it for documents without a word
    model = bm25s.BM25(backend="numpy")
    model.index((ids, vocabulary), show_progress=False)
    model.save(folder, show_progress=False)
    np.save(folder / "offsets.npy", np.array(offsets, np.int64), allow_pickle=False)


def read_corpus(path: Path) -> Iterator[dict[str, str]]:
    """The documents of a corpus, one by one, as dicts with `title`, `url`, `content`.

    Raises:
        ValueError: names the line or row and what is wrong with it.
    """
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for where, row in rows:
        text_field = next((name for name in TEXT_FIELDS if name in row), None)
        if text_field is None:
            found = ", ".join(map(str, list(row)[:10])) or "nothing"
            raise ValueError(f"corpus: {where} has none of the fields {', '.join(TEXT_FIELDS)}; it has {found}")
        values = {"title": row.get("title"), "url": row.get("url"), text_field: row[text_field]}
        for name, value in values.items():
            if not isinstance(value, str) and not (value is None and name != text_field):
                raise ValueError(f"corpus: {where}: {name} must be text, not {type(value).__name__}")
        title, text = values["title"] or "", values[text_field]
        if not title and text_field == "contents" and (match := _TITLED.match(text)):
            title, text = match[1], text[match.end() :]
        url = values["url"] or ("" if title or row.get("id") is None else str(row["id"])[:200])
        yield {"title": title, "url": url, "content": text}


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"line {number} of {path}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"corpus: {where} is no JSON ({error})"[:400]) from error
            if not isinstance(row, dict):
                raise ValueError(f"corpus: {where} is no JSON object")
            yield where, row


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file, number = pq.ParquetFile(path), 0
        wanted = [name for name in ("id", "title", "url", *TEXT_FIELDS) if name in file.schema_arrow.names]
        # without any of them all columns are read, to say which there are
        for batch in file.iter_batches(batch_size=1024, columns=wanted or None):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number} of {path}", row
    except pa.ArrowException as error:
        raise ValueError(f"corpus: cannot read {path} as parquet: {error}"[:400]) from error


def _fingerprint(path: Path) -> str:
    """Changes when the corpus does: its hash, or for a large one that of samples, its size and time of change."""
    stat = path.stat()
    digest = hashlib.sha256(f"{FORMAT} {stat.st_size}".encode())
    with open(path, "rb") as file:
        if stat.st_size <= WHOLE_HASH_BYTES:
            while block := file.read(2**20):
                digest.update(block)
        else:
            digest.update(str(stat.st_mtime_ns).encode())
            for sample in range(SAMPLES):
                file.seek((stat.st_size - SAMPLE_BYTES) * sample // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]
