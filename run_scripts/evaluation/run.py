# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate a model: make the samples that are missing, and then the numbers."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from run_scripts.evaluation.drive import Progress, Task, drive
from run_scripts.evaluation.engine import Pool, Servers, compose, in_flight, ray_session
from run_scripts.evaluation.record import Sample, SampleWriter, samples_file
from run_scripts.evaluation.settings import EvaluationSettings


def evaluate(settings: EvaluationSettings) -> int:
    """Make what is missing. Return the number of samples that could not be made.

    Raises:
        SettingError: the settings or the data are wrong.
        EvaluationError: the evaluation cannot go on.
    """
    settings.prepare()
    if not missing(settings):
        return 0
    config = compose(settings)
    with ray_session(config):
        return make_samples(settings, config, Servers(config, settings))


def missing(settings: EvaluationSettings) -> list[Task]:
    """Return the samples that are not done yet, the samples of one question side by side."""
    tasks = []
    for benchmark in settings.benchmarks:
        with SampleWriter(samples_file(settings.output, benchmark.name)) as writer:
            done = writer.done
        for question in benchmark.questions:
            numbers = [number for number in range(settings.samples) if (question.id, number) not in done]
            tasks += [Task(benchmark.name, question.id, question.row, number) for number in numbers]
    return tasks


def make_samples(settings: EvaluationSettings, config, servers: Servers) -> int:
    """Make what is missing with servers that run already."""
    tasks = missing(settings)
    total = settings.samples * sum(len(benchmark.questions) for benchmark in settings.benchmarks)
    pool, progress = Pool(config, settings, servers), Progress(total - len(tasks), total)
    with ExitStack() as stack:
        stack.callback(pool.close)
        writers = {
            benchmark.name: stack.enter_context(SampleWriter(samples_file(settings.output, benchmark.name)))
            for benchmark in settings.benchmarks
        }

        def finished(sample: Sample) -> None:
            writers[sample.benchmark].write(sample)
            progress.add(sample)

        at_a_time = in_flight(config, settings, servers)
        return asyncio.run(drive(tasks, pool, finished, in_flight=at_a_time, attempts=settings.attempts))
