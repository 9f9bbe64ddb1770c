# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The tabular policy: it trains what the recipe says, and the committed map adds up."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

from recipe.axpo.advantage import compute_axpo_advantage
from recipe.axpo.config import AXPOConfig
from recipe.axpo.forks import NoForkReason, Reading, ToolCallSpan
from recipe.axpo.selection import select_prefixes
from recipe.axpo.trajectory import Trajectory, TurnSnapshot
from recipe.axpo.tree import QuestionTree
from run_scripts.lab import map as maps
from run_scripts.lab.__main__ import main
from run_scripts.lab.tabular import ARMS, CALLS, CLUSTERS, LUCK, QUESTIONS, Cell, Policy, credit, train
from verl_ext.cpu.env import REPO_ROOT

CELL = Cell(q=0.4, p_tool=0.2, p_guess=0.3)
PAGE = REPO_ROOT / "recipe/axpo/docs/map.md"


# ---------------------------------------------------------------- credit


def test_credit_by_hand():
    # 4 wrong calls, 1 right guess, 3 wrong guesses; one source with 1 of 4 continuations correct. Eq. 2: mean 1/4,
    # sample std 1/2. Eq. 4: r' has two ones among 8, mean 1/4, sample std sqrt(3/14). GRPO: mean 1/8, std sqrt(1/8).
    found = credit((0, 4, 1, 3), (1,), AXPOConfig())
    assert found.sources[1] == pytest.approx([0.75 / (3 / 14) ** 0.5 / 20, 0.0], rel=1e-4)
    assert found.continuations[1] == pytest.approx([-0.5 / 60, 1.5 / 60], rel=1e-4)
    low, high = -((1 / 8) ** 0.5), 7 / 8 / (1 / 8) ** 0.5
    assert found.rollouts[1:].ravel() == pytest.approx([low / 80, low / 80, high / 35, 0, low / 35, 0], rel=1e-4)


def test_two_sources_of_one_question_are_credited_apart():
    found = credit((0, 3, 1, 4), (2, 0), AXPOConfig())
    assert found.sources[2, 0] > 0 > found.sources[0, 0] and found.sources[0, 0] > found.rollouts[1, 0] * 5
    assert (found.continuations[0] == 0).all() and found.continuations[2, 1] == pytest.approx(0.866 / 60, rel=1e-3)


def test_without_prefix_credit_a_source_is_the_rollout_that_it_was():
    found = credit((0, 4, 1, 3), (1,), AXPOConfig(prefix_credit=False))
    assert found.sources[1].tolist() == found.rollouts[1].tolist() and found.rollouts[1, 0] < 0


@pytest.mark.parametrize("counts", [(1, 2, 3, 2), (0, 8, 0, 0), (2, 6, 0, 0), (0, 1, 6, 1)])
def test_without_branches_it_is_verls_grpo(counts):
    rewards = torch.tensor([r for r, count in zip((1.0, 0.0, 1.0, 0.0), counts, strict=True) for _ in range(count)])
    expected, _ = compute_grpo_outcome_advantage(
        rewards[:, None], torch.ones(8, 1), np.array(["question"] * 8), epsilon=1e-6
    )
    found = credit(counts, (), AXPOConfig(budget_ratio=0.0))
    lengths = (80, 80, 35, 35)
    kinds = [kind for kind, count in enumerate(counts) for _ in range(count)]
    assert [found.rollouts[kind, 0] * lengths[kind] for kind in kinds] == pytest.approx(
        expected[:, 0].tolist(), abs=1e-6
    )


# ------------------------------------------------------------------ steps


def plain_step(cell, arm, seed, act_logits, call_logits, step, random):
    """Take one step of one seed the long way: real rows of the whole batch, one call of the estimator, autograd."""
    method, n, k = arm.method, arm.rollouts, arm.method.continuations
    act_logits = torch.tensor(act_logits, requires_grad=True)
    call_logits = torch.tensor(call_logits, requires_grad=True)
    log_act = torch.nn.functional.logsigmoid(act_logits)
    log_guess = torch.nn.functional.logsigmoid(-act_logits)
    log_call = call_logits.log_softmax(-1)
    probability = log_call.exp().detach().numpy()

    def sample_call(cluster, uniform):
        return min(int((probability[cluster].cumsum() <= uniform).sum()), CALLS - 1)

    def output(length, reward):
        ids = [0] * length
        return SimpleNamespace(
            prompt_ids=[], response_ids=ids, response_mask=[1] * length, response_logprobs=ids, reward_score=reward
        )

    uniform = random.random((QUESTIONS, 1 + 3 * n))
    trees, decisions, rewards = [], {}, {}
    for question in range(QUESTIONS):
        cluster = int(uniform[question, 0] * CLUSTERS)
        spans = {}
        tree = QuestionTree(
            question,
            n,
            continuations=k,
            prefix_credit=method.prefix_credit,
            read=lambda out, calls: out.reading,
        )
        for i in range(n):
            acts = uniform[question, 1 + i] < log_act[cluster].exp().item()
            call = sample_call(cluster, uniform[question, 1 + n + i])
            chance = (1.0 if call == 0 else LUCK) if acts else cell.p_guess
            reward = float(uniform[question, 1 + 2 * n + i] < chance)
            spans[i] = ToolCallSpan(1, 19, 80, 20, float(probability[cluster, call]))
            out = output(80 if acts else 35, reward)
            out.reading = Reading(True, (spans[i],), None) if acts else Reading(False, (), NoForkReason.NO_CALL)
            tree.add(i, out, Trajectory([TurnSnapshot(0, (), None, 0, 0)], int(acts)))
            decisions[question, i] = (cluster, acts, call)
            rewards[question, i] = reward
        trees.append(tree)
    selected = select_prefixes(
        {question: tree.settled() for question, tree in enumerate(trees)},
        budget=arm.budget,
        ranking=method.ranking,
        seed=1_000_000 * seed + step,
    )
    uniform = random.random((arm.budget, k, 2))
    drawn = {(c.question, c.session): numbers for c, numbers in zip(selected, uniform, strict=False)}
    for question, tree in enumerate(trees):
        for number, fork in tree.branch([c for c in selected if c.question == question]):
            cluster = decisions[question, fork.source_session][0]
            choosing, scoring = drawn[question, fork.source_session][(number - n) % k]
            call = sample_call(cluster, choosing)
            reward = float(scoring < (1.0 if call == 0 else LUCK))
            tree.add(number, output(80, reward), None, fork)
            decisions[question, number], rewards[question, number] = (cluster, True, call), reward

    rows = [row for tree in trees for row in tree.rows()]
    mask = torch.zeros(len(rows), 80)
    scores, logs = torch.zeros(len(rows), 80), []
    for i, row in enumerate(rows):
        at = (row.column.question, row.column.session)
        cluster, acts, call = decisions[at]
        mask[i, : len(row.response_mask)] = torch.tensor(row.response_mask)
        scores[i, 0] = rewards[at]
        tokens = [torch.zeros((), dtype=torch.float64)] * 80
        tokens[19] = log_act[cluster] if acts else log_guess[cluster]
        if acts:
            tokens[20] = log_call[cluster, call]
        logs.append(torch.stack(tokens))
    columns = [row.column for row in rows]
    advantages, _ = compute_axpo_advantage(
        scores,
        mask,
        [c.question for c in columns],
        role=[c.role for c in columns],
        prefix_group=[c.prefix_group for c in columns],
        recovery_reward=[c.recovery_reward for c in columns],
        separate_groups=method.separate_groups,
    )
    objective = ((advantages * mask * torch.stack(logs)).sum(-1) / mask.sum(-1)).sum() / (QUESTIONS * n)
    objective.backward()
    return act_logits.grad.numpy(), call_logits.grad.numpy(), len(selected)


@pytest.mark.parametrize("name", ["grpo", "axpo", "no-prefix", "random", "one-group", "k2", "r05"])
def test_steps_are_those_of_the_recipe(name):
    arm, rate, seeds = ARMS[name], 700.0, (3, 5)
    policy = Policy(CELL, len(seeds))
    steps = train(CELL, arm, seeds, rate, policy)
    random = [np.random.default_rng(seed) for seed in seeds]
    next(steps)
    for number in range(2):
        before = policy.act.copy(), policy.call.copy()
        found = next(steps)  # updates the policy by the step before, which `before` was the start of
        for place, seed in enumerate(seeds):
            act, call, selected = plain_step(CELL, arm, seed, before[0][place], before[1][place], number, random[place])
            assert np.abs(act).max() > 1e-5 and (selected > 0) == (name != "grpo")
            np.testing.assert_allclose(policy.act[place], before[0][place] + rate * act, atol=2e-4)
            np.testing.assert_allclose(policy.call[place], before[1][place] + rate * call, atol=2e-4)
        assert found.tokens.shape == (2,)


def test_a_seed_does_not_depend_on_the_others():
    alone, together = (
        [step.acting for step in itertools.islice(train(CELL, ARMS["axpo"], seeds), 12)] for seeds in ((2,), (1, 2, 3))
    )
    assert [values[0] for values in alone] == [values[1] for values in together]
    assert together[-1][0] != together[-1][1]


def test_figures_of_the_policy_it_starts_from():
    step = next(train(CELL, ARMS["axpo"], (1, 2)))
    tool = 0.2 + 0.8 * LUCK
    assert step.acting == pytest.approx([0.4, 0.4]) and step.tool_accuracy == pytest.approx([tool, tool])
    assert step.accuracy == pytest.approx([0.4 * tool + 0.6 * 0.3] * 2)
    grpo = next(train(CELL, ARMS["grpo"], (1, 2)))
    assert (step.tokens - grpo.tokens == 60 * 4 * step.selected).all() and (step.selected <= 16).all()
    assert (grpo.selected == 0).all() and (step.recovered <= step.selected).all() and step.recovered.sum() > 0


def test_without_a_right_call_none_is_learnt():
    *_, last = itertools.islice(train(Cell(0.3, 0.0, 0.6), ARMS["axpo"], (1,)), 30)
    assert last.tool_accuracy == pytest.approx(LUCK) and np.isfinite(last.accuracy).all()


# -------------------------------------------------------------------- map


def test_map_runs_is_resumed_and_reports(tmp_path, capsys):
    words = ["map", "--grid", "q=0.3 p_tool=0,0.2 p_guess=0.6", "--arms", "grpo,grpo-n16,axpo", "--seeds", "2"]
    words += ["--steps", "25", "--output", str(tmp_path)]
    assert main(words) == 0
    first = capsys.readouterr()
    assert "6 runs of 2 seeds, 0 of them done" in first.out and "minutes left" in first.err
    assert "| 0.3 | 0.2 | " in first.out and (tmp_path / "grid.png").stat().st_size > 5_000
    lines = (tmp_path / "runs.jsonl").read_text()
    (tmp_path / "runs.jsonl").write_text(lines[:-40])  # interrupted while it wrote the last line
    assert main(words) == 0
    assert "6 runs of 2 seeds, 5 of them done" in capsys.readouterr().out
    assert (tmp_path / "runs.jsonl").read_text() == lines


@pytest.mark.parametrize(
    "words, message",
    [
        (["--grid", "q=0.3 p_tool=0.2"], "--grid needs q=, p_tool= and p_guess="),
        (["--grid", "q=1 p_tool=0.2 p_guess=0.6"], "--grid: q must lie inside 0..1, got 1"),
        (["--grid", "q=a p_tool=0.2 p_guess=0.6"], "--grid: q needs numbers with commas, got 'a'"),
        (["--grid", "q=0.3 p_tool=0.2 p_guess=0.6", "--arms", "ppo"], "--arms: ppo is none of grpo"),
        (["--arms", "grpo"], "--arms: the study all has its own"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--seeds", "0"], "--seeds must be at least 1"),
    ],
)
def test_map_says_what_is_wrong(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["map", *words, "--output", str(tmp_path)])
    assert message in capsys.readouterr().err


def test_equal_tokens_is_read_where_the_tokens_are_spent():
    short = maps.run_cell(CELL, ARMS["grpo"], 2, 20, 2000.0)
    steps = list(itertools.islice(train(CELL, ARMS["grpo"], (1, 2)), 20))
    for seed in range(2):
        spent, expected = 0, None
        for step in steps:
            if spent > 20 * 32 * 8 * 35:
                break
            expected = step.accuracy[seed]
            spent += step.tokens[seed]
        assert short["equal"][seed] == pytest.approx(expected, abs=6e-4)
    assert short["equal"] != short["accuracy"]


def test_proposition_is_counted_not_assumed():
    policy_blind = maps.count_recoveries(Cell(0.3, 0.2, 0.6), ARMS["axpo"], 4, looks=(1,), trials=200)
    (run,) = policy_blind
    shares = {name: np.mean(values) for name, values in run["shares"].items()}
    assert shares["resampled"] == pytest.approx(1 - 0.76**4, abs=0.02)
    assert shares["afresh"] == pytest.approx(1 - (1 - 0.3 * 0.24) ** 4, abs=0.02)
    assert shares["equal"] == pytest.approx(1 - (1 - 0.3 * 0.24) ** 5, abs=0.02)  # 240 tokens at 48.5 a rollout


# ------------------------------------------------------------------- page


def committed(name):
    return json.loads((maps.RESULTS / f"{name}.json").read_text())


def results(name):
    return maps.Results(maps.STUDIES[name], committed(name)["runs"])


@pytest.mark.parametrize("name", maps.STUDIES)
def test_tables_of_the_page_are_those_of_the_committed_runs(name):
    content = committed(name)
    assert content["seeds"] == 20 and content["steps"] == 300
    assert len(content["runs"]) == len(list(maps.runs_of(maps.STUDIES[name])))
    found = maps.tables(name, results(name))
    assert found and all(table in PAGE.read_text() for table in found.values())


def test_the_page_has_no_other_tables():
    tables = [table for name in maps.STUDIES for table in maps.tables(name, results(name)).values()]
    tables += [maps.proposition_table(committed("proposition")["runs"])]
    tables += [maps.earlier_table(results("pilot"), committed("earlier"))]
    rest = PAGE.read_text()
    for table in tables:
        assert table in rest
        rest = rest.replace(table, "")
    assert not [line for line in rest.splitlines() if line.startswith("|")]


def test_committed_runs_are_reproduced():
    run = results("map").get(Cell(0.3, 0.2, 0.75), "axpo")
    again = maps.run_cell(Cell(0.3, 0.2, 0.75), ARMS["axpo"], 2, maps.EARLY, 2000.0)
    assert again["early"] == run["early"][:2]


def test_bootstrap_and_verdict():
    mean, low, high = maps.bootstrap([0.0, 1.0] * 10)
    assert mean == 0.5 and low == pytest.approx(0.28, abs=0.04) and high == pytest.approx(0.72, abs=0.04)
    assert maps.verdict([0.1, 0.2, 0.15]) == "helps" and maps.verdict([-0.1, -0.2, -0.15]) == "hurts"
    assert maps.verdict([0.005] * 5) == "neither" and maps.verdict([0.3, -0.3, 0.1]) == "neither"


def test_results_stay_small():
    assert sum(file.stat().st_size for file in maps.RESULTS.iterdir()) < 200_000
