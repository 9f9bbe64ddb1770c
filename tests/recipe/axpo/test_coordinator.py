# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The batch's barrier, budget and book-keeping, without Ray: the coordinator is plain asyncio."""

import asyncio
import math
import random

import pytest

from recipe.axpo import coordinator as module
from recipe.axpo.config import AXPOConfig
from recipe.axpo.coordinator import BatchCoordinator, QuestionGivenUp
from recipe.axpo.forks import ToolCallSpan
from recipe.axpo.selection import SettledRollout, prefix_budget, select_prefixes
from verl_ext.tool_calls import CallRecord

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


@pytest.mark.parametrize("early", [True, False])
def test_a_question_waits_until_its_candidates_are_decided(early):
    async def test():
        batch = coordinator(early_release=early)
        await batch.open(1, 3, N)
        tasks = await hand_in(batch, 1, {"a": group(0.5), "b": group(0.2)})
        assert await still_waiting(tasks["b"])  # "c" may yet put a candidate in front of it
        assert await still_waiting(tasks["a"]) is not early  # behind "b" nothing can save it any more
        tasks |= await hand_in(batch, 1, {"c": group(0.3)})
        return {q: sessions(await task) for q, task in tasks.items()}

    # floor(0.25 * 3 * 4 / 2) = 1 prefix, for the least confident call
    assert run(test()) == {"a": [], "b": [0], "c": []}


def test_a_question_without_candidates_never_waits():
    async def test():
        batch = coordinator()
        await batch.open(1, 4, N)
        right = [SettledRollout(0, 1.0, True, group(0.1)[0].spans), *group()[1:]]
        for question, rollouts in {"no call": group(), "one is right": right, "failed": []}.items():
            assert await asyncio.wait_for(batch.settle(1, question, rollouts, {}), 1) == []

    run(test())


def test_a_certain_candidate_starts_while_others_still_run():
    async def test():
        batch = coordinator(budget_ratio=1.0)  # floor(1 * 4 * 4 / 2) = 8 prefixes
        await batch.open(1, 4, N)
        # place 0 and 1, ranks 0 and 1: 0 + 3 * 1 < 8 and 1 + 3 * 2 < 8, whatever the other three bring
        assert sessions(await batch.settle(1, "a", group(0.9, 0.8), {})) == [1, 0]
        third = asyncio.create_task(batch.settle(1, "b", group(0.9, 0.8, 0.7), {}))
        assert await still_waiting(third)  # place 4, rank 2: 4 + 2 * 3 >= 8
        await asyncio.gather(*(batch.settle(1, q, group(), {}) for q in "cd"))
        return sessions(await third)

    assert run(test()) == [2, 1, 0]


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
        await batch.open(1, 1, N, more=True)
        first = asyncio.create_task(batch.settle(1, "a", group(0.5), {}))
        assert await still_waiting(first)  # the batch's size, hence its budget, is not known yet
        await batch.open(1, 1, N)
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
        assert await still_waiting(closing)  # for "b", and nothing waits for "c"
        await batch.branched(7, "b", [[0.0, 0.0]])
        report = await closing
        assert not batch._steps
        return report

    report = run(test())
    assert report.timing.keys() == {
        f"timing_s/axpo/{name}"
        for name in ("first_settled", "last_settled", "barrier_wait", "continuations", "hidden_share")
    }
    assert [(c.question, c.session) for c in report.selected] == [("b", 0), ("a", 0), ("a", 1)]
    assert report.outcomes == [[0.0, 1.0], [0.0, None], [0.0, 0.0]]
    assert (report.budget, report.correct_threshold) == (6, 0.5)


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
        assert await still_waiting(tasks["a"])
        await batch.settle(3, "c", [], {})
        return sessions(await tasks["a"])

    monkeypatch.setattr(module, "REPORT_SECONDS", 0.04)
    assert run(test()) == [0]
    said = {record.getMessage() for record in caplog.records}
    assert said == {"step 3: 2 of 3 questions have settled"}


def test_says_whom_it_waits_for(monkeypatch, caplog):
    async def test():
        batch = coordinator()
        await batch.open(3, 3, N, ["a", "b", "c"], ["worker 1", "worker 1", "worker 2"])
        await hand_in(batch, 3, {"a": group(0.5), "b": group()})
        await asyncio.sleep(0.06)

    monkeypatch.setattr(module, "REPORT_SECONDS", 0.04)
    run(test())
    said = [record.getMessage() for record in caplog.records]
    assert said == ["step 3: 2 of 3 questions have settled; waiting for c on worker 2"]


# ---------------------------------------------------------------- early release against the plain barrier


def random_batch(rng, num_questions, rollouts):
    """Groups of a batch in its order: some questions trigger, ties and failed sessions included."""
    groups = {}
    for _ in range(num_questions):
        members = []
        for session in range(rollouts):
            uses = rng.random() < 0.5
            confidence = rng.choice([0.1, 0.2, 0.3, rng.random()])
            spans = (ToolCallSpan(1, 10, 15, 11, confidence),) if uses and rng.random() < 0.9 else ()
            reward = float(rng.random() < (0.1 if uses else 0.5))
            members.append(SettledRollout(session, reward, uses, spans, valid=rng.random() < 0.95))
        groups[f"uid-{rng.random()}"] = members
    return groups


@pytest.mark.parametrize("ranking", ["confidence", "random"])
def test_early_release_selects_what_the_barrier_selects(ranking):
    """1,000 random batches for each ranking, each in a random settling order."""

    async def test(seed):
        rng = random.Random(seed)
        num_questions, rollouts = rng.randint(1, 8), rng.randint(1, 5)
        options = {"budget_ratio": rng.choice([0.25, 0.5, 1.0, 2.0]), "ranking": ranking, "seed": seed}
        groups = random_batch(rng, num_questions, rollouts)
        chosen = {}
        for early in (True, False):
            batch = coordinator(early_release=early, **options)
            await batch.open(1, num_questions, rollouts, list(groups))
            order = list(groups)
            rng.shuffle(order)
            tasks = {}
            for question in order:
                tasks |= await hand_in(batch, 1, {question: groups[question]})
                for _ in range(rng.randint(0, 3)):
                    await asyncio.sleep(0)
            chosen[early] = {q: sessions(await tasks[q]) for q in groups}
            selected = batch._steps[1].order
        budget = prefix_budget(num_questions, rollouts, K, options["budget_ratio"])
        places = {place: groups[question] for place, question in enumerate(groups)}
        plain = select_prefixes(places, budget=budget, ranking=ranking, seed=hash((seed, 1)))
        assert [(list(groups).index(c.question), c.session) for c in selected] == [
            (c.question, c.session) for c in plain
        ]
        assert chosen[True] == chosen[False]
        assert chosen[True] == {
            question: [c.session for c in plain if c.question == place] for place, question in enumerate(groups)
        }

    for seed in range(1000):
        run(test(seed))


def test_ties_and_seeds_do_not_depend_on_who_settles_first_nor_on_uids():
    async def test(order, names):
        batch = coordinator(ranking="random", budget_ratio=0.25)  # floor(0.25 * 4 * 4 / 2) = 2 prefixes
        await batch.open(1, 4, N, names)
        tasks = {}
        for place in order:
            tasks |= await hand_in(batch, 1, {names[place]: group(0.5)})
        return [place for place in range(4) if await tasks[names[place]]]

    uids = [f"uid-{random.random()}" for _ in range(8)]
    first = run(test([0, 1, 2, 3], uids[:4]))
    assert len(first) == 2
    assert all(run(test(order, uids[4:])) == first for order in ([3, 2, 1, 0], [2, 0, 3, 1]))


# ---------------------------------------------------------------- nothing waits for ever


async def ended(*awaitables, seconds=2.0):
    """Results or errors of what must end by itself."""
    return await asyncio.wait_for(asyncio.gather(*awaitables, return_exceptions=True), seconds)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("last", [True, False])
def test_a_confidence_that_is_no_number_is_no_fork(value, last):
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        groups = {"a": group(0.5), "b": group(value, 0.4)}
        if not last:
            groups = dict(reversed(groups.items()))
        tasks = await hand_in(batch, 1, groups)
        results = dict(zip(tasks, await ended(*tasks.values()), strict=True))
        await batch.branched(1, "b", [[0.0, 0.0]])
        return results, await batch.close(1)

    results, report = run(test())
    assert {q: sessions(candidates) for q, candidates in results.items()} == {"a": [], "b": [1]}
    assert report.no_fork == {"nan": 1}


def test_a_reward_that_is_no_number_is_no_answer():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        broken = [SettledRollout(0, math.nan, True, group(0.1)[0].spans), *group(0.1, 0.2)[1:]]
        assert await ended(batch.settle(1, "a", broken, {}), batch.settle(1, "b", group(), {}))
        await batch.branched(1, "a", [[0.0, 0.0]])
        return (await batch.close(1)).groups["a"]

    rollouts = run(test())
    assert [rollout.valid for rollout in rollouts] == [False, True, True, True]


def test_a_selection_that_raises_ends_every_wait(monkeypatch):
    """Questions before it, the question that settles last, one that comes after, and the trainer's two waits."""

    async def test():
        batch = coordinator()
        await batch.open(1, 3, N)
        tasks = await hand_in(batch, 1, {"a": group(0.5)})
        assert await still_waiting(*tasks.values())
        monkeypatch.setattr(module, "decided", lambda *args, **kwargs: 1 / 0)
        tasks |= await hand_in(batch, 1, {"b": group(0.5), "c": group(0.2)})
        return await ended(*tasks.values(), batch.finished(1), batch.close(1))

    results = run(test())
    assert len(results) == 5
    for error in results:
        assert str(error) == "step 1: selecting prefixes failed: ZeroDivisionError: division by zero"


def test_a_selection_that_raises_does_not_wait_for_the_others(monkeypatch):
    async def test():
        batch = coordinator()
        await batch.open(1, 3, N)
        monkeypatch.setattr(module, "decided", lambda *args, **kwargs: 1 / 0)
        return await ended(batch.settle(1, "a", group(0.5), {}), batch.finished(1), batch.close(1))

    assert [type(error) for error in run(test())] == [RuntimeError] * 3


def test_a_question_that_never_settles_is_given_up(caplog):
    async def test():
        batch = coordinator(barrier_timeout_s=0.2, session_timeout_s=0.1, tool_timeout_s=0.05)
        await batch.open(1, 3, N, ["a", "b", "late"], ["worker 7"] * 3)
        tasks = await hand_in(batch, 1, {"a": group(0.5), "b": group(0.2)})
        first, second = await ended(*tasks.values())
        assert (sessions(first), sessions(second)) == ([], [0])
        await batch.branched(1, "b", [[1.0, 0.0]])
        for question in "ab":
            await batch.finish(1, question, published=True)
        given_up = (await ended(batch.finished(1)))[0]
        late = (await ended(batch.settle(1, "late", group(0.1), {})))[0]
        return given_up, late, await batch.close(1)

    given_up, late, report = run(test())
    assert given_up == {"late": "it had not settled within axpo.barrier_timeout_s=0.2 s"} == report.given_up
    assert isinstance(late, QuestionGivenUp)
    assert [rollout.valid for rollout in report.groups["late"]] == [False] * N  # counted, not scored
    assert report.budget == 1  # of the batch as announced
    assert "question late on worker 7 is left out" in caplog.text


def test_questions_without_names_are_given_up_too():
    async def test():
        batch = coordinator(barrier_timeout_s=0.1, session_timeout_s=0.05, tool_timeout_s=0.01)
        await batch.open(1, 3, N)
        (selected,) = await ended(batch.settle(1, "a", group(0.5), {}))
        await batch.branched(1, "a", [[0.0, 0.0]])
        return sessions(selected), (await ended(batch.close(1)))[0].given_up

    selected, given_up = run(test())
    assert selected == [0] and len(given_up) == 2


def test_continuations_that_never_come_are_given_up():
    async def test():
        batch = coordinator(budget_ratio=1.0, close_timeout_s=0.1, session_timeout_s=0.05, tool_timeout_s=0.01)
        await batch.open(1, 2, N, ["a", "b"])
        tasks = await hand_in(batch, 1, {"a": group(0.5), "b": group(0.2)})
        await ended(*tasks.values())
        await batch.branched(1, "b", [[1.0, 0.0]])
        await batch.finish(1, "b", published=True)
        return (await ended(batch.finished(1), batch.close(1)))[1]

    report = run(test())
    assert report.given_up == {"a": "it was not finished within axpo.close_timeout_s=0.1 s of the last settling"}
    assert sorted(report.outcomes, key=str) == [[1.0, 0.0], [None, None]]
    assert [rollout.valid for rollout in report.groups["a"]] == [False] * N


@pytest.mark.parametrize("stage", ["running", "undecided", "selected", "finished"])
def test_a_worker_that_dies(stage):
    """Its questions are left out wherever they stood; what it had finished stays."""

    async def test():
        batch = coordinator(budget_ratio=0.5)  # floor(0.5 * 3 * 4 / 2) = 3 prefixes
        await batch.open(1, 3, N, ["dead", "b", "c"])
        mine = group(0.1) if stage == "selected" else group(0.1, 0.2, 0.3, 0.4)
        tasks = {} if stage == "running" else await hand_in(batch, 1, {"dead": mine})
        if stage == "selected":
            assert sessions((await ended(tasks["dead"]))[0]) == [0]
        if stage == "finished":
            tasks |= await hand_in(batch, 1, {"b": group(), "c": group()})
            assert sessions((await ended(tasks["dead"]))[0]) == [0, 1, 2]
            await batch.branched(1, "dead", [[0.0, 1.0]] * 3)
            await batch.finish(1, "dead", published=True)
        await batch.give_up(1, ["dead"], "its worker has died")
        if stage != "finished":
            tasks |= await hand_in(batch, 1, {"b": group(0.9), "c": group()})
            if sessions((await ended(tasks["b"]))[0]):
                await batch.branched(1, "b", [[1.0, 1.0]])
        if stage == "undecided":
            assert isinstance((await ended(tasks["dead"]))[0], QuestionGivenUp)
        for question in "bc":
            await batch.finish(1, question, published=True)
        given_up, report = await ended(batch.finished(1), batch.close(1))
        return given_up, report

    given_up, report = run(test())
    assert given_up == ({} if stage == "finished" else {"dead": "its worker has died"})
    assert [rollout.valid for rollout in report.groups["dead"]] == [stage == "finished"] * N
    assert len(report.selected) <= report.budget == 3


def test_a_question_that_its_worker_could_not_finish():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N, ["a", "b"])
        await batch.finish(1, "a", published=False)
        await batch.settle(1, "b", group(), {})
        await batch.finish(1, "b", published=True)
        return (await ended(batch.finished(1)))[0]

    assert run(test()) == {"a": "its worker could not finish it"}


@pytest.mark.parametrize("branching", [True, False])
def test_a_step_that_was_never_opened_closes_at_once(branching):
    report = run(coordinator(branching=branching).close(4))
    assert (report.groups, report.selected, report.outcomes) == ({}, (), ())


def test_nothing_refills_a_batch_whose_prefixes_are_selected():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        tasks = await hand_in(batch, 1, {"a": group(0.5), "b": group(0.6)})
        await ended(*tasks.values())
        with pytest.raises(ValueError, match="sync_refill_failed_groups and algorithm.filter_groups.enable must be"):
            await batch.open(1, 1, N)
        (late,) = await ended(batch.settle(1, "c", group(0.1), {}))
        await batch.branched(1, "a", [[0.0, 0.0]])
        (report,) = await ended(batch.close(1))
        return late, report

    late, report = run(test())
    assert isinstance(late, ValueError) and len(report.selected) == report.budget == 1


def test_a_question_is_handed_in_once():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        await batch.settle(1, "a", group(), {})
        with pytest.raises(ValueError, match="handed in twice"):
            await batch.settle(1, "a", group(), {})

    run(test())


def test_a_question_may_settle_before_its_batch_is_announced():
    async def test():
        batch = coordinator()
        first = asyncio.create_task(batch.settle(1, "a", group(), {}))
        assert await still_waiting(first)
        await batch.open(1, 1, N, ["a"])
        assert (await ended(first))[0] == []
        (closed,) = await ended(batch.close(1))
        with pytest.raises(QuestionGivenUp, match="after step 1 was closed"):
            await batch.settle(1, "a", group(), {})
        return closed

    assert list(run(test()).groups) == ["a"]


def test_a_validation_has_no_groups_and_ends_all_the_same():
    async def test():
        batch = coordinator()
        await batch.open("validation", 2, N, ["a", "b"])
        waiting = asyncio.create_task(batch.finished("validation"))
        await batch.finish("validation", "a", published=True)
        assert await still_waiting(waiting)
        await batch.give_up("validation", ["a", "b"], "its worker has died")
        assert (await ended(waiting))[0] == {"b": "its worker has died"}
        await ended(batch.close("validation"))
        assert not batch._steps

    run(test())


def test_a_waiter_that_was_cancelled_stops_nobody():
    async def test():
        batch = coordinator()
        await batch.open(1, 2, N)
        tasks = await hand_in(batch, 1, {"a": group(0.5)})
        assert await still_waiting(*tasks.values())
        tasks["a"].cancel()
        (selected,) = await ended(batch.settle(1, "b", group(0.2), {}))
        return sessions(selected)

    assert run(test()) == [0]


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
