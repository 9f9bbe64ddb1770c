# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One question as a tree: its N rollouts, and the K continuations of every rollout whose prefix was selected.

        question --+-- rollout 0                        a row of its own
                   +-- rollout 1 --(fork)-- rest        selected: the SOURCE row keeps the prefix, the rest is masked
                   |                  +-- continuation 1.0    CONTINUATION rows train what was resampled
                   |                  +-- continuation 1.1
                   +-- rollout 2                        a row of its own

Rows, masks and roles are derived from the tree here and nowhere else.

Invariant (one credit per token): over the rows of a question every generated token of the tree carries loss in exactly
one row, or in none. A source row keeps its mask up to its fork, a continuation row from the fork on, an ordinary row
all of it. Rollouts from scratch share no prefix with their source: it keeps all of its mask and its own reward, and so
does a source without prefix credit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from recipe.axpo.advantage import Role
from recipe.axpo.forks import NoForkReason, Reading, with_entropies
from recipe.axpo.selection import TRIGGERS, Candidate, SettledRollout, restrict_spans
from recipe.axpo.trajectory import Fork, Trajectory, make_fork

Read = Callable[[Any, int], Reading]  # (output, executed calls) -> what ``forks.read_response`` finds


@dataclass(frozen=True)
class BranchColumn:
    """Say a row's place in its question's tree, for the estimator, the dump and a reader.

    Attributes:
        question: uid of the question.
        session: number of the session within the question.
        place: the question's place in its batch, which orders questions alike in every run of one seed.
        role: what the row trains.
        prefix_group: id of the fork that a SOURCE or CONTINUATION row belongs to.
        recovery_reward: Eq. 3, on SOURCE rows.
        source_session: session whose prefix was resampled.
        prefix_length: tokens of the response up to the fork, opening tag included; 0 from scratch.
        confidence: mean probability of the source's call, or of what stands in its place (``forks.ToolCallSpan``).
        turn: assistant turn of the fork, counted from 1.
        engine_calls: requests to the rollout engine, with ``axpo.trace_engine_calls``.
    """

    question: str
    session: int
    role: Role = Role.ROLLOUT
    prefix_group: str | None = None
    recovery_reward: float | None = None
    source_session: int | None = None
    prefix_length: int | None = None
    confidence: float | None = None
    turn: int | None = None
    engine_calls: tuple[dict[str, list[int]], ...] = ()
    place: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as the TransferQueue stores them."""
        return {**asdict(self), "role": int(self.role), "engine_calls": list(self.engine_calls)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BranchColumn:
        """Read what ``as_dict`` has written."""
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{**known, "role": Role(known["role"]), "engine_calls": tuple(known["engine_calls"])})


@dataclass(frozen=True)
class Row:
    """One row of the batch: the mask it is trained under, its branch column, and what its reward has on top."""

    response_mask: tuple[int, ...]
    column: BranchColumn
    bonus: float = 0.0


@dataclass(frozen=True)
class _Session:
    """A settled session. ``output`` and ``trajectory`` are kept only where a fork may still be made of them."""

    response_mask: tuple[int, ...]
    reward: float  # the outcome's, which alone says whether an answer is correct
    bonus: float  # for having acted; it enters the advantages only
    reading: Reading | None  # None for a continuation: it is never forked
    engine_calls: tuple[dict[str, list[int]], ...]
    fork: Fork | None = None
    output: Any = None
    trajectory: Trajectory | None = None


class QuestionTree:
    """The settled sessions of one question, in the worker's hands until its rows are credited.

    Args:
        question: uid.
        num_rollouts: N.
        continuations: K.
        read: reads a response, see ``forks.read_response``.
        trigger, fork: names in ``selection.TRIGGERS`` and ``selection.FORKS``.
        correct_threshold: a reward of at least this is correct.
        prefix_credit: whether a source trains its prefix with the recovery reward. Otherwise it stays the rollout that
            it was, with its own reward.
        tool_bonus: reward of having acted, on top of the outcome's.
        place: the question's place in its batch.
        branching: whether sessions may be forked; otherwise nothing is kept for that.
    """

    def __init__(
        self,
        question: str,
        num_rollouts: int,
        *,
        continuations: int,
        read: Read,
        trigger: str = "all_wrong",
        fork: str = "first",
        correct_threshold: float = 1.0,
        prefix_credit: bool = True,
        tool_bonus: float = 0.0,
        place: int = 0,
        branching: bool = True,
    ):
        self.question, self.num_rollouts, self.continuations = question, num_rollouts, continuations
        self.place, self.branching = place, branching
        self.correct_threshold, self.prefix_credit = correct_threshold, prefix_credit
        self.errors: dict[int, BaseException] = {}
        self._read, self._fork_policy, self._trigger, self._tool_bonus = read, fork, trigger, tool_bonus
        self._sessions: dict[int, _Session] = {}
        self._selected: dict[int, Candidate] = {}  # source session -> what was selected

    # ------------------------------------------------------------ sessions

    def add(self, session: int, output: Any, trajectory: Trajectory | None, fork: Fork | None = None) -> Row:
        """Take in a settled session and return its row as it stands now: an ordinary rollout or a continuation.

        Args:
            session: its number.
            output: verl's ``AgentLoopOutput``, reward included.
            trajectory: its snapshots; None where another agent loop has run it.
            fork: what a continuation started from.

        Raises:
            RuntimeError: the session was given up before.
        """
        if session in self.errors:
            raise RuntimeError(f"session {session} of question {self.question} was given up")
        trajectory = trajectory or Trajectory()
        reading = self._read_safely(output, trajectory, fork)
        keep = self.branching and bool(reading.spans) and fork is None
        self._sessions[session] = _Session(
            response_mask=tuple(output.response_mask),
            reward=float(output.reward_score),
            bonus=self._tool_bonus if reading.acted else 0.0,
            reading=reading if fork is None else None,
            engine_calls=tuple(
                {"prompt_ids": list(call.prompt_ids), "token_ids": list(call.token_ids)}
                for call in trajectory.engine_calls
            ),
            fork=fork,
            output=output if keep else None,
            trajectory=trajectory if keep else None,
        )
        return self._row(session)

    def fail(self, session: int, error: BaseException) -> None:
        """Leave a session out: an infrastructure failure, never a wrong answer."""
        self._sessions.pop(session, None)
        self.errors[session] = error

    def _read_safely(self, output: Any, trajectory: Trajectory, fork: Fork | None) -> Reading:
        """Read a response. One that cannot be read or resumed offers no fork, and its question goes on."""
        executed_calls = trajectory.executed_calls + (0 if fork is None else fork.snapshot.user_turns)
        try:
            reading = self._read(output, executed_calls)
            if fork is None and trajectory.entropies:  # those of a continuation's prefix are its source's
                spans = with_entropies(reading.spans, output.response_mask, trajectory.entropies)
                reading = replace(reading, spans=spans)
        except Exception:
            return Reading(executed_calls > 0, (), NoForkReason.UNREADABLE)
        if self.branching and reading.spans:
            first = min((turn.response_length for turn in trajectory.turns), default=math.inf)
            spans = tuple(span for span in reading.spans if span.start >= first)
            reading = Reading(reading.acted, spans, None if spans else NoForkReason.UNREADABLE)
        return reading

    # ----------------------------------------------------------- selection

    def settled(self) -> list[SettledRollout]:
        """Return the N rollouts as selection sees them; failed ones are invalid."""
        rollouts = []
        for number in range(self.num_rollouts):
            session = self._sessions.get(number)
            if session is None or session.reading is None:
                rollouts.append(SettledRollout(number, 0.0, used_tool=False, spans=(), valid=False))
                continue
            spans = restrict_spans(session.reading.spans, self._fork_policy)
            rollouts.append(SettledRollout(number, session.reward, session.reading.acted, spans))
        return rollouts

    def no_fork(self) -> dict[str, int]:
        """Count the rollouts of the trigger's subgroup (the tool-using ones) that offer no fork, by reason."""
        acted = TRIGGERS[self._trigger].used_tool
        readings = [s.reading for s in self._sessions.values() if s.reading is not None and s.reading.acted == acted]
        return dict(Counter(r.reason.value for r in readings if r.reason is not None and not r.spans))

    def branch(self, selected: Iterable[Candidate]) -> list[tuple[int, Fork]]:
        """Freeze the selected prefixes and forget the state of all other sessions.

        Returns:
            (session number, fork) of every continuation to run. The number, and with it the sampling seed, depends on
            the source and k only: N + source * K + k.
        """
        self._selected = {candidate.session: candidate for candidate in selected}
        planned = []
        for candidate in self._selected.values():
            source = self._sessions[candidate.session]
            assert source.trajectory is not None  # kept for every session that offers a fork
            fork = make_fork(candidate.session, candidate.span, source.trajectory, source.output)
            planned += [(number, fork) for number in self._continuations_of(candidate.session)]
        self._sessions = {n: replace(s, output=None, trajectory=None) for n, s in self._sessions.items()}
        return planned

    def _continuations_of(self, source: int) -> range:
        first = self.num_rollouts + source * self.continuations
        return range(first, first + self.continuations)

    def outcomes(self) -> list[list[float | None]]:
        """Return, for each selected prefix, the rewards of its continuations; None where one failed."""
        return [
            [self._sessions[n].reward if n in self._sessions else None for n in self._continuations_of(source)]
            for source in self._selected
        ]

    # ---------------------------------------------------------------- rows

    def rows(self) -> list[Row]:
        """Return one row for every settled session, by session number.

        A source none of whose continuations settled is an ordinary rollout again: nothing was learned of its prefix.
        """
        return [self._row(session) for session in sorted(self._sessions)]

    def _row(self, number: int) -> Row:
        session = self._sessions[number]
        mask, fork, bonus = session.response_mask, session.fork, session.bonus
        column = BranchColumn(self.question, number, engine_calls=session.engine_calls, place=self.place)
        if fork is not None:
            length = len(fork.response_ids)
            column = self._branch(column, Role.CONTINUATION, fork.source_session, fork.span)
            return Row((0,) * length + mask[length:], column, bonus)
        candidate = self._selected.get(number)
        rewards = [self._sessions[n].reward for n in self._continuations_of(number) if n in self._sessions]
        if candidate is None or not rewards:
            return Row(mask, column, bonus)
        column = self._branch(column, Role.SOURCE, number, candidate.span)
        if not self.prefix_credit or not candidate.span.fork:  # with its own reward, Eq. 4 is GRPO
            return Row(mask, replace(column, recovery_reward=session.reward + bonus), bonus)
        recovery = recovery_reward(session.reward, rewards, correct_threshold=self.correct_threshold)
        length = candidate.span.fork
        column = replace(column, recovery_reward=recovery + bonus)
        return Row(mask[:length] + (0,) * (len(mask) - length), column, bonus)

    def _branch(self, column: BranchColumn, role: Role, source: int, span: Any) -> BranchColumn:
        return replace(
            column,
            role=role,
            prefix_group=f"{self.question}:{source}:{span.fork}",
            source_session=source,
            prefix_length=span.fork,
            confidence=span.confidence,
            turn=span.turn,
        )


def recovery_reward(own: float, continuations: Sequence[float], *, correct_threshold: float = 1.0) -> float:
    """Compute r_prefix (Eq. 3) on the scale of the rewards.

    A recovered source gets what its best continuation earned, which is 1 for rewards in {0, 1}. A source that was not
    recovered keeps its own reward. A fixed 0 would be wrong for other rewards: among rewards of -1 it would
    reinforce a failed prefix.

    Args:
        own: reward of the source.
        continuations: rewards of its continuations, at least one.
        correct_threshold: a reward of at least this is correct.
    """
    best = max(continuations)
    return best if best >= correct_threshold else own


def check_images(output: Any, image_token_id: int) -> None:
    """Check that a session has as many image placeholders as images.

    Otherwise the actor would train on image features at the wrong tokens. A placeholder is a run of one pad token for
    each of the image's features.

    Raises:
        ValueError: the numbers differ.
    """
    images = (output.multi_modal_data or {}).get("images") or ()
    placeholders, previous = 0, None
    for token_id in (*output.prompt_ids, *output.response_ids):
        placeholders += token_id == image_token_id and previous != image_token_id
        previous = token_id
    if placeholders != len(images):
        raise ValueError(f"{placeholders} image placeholders for {len(images)} images")
