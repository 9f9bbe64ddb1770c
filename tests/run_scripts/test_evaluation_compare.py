# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess

import numpy as np
import pytest

from data_prep.registry import BENCHMARKS
from run_scripts.evaluation.__main__ import main
from run_scripts.evaluation.compare import difference, estimate, notes, read, shown, tables
from run_scripts.evaluation.comparison import compare
from run_scripts.evaluation.paper import reference
from run_scripts.evaluation.record import Sample, SampleWriter, samples_file


def make(directory, name, right, benchmarks=("vstar",), n=4, questions=None, **settings):
    """An evaluation whose sample j of question i is right where ``right(benchmark, i, j)``."""
    questions = {b: 40 for b in benchmarks} | (questions or {})
    for benchmark in benchmarks:
        with SampleWriter(samples_file(directory, benchmark)) as writer:
            for i in range(questions[benchmark]):
                for j in range(n):
                    acc = float(right(benchmark, i, j))
                    used = (i + j) % 3 == 0
                    writer.write(Sample(benchmark, f"test/{i}", j, 0, used_tool=used, score=acc, details={"acc": acc}))
    values = {"name": name, "model": name, "engine": "vllm", "samples": n, "seed": 0, "tools": [], "added_tools": []}
    values |= {"overrides": [], "limit": None, "benchmarks": list(benchmarks), "questions": questions} | settings
    (directory / "settings.json").write_text(json.dumps(values))
    return str(directory)


@pytest.fixture
def pair(tmp_path):
    """B answers what A answers, and every other question in addition, and questions differ widely."""
    rng = np.random.default_rng(0)
    hard = rng.random(40) < 0.5
    a = make(tmp_path / "a", "A", lambda b, i, j: not hard[i])
    b = make(tmp_path / "b", "B", lambda b, i, j: not hard[i] or i % 2 == 0)
    return a, b, np.mean([h and i % 2 == 0 for i, h in enumerate(hard)])


def test_a_difference_is_paired(pair):
    a, b, gain = pair
    base, other = read([a, b])
    found = difference(base, other, ["vstar"], "pass@1")
    assert found.value == pytest.approx(gain) and found.low > 0
    ours, theirs = estimate(base, "vstar", "pass@1"), estimate(other, "vstar", "pass@1")
    apart = np.hypot(ours.high - ours.low, theirs.high - theirs.low)
    assert found.high - found.low < 0.8 * apart  # what is hard for both is in neither
    assert difference(base, base, ["vstar"], "pass@1").high == 0.0


def test_paired_intervals_cover_the_truth():
    from run_scripts.evaluation.numbers import Estimate, Figure, resample

    rng, held, trials = np.random.default_rng(1), 0, 300
    for trial in range(trials):
        p = rng.beta(0.5, 0.5, size=60)
        pair = [
            Figure.of([(i, 0, rng.binomial(4, q) / 4, 1) for i, q in enumerate(np.clip(p + d, 0, 1))], 60)
            for d in (0, 0.1)
        ]
        weights = resample(60, trial, 400)
        drawn = pair[1].drawn(weights) - pair[0].drawn(weights)
        found = Estimate.of(pair[1].value - pair[0].value, drawn)
        # E[min(p + 0.1, 1)] - 0.5 for the arcsine law
        truth = 0.1 - _overshoot(0.1)
        held += found.low <= truth <= found.high
    assert 0.9 <= held / trials <= 0.985


def _overshoot(d):
    grid = (np.arange(200_000) + 0.5) / 200_000
    p = np.sin(np.pi * grid / 2) ** 2
    return np.maximum(p + d - 1, 0).mean()


def test_only_common_questions_are_paired(tmp_path):
    a = make(tmp_path / "a", "A", lambda b, i, j: i < 10, questions={"vstar": 20})
    b = make(tmp_path / "b", "B", lambda b, i, j: i < 10 or i >= 20, questions={"vstar": 40})
    base, other = read([a, b])
    assert difference(base, other, ["vstar"], "pass@1").value == 0.0
    assert estimate(other, "vstar", "pass@1").value == 0.75


def test_what_is_not_comparable_is_said(tmp_path):
    a = make(tmp_path / "a", "A", lambda b, i, j: True)
    b = make(tmp_path / "b", "B", lambda b, i, j: True, n=2, tools=["tools/python.yaml"], questions={"vstar": 30})
    settings = json.loads((tmp_path / "b" / "settings.json").read_text())
    settings["questions"]["vstar"] = 40
    (tmp_path / "b" / "settings.json").write_text(json.dumps(settings))
    found = " ".join(notes(read([a, b])))
    assert "samples differs: A 4, B 2" in found and "tools differs" in found and "60 of 80 samples" in found
    with pytest.raises(ValueError, match="two evaluations are called A"):
        read([a, a])
    assert [e.name for e in read([f"before={a}", f"after={a}"])] == ["before", "after"]


def test_the_papers_numbers_stand_beside(tmp_path):
    a = make(
        tmp_path / "a", "A", lambda b, i, j: True, benchmarks=tuple(BENCHMARKS), questions={b: 2 for b in BENCHMARKS}
    )
    first = tables(read([a]), "8b")[0]
    assert first.head[-1] == "paper 8b: SFT+AXPO"
    cells = {row[0]: row[-1] for row in first.rows}
    assert cells["MathVision"] == "56.1" and cells["MMSearch"] == "45.0" and cells["average of 9"] == "62.3"
    assert tables(read([a]), None)[0].head == ["", "A"]
    for metric in ("pass@1", "pass@4"):  # the paper's averages are those of its benchmarks
        for numbers in reference("8b", metric).values():
            if len(numbers) == 10:
                mean = np.mean([v for name, v in numbers.items() if name != "average"])
                assert mean == pytest.approx(numbers["average"], abs=0.001)
    assert reference("2b", "pass@1")["SFT+AXPO"] == {"average": 0.518}


def test_files_and_their_escapes(tmp_path, capsys):
    a = make(tmp_path / "a", "a_1 & 50% #|$", lambda b, i, j: i % 2, benchmarks=("vstar", "dynamath"))
    b = make(tmp_path / "b", "<script>", lambda b, i, j: i % 3, benchmarks=("vstar", "dynamath"))
    output = tmp_path / "out"
    assert main(["compare", a, b, f"--output={output}", "--paper=none"]) == 0
    text, latex = (output / "comparison.md").read_text(), (output / "comparison.tex").read_text()
    assert "V\\*" in text and "\\<script\\>" in text and "a\\_1 & 50% #\\|$" in text
    assert "a\\_1 \\& 50\\% \\#|\\$" in latex and "75.0" not in latex.split("\\midrule")[0]
    assert "50.0 (" in latex and "DynaMath: all variants right" in text
    for name in ("tool_use_and_accuracy", "pass_at_k", "benchmarks"):
        assert f"{name}.svg" in text and (output / f"{name}.svg").read_text().count("<svg") == 1
    assert json.loads((output / "comparison.json").read_text())["tables"][0]["head"][1:] == [
        "a_1 & 50% #|$",
        "<script>",
    ]
    assert main(["compare", str(output)]) == 2
    assert "holds no evaluation" in capsys.readouterr().err
    if pdflatex := shutil.which("pdflatex"):
        page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{comparison}\\end{document}"
        (output / "page.tex").write_text(page)
        subprocess.run([pdflatex, "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=output, check=True)


def test_numbers_as_text():
    assert shown(None, "pass@1") == "-" and shown(0.5, "pass@1") == "50.0" and shown(1.234, "calls") == "1.23"


def test_equal_evaluations_give_equal_files(pair, tmp_path):
    a, b, _ = pair
    for name in ("one", "two"):
        compare([a, b], tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
