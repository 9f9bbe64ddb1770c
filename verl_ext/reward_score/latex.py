# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Compare LaTeX in separate processes, where the kernel ends comparisons that take too long.

A thread cannot be interrupted by signals, and Python cannot interrupt one big multiplication. A helper process
therefore forks a child that compares. A timer on the child's CPU time sends a signal whose default action ends the
child, and the helper forks the next one within a millisecond.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import queue
import select
import subprocess
import sys
import threading
from pathlib import Path

from verl_ext.tool_calls import ToolInfrastructureError

MAX_HELPERS = 2  # in each process that scores
MAX_CHARS = 400
# The helper's own limits (latex_helper.py) are much shorter. This one applies if the machine hangs.
REPLY_S = 60.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_HELPER = Path(__file__).with_name("latex_helper.py")


class _Helper:
    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_HELPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # The helper parses what models write, so it receives no API key.
            env={**{k: os.environ[k] for k in _KEPT if k in os.environ}, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C reaches the run, which ends its helpers
        )
        self._rest = b""
        try:
            self._line()  # imports take a second or two and must not count for the answer
        except BaseException:
            self.close()
            raise

    def ask(self, request: bytes) -> bytes:
        try:
            self._process.stdin.write(request)
            answer = self._line()
        except OSError as error:
            raise ToolInfrastructureError(f"LaTeX: the helper process is gone: {error}", "latex") from error
        if answer.startswith(b"undecided"):
            raise ToolInfrastructureError("LaTeX: a comparison got no CPU, or was killed from outside", "latex")
        return answer

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], REPLY_S)
            data = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not data:
                why = "ended" if ready else f"did not answer within {REPLY_S:g} s"
                raise ToolInfrastructureError(f"LaTeX: the helper process {why}; is math-verify installed?", "latex")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def close(self) -> None:
        self._process.stdin.close()  # it ends with its input
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class _Helpers:
    """Up to ``MAX_HELPERS`` helpers, started when first needed. Further callers wait for their turn."""

    def __init__(self):
        self._slots: queue.LifoQueue[_Helper | None] = queue.LifoQueue()
        for _ in range(MAX_HELPERS):
            self._slots.put(None)

    def ask(self, request: bytes) -> bytes:
        helper = self._slots.get()
        try:
            helper = helper or _Helper()
            answer = helper.ask(request)
        except BaseException:
            if helper is not None:
                helper.close()
            self._slots.put(None)
            raise
        self._slots.put(helper)
        return answer

    def close(self) -> None:
        for _ in range(MAX_HELPERS):
            try:
                helper = self._slots.get_nowait()
            except queue.Empty:
                return
            if helper is not None:
                helper.close()


_lock = threading.Lock()
_helpers: dict[int, _Helpers] = {}  # by process: after a fork the pipes are the parent's


def _own() -> _Helpers:
    with _lock:
        return _helpers.setdefault(os.getpid(), _Helpers())


@atexit.register
def close() -> None:
    """End this process's helpers. The next comparison starts new ones."""
    with _lock:
        helpers = _helpers.pop(os.getpid(), None)
    if helpers is not None:
        helpers.close()


class Budget:
    """Seconds of CPU time that the helper may take for all comparisons of one response.

    A comparison that starts within the budget may use the helper's whole limit, so the maximum is about twice that.
    """

    def __init__(self, seconds: float = 0.8):
        self.left = seconds


def equal(said: str, truth: str, budget: Budget | None = None) -> bool:
    """Return whether two LaTeX expressions have the same value (see ``latex_value``), or False if that takes too long.

    Raises:
        ToolInfrastructureError: of kind "latex", if the helper cannot be started, does not answer or gets no CPU.
    """
    if len(said) > MAX_CHARS or len(truth) > MAX_CHARS or (budget is not None and budget.left <= 0):
        return False
    same, seconds = _verdict(said, truth)
    if budget is not None:
        budget.left -= seconds
    return same


@functools.lru_cache(maxsize=20_000)  # the rollouts of a question give few different answers
def _verdict(said: str, truth: str) -> tuple[bool, float]:
    verdict, seconds = _own().ask(json.dumps([said, truth]).encode() + b"\n").split()
    return verdict == b"equal", float(seconds)
