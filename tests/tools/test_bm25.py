# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search in a corpus: what is found, and how the index comes about."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.corpora import ANIMALS, animals, call, call_async, load, wikipedia, write_jsonl
from tools.search import bm25
from tools.search.bm25 import Bm25Index

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("corpus") / "animals.jsonl", animals())


def urls(results):
    return [result["url"].removeprefix("https://example.org/") for result in results]


def test_finds_the_document(corpus):
    index = Bm25Index(corpus)
    assert len(index) == 60
    for animal in ANIMALS:
        best = index.search(f"Where does the {animal.upper()} live? By the lake?", 4)
        assert urls(best)[0] == f"{animal}/lake" and {url.split("/")[0] for url in urls(best)} == {animal}
        scores = [result["score"] for result in best]
        assert scores == sorted(scores, reverse=True)
    assert index.search("otter river", 1)[0]["content"] == animals()[0]["text"]


def test_the_order_of_equals_is_fixed(corpus):
    results = urls(Bm25Index(corpus).search("river", 60))
    assert len(results) == 15  # and not the documents without the word
    groups = [[url for url in results if ANIMALS.index(url.split("/")[0]) % 3 == i] for i in range(3)]
    assert all(group == sorted(group, key=lambda url: ANIMALS.index(url.split("/")[0])) for group in groups)
    assert all(urls(Bm25Index(corpus).search("river", n)) == results[:n] for n in (1, 2, 7, 15))


@pytest.mark.parametrize("query", ["", "...", "\u2603", "zebra", "_"])
def test_nothing_to_find(corpus, query):
    assert Bm25Index(corpus).search(query, 5) == []


def test_the_model_reads_it_as_a_web_search(corpus):
    tool = load("tavily-search.yaml", backend="bm25", corpus=corpus, max_result_tokens=64)
    response, figures = call(tool, {"query": "otter", "max_results": 2})
    assert response.text.startswith("[1] Otter of the ") and "\n\n[2] Otter of" in response.text
    assert figures["results"] == 2
    assert call(tool, {"query": "zebra"})[0].text == "No results were found."
    assert [(line.ready, line.detail) for line in tool.check()] == [(True, f"{corpus}, 60 documents")]


@pytest.mark.parametrize("field", ["text", "content", "contents"])
def test_parquet_is_the_same(tmp_path, corpus, field):
    rows = animals()
    columns = {name: [row[name] for row in rows] for name in ("id", "title", "url")}
    columns |= {"embedding": [[0.0]] * len(rows), field: [row["text"] for row in rows]}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet", row_group_size=7)
    assert Bm25Index(str(tmp_path / "c.parquet")).search("otter lake", 9) == Bm25Index(corpus).search("otter lake", 9)


def test_wikipedia_dump(tmp_path):
    index = Bm25Index(write_jsonl(tmp_path / "wiki.jsonl", wikipedia()))
    (tower,) = index.search("eiffel", 5)
    assert (tower["title"], tower["content"]) == ("Eiffel Tower", "It is in Paris.")
    assert index.search("\u5c71", 5)[0]["title"] == "\u5bcc\u58eb\u5c71"  # a part of a word without blanks
    assert index.search("nothing", 5)[0]["content"] == ""


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"text": "a"}\n\n{"text": ', "line 3 of .* is no JSON"),
        ('{"text": "a"}\n[1]', "line 2 of .* is no JSON object"),
        ('{"body": "a", "name": "b"}', "line 1 .* has none of the fields text, content, contents; it has body, name"),
        ('{"text": "a"}\n{"text": null}', "line 2 .*text must be text, not NoneType"),
        ('{"text": "a", "title": 3}', "line 1 .*title must be text, not int"),
        ('{"text": "..."}', "no document with a word"),
        ("", "no document"),
    ],
)
def test_bad_corpus(tmp_path, content, message):
    (tmp_path / "c.jsonl").write_text(content)
    with pytest.raises(ValueError, match=f"^corpus: .*{message}"):
        Bm25Index(str(tmp_path / "c.jsonl"))
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == ["c.jsonl"]


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match="corpus: there is no file"):
        Bm25Index(str(tmp_path / "c.jsonl"))
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="corpus: .*parquet"):
        Bm25Index(str(tmp_path / "c.parquet"))
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "d.parquet")
    with pytest.raises(ValueError, match="row 1 .*it has body"):
        Bm25Index(str(tmp_path / "d.parquet"))
    corpus = write_jsonl(tmp_path / "e.jsonl", animals())
    with pytest.raises(ValueError, match="index_dir: .*/proc/no"):
        Bm25Index(corpus, "/proc/no/folder")


def test_the_index_is_built_once_and_anew_for_another_corpus(tmp_path, monkeypatch):
    corpus = write_jsonl(tmp_path / "c.jsonl", animals())
    place = str(tmp_path / "index")
    first = Bm25Index(corpus, place)
    built = []
    build = bm25._write_index
    monkeypatch.setattr(bm25, "_write_index", lambda *args: built.append(args) or build(*args))
    assert Bm25Index(corpus, place).search("otter", 9) == first.search("otter", 9) and not built
    assert type(Bm25Index(corpus, place)._bm25.scores["data"]).__name__ == "memmap"
    write_jsonl(tmp_path / "c.jsonl", animals()[:-1] + [{"text": "zebra"}])
    assert Bm25Index(corpus, place).search("zebra", 1)[0]["content"] == "zebra" and len(built) == 1
    assert first.search("zebra", 1) == []  # the old one is still whole
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_large_corpus_is_known_by_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(bm25, "WHOLE_HASH_BYTES", 1000)
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"x" * 200_000)
    before = bm25._fingerprint(path)
    assert bm25._fingerprint(path) == before
    path.write_bytes(b"x" * 199_999 + b"y")
    assert bm25._fingerprint(path) != before


BUILDER = """
import json, sys
from tools.search import bm25
built, build = [], bm25._write_index
bm25._write_index = lambda *args: built.append(1) or build(*args)
index = bm25.Bm25Index(sys.argv[1])
print(json.dumps([len(built), index.search("otter river", 9)]))
"""


def test_processes_that_start_at_once_build_one_index(tmp_path):
    corpus = write_jsonl(tmp_path / "c.jsonl", [{"text": f"{row['text']} {i}"} for i in range(50) for row in animals()])
    started = [
        subprocess.Popen([sys.executable, "-c", BUILDER, corpus], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)
    ]
    (built, results), (built_too, results_too) = (json.loads(p.communicate(timeout=60)[0]) for p in started)
    assert built + built_too == 1 and results == results_too and len(results) == 9
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30) | st.lists(st.sampled_from(ANIMALS)).map(" ".join), st.integers(1, 99))
def test_any_query(corpus, query, number):
    results = Bm25Index(corpus).search(query, number)
    assert len(results) <= number and all(result["score"] > 0 for result in results)


@pytest.mark.parametrize(
    "query, text",
    [
        ("cafe\u0301", "A caf\u00e9."),
        ("STRASSE", "the stra\u00dfe"),
        ("\uff34\uff4f\uff57\uff45\uff52", "Tower"),
        ("fi", "\ufb01"),
    ],
)
def test_words_are_found_however_they_are_written(query, text):
    assert set(bm25.words(query)) & set(bm25.words(text))


def test_a_corpus_that_changes_while_it_is_read(tmp_path, monkeypatch):
    corpus = tmp_path / "c.jsonl"
    corpus.write_text('{"text": "old comet"}\n')
    write = bm25._write_index

    def changing(path, folder):
        path.write_text('{"text": "new comet"}\n')
        write(path, folder)

    monkeypatch.setattr(bm25, "_write_index", changing)
    with pytest.raises(ValueError, match="has changed while its index was built"):
        bm25.Bm25Index(str(corpus))
    monkeypatch.undo()
    corpus.write_text('{"text": "old comet"}\n')
    assert bm25.Bm25Index(str(corpus)).search("comet", 1)[0]["content"] == "old comet"


def test_a_damaged_index_says_what_to_delete(tmp_path):
    corpus = tmp_path / "c.jsonl"
    corpus.write_text('{"text": "a comet"}\n')
    folder = bm25.Bm25Index(str(corpus)).folder
    (folder / "offsets.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=f"{folder.name} is damaged .*delete it"):
        bm25.Bm25Index(str(corpus))


# ---------------------------------------------------------------- long documents


def test_a_long_document_is_found_by_the_passage_that_matches(tmp_path):
    filler = "the old harbour was quiet and the boats lay still. " * 30_000
    text = f"{filler}A comet passed in 1910. {filler}"
    rows = [{"title": "Harbour", "text": text, "url": "h"}, {"title": "Comet", "text": "comet " * 9, "url": "c"}]
    index = Bm25Index(write_jsonl(tmp_path / "c.jsonl", rows))
    assert len(index) == 2
    found = index.search("comet", 5)
    assert urls(found) == ["c", "h"]  # one result for each document
    assert "A comet passed in 1910." in found[1]["content"] and len(found[1]["content"]) <= bm25.PASSAGE_CHARS
    assert len(index.search("harbour", 5)) == 1


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(st.sampled_from("ab \n\u5c71"), max_size=3000), max_size=12).map("".join), st.integers(2, 4000))
def test_passages_are_the_text(text, length):
    before, bm25.PASSAGE_CHARS = bm25.PASSAGE_CHARS, length
    try:
        parts = list(bm25.passages(text))
    finally:
        bm25.PASSAGE_CHARS = before
    assert "".join(parts) == text and all(len(part) <= length for part in parts)
    assert all(len(part) >= length // 2 for part in parts[:-1])


@pytest.mark.parametrize("script", ["latin", "other"])
def test_the_cost_of_a_search_does_not_grow_with_the_documents(tmp_path, script):
    """20 documents of 1.3 MB, 32 searches at once, all of them with all documents as results."""
    word = "harbour " if script == "latin" else "\u6e2f\u53e3\u5f88\u5b89\u9759\u3002"
    rows = [{"title": f"T{i}", "text": word * (1_300_000 // len(word.encode()))} for i in range(20)]
    corpus = write_jsonl(tmp_path / "c.jsonl", rows)
    tool = load("tavily-search.yaml", backend="bm25", corpus=corpus, max_results_limit=20, timeout_s=10.0)

    async def many():
        return await asyncio.gather(*(call_async(tool, {"query": word, "max_results": 20}) for _ in range(32)))

    started = time.process_time()
    answers = asyncio.run(many())
    assert time.process_time() - started < 8
    assert all(figures["results"] == 20 and figures["truncated"] for _, figures in answers)
    assert all("[20] T" in response.text for response, _ in answers)
