# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The training repositories, made by code with their columns, a few rows each, every known pitfall."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def deepeyes(root, jpeg):
    """Plain structs of bytes, as verl-style parquet holds them; no image feature in the metadata."""

    def row(question, truth, image, number):
        prompt = [
            {"content": "Call image_zoom_in_tool.", "role": "system"},
            {"content": f"<image>\n{question}\nThink first, call **image_zoom_in_tool** if needed.", "role": "user"},
        ]
        return {
            "data_source": "vstar",
            "prompt": prompt,
            "images": [{"bytes": image}],
            "ability": "vl",
            "env_name": "visual_toolbox_v2",
            "reward_model": {"ground_truth": truth, "style": "model"},
            "extra_info": {"answer": truth, "index": str(number), "question": question, "split": "train"},
        }

    folder = root / "DeepEyes-Datasets-47k"
    folder.mkdir()
    rows = [
        row("What colour is the <image> hat?", "The hat is red.", jpeg(), 0),
        row("Which?\nA. a cup\nB. a hat", "B", jpeg(), 1),
        row("Too small?", "yes", jpeg(27, 64), 2),
        row(None, "yes", jpeg(), 3),
        row("Broken?", "yes", jpeg()[:100], 4),
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data_0.1.2_visual_toolbox_v2.parquet")
    pq.write_table(
        pa.Table.from_pylist([row("How many bars?", "12.5", jpeg(), 0)]),
        folder / "data_v0.8_visual_toolbox_v2.parquet",
    )
    reasoning = [row("Find x.", "$x^2$", jpeg(kind="PNG"), 0)]
    pq.write_table(pa.Table.from_pylist(reasoning), folder / "data_thinklite_reasoning_acc.parquet")


def visualprobe(root, jpeg):
    folder = root / "VisualProbe_train"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "0.jpg").write_bytes(jpeg(256, 200))
    row = {
        "images": ["VisualProbe_train/data/0.jpg"],
        "solution": "A dog.",
        "data_source": "visual_probe_train",
        "doc_id": "d0",
    }
    rows = [
        {**row, "problem": "<image>\nWhat is on the sign?"},
        {**row, "problem": "Look <image> and <image>?"},
        {**row, "problem": "<image>\nWho?", "images": ["data/0.jpg"]},
        {**row, "problem": "<image>\nWhere?", "images": ["../VisualProbe_train/../secret.jpg"]},
    ]
    (folder / "train.json").write_text(json.dumps(rows))
    (root / "secret.jpg").write_bytes(jpeg())


def fvqa(root, jpeg):
    folder = root / "FVQA"
    folder.mkdir()

    def row(number, names, category=True):
        return {
            "prompt": [{"content": "Who built this tower?", "role": "user"}],
            "images": [{"bytes": jpeg(colour=(number, 9, 9))}],
            "reward_model": {"candidate_answers": names, "ground_truth": "Eiffel", "style": "rule"},
            "data_source": "fvqa",
            "data_id": f"fvqa_{number}",
            **({"category": "search_required"} if category else {}),
        }

    rows = [row(0, '["Gustave Eiffel", "Eiffel", " G. Eiffel "]'), row(1, "[]"), row(1, "[]")]
    pq.write_table(pa.Table.from_pylist(rows), folder / "fvqa_train.parquet")
    pq.write_table(pa.Table.from_pylist([row(9, '["A"]', category=False)]), folder / "fvqa_test.parquet")


def pyvision(root, jpeg):
    folder = root / "PyVision-Image-RL-Data"
    images = folder / "pyvision_image_rl_data" / "deepeyes"
    images.mkdir(parents=True)
    (images / "0.png").write_bytes(jpeg(kind="PNG"))
    row = {"ability": "visual_search", "data_source": "deepeyes", "image_path": "deepeyes/0.png"}
    rows = [
        {"id": 0, "question": "<image>\nWhat is it?", "answer": "a cat", **row},
        {"id": 1, "question": "Sum?", "answer": "\\boxed{7}", **row, "ability": "Math"},
        {"id": 2, "question": "Gone?", "answer": "no", **row, "image_path": "deepeyes/1.png"},
    ]
    (folder / "pyvision_image_rl_data.json").write_text(json.dumps(rows))


def virl39k(root, jpeg):
    folder = root / "ViRL39K"
    (folder / "images").mkdir(parents=True)
    for name in "ab":
        (folder / "images" / f"{name}.jpg").write_bytes(jpeg(colour=(ord(name), 5, 5)))
    row = {"source": "MMK12", "PassRate_32BTrained": 0.5, "PassRate_7BBase": -1.0}
    rows = [
        {"question": "<image><image> Which?\n(A) one\n(B) two", "answer": "\\boxed{A}", "category": "Spatial Reasoning",
         "qid": "q0", "image": ["images/a.jpg", "images/b.jpg"], **row},
        {"question": "Area?", "answer": "The area is \\boxed{\\frac{1}{2}}", "category": "(GradeSchool) Geometric",
         "qid": "q1", "image": ["images/a.jpg"], **row, "PassRate_7BBase": 0.25},
        {"question": "1 + 1 = ?", "answer": "\\boxed{2}", "category": "Tables/Diagrams/Charts", "qid": "q2",
         "image": [""], **row},
        {"question": "Empty?", "answer": "\\boxed{}", "category": "Social Science", "qid": "q3",
         "image": ["images/a.jpg"], **row},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "39Krelease.parquet")


def geometry3k(root, jpeg):
    import datasets

    features = datasets.Features(
        {
            "images": datasets.List(datasets.Image()),
            "problem": datasets.Value("string"),
            "answer": datasets.Value("string"),
        }
    )
    for split, count in (("train", 3), ("validation", 1), ("test", 1)):
        rows = {
            "images": [[{"bytes": jpeg(colour=(i, 1, 1), kind="PNG"), "path": None}] for i in range(count)],
            "problem": ["<image>Find x."] * count,
            "answer": ["3 \\sqrt { 2 }"] * count,
        }
        file = root / "geometry3k" / "data" / f"{split}-00000-of-00001.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(file)


def math_vr(root, jpeg, write, cell):
    def row(number, question, analysis, images, category="multimodal"):
        pictures = {f"image{k}": cell(jpeg(40 + 8 * k, 40)) if k in images else None for k in range(1, 5)}
        return {"id": number, "question": question, "analysis": analysis, "category": category, **pictures}

    rows = [
        row(0, "Area of <image1>?", "Draw. <image2> So.\n\n**Therefore, the answer is:** $4\\sqrt{3}$.", (1, 2)),
        row(1, "In the figure, what?", "<image2>\nTherefore, the answer is **B**.", (1, 2)),
        row(2, "Write <image2>, then <image1>, as in <image2>.",
            "**Therefore, the answers are:**\n\n- $\\frac{1}{4}$\n- $\\frac{1}{2}$", (1, 2)),
        row(3, "Only text: 1 + 1?", "Therefore, the answer is: 2.", ()),
        row(4, "Whose are they?", "Therefore, the answer is: 2.", (1, 2)),
        row(5, "No end?", "It follows.", ()),
        row(6, "Where is <image4>?", "Therefore, the answer is: 2.", (1,)),
        row(7, "Draw it: 1 + 2?", "Therefore, the answer is 3.", (1,), "text"),
    ]  # fmt: skip
    images = [f"image{k}" for k in range(1, 5)]
    write(root / "Math-VR-train" / "data" / "train-00000-of-00001.parquet", rows, images)


@pytest.fixture(scope="session")
def training_root(tmp_path_factory, jpeg, sources):
    """One folder with a clone of each repository."""
    root = tmp_path_factory.mktemp("training")
    for make in (deepeyes, visualprobe, fvqa, pyvision, virl39k, geometry3k):
        make(root, jpeg)
    math_vr(root, jpeg, sources.write, sources.cell)
    return root


@pytest.fixture(scope="session")
def prepared(training_root, tmp_path_factory):
    """Folder with the output of each training set under its name."""
    from data_prep.__main__ import main
    from data_prep.registry import TRAINING

    folder = tmp_path_factory.mktemp("prepared")
    cache = str(tmp_path_factory.mktemp("cache"))
    for name in TRAINING:
        options = ["--output", str(folder / name), "--source", str(training_root), "--cache-dir", cache]
        assert main([name, *options, "--sheet-rows", "0"]) == 0, f"{name}: are there source rows in training_root?"
    return folder
