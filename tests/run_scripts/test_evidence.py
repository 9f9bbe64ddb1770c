# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The evidence: what the dumps show is counted as the trainer counts it, and the page says what the summaries say."""

import json
import math
import re
from itertools import combinations
from statistics import correlation

import pytest

from run_scripts.lab.confidence import correlations
from run_scripts.lab.dumps import distinct_calls, read_questions, step_figures
from run_scripts.lab.evidence import KEPT, PAGE, SECTIONS, collect, read_kept, render
from run_scripts.lab.report import KEYS, Curve
from tests.run_scripts.test_lab import write_run

RIGHT, WRONG, GUESS = "<tool_call>1</tool_call>r", "<tool_call>2</tool_call>w", "hint"


def row(question, session, output, score, **more):
    return {
        "question": question,
        "session": session,
        "output": output,
        "score": score,
        "response_mask": [1, 0, 1],
    } | more


def write_dump(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def continuations(question, prefix, *scores):
    return [
        row(question, 100 + i, RIGHT if score else WRONG, score, role="continuation", prefix_group=prefix)
        for i, score in enumerate(scores)
    ]


def test_figures_of_a_step_with_continuations(tmp_path):
    rows = [
        *[row("a", i, WRONG if i < 2 else GUESS, 0.0, role="source" if i < 2 else "rollout") for i in range(8)],
        *continuations("a", "a:0", 1.0, 0.0, 0.0, 0.0),
        *continuations("a", "a:1", 0.0, 0.0, 0.0, 0.0),
        *[
            row("b", i, RIGHT if i == 3 else WRONG, float(i == 3), role="rollout") for i in range(8)
        ],  # one call is right
        *[row("c", i, GUESS, 0.0, role="rollout") for i in range(8)],  # no call
        *[row("d", i, WRONG, 0.0, role="rollout") for i in range(8)],  # the budget ended before it
    ]
    figures = step_figures(read_questions(write_dump(tmp_path / "1.jsonl", rows)))
    assert figures == {
        "lab/triggered": 2,
        "lab/offered": 1,
        "lab/recovered": 1,
        "lab/extra_tokens": 8 * 2,
        "lab/distinct_calls": 1.5,
        "lab/found1": pytest.approx(1 / 8),
        "lab/found4": pytest.approx(1 / 2),
    }


def test_figures_of_a_step_with_fresh_rollouts(tmp_path):
    outputs = [RIGHT, GUESS, WRONG, GUESS]  # a right guess does not recover the tool-using subgroup
    rows = [row("a", i, WRONG, 0.0) for i in range(8)]
    rows += [row("a", 8 + i, output, float(output != WRONG)) for i, output in enumerate(outputs)]
    rows += [row("b", i, GUESS if i < 11 else RIGHT, float(i > 10)) for i in range(12)]  # not triggered by its first 8
    figures = step_figures(read_questions(write_dump(tmp_path / "1.jsonl", rows)))
    assert figures["lab/triggered"] == figures["lab/offered"] == figures["lab/recovered"] == 1
    assert figures["lab/extra_tokens"] == 2 * 4 * 2 and figures["lab/found1"] == 1 / 4 and figures["lab/found4"] == 1


@pytest.mark.parametrize("hits, n", [([1, 0, 0, 1, 0, 0], 4), ([0] * 8, 8), ([1] + [0] * 7, 1)])
def test_chance_is_the_share_of_all_draws(tmp_path, hits, n):
    rows = [row("a", 0, WRONG, 0.0, role="source"), *continuations("a", "a:0", *map(float, hits))]
    (question,) = read_questions(write_dump(tmp_path / "1.jsonl", rows))
    draws = list(combinations(hits, n))
    assert question.chance(n) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))
    assert question.chance(len(hits) + 1) is None


def test_distinct_calls():
    outputs = ["x<tool_call>\n1\n</tool_call>y", "z<tool_call>1</tool_call>", "<tool_call>2</tool_call>", "broken"]
    assert distinct_calls([{"output": output} for output in outputs]) == 3


def test_correlations_are_those_of_numpy_and_ranks():
    pairs = [(0.1, 5.0), (0.2, 4.0), (0.4, 4.0), (0.3, 2.0), (0.9, 1.0)]
    found = correlations(pairs, draws=10)
    assert found["pearson"][0] == pytest.approx(correlation([x for x, _ in pairs], [-y for _, y in pairs]))
    assert found["spearman"][0] == pytest.approx(correlation([1, 2, 4, 3, 5], [1, 2.5, 2.5, 4, 5]))


def test_only_finished_runs_are_kept_and_others_stay(tmp_path):
    write_run(tmp_path, "axpo-g50", 1, 20, lambda step: 0.5)
    write_run(tmp_path, "axpo-g50", 2, 20, lambda step: 0.25)
    running = tmp_path / "runs" / "axpo-g50" / "seed2" / "metrics" / "attempt-000.jsonl"
    running.write_text("\n".join(running.read_text().splitlines()[:-1]))
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "axpo-g50.json").write_text(json.dumps({"7": Curve([{"axpo/accuracy": 0.1}], 8, (0.1, 0.2)).to_json()}))
    collect(tmp_path, kept)
    (arm,) = read_kept(kept).items()
    assert arm[0] == "axpo-g50" and sorted(arm[1]) == [1, 7]
    assert arm[1][1] == Curve.read(tmp_path / "runs" / "axpo-g50" / "seed1", 8)
    assert arm[1][7].steps == [{"axpo/accuracy": 0.1}] and arm[1][7].validation == (0.1, 0.2)


def test_the_page_says_what_the_summaries_say():
    text = PAGE.read_text()
    assert render(text, read_kept()) == text, "run `python -m run_scripts.lab evidence`"
    marked = set(re.findall(r"<!-- (?!end)(\w+) -->", text))
    assert {"gap", "cost", "confidence"} <= marked <= SECTIONS.keys()
    for name in re.findall(r"\]\((evidence/\S+)\)", text):
        assert (PAGE.parent / name).exists(), name


def test_summaries_are_whole():
    for arm, seeds in read_kept().items():
        for seed, curve in seeds.items():
            assert curve.validation[1] is not None and len(curve.steps) >= 10, (arm, seed)
            assert all(math.isfinite(value) for step in curve.steps for value in step.values())
            assert all(set(step) <= set(KEYS) for step in curve.steps)
    assert sum(path.stat().st_size for path in KEPT.glob("*.json")) < 2_000_000
