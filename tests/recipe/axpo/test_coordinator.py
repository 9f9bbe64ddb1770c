# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""The batch's barrier, budget and book-keeping, without Ray: the coordinator is plain asyncio."""

import asyncio

from recipe.axpo import coordinator as module
from recipe.axpo.config import AXPOConfig
from recipe.axpo.coordinator import BatchCoordinator
from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.selection import SettledRollout
from tools.metrics import CallRecord

N, K = 4, 2


def group(*confidences, reward=0.0):
    """Tool-using rollouts with these confidences, filled up to N with others."""
    tools = [
        SettledRollout(i, reward, True, (ToolCallSpan(1, 10, 15, 11, confidence),))
        for i, confidence in enumerate(confidences)
    ]
    return tools + [SettledRollout(i, 0.0, False, ()) for i in range(len(tools), N)]


def coordinator(branching=True, **options):
    return BatchCoordinator(AXPOConfig(**{"continuations": K, "budget_ratio": 0.25, **options}), branching)


def run(test):
    return asyncio.run(asyncio.wait_for(test, timeout=10))


async def still_waiting(*tasks):
    """Let everything run that can; none of ``tasks`` may have finished."""
    for _ in range(10):
        await asyncio.sleep(0)
    return not any(task.done() for task in tasks)


async def hand_in(batch, step, groups):
    """Settle each group in a task of its own, as the workers' questions do."""
    return {q: asyncio.create_task(batch.settle(step, q, rollouts, {})) for q, rollouts in groups.items()}


def sessions(candidates):
    return [candidate.session for candidate in candidates]


def test_nobody_goes_on_before_the_last_question_has_settled():
    async def test():
        batch = coordinator()
        await batch.open(1, 3, N)
        tasks = await hand_in(batch, 1, {"a": group(0.5), "b": group(0.2)})
        assert await still_waiting(*tasks.values())
        tasks |= await hand_in(batch, 1, {"c": group(0.3)})
        return {q: sessions(await task) for q, task in tasks.items()}

    # floor(0.25 * 3 * 4 / 2) = 1 prefix, for the least confident call
    assert run(test()) == {"a": [], "b": [0], "c": []}


def test_the_budget_is_the_batchs():
    """Two workers with two questions each; the one whose questions need it gets all of it."""

    async def test():
        batch = coordinator(budget_ratio=0.5)  # floor(0.5 * 4 * 4 / 2) = 4 prefixes
        await batch.open(1, 4, N)

        async def worker(groups):
            tasks = await hand_in(batch, 1, groups)
            return {q: sessions(await task) for q, task in tasks.items()}

        return await asyncio.gather(
            worker({"a": group(0.9, reward=1.0), "b": group()}),  # one right, one without a tool: no trigger
            worker({"c": group(0.3, 0.2, 0.1), "d": group(0.8, 0.9)}),
        )

    assert run(test()) == [{"a": [], "b": []}, {"c": [2, 1], "d": [0, 1]}]


def test_a_batch_announced_in_parts():
    async def test():
        batch = coordinator()
        await batch.open(1, 1, N)
        await batch.open(1, 1, N)
        first = asyncio.create_task(batch.settle(1, "a", group(0.5), {}))
        assert await still_waiting(first)
        await batch.settle(1, "b", group(), {})
        return sessions(await first)

    assert run(test()) == [0]


def test_failed_question_hands_in_nothing():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        first = asyncio.create_task(batch.settle(1, "a", group(0.5), {}))
        assert await still_waiting(first)
        assert await batch.settle(1, "b", [], {}) == []  # what a worker does whose question raised
        await batch.branched(1, "b", [])
        assert sessions(await first) == [0]
        await batch.branched(1, "a", [[1.0, 0.0]])
        return await batch.close(1)

    report = run(test())
    assert report.groups["b"] == []
    assert report.outcomes == [[1.0, 0.0]]
    assert report.budget == 1  # of the batch as announced


def test_grpo_does_not_wait_and_selects_nothing():
    async def test():
        batch = coordinator(branching=False)
        await batch.open(1, 2, N)
        assert await batch.settle(1, "a", group(0.5), {"unclosed": 1}) == []  # would wait for "b" otherwise
        closing = asyncio.create_task(batch.close(1))
        assert await still_waiting(closing)  # its figures are of the whole batch all the same
        assert await batch.settle(1, "b", group(0.1), {"unclosed": 2}) == []
        return await closing

    report = run(test())
    assert (report.selected, report.outcomes, report.budget) == ([], [], 0)
    assert report.no_fork == {"unclosed": 3}
    assert report.groups == {"a": group(0.5), "b": group(0.1)}


def test_close_waits_for_what_was_branched_and_forgets_the_step():
    async def test():
        batch = coordinator(budget_ratio=1.0, correct_threshold=0.5)
        await batch.open(7, 3, N)
        tasks = await hand_in(batch, 7, {"a": group(0.5, 0.6), "b": group(0.4), "c": group()})
        assert [sessions(await task) for task in tasks.values()] == [[0, 1], [0], []]
        closing = asyncio.create_task(batch.close(7))
        await batch.branched(7, "a", [[0.0, 1.0], [0.0, None]])
        assert await still_waiting(closing)  # for "b"; nobody waits for "c"
        await batch.branched(7, "b", [[0.0, 0.0]])
        report = await closing
        assert not batch._steps
        return report

    report = run(test())
    assert [(c.question, c.session) for c in report.selected] == [("b", 0), ("a", 0), ("a", 1)]
    assert report.outcomes == [[0.0, 1.0], [0.0, None], [0.0, 0.0]]
    assert (report.budget, report.continuations, report.correct_threshold) == (6, K, 0.5)


def test_close_of_a_batch_without_a_trigger():
    async def test():
        batch = coordinator()
        await batch.open(1, 1, N)
        assert await batch.settle(1, "a", group(), {}) == []
        return await batch.close(1)

    assert run(test()).selected == []


def test_two_steps_interleaved():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        await batch.open(2, 2, N)
        one = await hand_in(batch, 1, {"a": group(0.5)})
        two = await hand_in(batch, 2, {"a": group(0.9), "z": group(0.1)})
        assert [sessions(await task) for task in two.values()] == [[], [0]]
        assert await still_waiting(*one.values())  # the second batch has not released the first
        await batch.branched(2, "z", [[1.0, 1.0]])
        second = await batch.close(2)
        assert set(batch._steps) == {1}
        await batch.settle(1, "b", group(), {"no_call": 1})
        assert sessions(await one["a"]) == [0]
        await batch.branched(1, "a", [[0.0, 0.0]])
        return await batch.close(1), second

    first, second = run(test())
    assert (first.outcomes, first.no_fork) == ([[0.0, 0.0]], {"no_call": 1})
    assert (second.outcomes, second.no_fork) == ([[1.0, 1.0]], {})


def test_random_ranking_changes_with_the_step_and_is_repeatable():
    async def test(seed):
        batch = coordinator(ranking="random", seed=seed, budget_ratio=0.125)  # one prefix of four candidates
        chosen = []
        for step in range(20):
            await batch.open(step, 4, N)
            tasks = await hand_in(batch, step, {q: group(0.5) for q in "abcd"})
            chosen += [q for q, task in tasks.items() if await task]
        return chosen

    assert run(test(0)) == run(test(0)) != run(test(1))
    assert set(run(test(0))) == set("abcd")


def test_says_what_it_waits_for(monkeypatch, caplog):
    async def test():
        batch = coordinator()
        await batch.open(3, 3, N)
        tasks = await hand_in(batch, 3, {"a": group(0.5), "b": group()})
        await asyncio.sleep(0.1)
        assert await still_waiting(*tasks.values())
        await batch.settle(3, "c", [], {})
        return sessions(await tasks["a"])

    monkeypatch.setattr(module, "REPORT_SECONDS", 0.04)
    assert run(test()) == [0]
    said = {record.getMessage() for record in caplog.records}
    assert said == {"step 3: 2 of 3 questions have settled"}


def calls(*names):
    return [CallRecord(name, None, 0.1) for name in names]


def test_calls_of_tools_are_the_steps():
    async def test():
        batch = coordinator(budget_ratio=1.0)
        await batch.open(1, 2, N)
        await batch.open(2, 1, N)
        await batch.tool_calls(1, calls("a", "b"))  # of sessions, before their question settles
        await batch.tool_calls(2, calls("other"))
        tasks = await hand_in(batch, 1, {"p": group(0.5), "q": group()})
        await batch.tool_calls(1, calls("validation"), validate=True)
        await asyncio.gather(*tasks.values())
        closing = asyncio.create_task(batch.close(1))
        await batch.tool_calls(1, calls("c"))  # of a continuation, before its question has branched
        assert await still_waiting(closing)
        await batch.branched(1, "p", [[0.0, 0.0]])
        report = await closing
        await batch.settle(2, "r", group(), {})
        return report, await batch.close(2), await batch.validation_calls(), await batch.validation_calls()

    first, second, validation, again = run(test())
    assert first.tool_calls == calls("a", "b", "c") and second.tool_calls == calls("other")
    assert validation == calls("validation") and again == []


def test_calls_of_tools_under_grpo():
    async def test():
        batch = coordinator(branching=False)
        await batch.open(1, 1, N)
        await batch.tool_calls(1, calls("a"))
        await batch.settle(1, "q", group(0.5), {})
        return await batch.close(1)

    assert run(test()).tool_calls == calls("a")


def test_calls_that_come_too_late_are_counted_in_the_log(caplog):
    async def test():
        batch = coordinator()
        await batch.open(1, 1, N)
        await batch.settle(1, "q", group(), {})
        await batch.close(1)
        await batch.tool_calls(1, calls("a", "b"))
        return batch._steps

    assert not run(test())
    assert [record.getMessage() for record in caplog.records] == [
        "step 1: 2 calls of tools came too late for its figures"
    ]
