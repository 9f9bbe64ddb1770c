# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
import io

import pytest

from run_scripts.evaluation.drive import GIVE_UP, EvaluationError, Progress, Task, drive
from run_scripts.evaluation.record import INFRASTRUCTURE, Sample

TASKS = [Task("vstar", f"test/{i}", i, 0) for i in range(50)]


def made(task, ok=True):
    status = {} if ok else {"status": INFRASTRUCTURE, "error": "the tool is down"}
    return Sample(
        task.benchmark, task.question, task.sample, 0, generated_tokens=10, score=1.0 if ok else None, **status
    )


def test_never_more_in_flight_than_allowed_and_each_once():
    now, most, done = 0, 0, []

    async def run(task):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001 * (task.row % 3))
        now -= 1
        return made(task)

    assert asyncio.run(drive(TASKS, run, done.append, in_flight=7)) == 0
    assert most == 7 and sorted(s.question for s in done) == sorted(t.question for t in TASKS)


def test_a_failed_sample_is_tried_again_when_the_others_have_been_started():
    tried, done = [], []

    async def run(task):
        tried.append(task.row)
        return made(task, ok=task.row != 3 and (task.row != 5 or tried.count(5) == 2))

    assert asyncio.run(drive(TASKS, run, done.append, in_flight=4, attempts=3)) == 1
    assert tried.count(3) == 3 and tried.count(5) == 2 and tried[:50] == list(range(50))
    failures = [s for s in done if s.status != "ok"]
    assert [s.question for s in failures] == ["test/3"] and failures[0].score is None and len(done) == 50


def test_gives_up_when_nothing_works_any_more():
    done = []

    async def run(task):
        return made(task, ok=task.row < 5)

    with pytest.raises(EvaluationError, match="the tool is down.*same command"):
        asyncio.run(drive(TASKS, run, done.append, in_flight=2))
    assert len(done) == 5  # what failed is not on the record: it may be nobody's fault but the network's
    assert GIVE_UP <= 45


def test_failures_here_and_there_do_not_end_it():
    done = []

    async def run(task):
        return made(task, ok=task.row % 2 == 0)

    assert asyncio.run(drive(TASKS, run, done.append, in_flight=2)) == 25


def test_progress_says_how_fast_and_how_long():
    out = io.StringIO()
    progress = Progress(done=10, total=20, every=1e9, out=out)
    for task in TASKS[:4]:
        progress.add(made(task, ok=task.row != 0))
    line = progress.line(seconds=2.0)
    assert line == "14/20 samples, 2.00 samples/s, 20 generated tokens/s, 0:00:03 left, 1 infrastructure failures"
    for task in TASKS[4:10]:
        progress.add(made(task))
    assert out.getvalue().startswith("20/20 samples")
