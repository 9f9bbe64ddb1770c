# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Train a two-line policy with the recipe's own selection, rows and advantages, many seeds at once.

Questions fall into clusters. For each cluster the policy holds a logit for acting and a softmax over calls, one of
which is right:

    a rollout acts (probability q) or guesses        guess: correct with probability p_guess
    if it acts, it samples a call                    right call: correct; any other: correct with probability luck

A response has ``PREFIX`` tokens of thinking, whose last one decides between acting and guessing, then an answer, or a
call, its first token deciding which, and the rest. All other tokens are certain and have no gradient.

What a step trains of a question depends only on how many of its rollouts ended which way and how many continuations of
each selected prefix were correct. So each such outcome is credited once, by ``QuestionTree`` (rows and masks) and
``compute_axpo_advantage`` (Eq. 2-4), and looked up afterwards. Triggers are looked up likewise, and every batch goes
through ``select_prefixes``. Nothing of the method is written here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from recipe.axpo.advantage import compute_axpo_advantage
from recipe.axpo.config import AXPOConfig
from recipe.axpo.forks import NoForkReason, Reading, ToolCallSpan
from recipe.axpo.selection import Candidate, SettledRollout, is_triggered, prefix_budget, select_prefixes
from recipe.axpo.trajectory import Trajectory, TurnSnapshot
from recipe.axpo.tree import QuestionTree

PREFIX, ANSWER, CALL = 20, 15, 60  # tokens: up to and including the opening tag; an answer; the call and the rest
LUCK = 0.05  # accuracy after a wrong call, unless a cell says otherwise
CLUSTERS, CALLS, QUESTIONS = 16, 16, 32  # QUESTIONS: B
RATE = 2000.0  # learning rate; where it comes from: recipe/axpo/docs/map.md


@dataclass(frozen=True)
class Cell:
    """Name an environment and the policy that training starts from.

    Attributes:
        q: probability of acting.
        p_tool: probability that a sampled call is the right one. With 0 no call of any cluster is right.
        p_guess: accuracy of guessing.
        luck: accuracy after a wrong call.
    """

    q: float
    p_tool: float
    p_guess: float
    luck: float = LUCK


@dataclass(frozen=True)
class Arm:
    """Name a way to train: GRPO is AXPO with a budget of 0.

    Attributes:
        name: as in the files.
        title: as in tables and legends.
        method: the recipe's own options; read are continuations, budget_ratio, trigger, ranking, prefix_credit and
            separate_groups.
        rollouts: N.
    """

    name: str
    title: str
    method: AXPOConfig = field(default_factory=AXPOConfig)
    rollouts: int = 8

    @property
    def budget(self) -> int:
        """Return how many prefixes a batch may resample."""
        return prefix_budget(QUESTIONS, self.rollouts, self.method.continuations, self.method.budget_ratio)


_GRPO = AXPOConfig(budget_ratio=0.0)

ARMS = {
    arm.name: arm
    for arm in (
        Arm("grpo", "GRPO", _GRPO),
        Arm("grpo-n10", "GRPO, rollouts x1.25", _GRPO, rollouts=10),
        Arm("grpo-n16", "GRPO, rollouts x2", _GRPO, rollouts=16),
        Arm("axpo", "AXPO"),
        Arm("no-prefix", "no prefix credit", AXPOConfig(prefix_credit=False)),
        Arm("random", "random ranking", AXPOConfig(ranking="random")),
        Arm("one-group", "no separate groups", AXPOConfig(separate_groups=False)),
        Arm("r0125", "r = 0.125", AXPOConfig(budget_ratio=0.125)),
        Arm("r05", "r = 0.5", AXPOConfig(budget_ratio=0.5)),
        Arm("k2", "K = 2", AXPOConfig(continuations=2)),
        Arm("k8", "K = 8", AXPOConfig(continuations=8)),
        Arm("partly-wrong", "partly wrong, too", AXPOConfig(trigger="partly_wrong")),
    )
}


# ---------------------------------------------------------------- credit

# How a rollout can end; the order is that of the counts in an outcome.
KINDS = ((True, 1.0), (True, 0.0), (False, 1.0), (False, 0.0))  # (acted, reward)


@dataclass(frozen=True)
class Credit:
    """Hold what the loss puts on the log-probabilities of a question's decisions, before the factor 1 / (B * N).

    Attributes:
        rollouts: (4, 2) for a rollout of each kind: weight of the decision to act or guess, of the choice of the call.
        sources: (K + 1, 2) the same for a source, by its number of correct continuations.
        continuations: (K + 1, 2) weight of the call of a continuation that is wrong, correct, by the same number.
    """

    rollouts: np.ndarray
    sources: np.ndarray
    continuations: np.ndarray


def credit(counts: Sequence[int], recovered: Sequence[int], method: AXPOConfig) -> Credit:
    """Credit the decisions of one question through the recipe's rows and advantages.

    Args:
        counts: rollouts of each of ``KINDS``.
        recovered: for each selected prefix the number of its correct continuations; sources act and are wrong.
        method: AXPO's options.
    """
    kinds = [kind for kind, count in enumerate(counts) for _ in range(count)]
    tree = QuestionTree(
        "question", len(kinds), continuations=method.continuations, read=_read, prefix_credit=method.prefix_credit
    )
    for session, kind in enumerate(kinds):
        acted, reward = KINDS[kind]
        tree.add(session, _output(acted, reward), Trajectory([TurnSnapshot(0, (), None, 0, 0)], int(acted)))
    sources = range(counts[0], counts[0] + len(recovered))
    correct = dict(zip(sources, recovered, strict=True))
    rewards: dict[int, float] = {}
    for session, fork in tree.branch([Candidate("question", source, _span(0.5)) for source in sources]):
        source, k = divmod(session - len(kinds), method.continuations)
        rewards[session] = float(k < correct[source])
        tree.add(session, _output(True, rewards[session]), None, fork)

    rows = tree.rows()
    length = max(len(row.response_mask) for row in rows)
    mask = torch.zeros(len(rows), length)
    outcome = torch.zeros(len(rows), length)
    for number, row in enumerate(rows):
        mask[number, : len(row.response_mask)] = torch.tensor(row.response_mask)
        session = row.column.session
        outcome[number, 0] = rewards[session] if session in rewards else KINDS[kinds[session]][1]
    columns = [row.column for row in rows]
    advantages, _ = compute_axpo_advantage(
        outcome,
        mask,
        [column.question for column in columns],
        role=[column.role for column in columns],
        prefix_group=[column.prefix_group for column in columns],
        recovery_reward=[column.recovery_reward for column in columns],
        separate_groups=method.separate_groups,
    )
    # The mean over a row's tokens (seq-mean-token-mean), then the two tokens that decide.
    weights = (advantages / mask.sum(-1, keepdim=True))[:, [PREFIX - 1, PREFIX]].numpy()

    found = Credit(np.zeros((4, 2)), *(np.zeros((method.continuations + 1, 2)) for _ in range(2)))
    for weight, column in zip(weights, columns, strict=True):
        session = column.session
        if session in rewards:
            found.continuations[correct[column.source_session], int(rewards[session])] = weight[1]
        elif session in correct:
            found.sources[correct[session]] = weight
        else:
            found.rollouts[kinds[session]] = weight
    found.rollouts[2:, 1] = 0.0  # behind the prefix of a guess stands its answer, which has no gradient
    return found


def _span(confidence: float) -> ToolCallSpan:
    return ToolCallSpan(turn=1, start=PREFIX - 1, end=PREFIX + CALL, fork=PREFIX, confidence=confidence)


def _read(output: SimpleNamespace, executed_calls: int) -> Reading:
    if executed_calls:
        return Reading(True, (_span(0.5),), None)
    return Reading(False, (), NoForkReason.NO_CALL)


def _output(acted: bool, reward: float) -> SimpleNamespace:
    ids = [0] * (PREFIX + (CALL if acted else ANSWER))
    return SimpleNamespace(
        prompt_ids=[], response_ids=ids, response_mask=[1] * len(ids), response_logprobs=ids, reward_score=reward
    )


class _Memo:
    """Look up a function of an outcome, for arrays of outcomes; the function runs once for each distinct one."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], base: int):
        self._function, self._base = function, base
        self._ids: dict[int, int] = {}
        self._values: list[np.ndarray] = []

    def __call__(self, outcomes: np.ndarray) -> np.ndarray:
        """Return the function's values; ``outcomes`` is (..., D), of integers below ``base``."""
        flat = outcomes.reshape(-1, outcomes.shape[-1])
        codes = flat @ self._base ** np.arange(flat.shape[1])
        unique, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        for code, row in zip(unique.tolist(), first, strict=True):
            if code not in self._ids:
                self._ids[code] = len(self._values)
                self._values.append(self._function(flat[row]))
        values = np.array([self._values[self._ids[code]] for code in unique.tolist()])
        return values[inverse].reshape(*outcomes.shape[:-1], *values.shape[1:])


# ---------------------------------------------------------------- policy


class Policy:
    """Hold a policy for each of R seeds.

    Attributes:
        act: (R, C) logits of acting.
        call: (R, C, M) logits of the calls; call 0 is the right one.
    """

    def __init__(self, cell: Cell, seeds: int):
        self.act = np.full((seeds, CLUSTERS), np.log(cell.q / (1 - cell.q)))
        odds = np.full(CALLS, (1 - cell.p_tool) / (CALLS - 1))
        odds[0] = cell.p_tool
        with np.errstate(divide="ignore"):  # without a right call its logit is -inf
            self.call = np.tile(np.log(odds), (seeds, CLUSTERS, 1))

    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of acting (R, C) and of the calls (R, C, M)."""
        exponentials = np.exp(self.call - self.call.max(-1, keepdims=True))
        return 1 / (1 + np.exp(-self.act)), exponentials / exponentials.sum(-1, keepdims=True)


def call_accuracy(cell: Cell, right: np.ndarray) -> np.ndarray:
    """Return the accuracy after a call that is the right one with probability ``right``."""
    return right + (1 - right) * cell.luck


@dataclass(frozen=True)
class Step:
    """Hold a step of R seeds. Figures of the policy are those before the update, exact rather than sampled.

    Attributes:
        acting: (R,) probability of acting, mean over clusters.
        tool_accuracy: (R,) accuracy of acting, mean over clusters.
        accuracy: (R,) accuracy, mean over clusters.
        tokens: (R,) response tokens sampled in this step, continuations included.
        selected: (R,) prefixes that were resampled.
        recovered: (R,) those of them with a correct continuation.
        triggered: (2, Q) the questions that triggered: place of the seed, cluster.
    """

    acting: np.ndarray
    tool_accuracy: np.ndarray
    accuracy: np.ndarray
    tokens: np.ndarray
    selected: np.ndarray
    recovered: np.ndarray
    triggered: np.ndarray


def train(
    cell: Cell, arm: Arm, seeds: Sequence[int], rate: float = RATE, policy: Policy | None = None
) -> Iterator[Step]:
    """Train a policy for each seed and yield every step, without end.

    A seed has its own random numbers, so its run does not depend on the others. ``policy`` may be given to look at it
    between steps: its logits are updated in place when the next step is asked for.
    """
    policy = policy or Policy(cell, len(seeds))
    method, n, k, budget = arm.method, arm.rollouts, arm.method.continuations, arm.budget
    random = [np.random.default_rng(seed) for seed in seeds]
    triggers = _Memo(lambda counts: _triggered(counts, method.trigger), n + 1)
    credits = _Memo(lambda outcome: _flat_credit(tuple(outcome.tolist()), method), n + 1)
    place = np.arange(len(seeds))[:, None]
    step = 0
    while True:
        p_act, p_call = policy.probabilities()
        cumulative = p_call.cumsum(-1)
        cumulative[..., -1] = 1.0
        uniform = np.stack([generator.random((QUESTIONS, 1 + 3 * n)) for generator in random])
        cluster = (uniform[..., 0] * CLUSTERS).astype(int)  # (R, B)
        deciding, calling, scoring = np.split(uniform[..., 1:], 3, axis=-1)  # (R, B, N) each
        act = deciding < p_act[place, cluster][..., None]
        call = _choose(cumulative[place, cluster][:, :, None], calling)
        accuracy = np.where(act, np.where(call == 0, 1.0, cell.luck), cell.p_guess)
        reward = scoring < accuracy
        kind = 2 * ~act + ~reward
        counts = (kind[..., None] == np.arange(len(KINDS))).sum(-2)  # (R, B, 4)

        triggered = triggers(counts)
        confidence = p_call[place[..., None], cluster[..., None], call]
        chosen = np.array(
            [
                (run, candidate.question, candidate.session, rank)
                for run, seed in enumerate(seeds if budget else ())
                for rank, candidate in enumerate(
                    select_prefixes(
                        {
                            int(question): _settled(
                                act[run, question], reward[run, question], confidence[run, question]
                            )
                            for question in np.flatnonzero(triggered[run])
                        },
                        budget=budget,
                        trigger=method.trigger,
                        ranking=method.ranking,
                        seed=1_000_000 * seed + step,
                    )
                )
            ],
            dtype=int,
        ).reshape(-1, 4)
        run, question, session, rank = chosen.T
        # As many numbers whatever is selected, so that a seed's stream does not depend on it.
        uniform = np.array([generator.random((budget, k, 2)) for generator in random])[run, rank]  # (S, K, 2)
        source_cluster = cluster[run, question]
        again = _choose(cumulative[run, source_cluster][:, None], uniform[..., 0])  # (S, K)
        correct = uniform[..., 1] < np.where(again == 0, 1.0, cell.luck)
        recovered = correct.sum(-1)

        by_recovered = np.zeros((*cluster.shape, k + 1), dtype=int)
        np.add.at(by_recovered, (run, question, recovered), 1)
        flat = credits(np.concatenate([counts, by_recovered], axis=-1))
        of_rollout, of_source, of_continuation = _split_credit(flat, k)
        weight = np.take_along_axis(of_rollout, kind[..., None], axis=2)  # (R, B, N, 2)
        weight[run, question, session] = of_source[run, question, recovered]

        yield Step(
            acting=p_act.mean(-1),
            tool_accuracy=call_accuracy(cell, p_call[..., 0]).mean(-1),
            accuracy=(p_act * call_accuracy(cell, p_call[..., 0]) + (1 - p_act) * cell.p_guess).mean(-1),
            tokens=(PREFIX + np.where(act, CALL, ANSWER)).sum((1, 2))
            + CALL * k * np.bincount(run, minlength=len(seeds)),
            selected=np.bincount(run, minlength=len(seeds)),
            recovered=np.bincount(run, recovered > 0, minlength=len(seeds)).astype(int),
            triggered=np.stack([np.nonzero(triggered)[0], cluster[triggered]]),
        )

        # d log pi / d logit of the decision is 1 - q when acting, -q when guessing; of call j, [j is the call] - p_j.
        score = rate / (QUESTIONS * n)
        np.add.at(
            policy.act, (place, cluster), score * (weight[..., 0] * (act - p_act[place, cluster][..., None])).sum(-1)
        )
        push = np.zeros_like(policy.call)
        acted = np.nonzero(act)
        np.add.at(push, (acted[0], cluster[acted[:2]], call[act]), weight[act][:, 1])
        resampled = of_continuation[run[:, None], question[:, None], recovered[:, None], correct.astype(int)]
        np.add.at(push, (run[:, None], source_cluster[:, None], again), resampled)
        policy.call += score * (push - p_call * push.sum(-1, keepdims=True))
        step += 1


def _choose(cumulative: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Sample calls: cumulative probabilities (..., 1, M) and uniform numbers (..., N) to calls (..., N)."""
    return (uniform[..., None] >= cumulative).sum(-1)


def _settled(act: np.ndarray, reward: np.ndarray, confidence: np.ndarray) -> list[SettledRollout]:
    """Describe a question's N rollouts to the recipe's selection."""
    return [
        SettledRollout(session, float(correct), acted, (_span(sure),) if acted else ())
        for session, (acted, correct, sure) in enumerate(
            zip(act.tolist(), reward.tolist(), confidence.tolist(), strict=True)
        )
    ]


def _triggered(counts: np.ndarray, trigger: str) -> np.ndarray:
    kinds = [KINDS[kind] for kind, count in enumerate(counts) for _ in range(count)]
    rollouts = [
        SettledRollout(session, reward, used_tool=acted, spans=()) for session, (acted, reward) in enumerate(kinds)
    ]
    return np.array(is_triggered(rollouts, trigger=trigger))


@cache  # the arms of a map meet the same outcomes in every cell
def _flat_credit(outcome: tuple[int, ...], method: AXPOConfig) -> np.ndarray:
    recovered = [correct for correct, count in enumerate(outcome[4:]) for _ in range(count)]
    found = credit(outcome[:4], recovered, method)
    return np.concatenate([found.rollouts.ravel(), found.sources.ravel(), found.continuations.ravel()])


def _split_credit(flat: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second, third = np.split(flat, [8, 8 + 2 * (k + 1)], axis=-1)
    return (
        first.reshape(*flat.shape[:-1], 4, 2),
        second.reshape(*flat.shape[:-1], k + 1, 2),
        third.reshape(*flat.shape[:-1], k + 1, 2),
    )
