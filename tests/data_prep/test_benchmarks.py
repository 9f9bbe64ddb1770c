# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The nine benchmarks from repositories with their true columns: rows, pitfalls, manifest."""

import io
import json

import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.core.parquet import SCHEMA
from data_prep.registry import BENCHMARKS

TRUTHS = {
    "mathvision/test": ["B", "D", "\\frac{3}{4}", '"C"', "11", "B", "12", "12", "12", "12", "12"],
    "dynamath/sample_variant3": ["17140.5003", "B", "A", "(6.000, -4.000)"],
    "math_vr/test": ["2", "3; x = 4", "7"],
    "vstar/test": ["C", "A"],
    "visualprobe/hard": ["0", "1"],
    "visualprobe/easy": ["0", "1", "2"],
    "hrbench_4k/hrbench_4k": ["C", "B", "A", "D"],
    "hrbench_8k/hrbench_8k": ["C", "B", "A", "D"],
    "hr_mmsearch/train": ["Klee", "Klee"],
    "mmsearch/end2end": ["Ada Lovelace"] * 3,
}


def user(row):
    return row["prompt"][-1]["content"]


def loads(row, key):
    return json.loads(row["extra_info"][key])


@pytest.mark.parametrize("file", TRUTHS)
def test_truths_and_layout(benchmarks, table, file):
    rows = table(benchmarks / f"{file}.parquet")
    name, part = file.split("/")
    assert [row["reward_model"]["ground_truth"] for row in rows] == TRUTHS[file]
    for row in rows:
        info = row["extra_info"]
        assert list(info) == [field.name for field in SCHEMA.field("extra_info").type]
        assert row["data_source"] == f"axpo/{name}" and info["split"] == part and not info["need_tools_kwargs"]
        assert info["answer"] == row["reward_model"]["ground_truth"] and info["tool_selection"]
        assert [m["role"] for m in row["prompt"]] == ["system", "user"]
        assert user(row).count("<image>") == len(row["images"])
        assert ("\\boxed{}" if row["ability"] == "math" else "<answer></answer>") in user(row)
        assert "<answer>" not in info["question"] and "<image>" not in info["question"]
    assert len({row["extra_info"]["id"] for row in rows}) == len({row["extra_info"]["index"] for row in rows})


def test_mathvision(benchmarks, table):
    rows = table(benchmarks / "mathvision/test.parquet")
    tags, letters, _, quoted, _, text, literal = rows[:7]
    assert "Which of [image 1] fits [image 2]?\n(A) [image 3]\n(B) [image 4]\n" in user(tags)
    assert "The options A to E are in the image." in user(letters) and "(A)" not in user(letters)
    assert loads(letters, "scoring") == {"type": "choice", "options": list("ABCDE")}
    assert loads(quoted, "scoring") == {"type": "math", "decimals": 2, "aliases": ["C"]}
    assert loads(text, "scoring")["options"] == ["3/5", "1/2"]  # the answer was the option's text
    assert "Say [image] and [video] and [image_pad]." in user(literal)
    assert loads(rows[0], "meta") == {"level": 2, "subject": "algebra"}
    assert all(row["extra_info"]["tool_selection"] == ["python"] for row in rows)


def test_dynamath(benchmarks, table):
    files = sorted((benchmarks / "dynamath").glob("*.parquet"))
    assert len(files) == 10
    variants = {table(file)[0]["extra_info"]["id"] for file in files}
    assert variants == {f"1-variant{i}" for i in range(1, 11)}
    number, inline, plain, text = table(benchmarks / "dynamath/sample_variant10.parquet")
    rule = {"tolerance": 0.001, "ordered": True, "leading_number": True}
    assert loads(number, "scoring") == {"type": "number", "answer_type": "float", **rule}
    assert "decimals" in user(number)
    assert loads(number, "meta")["variant"] == 10 and loads(number, "meta")["seed_id"] == "1"
    assert loads(inline, "scoring")["options"] == ["0", "1", "2"] and "options" not in loads(plain, "scoring")
    assert loads(text, "scoring") == {"type": "text", "answer_type": "text", **rule}


def test_math_vr(benchmarks, table):
    none, many, one = table(benchmarks / "math_vr/test.parquet")
    assert none["images"] == [] and "<image>" not in user(none)
    assert user(many).startswith("See <image> then <image>, again [image 1]: what?")
    widths = [Image.open(io.BytesIO(image["bytes"])).width for image in many["images"]]
    assert widths == [56, 48] and loads(many, "meta")["answers"] == ["3", "x = 4"] and "2 answers" in user(many)
    assert user(one).startswith("Look at <image>: what?")
    assert loads(one, "scoring") == {"type": "judge", "fallback": "math", "judge_reads": "message"}
    # the images that no question names are the solution's
    assert [loads(row, "meta")["images_of_solution"] for row in (none, many, one)] == [1, 0, 2]
    assert Image.open(io.BytesIO(one["images"][0]["bytes"])).width == 48
    part = json.loads((benchmarks / "math_vr/manifest.json").read_text())["parts"]["test"]
    assert part["dropped"] == {"missing image": 1} and part["dropped_ids"] == {"missing image": ["q3"]}
    assert (part["rows_in"], part["rows_out"]) == (4, 3)


def test_vstar_labelled(benchmarks, table):
    four, two = table(benchmarks / "vstar/test.parquet")
    assert loads(four, "scoring")["options"][1:3] == ["It is blue.", "Green (C2)."]
    assert loads(two, "scoring")["options"] == ["left", "right"] and "directly" not in user(two)
    assert loads(two, "meta") == {"category": "relative_position"}


def test_vstar_original_is_shuffled_and_stays_so(tmp_path, sources, prepare, table):
    root = sources.vstar_original(tmp_path / "vstar_bench")
    for output, options in (("out", ()), ("again", ()), ("other", ("--shuffle-seed", "5"))):
        assert prepare("vstar", root, *options, output=output) == 0
    rows = table(tmp_path / "out/test.parquet")
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    assert len(rows) == 16 and len(set(truths[:8])) > 2 and set(truths[8:]) == {"A", "B"}
    for row, truth in zip(rows, truths, strict=True):
        options = loads(row, "scoring")["options"]
        assert options[ord(truth) - 65] == "right one" and f"({truth}) right one" in user(row)
    assert rows == table(tmp_path / "again/test.parquet")
    assert truths != [row["reward_model"]["ground_truth"] for row in table(tmp_path / "other/test.parquet")]


def test_visualprobe_never_leaves_its_folder(benchmarks, table):
    manifest = json.loads((benchmarks / "visualprobe/manifest.json").read_text())
    assert manifest["parts"]["hard"]["dropped"] == {"missing image": 1} and manifest["licence"] == "CC BY-NC 4.0"
    row = table(benchmarks / "visualprobe/medium.parquet")[0]  # its paths start from its own folder
    assert user(row).count("<image>") == 1 and loads(row, "meta") == {"level": "medium"}


def test_hrbench_keeps_its_cycles(benchmarks, table):
    rows = table(benchmarks / "hrbench_8k/hrbench_8k.parquet")
    assert [loads(row, "meta")["cycle"] for row in rows] == list("0123")
    assert {loads(row, "scoring")["options"][ord(row["extra_info"]["answer"]) - 65] for row in rows} == {"green"}
    assert Image.open(io.BytesIO(rows[0]["images"][0]["bytes"])).size == (128, 96)


def test_search_rows_leak_nothing(benchmarks, benchmark_root, prepare, tmp_path, table, jpeg):
    file = benchmarks / "mmsearch/end2end.parquet"
    text, *images = table(file)
    assert text["images"] == [] and text["extra_info"]["tool_selection"] == ["tavily-search"]
    assert images[0]["extra_info"]["tool_selection"] == ["tavily-search", "image_zoom_in"]
    assert loads(text, "scoring") == {"type": "judge", "fallback": "f1", "aliases": ["Lovelace", "A. Lovelace"]}
    assert b"SECRET" not in file.read_bytes() and jpeg(colour=(1, 2, 3)) not in file.read_bytes()
    source = benchmark_root / "MMSearch"
    assert prepare("mmsearch", source, "--keep", "images", "--image-search", "--on-error", "stop") == 0
    kept = table(tmp_path / "out/end2end.parquet")
    assert [row["extra_info"]["id"] for row in kept] == ["m1", "m2"]
    assert kept[0]["extra_info"]["tool_selection"] == ["tavily-search", "image_zoom_in", "image_search"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["parts"]["end2end"]["dropped"] == {"left out by an option": 1}
    searched = table(benchmarks / "hr_mmsearch/train.parquet")[0]
    assert searched["ability"] == "search"
    assert loads(searched, "scoring") == {"type": "judge", "fallback": "f1"}


def test_list_names_all(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert {line.split()[0] for line in lines} >= set(BENCHMARKS)
    assert any("DreamMr/HR-Bench" in line and "800" in line for line in lines)


def test_one_failure_does_not_stop_the_others(benchmark_root, tmp_path, capsys):
    root = tmp_path / "root"
    root.mkdir()
    for name in ("HR-MMSearch", "MMSearch"):
        (root / name).symlink_to(benchmark_root / name)
    arguments = ["--output", str(tmp_path / "out"), "--source", str(root), "--cache-dir", str(tmp_path / "cache")]
    assert main(["all-benchmarks", *arguments, "--limit", "1"]) == 1
    assert {path.parent.name for path in (tmp_path / "out").glob("*/*.parquet")} == {"hr_mmsearch", "mmsearch"}
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 7 and any("failed: vstar" in line for line in failed)
