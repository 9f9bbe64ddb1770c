# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Training sets through the real command line, from local files with their true columns."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.core.parquet import SCHEMA
from data_prep.registry import TRAINING, load_dataset_spec
from data_prep.training.common import known_scoring, unbox
from data_prep.training.math_vr_train import final_answers
from verl_ext.reward_score.row import read_row

FILES = {
    "deepeyes/visual_search": ["The hat is red.", "B"],
    "deepeyes/chart": ["12.5"],
    "deepeyes/reasoning": ["$x^2$"],
    "visualprobe_train/train": ["A dog.", "A dog."],
    "fvqa/train": ["Eiffel", "Eiffel"],
    "pyvision_image/train": ["a cat", "7"],
    "virl39k/train": ["A", "\\frac{1}{2}", "2"],
    "geometry3k/train": ["3 \\sqrt { 2 }"] * 3,
    "math_vr_train/train": ["4\\sqrt{3}", "B", "\\frac{1}{4}; \\frac{1}{2}", "2", "3"],
}


def user(row):
    return row["prompt"][-1]["content"]


def loads(row, key):
    return json.loads(row["extra_info"][key])


def dropped(folder, part="train"):
    return json.loads((folder / "manifest.json").read_text())["parts"][part]["dropped"]


@pytest.mark.parametrize("file", FILES)
def test_truths_layout_and_scoring(prepared, table, file):
    rows = table(prepared / f"{file}.parquet")
    name = file.split("/")[0]
    assert [row["reward_model"]["ground_truth"] for row in rows] == FILES[file]
    assert pq.read_schema(prepared / f"{file}.parquet").equals(SCHEMA)
    for row in rows:
        info = row["extra_info"]
        assert row["data_source"] == f"axpo/{name}" and [turn["role"] for turn in row["prompt"]] == ["system", "user"]
        assert user(row).count("<image>") == len(row["images"]) and "<image>" not in info["question"]
        scored = read_row(row["data_source"], info["answer"], info)
        assert scored is not None and scored.type  # the reward knows the data source and accepts the details


def test_every_file_is_tested(prepared):
    made = {f"{path.parent.name}/{path.stem}" for path in prepared.glob("*/*.parquet")}
    assert made == set(FILES) and {name.split("/")[0] for name in FILES} == set(TRAINING)


def test_deepeyes_takes_the_question_and_not_the_prompt(prepared, table):
    open_, choice = table(prepared / "deepeyes/visual_search.parquet")
    assert all("image_zoom_in_tool" not in turn["content"] for turn in open_["prompt"])
    assert user(open_).startswith("<image>\nWhat colour is the\nhat?")
    assert loads(choice, "scoring") == {"type": "choice", "options": ["a cup", "a hat"]}
    assert "letter of the right option" in user(choice) and loads(open_, "scoring") == {"type": "judge"}
    assert loads(open_, "meta") == {"env_name": "visual_toolbox_v2", "data_source": "vstar"}
    assert dropped(prepared / "deepeyes", "visual_search") == {
        "corrupt image": 1, "image side under 28 px": 1, "no question": 1,
    }  # fmt: skip
    (chart,) = table(prepared / "deepeyes/chart.parquet")
    assert chart["ability"] == "chart" and chart["extra_info"]["tool_selection"] == ["image_zoom_in", "python"]
    assert table(prepared / "deepeyes/reasoning.parquet")[0]["ability"] == "math"


def test_deepeyes_says_what_its_structs_lack(tmp_path, training_root, prepare, capsys):
    source = tmp_path / "DeepEyes-Datasets-47k"
    source.mkdir()
    name = "data_v0.8_visual_toolbox_v2.parquet"
    rows = pq.read_table(training_root / "DeepEyes-Datasets-47k" / name).to_pylist()
    rows[0]["extra_info"] = {"index": "0", "split": "train"}
    pq.write_table(pa.Table.from_pylist(rows), source / name)
    assert prepare("deepeyes", tmp_path, "--split", "chart") == 1
    assert "extra_info has no 'question'. Found: ['index', 'split']" in capsys.readouterr().err


def test_visualprobe(prepared):
    reasons = {"missing image": 1, "placeholders do not match the images": 1}
    assert dropped(prepared / "visualprobe_train") == reasons


def test_fvqa(prepared, table, training_root, prepare, tmp_path):
    named, bare = table(prepared / "fvqa/train.parquet")
    judged = {"type": "judge", "fallback": "f1"}
    assert loads(named, "scoring") == {**judged, "aliases": ["Gustave Eiffel", "G. Eiffel"]}
    assert loads(bare, "scoring") == {**judged, "aliases": []}
    assert user(named).startswith("<image>\nWho built") and loads(named, "meta")["category"] == "search_required"
    assert (
        dropped(prepared / "fvqa") == {"duplicate id": 1} and "tavily-search" in named["extra_info"]["tool_selection"]
    )
    assert prepare("fvqa", training_root, "--split", "test") == 0  # without the column category
    assert "category" not in loads(table(tmp_path / "out/test.parquet")[0], "meta")


def test_fvqa_stops_at_other_candidate_answers(tmp_path, training_root, prepare, capsys):
    rows = pq.read_table(training_root / "FVQA/fvqa_train.parquet").to_pylist()
    rows[0]["reward_model"]["candidate_answers"] = "Eiffel|Gustave"
    (tmp_path / "FVQA").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "FVQA/fvqa_train.parquet")
    assert prepare("fvqa", tmp_path) == 1
    assert "candidate_answers: expected a JSON list" in capsys.readouterr().err


def test_pyvision(prepared, table):
    cat, number = table(prepared / "pyvision_image/train.parquet")
    assert (cat["ability"], number["ability"]) == ("perception", "math") and loads(number, "scoring") == {
        "type": "number"
    }
    assert dropped(prepared / "pyvision_image") == {"missing image": 1}


def test_virl39k(prepared, table):
    two, area, text = table(prepared / "virl39k/train.parquet")
    assert [row["ability"] for row in (two, area, text)] == ["perception", "math", "math"]
    assert loads(two, "scoring") == {"type": "choice", "options": ["one", "two"]} and len(two["images"]) == 2
    assert loads(two, "meta")["pass_rate_7b"] is None and loads(area, "meta")["pass_rate_7b"] == 0.25
    assert loads(two, "meta")["pass_rate_32b"] == 0.5 and text["images"] == []
    assert [row["extra_info"]["id"] for row in (two, area, text)] == ["q0", "q1", "q2"]
    assert dropped(prepared / "virl39k") == {"no answer": 1}


def test_virl39k_asks_for_unpacked_images(tmp_path, training_root, prepare, capsys):
    folder = tmp_path / "ViRL39K"
    folder.mkdir()
    (folder / "39Krelease.parquet").write_bytes((training_root / "ViRL39K/39Krelease.parquet").read_bytes())
    (folder / "images.zip").write_bytes(b"")
    assert prepare("virl39k", tmp_path) == 1
    message = capsys.readouterr().err
    assert "images.zip" in message and "--source" in message


@pytest.mark.parametrize("name", ["virl39k", "pyvision_image"])
def test_rows_without_their_images_ask_for_the_whole_repository(tmp_path, training_root, prepare, capsys, name):
    """What a download of the rows' file alone leaves."""
    part = load_dataset_spec(name).parts["train"]
    (tmp_path / "copy").mkdir()
    file = training_root / part.hub_id.split("/")[1] / part.data_file
    (tmp_path / "copy" / part.data_file).write_bytes(file.read_bytes())
    assert prepare(name, tmp_path / "copy") == 1
    assert "holds no images, expected" in (message := capsys.readouterr().err) and "--source" in message


def test_math_vr_never_shows_the_solution(prepared, table):
    rows = table(prepared / "math_vr_train/train.parquet")
    widths = [[Image.open(io.BytesIO(image["bytes"])).width for image in row["images"]] for row in rows]
    assert widths == [[48], [48], [56, 48], [], []]
    assert user(rows[2]).startswith("Write <image>, then <image>, as in [image 1].") and "2 answers" in user(rows[2])
    assert [loads(row, "scoring").get("type") for row in rows] == ["judge", "choice", "judge", "number", "number"]
    assert dropped(prepared / "math_vr_train") == {
        "images that neither question nor solution names": 1,
        "missing image": 1,
        "no clear answer at the end of the solution": 1,
    }


def test_missing_column_is_named(tmp_path, training_root, prepare, capsys):
    rows = pq.read_table(training_root / "FVQA/fvqa_train.parquet").drop_columns(["prompt"])
    (tmp_path / "FVQA").mkdir()
    pq.write_table(rows, tmp_path / "FVQA/fvqa_train.parquet")
    assert prepare("fvqa", tmp_path) == 1
    assert "'prompt' (list[struct]) is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text,answer",
    [
        ("\\boxed{A}", "A"),
        ("so \\boxed{1} or \\boxed{\\frac{1}{2}} cm", "\\frac{1}{2}"),
        ("\\boxed{open", "\\boxed{open"),
        (" 7 ", "7"),
        ("\\boxed{}", ""),
    ],
)
def test_unbox(text, answer):
    assert unbox(text) == answer


@pytest.mark.parametrize(
    "question,answer,kind",
    [
        ("Q?\n(A) x\n(B) y", "B", "choice"),
        ("Q?\n(A) x\n(B) y", "y", "choice"),
        ("Q?\n(A) x\n(B) y", "z", None),
        ("Q?", "C", "choice"),
        ("Q?", "1,200.5", "number"),
        ("Q?", "45%", "number"),
        ("Q?", "2 cm", None),
        ("Q?", "x = 4", None),
        ("Q?", "Ada", None),
    ],
)
def test_only_what_is_known_is_said(question, answer, kind):
    assert known_scoring(question, answer).get("type") == kind


@pytest.mark.parametrize(
    "closing,answers",
    [
        ("the answer is $2 \\sqrt{2}$.", ["2 \\sqrt{2}"]),
        ("the answer is: - 5.", ["-5"]),
        ("the answer is 3.5 cm.\n\nNote that 1. and 2. hold.", ["3.5 cm"]),
        ("the answer is 12.\n\n3. Another way.", ["12"]),
        ("the answer is:\n\n$$\nx = 3\n$$", ["x = 3"]),
        ("the answer is 3. <image2>", ["3"]),
        ("the answer is:\n1. $a$\n2. $b$", ["a", "b"]),
        ("the answers are: (1) $3$; (2) $5$.", ["3", "5"]),
        ("the answers are\n(1) $f(1) = 2$\n(2) $b$", ["f(1) = 2", "b"]),
        ("the answers are:\n* a\n* b.\n\nThis ends it.", ["a", "b"]),
        ("the answers are 3 and 5.", ["3 and 5"]),
    ],
)
def test_closing_answers(closing, answers):
    assert final_answers(f"Therefore, the answer is 7. Hmm.\nThus, {closing}") == answers


@pytest.mark.parametrize(
    "closing",
    [
        "the answer is 2. The other root is rejected.",
        "the answer is $3$. So the triangle is isosceles.",
        "the answer is: $x = 3$\nor $x = 5$",
        "the answer is:\n- 5",  # a list of one, or a minus
        "the answer is <image3>\n\nThat is the drawing.",
        "the answer is as follows:\n- a\n- b",
        "the answers are:\n1. $3$. See above.\n2. $4$.",
        "the answers are: (1) 3; (2) see <image2>.",
        "the answer is",
    ],
)
def test_no_answer_is_taken_where_its_end_is_unclear(closing):
    assert final_answers(f"Therefore, {closing}") == []


def test_without_a_closing_sentence_there_is_no_answer():
    assert final_answers("The answer is near.") == [] and final_answers("") == []
