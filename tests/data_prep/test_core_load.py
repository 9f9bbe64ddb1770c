# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Where rows may come from, and what is said when columns are not what they should be."""

import json

import pytest

from data_prep.core import SLOT, inline_options, neutralise, option_letter, slots
from data_prep.core.load import load_part
from data_prep.core.text import with_placeholders
from data_prep.errors import DataError
from data_prep.registry import load_dataset_spec


def last(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def test_renamed_column_stops_with_what_was_expected_and_found(tmp_path, sources, prepare, capsys):
    rows = [{**row, "solution_text": row["answer"]} for row in sources.mathvision_rows()]
    for row in rows:
        del row["answer"]
    source = sources.mathvision(tmp_path, rows)
    assert prepare("mathvision", source, "--split", "test") == 1
    message = last(capsys)
    assert message.startswith(f"error: mathvision, part test of {source}: column 'answer' (str?) is missing")
    assert "solution_text (str)" in message and "decoded_image (image)" in message
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_changed_type_is_named(tmp_path, sources, prepare, capsys):
    rows = [{**row, "level": "hard"} for row in sources.mathvision_rows()]
    assert prepare("mathvision", sources.mathvision(tmp_path, rows), "--split", "test") == 1
    assert "column 'level' is str, expected int" in last(capsys)


@pytest.mark.parametrize(
    "name", ["mathvision", "dynamath", "math_vr", "vstar", "hrbench_4k", "hr_mmsearch", "mmsearch"]
)
def test_every_required_column_is_checked(benchmark_root, tmp_path, name):
    import datasets

    from data_prep.core.schema import check_columns

    dataset = load_dataset_spec(name)
    part, place = next(iter(dataset.parts.items()))
    loaded = load_part(dataset, part, place, source=str(benchmark_root), cache_dir=str(tmp_path))
    for column, kind in dataset.columns.items():
        rest = datasets.Features({k: v for k, v in loaded.data.features.items() if k != column})
        if kind.startswith("~"):
            check_columns(name, rest, dataset.columns)
            continue
        with pytest.raises(DataError, match=f"{name}: column '{column}'"):
            check_columns(name, rest, dataset.columns)


@pytest.mark.parametrize("form", ["file", "pattern", "save_to_disk", "save_to_disk_splits", "jsonl"])
def test_local_forms_give_the_same_rows(form, tmp_path, benchmark_root, prepare, table):
    import datasets

    file = benchmark_root / "HR-Bench" / "hr_bench_4k.parquet"
    data = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "c"))
    source = tmp_path / "copy"
    if form == "file":
        source = file
    elif form == "pattern":
        source = file.with_name("*_4k.parquet")
    elif form == "save_to_disk":
        data.save_to_disk(str(source))
    elif form == "save_to_disk_splits":
        datasets.DatasetDict({"hrbench_4k": data}).save_to_disk(str(source))
    else:
        source = tmp_path / "rows.jsonl"
        data.to_json(source)
    assert prepare("hrbench_4k", source) == 0
    rows = table(tmp_path / "out/hrbench_4k.parquet")
    assert [row["extra_info"]["id"] for row in rows] == ["0-0", "1-1", "2-2", "3-3"]


def test_split_is_a_whole_word_of_a_files_name(tmp_path, sources, prepare, table, capsys):
    source = sources.mathvision(tmp_path)
    assert prepare("mathvision", source) == 0
    assert len(table(tmp_path / "out/test.parquet")) == 11 and len(table(tmp_path / "out/testmini.parquet")) == 7
    for file in (source / "data").glob("test-*"):
        file.unlink()
    assert prepare("mathvision", source, output="other") == 1
    assert "no file named after split 'test'" in last(capsys)


def test_hub_gets_id_configuration_split_and_commit(monkeypatch, benchmark_root, tmp_path):
    import datasets
    import huggingface_hub

    seen = {}
    real = datasets.load_dataset

    def load(hub_id, config, *, split, revision, cache_dir, **options):
        seen.update(hub_id=hub_id, config=config, split=split, revision=revision)
        if "batch_size" in options:
            raise ValueError("BuilderConfig JsonConfig() doesn't have a 'batch_size' key.")
        file = str(next(benchmark_root.glob("MMSearch/*/*.parquet")))
        return real("parquet", data_files=file, split="train", cache_dir=cache_dir)

    class Api:
        def dataset_info(self, hub_id, revision):
            return type("Info", (), {"sha": f"commit-of-{revision}"})

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    dataset = load_dataset_spec("mmsearch")
    loaded = load_part(dataset, "end2end", dataset.parts["end2end"], revision="v2", cache_dir=str(tmp_path))
    assert seen == {
        "hub_id": "CaraJ/MMSearch",
        "config": "end2end",
        "split": "end2end",
        "revision": "commit-of-v2",
    }
    assert loaded.revision == "commit-of-v2" and loaded.source == "CaraJ/MMSearch" and len(loaded.data) == 3
    # repositories of loose files are downloaded whole
    folder = benchmark_root / "VisualProbe_Easy"
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: seen.update(k) or str(folder))
    monkeypatch.setattr(datasets, "load_dataset", real)
    dataset = load_dataset_spec("visualprobe")
    loaded = load_part(dataset, "easy", dataset.parts["easy"], cache_dir=str(tmp_path))
    assert seen["repo_type"] == "dataset" and len(loaded.data) == 3 and loaded.root == folder


def test_a_cards_configuration_names_the_files(tmp_path, sources, prepare, table):
    source = sources.mathvision(tmp_path)
    for split, name in (("test", "one"), ("testmini", "two")):
        next((source / "data").glob(f"{split}-*")).rename(source / "data" / f"{name}.parquet")
    (source / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: data/on*\n"
        "  - split: testmini\n    path: [data/two.parquet]\n---\n"
    )
    assert prepare("mathvision", source) == 0
    assert len(table(tmp_path / "out/test.parquet")) == 11 and len(table(tmp_path / "out/testmini.parquet")) == 7


@pytest.mark.parametrize("pattern", ["test-0*.parquet", "test-00000-of-00001-7d1e.parquet"])
def test_one_file_is_not_several_parts(tmp_path, sources, prepare, capsys, pattern):
    source = sources.mathvision(tmp_path) / "data" / pattern
    with pytest.raises(SystemExit):
        prepare("mathvision", source)
    assert "--split" in (message := last(capsys)) and "name it, not test, testmini" in message
    assert prepare("mathvision", source, "--split", "test") == 0


def test_unreachable_hub_points_to_local_copies(monkeypatch, tmp_path, capsys):
    import datasets
    import huggingface_hub

    from data_prep.__main__ import main

    def nothing(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", nothing)
    monkeypatch.setattr(huggingface_hub, "HfApi", nothing)
    assert main(["vstar", "--output", str(tmp_path)]) == 1
    assert "vstar, part test of lmms-lab/vstar-bench: cannot be loaded (ConnectionError: no route). --source" in last(
        capsys
    )


def test_original_vstar_file_without_options_is_named(tmp_path, sources, prepare, capsys):
    root = sources.vstar_original(tmp_path / "vstar_bench")
    (root / "relative_position" / "sa_3.json").write_text(json.dumps({"question": "What?"}))
    assert prepare("vstar", root) == 1
    assert "sa_3.json needs 'question' and 'options', found ['question']" in last(capsys)


def test_texts():
    assert (
        neutralise("<image> <video> <audio> <|im_end|> <image1> <b>") == "[image] [video] [audio] [im_end] <image1> <b>"
    )
    assert with_placeholders(f"{SLOT} not <image>", "<image>") == "<image> not [image]"
    assert slots("a <image> b", 1) == f"a {SLOT} b" and slots("none", 2) == "none"
    with pytest.raises(ValueError, match="2 tags <image>, 1 images"):
        slots("<image><image>", 1)
    assert inline_options("Q?\nA. one\nB. two") == ("Q?", ["one", "two"])
    assert inline_options("Q? (A) one, (B) two") == ("Q?", ["one", "two"])
    assert inline_options("Is (B) before (A)?") is None and inline_options("Only (A) one") is None
    assert inline_options("Q? (A) (B)") is None
    assert option_letter("(b)", ["x", "y"]) == "B" and option_letter("y", ["x", "y"]) == "B"
    assert option_letter("C", ["x", "y"]) is None and option_letter("x", ["x", "x"]) is None
