# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search your own corpus with BM25, without a network.

The index is built once, in the corpus's directory or in ``index_dir``. All workers of a machine map it into memory.
Long documents are indexed in passages. A result is a document with its best passage, so the cost of a search does not
depend on the length of documents, and the model reads the part that matches.
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

FORMAT = 3  # The number is part of an index's name. Increase it if tokens or files change.
TEXT_FIELDS = ("text", "content", "contents")
PASSAGE_CHARS = 4000  # About 1000 tokens of prose.
WHOLE_HASH_BYTES = 2**28  # Larger corpora are identified by samples and their modification time.
SAMPLES, SAMPLE_BYTES = 64, 2**16
_EAST_ASIAN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # These scripts use no blanks, so every character is a word.
_WORD = re.compile(rf"[{_EAST_ASIAN}]|[^\W_{_EAST_ASIAN}]+")
_TITLED = re.compile(r'"([^"\n]*)"\n')  # In the usual Wikipedia dump, ``contents`` is a quoted title, then the text.


def words(text: str) -> list[str]:
    """Return the words that BM25 compares, without case and in one Unicode form (composed, half-width)."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class Bm25Index:
    """Search a corpus.

    Args:
        corpus: JSON lines (.jsonl) or .parquet with ``text`` (or ``content``, ``contents``) and optionally ``title``,
            ``url``, ``id``.
        index_dir: directory for the index, which holds a copy of the texts. None uses the corpus's directory.

    Raises:
        ValueError: the corpus cannot be read, or the index cannot be written. The message names the option.
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
        return len(self._firsts) - 1

    def search(self, query: str, num_results: int) -> list[dict[str, Any]]:
        """Return the best documents, best first. Equal scores keep the order of the corpus.

        A document without a word of the query is never returned.

        Returns:
            Dicts with ``title``, ``url``, ``content`` (the best passage of the document), ``score``.
        """
        tokens = self._bm25.get_tokens_ids(words(query))
        if not tokens:
            return []
        of_passages = self._bm25.get_scores_from_ids(tokens)
        scores = np.maximum.reduceat(of_passages, self._firsts[:-1])
        count = min(num_results, len(scores))
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        candidates = np.flatnonzero((scores >= least) & (scores > 0))
        best = candidates[np.lexsort((candidates, -scores[candidates]))][:count]
        found = []
        for row in best:
            first, last = self._firsts[row], self._firsts[row + 1]
            passage = int(first + np.argmax(of_passages[first:last]))
            found.append({**self._passage(passage), "score": round(float(scores[row]), 6)})
        return found

    def _passage(self, number: int) -> dict[str, Any]:
        start, end = int(self._offsets[number]), int(self._offsets[number + 1])
        return json.loads(os.pread(self._documents.fileno(), end - start, start))

    def _open(self) -> None:
        # Use numpy alone, because every worker would compile numba's kernels.
        self._bm25 = _library().BM25.load(self.folder, mmap=True, show_progress=False, backend="numpy")
        self._offsets = np.load(self.folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
        self._firsts = np.load(self.folder / "firsts.npy", mmap_mode="r", allow_pickle=False)
        self._documents = open(self.folder / "documents.jsonl", "rb")  # noqa: SIM115  open as long as the index

    def _build(self, corpus: Path, parent: Path) -> None:
        """Build the index in a temporary directory and rename it, so that no process sees an incomplete index.

        The lock only saves other processes the work.
        """
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
                f"index_dir: cannot write the index of {corpus} to {parent}: {error}; choose a directory with index_dir"
            ) from error


def _library():
    """Import bm25s on demand and silence its progress messages."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s


def _write_index(corpus: Path, folder: Path) -> None:
    bm25s = _library()
    logger.info("building the BM25 index of %s", corpus)
    vocabulary: dict[str, int] = {}
    ids: list[np.ndarray] = []
    offsets, firsts = [0], [0]  # Where each passage begins in the file, and the first passage of each document.
    with open(folder / "documents.jsonl", "wb") as file:
        for document in read_corpus(corpus):
            for passage in passages(document["content"]):
                line = json.dumps({**document, "content": passage}).encode() + b"\n"
                file.write(line)
                offsets.append(offsets[-1] + len(line))
                tokens = words(f"{document['title']} {passage}")
                ids.append(np.array([vocabulary.setdefault(word, len(vocabulary)) for word in tokens], np.int32))
            firsts.append(len(ids))
    if not vocabulary:
        raise ValueError(f"corpus: {corpus} holds no document with a word in it")
    vocabulary[""] = len(vocabulary)  # bm25s needs this entry for documents without a word.
    model = bm25s.BM25(backend="numpy")
    model.index((ids, vocabulary), show_progress=False)
    model.save(folder, show_progress=False)
    np.save(folder / "offsets.npy", np.array(offsets, np.int64), allow_pickle=False)
    np.save(folder / "firsts.npy", np.array(firsts, np.int64), allow_pickle=False)


def passages(text: str) -> Iterator[str]:
    """Cut a text into passages of at most ``PASSAGE_CHARS`` characters, between words where there is a blank."""
    start = 0
    while len(text) - start > PASSAGE_CHARS:
        limit = start + PASSAGE_CHARS
        blank = max(text.rfind(mark, start + PASSAGE_CHARS // 2, limit) for mark in " \n")
        end = limit if blank < 0 else blank
        yield text[start:end]
        start = end
    yield text[start:]


def read_corpus(path: Path) -> Iterator[dict[str, str]]:
    """Yield the documents of a corpus as dicts with ``title``, ``url``, ``content``.

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
        # If none of them exists, all columns are read for the error message.
        for batch in file.iter_batches(batch_size=1024, columns=wanted or None):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number} of {path}", row
    except pa.ArrowException as error:
        raise ValueError(f"corpus: cannot read {path} as parquet: {error}"[:400]) from error


def _fingerprint(path: Path) -> str:
    """Return a fingerprint that changes with the corpus.

    It is a hash of the content. For a large corpus it is a hash of samples, the size and the modification time.
    """
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
