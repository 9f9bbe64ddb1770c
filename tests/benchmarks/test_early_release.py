# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The early-release benchmark on small batches: its clock, its engine, and that every policy trains the same rows."""

import asyncio
import json
import math
import time
from dataclasses import replace

import pytest

from tests.benchmarks import early_release
from tests.benchmarks.early_release import (
    ASSUMPTIONS,
    AXPO_POLICIES,
    BARRIER,
    BARRIER_ON_SOURCE,
    EARLY,
    GRPO,
    Batch,
    Engine,
    compare,
    figures,
    main,
)
from tests.benchmarks.virtual_time import run

SMALL = Batch("small", questions=64, rollouts=8, slots=20)  # half of the node's batch on half of its slots


@pytest.fixture(scope="module")
def results():
    return [compare(SMALL, seed) for seed in range(4)]


# ---------------------------------------------------------------- virtual time


def test_sleeps_take_virtual_time_only():
    async def test():
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        await asyncio.sleep(1000.0)
        times.append(loop.time())
        await asyncio.gather(asyncio.sleep(5.0), asyncio.sleep(2000.0))
        return [*times, loop.time()]

    began = time.monotonic()
    assert run(test()) == pytest.approx([0.0, 1000.0, 3000.0], abs=1e-6)
    assert time.monotonic() - began < 60


def test_timers_fire_in_the_order_of_their_times():
    async def test():
        order = []

        async def sleeper(seconds):
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(*(sleeper(seconds) for seconds in (3.0, 1.0, 86400.0 * 30, 2.0)))
        return order

    assert run(test()) == [1.0, 2.0, 3.0, 86400.0 * 30]


def test_a_timer_that_is_left_over_does_not_prolong_a_run():
    async def test():
        loop = asyncio.get_running_loop()
        loop.call_later(7200.0, pytest.fail)
        await asyncio.sleep(1.0)
        return loop.time()

    assert run(test()) == pytest.approx(1.0)


def test_a_program_that_would_wait_for_ever_ends():
    async def test():
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock in virtual time"):
        run(test())


# ---------------------------------------------------------------- simulated engine

GIVEN = replace(ASSUMPTIONS, step_s=1.0, step_per_sequence_s=1.0, prefill_tokens_per_s=10.0)


def ends(slots, *requests, replicas=1):
    """Submit (request id, sequence, context, tokens, beginnings) at once; return the second at which each ends."""

    async def test():
        engine = Engine(Batch("", 1, 1, slots, replicas), GIVEN)

        async def one(request_id, *request):
            await engine.generate(request_id, early_release._Request(*request))
            return asyncio.get_running_loop().time()

        return await asyncio.gather(*(one(*request) for request in requests))

    return run(test())


def test_sequences_share_the_speed_of_a_replica():
    assert ends(2, ("a", "a", 0, 4, {})) == pytest.approx([4 * 2])
    # both until b has its 2 tokens at 3 seconds a step, then a alone
    assert ends(2, ("a", "a", 0, 4, {}), ("b", "b", 0, 2, {})) == pytest.approx([2 * 3 + 2 * 2, 2 * 3])


def test_a_full_replica_admits_in_order_of_arrival():
    requests = [(name, name, 0, 2, {}) for name in "abc"]
    assert ends(1, *requests) == pytest.approx([4, 8, 12])
    assert ends(1, *requests, replicas=3) == pytest.approx([4, 4, 4])


def test_one_request_id_stays_on_one_replica():
    assert ends(1, ("a", "a", 0, 2, {}), ("a", "b", 0, 2, {}), replicas=2) == pytest.approx([4, 8])


def test_prefill_stalls_a_replica_unless_the_beginning_is_cached():
    assert ends(1, ("a", "a", 30, 1, {"q": 20})) == pytest.approx([3 + 2])
    # b begins with the same 20 tokens as a, which it reads while a runs, or from a's place after it
    requests = {name: (name, name, 30, 1, {"q": 20}) for name in "ab"}
    assert ends(2, *requests.values()) == pytest.approx([3 + 1 + 3] * 2)
    assert ends(1, *requests.values()) == pytest.approx([5, 5 + 1 + 2])
    # with a single slot, another sequence between them takes that place
    assert ends(1, requests["a"], ("x", "x", 0, 1, {}), requests["b"]) == pytest.approx([5, 5 + 2, 7 + 3 + 2])


# ---------------------------------------------------------------- policies


def test_every_policy_trains_the_same_rows(results):
    for result in results:
        assert result[BARRIER.name].selected and result[BARRIER.name].sampled
        for policy in AXPO_POLICIES:
            for name in ("selected", "sampled", "groups"):
                assert getattr(result[policy.name], name) == getattr(result[BARRIER.name], name)


def test_other_rows_stop_the_benchmark(monkeypatch):
    monkeypatch.setattr(early_release, "select_prefixes", lambda groups, budget: [])
    with pytest.raises(AssertionError, match="other rows would be trained"):
        compare(replace(SMALL, questions=8), seed=0)


def test_the_barrier_settles_when_grpo_ends(results):
    for result in results:
        for policy in (BARRIER, BARRIER_ON_SOURCE):
            assert result[policy.name].last_settled_s == result[GRPO.name].generation_s
            assert result[policy.name].generation_s > result[GRPO.name].generation_s
            assert result[policy.name].hidden_time == result[policy.name].hidden_tokens == 0


def test_early_release_hides_resampling_and_is_not_slower(results):
    """A single batch may lose a little: continuations slow the last rollouts down, and they are placed otherwise."""
    summary = figures(results)
    policies = summary["policies"]
    assert 0 < policies[EARLY.name]["hidden_time"] < 1 and 0 < policies[EARLY.name]["hidden_tokens"] < 1
    pairs = zip(
        *(policies[policy.name]["generation_over_grpo_by_seed"] for policy in (EARLY, BARRIER)),
        strict=True,
    )
    assert all(early - barrier < 0.05 for early, barrier in pairs)
    mean, error = summary["early_minus_barrier"]
    assert mean < 0 and math.isfinite(error)


def test_a_seed_gives_the_same_times_again(results):
    again = compare(SMALL, seed=0)
    assert {name: result.generation_s for name, result in again.items()} == {
        name: result.generation_s for name, result in results[0].items()
    }


# ---------------------------------------------------------------- command


def test_command(tmp_path, capsys):
    main(["--seeds", "1", "--questions", "8", "--slots", "10", "--json", str(tmp_path / "figures.json")])
    printed = capsys.readouterr().out
    assert "8 questions x 8 rollouts, 8 replicas x 10 slots, 1 seeds" in printed
    assert all(policy.name in printed for policy in AXPO_POLICIES)
    document = json.loads((tmp_path / "figures.json").read_text())
    assert document["assumptions"]["act_rate"] == ASSUMPTIONS.act_rate
    (batch,) = document["batches"]
    assert batch["batch"]["questions"] == 8 and set(batch["policies"]) == {policy.name for policy in AXPO_POLICIES}


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_command_refuses_what_is_no_number_of_seeds(value, capsys):
    with pytest.raises(SystemExit):
        main(["--seeds", value])
    assert "must be an integer of at least 1" in capsys.readouterr().err
