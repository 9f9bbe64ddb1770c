# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The nine benchmarks' repositories, made by code with their true columns, a few rows each, every known pitfall."""

import base64
import io
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image


def _jpeg(width=64, height=48, colour=(200, 30, 30), kind="JPEG"):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, format=kind)
    return buffer.getvalue()


def _cell(data, path="x.jpg"):
    return {"bytes": data, "path": path}


def _write(path, rows, images=(), **types):
    """Parquet as ``push_to_hub`` writes it: image columns say so in the metadata."""
    import datasets

    path.parent.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_list([{k: v for k, v in row.items() if k not in images} for row in rows])
    features = dict(table.features)
    features.update({name: datasets.Image() for name in images}, **types)
    data = {name: [row[name] for row in rows] for name in features}
    datasets.Dataset.from_dict(data, features=datasets.Features(features)).to_parquet(path)
    return path


def mathvision_rows(count=4):
    def row(i, **changes):
        return {
            "id": str(i),
            "question": f"Question {i}? <image1>",
            "options": [],
            "image": f"images/{i}.jpg",
            "decoded_image": _cell(_jpeg(colour=(i % 200, 9, 9))),
            "answer": "12",
            "solution": None,
            "level": 1 + i % 5,
            "subject": "algebra",
            **changes,
        }

    special = [
        row(1, question="Which of <image1> fits <image2>?", options=["<image3>", "<image4>"], answer="B"),
        row(2, options=list("ABCDE"), answer="D"),
        row(3, answer="\frac{3}{4}"),
        row(4, answer='"C"'),
        row(5, answer="11 "),
        row(6, options=["3/5", "1/2"], answer="1/2"),
        row(7, question="Say <image> and <video> and <|image_pad|>. <image1>"),
    ]
    return (special + [row(i) for i in range(8, 8 + count)])[: max(count, 0) + 7]


def write_mathvision(root, rows=None, name="MathVision"):
    from datasets import List, Value

    for split, part in (("test", rows or mathvision_rows()), ("testmini", mathvision_rows(0))):
        file = root / name / "data" / f"{split}-00000-of-00001-7d1e.parquet"
        _write(file, part, ["decoded_image"], options=List(Value("string")), solution=Value("string"))
    return root / name


def _dynamath(root):
    for variant in range(1, 11):
        rows = [
            ("float", "What is the area? Give it.", f"17140.5{variant:03d}"),
            ("multiple choice", "Which one? choice: (A) 0 (B) 1 (C) 2", "B"),
            ("multiple choice", "Is f even? Choices: Yes, No", "A"),
            ("text", "Where do they meet?", "(6.000, -4.000)"),
        ]
        entries = [
            {
                "id": str(i + 1),
                "question": question,
                "image": f"images/{i}.png",
                "decoded_image": _cell(_jpeg(kind="PNG")),
                "ground_truth": truth,
                "answer_type": kind,
                "subject": "plane geometry",
                "knowledge_level": "high school",
            }
            for i, (kind, question, truth) in enumerate(rows)
        ]
        _write(
            root / "DynaMath_Sample" / "data" / f"sample_variant{variant}-00000-of-00001.parquet",
            entries,
            ["decoded_image"],
        )


def _math_vr(root):
    def row(i, question, answers, images, category="multimodal"):
        found = {f"image{k}": _cell(_jpeg(40 + 8 * k, 40)) if k in images else None for k in range(1, 9)}
        return {
            "id": f"q{i}",
            "question": question,
            **found,
            "category": category,
            "answers": answers,
            "number_of_answers": 1,
            "total_score": 3,
            "scoring_points": "1. draws it",
            "scores": "[3]",
        }

    rows = [
        row(0, "Draw it. What is 1 + 1?", '["2"]', (1,), "text"),
        row(1, "See <image2> then <image1>, again <image2>: what?", '["3", "x = 4"]', (1, 2)),
        row(2, "Look at <image1>: what?", "7", (1, 2, 3)),
        row(3, "Look at <image3>.", "7", (1,)),
    ]
    _write(root / "Math-VR-bench" / "bench-en.parquet", rows, [f"image{k}" for k in range(1, 9)])


def _vstar(root):
    rows = [
        ("What is the color?\n(A) It is red.\n(B) It is blue.\n(C) Green (C2).\n(D) White.", "direct_attributes", "C"),
        ("Is the cup left or right?\n(A) left\n(B) right", "relative_position", "A"),
    ]
    entries = [
        {
            "image": _cell(_jpeg()),
            "text": text + "\nAnswer with the option's letter from the given choices directly.",
            "category": category,
            "label": label,
            "question_id": str(i),
        }
        for i, (text, category, label) in enumerate(rows)
    ]
    _write(root / "vstar-bench" / "data" / "test-00000-of-00001.parquet", entries, ["image"])


def write_vstar_original(root):
    for category, count in (("direct_attributes", 4), ("relative_position", 2)):
        (root / category).mkdir(parents=True)
        for i in range(8):
            options = ["right one", "second", "third", "fourth"][:count]
            entry = {"target_object": ["cup"], "bbox": [[1, 2, 3, 4]], "question": "What?", "options": options}
            (root / category / f"sa_{i}.json").write_text(json.dumps(entry))
            (root / category / f"sa_{i}.jpg").write_bytes(_jpeg())
    (root / "test_questions.jsonl").write_text("{}\n")
    return root


def _visualprobe(root):
    for level, prefix in (("Hard", "VisualProbe_Hard/"), ("Medium", ""), ("Easy", "VisualProbe_Easy/")):
        folder = root / f"VisualProbe_{level}"
        (folder / "data").mkdir(parents=True)
        rows = []
        for i in range(3):
            (folder / "data" / f"{i}.jpg").write_bytes(_jpeg())
            rows.append(
                {
                    "problem": "<image>\nWhat number is on the bus?",
                    "images": [f"{prefix}data/{i}.jpg"],
                    "solution": str(i),
                    "data_source": "visualprobe",
                    "doc_id": i,
                }
            )
        rows[2]["images"] = ["../../secret.jpg"] if level == "Hard" else rows[2]["images"]
        (folder / "val.json").write_text(json.dumps(rows))
    (root / "secret.jpg").write_bytes(_jpeg())


def hrbench_rows(questions=1, image=None):
    rows, options = [], ["red", "blue", "green", "white"]
    image = image or base64.b64encode(_jpeg(128, 96)).decode()
    for i in range(questions):
        for cycle in range(4):
            turned = options[cycle:] + options[:cycle]
            rows.append(
                {
                    "index": 4 * i + cycle,
                    "question": "What colour is the hat?",
                    "answer": chr(65 + turned.index("green")),
                    "category": "single",
                    **dict(zip("ABCD", turned, strict=True)),
                    "cycle_category": str(cycle),
                    "image": image,
                }
            )
    return rows


def _hrbench(root):
    for size in ("4k", "8k"):
        _write(root / "HR-Bench" / f"hr_bench_{size}.parquet", hrbench_rows())


def _searches(root):
    rows = [
        {
            "sample_id": f"s{i}",
            "query": "Who painted this?",
            "query_image": _cell(_jpeg()),
            "ground_truth": "Klee",
            "difficulty": "hard",
            "category": "art",
        }
        for i in range(2)
    ]
    _write(root / "HR-MMSearch" / "data" / "train-00000-of-00001.parquet", rows, ["query_image"])
    rows = [
        {
            "sample_id": f"m{i}",
            "query": "Who won?",
            "query_image": _cell(_jpeg()) if i else None,
            "image_search_result": _cell(_jpeg(colour=(1, 2, 3))) if i else None,
            "area": "news",
            "subfield": "sports",
            "timestamp": "2024-08",
            "gt_requery": "SECRET requery",
            "gt_answer": "Ada Lovelace",
            "alternative_gt_answers": ["Lovelace", "A. Lovelace"],
        }
        for i in range(3)
    ]
    file = root / "MMSearch" / "end2end" / "end2end-00000-of-00001.parquet"
    _write(file, rows, ["query_image", "image_search_result"])


@pytest.fixture(scope="session")
def jpeg():
    """Encoded image: (width, height, colour, format)."""
    return _jpeg


@pytest.fixture(scope="session")
def sources():
    """Makers of single sources."""
    from types import SimpleNamespace

    return SimpleNamespace(
        write=_write,
        cell=_cell,
        mathvision=write_mathvision,
        mathvision_rows=mathvision_rows,
        vstar_original=write_vstar_original,
        hrbench_rows=hrbench_rows,
        hrbench=lambda folder, rows: _write(folder / "hrbench_8k.parquet", rows),
    )


@pytest.fixture(scope="session")
def benchmark_root(tmp_path_factory):
    """One folder with a clone of each repository."""
    root = tmp_path_factory.mktemp("repositories")
    write_mathvision(root)
    for write in (_dynamath, _math_vr, _vstar, _visualprobe, _hrbench, _searches):
        write(root)
    return root


@pytest.fixture(scope="session")
def benchmarks(benchmark_root, tmp_path_factory):
    """Output folder of ``all-benchmarks``."""
    from data_prep.__main__ import main

    folder = tmp_path_factory.mktemp("benchmarks")
    cache = str(tmp_path_factory.mktemp("cache"))
    arguments = ["--output", str(folder), "--source", str(benchmark_root), "--cache-dir", cache]
    assert main(["all-benchmarks", *arguments]) == 0
    return folder


@pytest.fixture
def prepare(tmp_path):
    """Run a subcommand into ``tmp_path/out``; returns its status."""
    from data_prep.__main__ import main

    def run(name, source, *options, output="out"):
        folder = tmp_path / output
        cache = str(tmp_path / "cache")
        return main([name, "--output", str(folder), "--source", str(source), "--cache-dir", cache, *options])

    return run


@pytest.fixture(scope="session")
def table():
    """Rows of a parquet file."""
    return lambda path: pq.read_table(path).to_pylist()
