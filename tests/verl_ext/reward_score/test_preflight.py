# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A run whose rewards cannot be had stops before Ray starts."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from verl_ext.cpu.env import REPO_ROOT
from verl_ext.reward_score.preflight import REWARD, scoring_problems

TRAINER = REPO_ROOT / "recipe" / "axpo" / "config" / "axpo_trainer.yaml"
RULES = {"judge": {"fallback": "rules"}}
JUDGE = {"judge": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}


def problems(tmp_path, rows, kwargs=None, path=REWARD, option="train_files", more=()):
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    config = {
        "reward": {"custom_reward_function": {"path": path, "name": "compute_score", "reward_kwargs": kwargs}},
        "data": {"train_files": None, "val_files": None, option: [str(file)]},
        **dict(more),
    }
    return list(scoring_problems(OmegaConf.create(config), [(option, file)]))


def row(dataset, truth="red", **scoring):
    info = {"question": "q", "scoring": json.dumps(scoring)}
    return {"data_source": f"axpo/{dataset}", "reward_model": {"ground_truth": truth}, "extra_info": info}


@pytest.mark.parametrize("kwargs", [None, {}, {"judge": None}, {"thinking": "required"}])
@pytest.mark.parametrize("option", ["train_files", "val_files"])
def test_rows_that_need_a_judge(tmp_path, kwargs, option):
    rows = [row("vstar", "A"), row("visualprobe")]
    (message,) = problems(tmp_path, rows, kwargs, option=option)
    assert message.startswith(f"data.{option}: rows of rows.parquet (axpo/visualprobe) need a judge")
    assert "reward_kwargs.judge.base_url" in message and "judge.fallback=rules" in message


@pytest.mark.parametrize("kwargs", [RULES, JUDGE])
def test_rows_that_have_one(tmp_path, kwargs):
    assert problems(tmp_path, [row("visualprobe"), row("math_vr")], kwargs) == []


RUBRIC = {"scoring_points": "p1: adds", "point_values": "1", "max_score": 1}


@pytest.mark.parametrize(
    "option, scoring, way",
    [
        ({"process_score": "report"}, {"rubric": RUBRIC}, "process-score"),
        ({"send_image": True}, {"judge_sees": "image"}, "judge-sees-image"),
    ],
)
def test_options_of_the_judge_that_no_row_asks_for(tmp_path, option, scoring, way):
    kwargs = {"judge": JUDGE["judge"] | option}
    assert problems(tmp_path, [row("math_vr"), row("math_vr", **scoring)], kwargs) == []
    for rows in ([row("math_vr")], [row("vstar", "A", type="choice", **scoring)]):
        (message,) = problems(tmp_path, rows, kwargs)
        assert f"judge.{next(iter(option))} is set, but no row asks for it" in message and f"--{way}" in message


def test_rows_that_need_none(tmp_path):
    rows = [row("vstar", "A"), row("virl39k"), row("visualprobe", type="exact"), row("embedded_colour")]
    assert problems(tmp_path, rows) == []
    assert problems(tmp_path, [{key: rows[0][key] for key in ("data_source", "reward_model")}]) == []
    assert problems(tmp_path, [{"prompt": "x"}]) == []


def test_bad_scoring_data(tmp_path):
    (message,) = problems(tmp_path, [row("vstar", "A", typo=1)])
    assert "rows.parquet" in message and "axpo/vstar" in message and "typo" in message


@pytest.mark.parametrize("dataset", ["virl39k", "vstar", "embedded_colour"])
@pytest.mark.parametrize("truth", [None, "", " "])
def test_rows_without_a_truth(tmp_path, dataset, truth):
    (message,) = problems(tmp_path, [row(dataset, "A"), row(dataset, truth)])
    assert message.startswith(f"data.train_files: rows.parquet: axpo/{dataset}: reward_model['ground_truth'] must be")


@pytest.mark.parametrize(
    "kwargs, words",
    [
        ({"juge": {}}, "juge is no option"),
        ({"thinking": "never"}, "thinking must be one of"),
        ({"judge": {"base_url": "http://x"}}, "model must be given"),
        ({"judge": {"url": "http://x"}}, "unknown option url"),
        ({"judge": {**JUDGE["judge"], "api_key_env": "NO_SUCH_KEY_HERE"}}, "NO_SUCH_KEY_HERE"),
    ],
)
def test_bad_options(tmp_path, kwargs, words):
    message = problems(tmp_path, [row("vstar", "A")], kwargs)[0]
    assert message.startswith("reward.custom_reward_function.reward_kwargs") and words in message


def test_another_reward_function_is_its_own_business(tmp_path):
    assert problems(tmp_path, [row("visualprobe")], {"anything": 1}, path="my_reward.py") == []


def test_the_trainer_yaml_holds_the_defaults():
    from verl_ext.reward_score.judge import JudgeOptions, read_options

    kwargs = OmegaConf.to_container(OmegaConf.load(TRAINER).reward.custom_reward_function.reward_kwargs)
    assert kwargs["thinking"] == "auto" and read_options(kwargs["judge"]) == JudgeOptions()


def test_a_new_data_set(tmp_path):
    rows = [row("my_set", "12", type="number", decimals=1), row("my_set", "A", type="choice")]
    assert problems(tmp_path, rows) == []
    (message,) = problems(tmp_path, [*rows, row("my_set", "12", decimals=1)])
    assert "'axpo/my_set' and no type in extra_info.scoring" in message and "prepare the data again" in message
    (message,) = problems(tmp_path, [*rows, row("my_set", "12", type="numbre")])
    assert message.startswith("data.train_files: rows.parquet: axpo/my_set: extra_info['scoring']: type: ")
    (message,) = problems(tmp_path, [row("my_set", type="judge")])
    assert "(axpo/my_set) need a judge" in message


def test_the_threshold_of_a_new_data_set(tmp_path):
    axpo = {"algorithm": {"adv_estimator": "axpo"}, "axpo": {"correct_threshold": 2.0}}
    (message,) = problems(tmp_path, [row("my_set", type="exact")], more=axpo)
    assert message.startswith("axpo.correct_threshold must be above 0 and at most 1, got 2.0")
