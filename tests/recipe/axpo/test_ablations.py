# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Each baseline and ablation differs from the main run in what its name says: in rollouts, masks and advantages.

Every variant plays the same two questions through the worker's reading, the coordinator and the question's tree, with
the options of its file. The sessions are fixed, and so is what a continuation says at a fork of its kind.

    hard    0: two calls, wrong   1: one call, wrong   2: no call, right   3: no call, wrong
    mixed   0: one call, right    1: one call, wrong   2: no call, wrong   3: no call, wrong
"""

import asyncio
import math
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from recipe.axpo.advantage import Role, compute_axpo_advantage
from recipe.axpo.config import AXPOConfig, ConfigError
from recipe.axpo.coordinator import BatchCoordinator
from recipe.axpo.rollout import AXPOAgentLoopWorker
from recipe.axpo.tags import ToolCallTags
from recipe.axpo.trajectory import Trajectory, TurnSnapshot
from run_scripts.settings import CONFIG_DIR

VARIANTS = {path.stem: OmegaConf.load(path).get("axpo", {}) for path in (CONFIG_DIR / "variant").glob("*.yaml")}
N, K = 4, 2
OPEN, CLOSE, THOUGHT, END_THINK, ARGUMENTS, WORD, END, TOOL = 11, 12, 13, 14, 15, 16, 17, 18
TEXTS = {OPEN: "<tool_call>", CLOSE: "</tool_call>", ARGUMENTS: '{"name": "zoom"}'}


def tokens(ids, *probabilities, sure=0.9):
    """(id, probability) of an assistant turn; the given probabilities are the last tokens' before its end."""
    given = [sure] * (len(ids) - len(probabilities) - 1) + [*probabilities, sure]
    return list(zip(ids, given, strict=True))


def call(*probabilities, sure=0.9):
    return tokens([THOUGHT, THOUGHT, END_THINK, OPEN, ARGUMENTS, CLOSE, END], *probabilities, sure=sure)


def answer(probability=0.9, sure=0.9):
    return tokens([THOUGHT, END_THINK, WORD, END], probability, sure=sure)


REST_OF_CALL = tokens([ARGUMENTS, CLOSE, END])
SESSIONS = {
    "hard": [
        (0.0, [call(0.5, 0.5, 0.5), call(0.4, 0.4, 0.4), answer(sure=0.2)]),
        (0.0, [call(0.95, 0.95, 0.01), answer(sure=0.8)]),  # surer of the call on average, and one token is a surprise
        (1.0, [answer()]),
        (0.0, [answer()]),
    ],
    "mixed": [
        (1.0, [call(0.3, 0.3, 0.3), answer()]),
        (0.0, [call(0.1, 0.1, 0.1), answer()]),
        (0.0, [answer(0.7)]),
        (0.0, [answer(0.6)]),
    ],
}
CONTINUATIONS = {  # last token of the prefix -> what each of the K continuations says, of which the second is right
    OPEN: [[REST_OF_CALL, answer()], [REST_OF_CALL, call(0.6, 0.6, 0.6), answer()]],
    END_THINK: [[tokens([WORD, END])], [tokens([WORD, WORD, END])]],
    TOOL: [[answer()], [call(0.6, 0.6, 0.6), answer()]],
    None: [[answer()], [call(0.6, 0.6, 0.6), answer()]],  # no prefix
}


def session(turns, reward, fork=None):
    """verl's output of a session and its trajectory; after a fork, the prefix comes first."""
    ids = [] if fork is None else list(fork.response_ids)
    mask = [] if fork is None else list(fork.response_mask)
    logprobs = [] if fork is None else list(fork.response_logprobs)
    before = 0 if fork is None else fork.snapshot.user_turns
    snapshots = []
    for number, turn in enumerate(turns):
        if number:
            ids, mask, logprobs = ids + [TOOL] * 3, mask + [0] * 3, logprobs + [0.0] * 3
        done = before + number
        snapshots.append(
            TurnSnapshot(
                response_length=len(ids),
                messages=("question", *("call", "answer") * done),
                images=("question's", *["crop"] * done),
                assistant_turns=done,
                user_turns=done,
            )
        )
        ids, mask = ids + [token for token, _ in turn], mask + [1] * len(turn)
        logprobs = logprobs + [math.log(probability) for _, probability in turn]
    output = SimpleNamespace(
        prompt_ids=[1, 2], response_ids=ids, response_mask=mask, response_logprobs=logprobs, reward_score=reward
    )
    entropies = [-math.log(probability) for turn in turns for _, probability in turn]
    return output, Trajectory(snapshots, executed_calls=len(turns) - 1, entropies=entropies)


@dataclass
class Played:
    """What a variant has made of the batch; rows by (question, session)."""

    selected: list  # (question, session)
    forks: dict  # (question, session of a continuation) -> Fork
    outputs: dict
    rows: dict
    metrics: object

    def __post_init__(self):
        self.masks = {name: list(row.response_mask) for name, row in self.rows.items()}
        self.rewards = {name: self.outputs[name].reward_score + row.bonus for name, row in self.rows.items()}

    def advantages(self, options):
        """Advantage of each row, as the trainer computes it."""
        width = max(map(len, self.masks.values()))
        padded = [mask + [0] * (width - len(mask)) for mask in self.masks.values()]
        scores = torch.zeros(len(padded), width)
        scores[:, 0] = torch.tensor(list(self.rewards.values()))
        columns = [row.column for row in self.rows.values()]
        values, _ = compute_axpo_advantage(
            scores,
            torch.tensor(padded),
            [column.question for column in columns],
            role=[column.role for column in columns],
            prefix_group=[column.prefix_group for column in columns],
            recovery_reward=[column.recovery_reward for column in columns],
            separate_groups=options.separate_groups,
        )
        assert torch.equal(values != 0, (values.sum(1, keepdim=True) != 0) & torch.tensor(padded).bool())
        return dict(zip(self.rows, values.sum(1).div(torch.tensor(padded).sum(1).clamp(min=1)).tolist(), strict=True))

    def trained(self):
        """How many rows train each generated token; a continuation's prefix is its source's."""
        count = Counter()
        for (question, number), mask in self.masks.items():
            fork = self.forks.get((question, number))
            for position, trains in enumerate(mask):
                shared = fork is not None and position < len(fork.response_ids)
                count[question, fork.source_session if shared else number, position] += trains
        return count

    def originals(self):
        return {name: row for name, row in self.rows.items() if row.column.role != Role.CONTINUATION}


def options_of(variant, **more):
    values = {"continuations": K, **(VARIANTS[variant] if variant else {}), **more}
    return AXPOConfig.from_config(OmegaConf.create({"axpo": values}))


def play(variant=None, branching=True, **more):
    """Play the batch with the options of a variant; its budget is one prefix, or what ``budget_ratio`` says."""
    options = options_of(variant, **more)
    worker = object.__new__(AXPOAgentLoopWorker)
    worker.axpo, worker.branching = options, branching
    worker.tags = ToolCallTags(OPEN, CLOSE, None, END_THINK)
    worker.tokenizer = SimpleNamespace(decode=lambda ids: "".join(TEXTS.get(token, ".") for token in ids))
    turns = SimpleNamespace(max_assistant_turns=4, max_user_turns=None)
    worker.rollout_config = SimpleNamespace(multi_turn=turns)
    trees, outputs, forks = {}, {}, {}

    def add(question, number, turns, reward, fork=None):
        output, trajectory = session(turns, reward, fork)
        outputs[question, number] = output
        trees[question].add(number, output, trajectory, fork)

    for place, (question, sessions) in enumerate(SESSIONS.items()):
        trees[question] = worker._new_tree(question, N, place)
        for number, (reward, turns) in enumerate(sessions):
            add(question, number, turns, reward)

    async def coordinate():
        coordinator = BatchCoordinator(options, branching)
        await coordinator.open(1, len(trees), N, list(trees))
        decisions = [coordinator.settle(1, q, tree.settled(), tree.no_fork()) for q, tree in trees.items()]
        for (question, tree), selected in zip(trees.items(), await asyncio.gather(*decisions), strict=True):
            for number, fork in tree.branch(selected):
                forks[question, number] = fork
                k = (number - N) % K
                last = fork.response_ids[-1] if fork.response_ids else None
                add(question, number, CONTINUATIONS[last][k], float(k), fork)
            if selected:
                await coordinator.branched(1, question, tree.outcomes())
            await coordinator.finish(1, question, True)
        return await coordinator.close(1)

    report = asyncio.run(coordinate())
    rows = {(q, row.column.session): row for q, tree in trees.items() for row in tree.rows()}
    selected = [(candidate.question, candidate.session) for candidate in report.selected]
    return Played(selected, forks, outputs, rows, report), options


def same(left, right):
    """Whether two plays have the same rows under the same masks."""
    return left.masks == right.masks and {n: r.column for n, r in left.rows.items()} == {
        n: r.column for n, r in right.rows.items()
    }


def check_eq_2(played, advantages, source):
    """The K continuations of a source are normalised among themselves, the second of two being right."""
    question, number = source
    got = [advantages[question, N + number * K + k] for k in range(K)]
    assert got == pytest.approx([-0.7071, 0.7071], abs=1e-3)


def test_the_main_run():
    played, options = play()
    assert played.selected == [("hard", 0)]
    advantages = played.advantages(options)
    check_eq_2(played, advantages, ("hard", 0))
    assert [advantages["hard", n] for n in range(N)] == pytest.approx([0.866, -0.5, 1.5, -0.5], abs=1e-3)  # Eq. 4
    assert played.masks["hard", 0] == [1] * 4 + [0] * (len(played.masks["hard", 0]) - 4)
    assert {fork.response_ids for fork in played.forks.values()} == {(THOUGHT, THOUGHT, END_THINK, OPEN)}


@pytest.mark.parametrize("variant", sorted(VARIANTS))
@pytest.mark.parametrize("budget_ratio", [0.25, 1.0])
def test_every_variant_trains_no_token_twice_and_keeps_to_the_budget(variant, budget_ratio):
    played, options = play(variant, budget_ratio=budget_ratio)
    assert set(played.trained().values()) <= {0, 1}
    assert 0 < len(played.selected) <= math.floor(budget_ratio * 2 * N / K)
    assert len(played.forks) == len(played.selected) * K
    chosen = {(question, fork.source_session) for (question, _), fork in played.forks.items()}
    grpo = play(branching=False)[0].advantages(AXPOConfig())
    if not options.tool_bonus and options.separate_groups:
        advantages = played.advantages(options)
        for name in played.originals().keys() - chosen:  # whoever was not selected is trained as under GRPO
            assert advantages[name] == grpo[name] and sum(played.masks[name]) == sum(played.outputs[name].response_mask)


@pytest.mark.parametrize("variant", [None, "rollouts_x2", "cispo"])
def test_variants_of_verls_options_leave_the_method_alone(variant):
    assert options_of(variant) == options_of(None) and same(play(variant)[0], play()[0])


# ---------------------------------------------------------------- what is resampled


def test_from_scratch_spends_the_same_budget_on_whole_new_rollouts():
    main, _ = play()
    played, options = play("from_scratch")
    assert played.selected == main.selected and played.forks.keys() == main.forks.keys()
    for name, fork in played.forks.items():
        assert (fork.response_ids, fork.turn_prefix, fork.prompt_ids) == ((), (), main.forks[name].prompt_ids)
        assert (fork.snapshot.messages, fork.snapshot.images) == (("question",), ("question's",))
        assert played.masks[name] == played.outputs[name].response_mask  # all of it is its own
    advantages, grpo = played.advantages(options), play(branching=False)[0].advantages(options)
    check_eq_2(played, advantages, ("hard", 0))
    for name in played.originals():  # the source too: it shares nothing with the new rollouts
        assert advantages[name] == grpo[name] and played.masks[name] == played.outputs[name].response_mask


def test_no_tool_rollouts_are_resampled_from_the_end_of_their_thinking():
    played, options = play("no_tool_rollouts")
    assert played.selected == [("mixed", 3)]  # less sure of its answer than 2; in "hard" one without a tool is right
    for fork in played.forks.values():
        assert fork.response_ids == fork.turn_prefix == (THOUGHT, END_THINK)
    assert played.masks["mixed", 3] == [1, 1, 0, 0]
    check_eq_2(played, played.advantages(options), ("mixed", 3))
    assert played.metrics.no_fork == {} and played.metrics.trigger == "no_tool_all_wrong"


def test_no_tool_rollouts_need_their_fork_policy():
    with pytest.raises(ConfigError, match="axpo.fork must be after_thinking with axpo.trigger=no_tool_all_wrong"):
        AXPOConfig(trigger="no_tool_all_wrong")
    with pytest.raises(ConfigError, match="axpo.trigger must be one of all_wrong, partly_wrong"):
        AXPOConfig(trigger="any")


def test_partly_wrong_adds_the_wrong_rollouts_of_mixed_subgroups():
    everything = {"budget_ratio": 2.0}
    main, partly = (play(variant, **everything)[0] for variant in (None, "partly_wrong"))
    assert set(main.selected) == {("hard", 0), ("hard", 1)}
    assert set(partly.selected) == {("hard", 0), ("hard", 1), ("mixed", 1)}  # not the right one
    assert {name: fork.response_ids for name, fork in partly.forks.items() if name[0] == "hard"} == {
        name: fork.response_ids for name, fork in main.forks.items()
    }
    played, options = play("partly_wrong")  # of one prefix, the least confident of all is mixed's
    assert played.selected == [("mixed", 1)]
    advantages = played.advantages(options)
    # Eq. 4 among 1, 0, 0, 0 with the source's own 0 replaced by 1; the others as under GRPO
    assert [advantages["mixed", n] for n in range(N)] == pytest.approx([1.5, 0.866, -0.5, -0.5], abs=1e-3)


def test_entropy_ranks_by_the_mean_entropy_of_the_call():
    main, played = play()[0], play("entropy_ranking")[0]
    assert main.selected == [("hard", 0)] and played.selected == [("hard", 1)]
    (one,) = {fork.span.entropy for fork in played.forks.values()}
    assert one == pytest.approx(-(2 * math.log(0.95) + math.log(0.01)) / 3)
    everything = {"budget_ratio": 2.0}
    assert same(play(**everything)[0], play("entropy_ranking", **everything)[0])  # it is an order and nothing else


# ---------------------------------------------------------------- where it is cut


def test_arpos_branching_cuts_after_a_tools_answer():
    main, played = play()[0], play("arpo_branching")[0]
    assert played.selected == main.selected == [("hard", 0)] and played.forks.keys() == main.forks.keys()
    source = played.outputs["hard", 0]
    for name, fork in played.forks.items():
        length = len(fork.response_ids)
        assert fork.response_ids == tuple(source.response_ids[:length]) and fork.response_ids[-1] == TOOL
        assert fork.turn_prefix == ()  # the continuation begins a turn
        assert fork.span.turn == 3  # the least sure of its two turns behind an answer
        state = fork.snapshot
        assert (state.assistant_turns, state.user_turns, len(state.images), len(state.messages)) == (2, 2, 3, 5)
        assert fork.response_mask == tuple(source.response_mask[:length]) and 0 in fork.response_mask
        assert played.masks[name][:length] == [0] * length and all(played.masks[name][length : length + 4])
    kept = played.masks["hard", 0]
    assert kept[:length] == source.response_mask[:length] and not any(kept[length:])
    check_eq_2(played, played.advantages(AXPOConfig()), ("hard", 0))


# ---------------------------------------------------------------- the reward


@pytest.mark.parametrize("variant, bonus", [("tool_bonus", 0.2), ("tool_penalty", -0.2)])
@pytest.mark.parametrize("branching", [True, False])
def test_a_bonus_enters_the_advantages_and_nothing_else(variant, bonus, branching):
    main, (played, options) = play(branching=branching)[0], play(variant, branching=branching)
    assert played.selected == main.selected and played.masks == main.masks
    assert played.metrics.groups == main.metrics.groups and played.metrics.outcomes == main.metrics.outcomes
    acted = {name: CLOSE in output.response_ids for name, output in played.outputs.items()}
    assert {name: row.bonus for name, row in played.rows.items()} == {n: bonus * a for n, a in acted.items()}
    advantages = played.advantages(options)
    mixed = torch.tensor([1.0 + bonus, bonus, 0.0, 0.0])
    expected = (mixed - mixed.mean()) / (mixed.std() + 1e-6)
    assert [advantages["mixed", n] for n in range(N)] == pytest.approx(expected.tolist(), abs=1e-5)
    if branching:  # Eq. 4: the source acted, whatever reward it is credited with
        assert played.rows["hard", 0].column.recovery_reward == 1.0 + bonus
        hard = torch.tensor([1.0 + bonus, bonus, 1.0, 0.0])
        expected = (hard - hard.mean()) / (hard.std() + 1e-6)
        assert advantages["hard", 0] == pytest.approx(expected[0].item(), abs=1e-5)
        check_eq_2(played, advantages, ("hard", 0))


def test_a_continuation_without_a_call_has_no_bonus():
    played, _ = play("from_scratch", tool_bonus=0.5)
    assert [played.rows["hard", N + k].bonus for k in range(K)] == [0.0, 0.5]
