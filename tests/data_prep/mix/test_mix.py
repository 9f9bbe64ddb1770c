# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Mixing through the command line: amounts, filters, comparison, reports, determinism."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import data_prep.mix
from data_prep.mix.recipe import Recipe, read_recipe
from data_prep.mix.write import write_mix


def sources_of(folder):
    rows = pq.read_table(folder / "train.parquet").to_pylist()
    return rows, Counter(row["data_source"].removeprefix("axpo/") for row in rows)


def facts_of(folder):
    return json.loads((folder / "mix.json").read_text())


@pytest.fixture
def three(tmp_path, toy):
    """Sources a, b, c of 40, 30 and 10 text rows."""
    for name, count in (("a", 40), ("b", 30), ("c", 10)):
        rows = [toy.row(i, f"{name}: {toy.long.format(i)}", source=name) for i in range(count)]
        toy.write(tmp_path / name / "train.parquet", rows)


def source(name, **amount):
    return {"name": name, "files": [f"{name}/*.parquet"], **amount}


def test_weights_counts_and_epochs(three, mix, table):
    recipe = {
        "size": 31,
        "sources": [source("a", weight=2), source("b", weight=1), source("c", epochs=2.5)],
        "duplicates": None,
    }
    folder = mix(recipe)
    rows, counts = sources_of(folder)
    assert counts == {"a": 21, "b": 10, "c": 25}  # 20.67 and 10.33: the larger remainder gets the row
    assert [row["extra_info"]["index"] for row in rows] == list(range(56))
    repeats = Counter(row["extra_info"]["id"] for row in rows if row["data_source"] == "axpo/c")
    assert len(repeats) == 10 and set(repeats.values()) == {2, 3}
    assert max(Counter(row["extra_info"]["id"] for row in rows if row["data_source"] == "axpo/a").values()) == 1
    assert [row["data_source"] for row in rows] != sorted(row["data_source"] for row in rows)
    assert facts_of(folder)["sources"]["c"]["most_repeats_of_a_row"] == 3
    assert "\\boxed{}" in rows[0]["prompt"][-1]["content"] and json.loads(rows[0]["extra_info"]["meta"]) == {}


def test_shortage_and_replacement(three, mix, capsys):
    assert mix({"sources": [source("c", count=11)]}) == 1
    assert "source c: 10 rows are left, 11 are asked for" in capsys.readouterr().err
    assert sources_of(mix({"sources": [source("c", count=11, on_shortage="fewer")]}))[1] == {"c": 10}
    rows, counts = sources_of(mix({"sources": [source("c", count=50, replacement=True)]}))
    assert counts == {"c": 50} and len({row["extra_info"]["id"] for row in rows}) <= 10


def test_same_seed_same_bytes(three, mix, tmp_path):
    recipe = {"seed": 3, "size": 30, "sources": [source("a", weight=1), source("b", weight=1)]}
    first, again = mix(recipe, output="1"), mix(recipe, output="2")
    files = sorted(path.name for path in first.glob("[!.]*"))
    assert files == ["contamination.html", "contamination.json", "mix.json", "train.parquet"]
    for name in files:
        assert (first / name).read_bytes() == (again / name).read_bytes()
    other = mix({**recipe, "seed": 4}, output="3")
    assert (other / "train.parquet").read_bytes() != (first / "train.parquet").read_bytes()
    chosen = {row["extra_info"]["id"] for row in sources_of(first)[0] if row["data_source"] == "axpo/a"}
    recipe["sources"].append(source("c", count=1))
    added = sources_of(mix(recipe, output="4"))[0]
    assert {row["extra_info"]["id"] for row in added if row["data_source"] == "axpo/a"} == chosen


def test_number_of_workers_changes_nothing(toy, tmp_path, mix):
    toy.write(tmp_path / "a" / "train.parquet", [toy.row(i, f"Q{i}?", [toy.picture(i)]) for i in range(12)])
    assert pq.ParquetFile(tmp_path / "a" / "train.parquet").num_row_groups > 1
    recipe = {"sources": [source("a", count=8)]}
    one, two = mix(recipe, output="1"), mix(recipe, "--workers", "2", output="2")
    assert all((two / path.name).read_bytes() == path.read_bytes() for path in one.iterdir())


def test_shuffle_in_small_buckets_is_complete(toy, tmp_path):
    from data_prep.mix.recipe import Filters
    from data_prep.mix.scan import scan

    rows = [toy.row(i, f"Q{i}?", [toy.picture(i)]) for i in range(30)]
    path = toy.write(tmp_path / "a.parquet", rows)
    assert pq.ParquetFile(path).num_row_groups > 2
    records, _, read = scan("a", [path], Filters(), compare=False)
    assert read == 30 and [record.id for record in records] == [f"toy-{i}" for i in range(30)]
    many, one = tmp_path / "many.parquet", tmp_path / "one.parquet"
    write_mix(records, many, seed=1, bucket_bytes=5000)
    write_mix(records, one, seed=1)
    assert pq.read_table(many).equals(pq.read_table(one))
    images = {row["extra_info"]["id"]: row["images"][0]["bytes"] for row in pq.read_table(many).to_pylist()}
    assert images == {f"toy-{i}": row["images"][0]["bytes"] for i, row in enumerate(rows)}
    write_mix(records, one, seed=1, shuffle=False)
    assert [row["extra_info"]["id"] for row in pq.read_table(one).to_pylist()] == [f"toy-{i}" for i in range(30)]


@pytest.mark.parametrize(
    "filters,kept,reason",
    [
        ({"images": {"min": 1}}, {0, 1, 2}, "images"),
        ({"images": {"max": 1}}, {0, 2, 3}, "images"),
        ({"image_side": {"min": 100}}, {0, 1, 3}, "image_side"),
        ({"image_pixels": {"max": 160 * 120 - 1}}, {2, 3}, "image_pixels"),
        ({"question_chars": {"min": 5}}, {0, 1, 3}, "question_chars"),
        ({"answer_types": ["number", "unset"]}, {0, 2}, "answer_types"),
        ({"pass_rate": {"key": "rate", "min": 0.2, "max": 0.5}}, {0, 1}, "pass_rate"),
        ({"pass_rate": {"key": "rate", "min": 0.3, "missing": "keep"}}, {1, 2, 3}, "pass_rate"),
    ],
)
def test_filters(toy, tmp_path, mix, filters, kept, reason):
    rows = [
        toy.row(0, "First?", [toy.picture(0)], scoring={"type": "number"}, meta={"rate": 0.2}),
        toy.row(1, "Second?", [toy.picture(1), toy.picture(2)], scoring={"type": "choice"}, meta={"rate": 0.5}),
        toy.row(2, "3?", [toy.picture(3, (120, 40))], meta={"rate": None}),
        toy.row(3, "Fourth?", scoring={"type": "judge"}),
    ]
    toy.write(tmp_path / "a" / "train.parquet", rows)
    folder = mix({"sources": [source("a", epochs=1)], "filters": filters})
    assert {int(row["extra_info"]["id"].split("-")[1]) for row in sources_of(folder)[0]} == kept
    assert facts_of(folder)["sources"]["a"]["refused_by_filter"] == {reason: 4 - len(kept)}


def test_filters_of_a_source_go_over_the_general_ones(toy, tmp_path, mix):
    rows = [toy.row(i, "Q" * (i + 1)) for i in range(4)]
    for name in "ab":
        toy.write(tmp_path / name / "train.parquet", rows)
    recipe = {
        "sources": [source("a", epochs=1), source("b", epochs=1, filters={"question_chars": {"max": 1}})],
        "filters": {"question_chars": {"min": 2}, "images": {"max": 0}},
        "duplicates": None,
    }
    facts = facts_of(mix(recipe))["sources"]
    assert (facts["a"]["taken"], facts["b"]["taken"]) == (3, 1)


@pytest.fixture
def held(toy, tmp_path):
    """A benchmark of four rows, and a source with copies of them among others."""
    same = toy.long.format("nine")
    toy.write(
        tmp_path / "bench" / "test.parquet",
        [
            toy.row(0, same, [toy.picture(0, (320, 240))], source="bench"),
            toy.row(1, "What colour?", [toy.picture(1, (320, 240))], source="bench"),
            toy.row(2, "If x = 2 and y = 3, what is then the sum of x and y?", source="bench"),
            toy.row(3, "What colour <b>?", [toy.picture(9, (320, 240))], source="bench"),
        ],
    )
    sentence = "  if X=2,\n and Y = 3, what is then the sum of  $x$ and $y$? "
    overlapping = same.replace("small", "tiny")
    rows = [
        toy.row(0, "Another question?", [toy.picture(0, (150, 110), "JPEG")]),  # smaller and encoded anew
        toy.row(1, sentence),  # other spacing and case
        toy.row(2, overlapping, [toy.picture(50)]),  # one word is another
        toy.row(3, "What colour?", [toy.picture(51)]),  # a short question with an image of its own
        toy.row(4, "If x = 2 and y = 4, what is then the sum of x and y?"),  # another number
        *[toy.row(i, f"Question {i}?", [toy.picture(100 + i)]) for i in range(5, 25)],
    ]
    toy.write(tmp_path / "a" / "train.parquet", rows)


def contaminated(folder):
    report = json.loads((folder / "contamination.json").read_text())["contaminated"]
    return report, {pair["row"]["id"]: pair for pair in report["pairs"]}


def test_benchmarks_are_found_and_others_are_not(held, mix):
    recipe = {"sources": [source("a", epochs=1)], "benchmarks": {"folders": ["bench"]}}
    folder = mix(recipe)
    report, pairs = contaminated(folder)
    assert set(pairs) == {"toy-0", "toy-1"} and report["counts"] == {"a": {"bench": 2}}
    assert pairs["toy-0"]["by"] == "image" and pairs["toy-0"]["image_distance_bits"] <= 4
    assert 0 < pairs["toy-0"]["image_difference"] < 0.2
    assert pairs["toy-0"]["matches"]["id"] == "bench-0"
    assert pairs["toy-1"]["by"] == "text" and pairs["toy-1"]["matches"]["id"] == "bench-2"
    ids = {row["extra_info"]["id"] for row in sources_of(folder)[0]}
    assert ids == {f"toy-{i}" for i in range(25)} - {"toy-0", "toy-1"}
    assert facts_of(folder)["benchmarks"] == {"bench": 4}


def test_overlap_finds_a_changed_word(held, mix):
    rules = {"folders": ["bench"], "text_overlap": 0.4, "ngram": 3, "min_words_pictured": 8}
    _, pairs = contaminated(mix({"sources": [source("a", epochs=1)], "benchmarks": rules}))
    assert "toy-2" in pairs and pairs["toy-2"]["by"] == "overlap" and 0.4 <= pairs["toy-2"]["text_overlap"] < 1
    assert "toy-3" not in pairs
    _, strict = contaminated(mix({"sources": [source("a", epochs=1)], "benchmarks": {**rules, "text_overlap": 0.95}}))
    assert set(strict) == {"toy-0", "toy-1"}


def test_page_shows_pairs_side_by_side(held, mix):
    recipe = {"sources": [source("a", epochs=1)], "benchmarks": {"folders": ["bench"]}}
    page = (mix(recipe) / "contamination.html").read_text()
    assert page.count('class="pair"') == 2 and page.count("data:image/jpeg;base64,") == 2
    assert "Another question?" in page and "upper half of picture nine" in page and "<script" not in page
    page = (mix(recipe, "--report-pairs", "1") / "contamination.html").read_text()
    assert page.count('class="pair"') == 1 and "1 of 2 pairs" in page and "by image, image difference 0.0" in page


def test_page_escapes_what_data_says(toy, tmp_path, mix):
    bad = "<img src=x onerror=alert(1)> is written on one of the signs of this street, which?"
    for name in ("a", "bench"):
        toy.write(tmp_path / name / "train.parquet", [toy.row(0, bad), toy.row(1, "Other?")][: 1 + (name == "a")])
    recipe = {"sources": [source("a", epochs=1)], "benchmarks": {"folders": ["bench"]}}
    page = (mix(recipe) / "contamination.html").read_text()
    assert "&lt;img src=x" in page and "<img src=x" not in page


def test_duplicates_within_need_image_and_text(toy, tmp_path, mix):
    question = toy.long.format("one")
    rows = [
        toy.row(0, question, [toy.picture(0)]),
        toy.row(1, f" {question.upper()} ", [toy.picture(0, (100, 75), "JPEG")]),  # a copy
        toy.row(2, question, [toy.picture(1)]),  # the same question of another image
        toy.row(3, "Is it red?", [toy.picture(0)]),  # another question of the same image
        toy.row(4, "1 + 1 = ?"),
        toy.row(5, "1+1=?"),  # a copy, without images
        toy.row(6, "1 - 1 = ?"),
    ]
    toy.write(tmp_path / "a" / "train.parquet", rows)
    folder = mix({"sources": [source("a", epochs=1)]})
    report = json.loads((folder / "contamination.json").read_text())["repeated"]
    found = {pair["row"]["id"]: pair["matches"]["id"] for pair in report["pairs"]}
    assert found == {"toy-1": "toy-0", "toy-5": "toy-4"} and len(sources_of(folder)[0]) == 5
    either = mix({"sources": [source("a", epochs=1)], "duplicates": {"match": "either"}})
    assert {row["extra_info"]["id"] for row in sources_of(either)[0]} == {"toy-0", "toy-2", "toy-4", "toy-6"}
    assert len(sources_of(mix({"sources": [source("a", epochs=1)], "duplicates": None}))[0]) == 7


BAD = {
    "wieghts": ({"sources": [source("a", wieghts=1)]}, "sources.0.wieghts: unknown key"),
    "amount": ({"sources": [source("a")]}, "give one of count, weight, epochs; got none"),
    "two amounts": ({"sources": [source("a", count=1, weight=1.0)]}, "got count and weight"),
    "no size": ({"sources": [source("a", weight=1)]}, "size is needed"),
    "size": ({"size": 3, "sources": [source("a", count=1)]}, "size has no meaning"),
    "twice": ({"sources": [source("a", count=1)] * 2}, "sources of the same name: a"),
    "range": ({"sources": [source("a", count=1)], "filters": {"images": {"min": 3, "max": 1}}}, "min 3 is above max 1"),
    "type": ({"sources": [source("a", count=1)], "filters": {"answer_types": ["numbr"]}}, "got ['numbr']"),
    "string": ({"sources": [source("a", count="5")]}, "sources.0.count"),
    "empty": ({"sources": []}, "sources: List should have at least 1 item"),
    "no file": (
        {"sources": [{"name": "a", "files": ["none/*.parquet"], "count": 1}]},
        "sources.0.files: no file matches",
    ),
    "no folder": ({"sources": [source("a", count=1)], "benchmarks": {"folders": ["none"]}}, "no parquet file in"),
    "list": ([1], "expected keys and values, found list"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_recipes_are_explained(toy, tmp_path, mix, capsys, case):
    toy.write(tmp_path / "a" / "train.parquet", [toy.row(0, "Q?")])
    recipe, message = BAD[case]
    with pytest.raises(SystemExit):
        mix(recipe)
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_files_of_another_layout_are_refused(tmp_path, mix, capsys):
    (tmp_path / "a").mkdir()
    pq.write_table(pa.table({"data_source": ["x"], "text": ["y"]}), tmp_path / "a" / "train.parquet")
    assert mix({"sources": [source("a", epochs=1)]}) == 1
    message = capsys.readouterr().err
    assert "is not made by" in message and "images (missing)" in message and "text (unknown)" in message


def test_a_broken_image_is_named(toy, tmp_path, mix, capsys):
    broken = [toy.row(0, "Q?"), toy.row(1, "Q?", [toy.picture(0)[:200]])]
    toy.write(tmp_path / "a" / "train.parquet", broken)
    assert mix({"sources": [source("a", epochs=1)]}) == 1
    message = capsys.readouterr().err
    assert "train.parquet, row group 0, row 1: corrupt image" in message
    assert not (tmp_path / "out").exists()


def test_shipped_recipes_are_valid():
    recipes = sorted((Path(data_prep.mix.__file__).parent / "recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        recipe = read_recipe(path)
        assert isinstance(recipe, Recipe) and len(recipe.benchmarks.folders) == 9
        assert yaml.safe_load(path.read_text())["seed"] == recipe.seed
