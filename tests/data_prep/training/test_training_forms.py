# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What single rows of the training sets become: their questions, tools and scoring."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.training.deepeyes import with_options
from data_prep.training.pyvision_image import scoring_of
from verl_ext.reward_score.row import needs_judge


def user(row):
    return row["prompt"][-1]["content"]


TAIL = "\nThink first, call **image_zoom_in_tool** if needed, then answer. Format strictly as: <think>...</think>"


def prompt(text):
    return [{"role": "system", "content": "(A) x (B) y"}, {"role": "user", "content": f"<image>\n{text}"}]


@pytest.mark.parametrize(
    "tail", [TAIL, "  Think first, call it.", "\n\nThe answer stands in <answer></answer>.\nGo!", ""]
)
def test_deepeyes_finds_the_options_in_the_prompt(tail):
    asked = "Which bar?\nA. red\nB. blue"
    assert with_options("Which bar?", "B", prompt(asked + tail)) == asked
    assert with_options("Which bar?", "blue", prompt(asked + tail)) == "Which bar?"
    assert with_options("Which bar?\n(A) 1\n(B) 2", "B", prompt(asked + tail)) == "Which bar?\n(A) 1\n(B) 2"
    assert with_options("Which bar?", "B", prompt("Which bar?" + tail)) == "Which bar?"
    assert with_options("Which bar?", "B", None) == "Which bar?"


def test_deepeyes_row_with_options_in_the_prompt(tmp_path, training_root, prepare, table):
    name = "data_v0.8_visual_toolbox_v2.parquet"
    (row,) = pq.read_table(training_root / "DeepEyes-Datasets-47k" / name).to_pylist()
    row["prompt"] = prompt(f"Which bar?\nA. red\nB. blue{TAIL}")
    row["extra_info"] |= {"question": "Which bar?"}
    row["reward_model"] |= {"ground_truth": "B"}
    (tmp_path / "DeepEyes-Datasets-47k").mkdir()
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "DeepEyes-Datasets-47k" / name)
    assert prepare("deepeyes", tmp_path, "--split", "chart") == 0
    (made,) = table(tmp_path / "out/chart.parquet")
    assert user(made).startswith("<image>\nWhich bar?\nA. red\nB. blue\n\n") and "Think first" not in user(made)
    assert json.loads(made["extra_info"]["scoring"]) == {"type": "choice", "options": ["red", "blue"]}


def test_fvqa_offers_image_search(training_root, prepare, table, tmp_path):
    assert prepare("fvqa", training_root, "--image-search") == 0
    selected = table(tmp_path / "out/train.parquet")[0]["extra_info"]["tool_selection"]
    assert selected == ["tavily-search", "image_zoom_in", "image_search"]


def test_pyvision_sends_free_forms_to_the_judge(prepared, table):
    cat, number = table(prepared / "pyvision_image/train.parquet")
    assert json.loads(cat["extra_info"]["scoring"]) == {"type": "judge"}
    for row, judged in ((cat, True), (number, False)):
        assert needs_judge(row["data_source"], row["extra_info"]["answer"], row["extra_info"]) == judged
    assert scoring_of("math", "Q?", "x = 4") == {"type": "math"} and scoring_of("chart", "Q?", "x = 4") == {
        "type": "judge"
    }
    assert scoring_of("chart", "Q?", "B") == {"type": "choice"}


def test_rows_without_an_image_do_not_speak_of_one(prepared, benchmarks, table):
    text = [row for row in table(prepared / "virl39k/train.parquet") if not row["images"]]
    text += [row for row in table(benchmarks / "mmsearch/end2end.parquet") if not row["images"]]
    assert len(text) == 2
    for row in text:
        system = row["prompt"][0]["content"].lower()
        assert (
            "image" not in system
            and "zoom" not in system
            and "image_zoom_in" not in row["extra_info"]["tool_selection"]
        )
