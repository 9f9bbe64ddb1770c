# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""An LLM engine that plays a script, and remembers every request token for token.

It decides by what it is shown. A prompt must be the question's own, or extend by a tool's answer what the engine has
said before, or be cut somewhere in what it has said to the session that a continuation's seed names: anything else is a
violation. Without seeds a continuation is told by the opening tag that its prompt ends with.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
from dataclasses import dataclass
from typing import Any

import ray
from tokenizers import Tokenizer
from verl.workers.rollout.replica import TokenOutput

from tests.stack.forced.script import CLOSE, OPEN, SURE, Question, Turn


class EngineDown(RuntimeError):
    """The scripted failure of a request."""


@dataclass(frozen=True)
class Call:
    """One request and its answer."""

    number: int
    question: str
    session: str  # name in the script
    continuation: int | None  # which of the session's continuations, None for the session itself
    turn: int  # index into the script's turns
    parent: int | None  # number of the call whose answer this prompt extends or cuts
    cut: int | None  # tokens of the parent's answer that this prompt keeps; None: all
    request_id: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    image_sizes: tuple[tuple[int, int], ...]
    seed: int | None
    worker: int  # process id

    @property
    def ids(self) -> tuple[int, ...]:
        return self.prompt_ids + self.token_ids


class ScriptedEngine:
    """The Ray actor behind all clients of a test."""

    def __init__(self, tokenizer_file: str):
        self.tokenizer = Tokenizer.from_file(tokenizer_file)
        self.open_id, self.close_id = map(self.tokenizer.token_to_id, (OPEN, CLOSE))
        self.load({}, {}, 0)

    def load(
        self,
        questions: dict[str, Question],
        answers: dict[str, str],
        max_length: int,
        numbers: dict[int, tuple[int, int | None]] | None = None,
    ) -> None:
        """Forget everything and play ``questions``; ``answers`` are the right ones, ``max_length`` the engine's.

        ``numbers``: sampling seed -> numbers in the script of the session and, if it is one, of the continuation.
        Without seeds the script is played in the order in which requests come.
        """
        self.numbers = numbers or {}
        self.max_length = max_length
        self.questions, self.answers = questions, answers
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.started: dict[tuple[str, str | None], int] = {}
        self.failed: list[tuple[str, str, int | None]] = []

    def record(self) -> tuple[list[Call], list[str], list[tuple[str, str, int | None]]]:
        """All calls, violations, and the (question, session, continuation) that were made to fail."""
        return self.calls, self.violations, self.failed

    def play(self, request_id: str, prompt: list[int], sizes: list, seed: int | None, worker: int) -> Call | str:
        """The answer to one request, or the name of the fault that takes its place."""
        prompt = tuple(prompt)
        try:
            name = re.search(r"Case (\S+):", self.tokenizer.decode(prompt)).group(1)
            parent, session, number, turn = self._place(self.questions[name], prompt, seed)
            question = self.questions[name]
            turns = question.sessions[session] if number is None else question.continuations[session][number]
            scripted = turns[turn]
        except Exception as error:
            self.violations.append(f"{type(error).__name__}: {error}: {self.tokenizer.decode(prompt)[-300:]!r}")
            raise
        if scripted.fault in ("fails", "hangs", "kills"):
            self.failed.append((name, session, number))
            return scripted.fault
        forked, inside = number is not None and turn == 0, prompt[-1] == self.open_id
        token_ids, log_probs = self._sample(scripted, name, inside, self.max_length - len(prompt))
        cut = len(prompt) - len(parent.prompt_ids) if forked else None
        self.calls.append(
            Call(
                len(self.calls), name, session, number, turn, None if parent is None else parent.number, cut,
                request_id, prompt, token_ids, () if scripted.fault == "silent" else log_probs,
                tuple(map(tuple, sizes)), seed, worker,
            )
        )  # fmt: skip
        return self.calls[-1]

    def _place(
        self, question: Question, prompt: tuple[int, ...], seed: int | None
    ) -> tuple[Call | None, str, int | None, int]:
        """(parent, session, continuation, turn) of a request."""
        known = [call for call in self.calls if call.question == question.name]
        source, number = self.numbers.get(seed, (None, None))
        if number is not None and not any(call.seed == seed for call in known):
            name = list(question.sessions)[source]
            held = [c for c in known if (c.session, c.continuation) == (name, None) and c.ids[: len(prompt)] == prompt]
            parent = max((c for c in held if len(c.prompt_ids) <= len(prompt)), key=lambda call: len(call.prompt_ids))
            return parent, name, number, 0
        if prompt[-1] == self.open_id:
            (parent,) = (c for c in known if len(c.prompt_ids) < len(prompt) and c.ids[: len(prompt)] == prompt)
            return parent, parent.session, self._next(question.name, parent.session, seed), 0
        said = [call for call in known if prompt[: len(call.ids)] == call.ids]
        if said:
            parent = max(said, key=lambda call: len(call.ids))
            return parent, parent.session, parent.continuation, parent.turn + 1
        first = [call.prompt_ids for call in known if call.parent is None]
        if first and prompt != first[0]:
            raise ValueError("neither the question nor an extension of what was said")
        return None, list(question.sessions)[self._next(question.name, None, seed)], None, 0

    def _next(self, question: str, session: str | None, seed: int | None) -> int:
        if seed in self.numbers:
            return self.numbers[seed][0]
        number = self.started.get((question, session), 0)
        self.started[question, session] = number + 1
        return number

    def _sample(self, turn: Turn, question: str, inside: bool, room: int) -> tuple[tuple, tuple]:
        right = self.answers[question]
        text = turn.text.replace("@right", right).replace("@wrong", f"not {right}")
        token_ids = self.tokenizer.encode(text, add_special_tokens=False).ids[:room]
        log_probs = []
        for token_id in token_ids:
            inside = inside or token_id == self.open_id
            log_probs.append(math.log(turn.confidence if inside else SURE))
            inside = inside and token_id != self.close_id
        return tuple(token_ids), tuple(log_probs)


class ScriptedClient:
    """Takes the place of verl's ``LLMServerClient`` in the agent-loop workers."""

    def __init__(self, engine: Any):
        self.engine = engine

    async def generate(
        self, request_id, *, prompt_ids, sampling_params, image_data=None, video_data=None, **kwargs
    ) -> TokenOutput:
        sizes = [image.size for image in image_data or ()]
        seed = sampling_params.get("seed")
        call = await self.engine.play.remote(request_id, list(prompt_ids), sizes, seed, os.getpid())
        if call == "fails":
            raise EngineDown("the scripted engine is down")
        if call == "hangs":
            await asyncio.Event().wait()
        if call == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        return TokenOutput(
            token_ids=list(call.token_ids),
            log_probs=list(call.log_probs) or None,
            extra_fields={"global_steps": 0, "min_global_steps": 0, "max_global_steps": 0},
        )


def start_engine(tokenizer_file: str):
    """Start the actor."""
    return ray.remote(num_cpus=0)(ScriptedEngine).remote(tokenizer_file)
