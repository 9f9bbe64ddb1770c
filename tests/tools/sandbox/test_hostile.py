# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile code in the real sandbox: it gets an answer, nothing else; the host and other trajectories notice nothing."""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.tools.sandbox.hostile_cases import FORGE, PRELUDE
from tests.tools.sandbox.kernel_hostile_cases import KERNEL
from tests.tools.sandbox.more_hostile_cases import CASES, CODE
from tests.tools.sandbox.support import REPO_ROOT, Trajectory, call, newest, pool_of
from tools.sandbox import pool as pools
from tools.sandbox import probe
from tools.sandbox.jail import IsolationError, JailConfig
from tools.sandbox.probe import Wall
from tools.sandbox.session import max_header

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("case", CASES + KERNEL, ids=lambda case: case.name)
def test_hostile_code(tool, host, needs_walls, case):
    needs_walls(case.walls)
    trajectory = Trajectory()
    code = case.code if case in CODE else PRELUDE + case.code  # the parser is given nothing else
    response, _ = call(tool, filled_in(code, host), trajectory)
    check_text(response.text, tool, host)
    assert case.says in response.text
    assert len(response.image or []) == case.images
    response, _ = call(tool, "6 * 7", trajectory)
    check_text(response.text, tool, host)
    assert case.after is None or response.text == case.after
    host.check()


def filled_in(code, host):
    names = {
        "CANARY": host.canary, "PORT": host.port, "PATH_SOCKET": host.path_socket, "ABSTRACT": host.abstract,
        "REPO": REPO_ROOT, "VENV": sys.prefix, "HOME": os.path.expanduser("~"), "HOST_PID": os.getpid(),
    }  # fmt: skip
    for name, value in names.items():
        code = code.replace(f"@{name}@", str(value))
    return code


def check_text(text, tool, host):
    """One clear answer, of bounded length, that says nothing about the host."""
    assert 0 < len(text) < tool.options.max_output_chars + 1000
    text.encode()
    json.dumps(text)
    assert "ESCAPED" not in text
    for private in (host.secret, str(REPO_ROOT), sys.prefix):
        assert private not in text


def test_there_are_cases_of_every_kind():
    counts = Counter(case.rests_on for case in CASES + KERNEL)
    print(dict(counts), "in all", counts.total())
    assert set(counts) == {"jail", "limit", "filter", "check"} and min(counts.values()) >= 10
    assert len({case.name for case in CASES + KERNEL}) == len(CASES + KERNEL) >= 100


def test_interpreters_share_no_open_file(tool, standing_walls):
    """What one does to a file that the zygote had open, such as a font, another does not see."""
    one, other = Trajectory(), Trajectory()
    call(tool, "6", other)
    pid = newest(pool_of(tool)).pid

    def positions():
        return {path.name: path.read_text().split()[1] for path in Path(f"/proc/{pid}/fdinfo").iterdir()}

    before = positions()
    move = "import os\nfor fd in range(3, 128):\n    try: print(os.lseek(fd, 12345, 0))\n    except OSError: pass"
    assert "12345" in call(tool, move, one)[0].text
    assert positions() == before


def test_what_only_the_host_may_say_is_not_read_from_an_answer(tool, standing_walls):
    claims = dict(disk_full=True, replay="output", replayed=3, ended="killed", not_run=True, seed=1)
    code = FORGE + f"send(answer | {claims!r})\nimport time; time.sleep(9)"
    response, metrics = call(tool, code, Trajectory())
    assert response.text == "forged" and metrics["ok"]


def test_nonsense_of_the_longest_kind_is_refused_at_once(tool, standing_walls):
    limits = tool.options.jail().limits
    assert 30 * limits.output_bytes < max_header(limits) < 1 << 21
    started = time.monotonic()
    response, _ = call(tool, FORGE + "send(b'[' + b'[],' * (1 << 20) + b'[]]')", Trajectory())
    assert "the interpreter ended" in response.text and time.monotonic() - started < 1.5


def test_a_fallen_wall_keeps_the_sandbox_shut(monkeypatch, standing_walls):
    """The product refuses, too: not only these tests."""
    monkeypatch.setattr(pools.probe, "probe_walls", lambda *_: [Wall("no network", "jail", False, "it answered")])
    pool = pools.Pool(JailConfig(packages=("pillow",)))
    with pytest.raises(IsolationError, match="not tight on this machine: no network"):
        pool.take()
    assert not pool.running()
    pool.close()


@pytest.mark.parametrize("answer", ["", "x", "os._exit(0)", "while True: pass"])
def test_a_probe_without_an_answer_is_a_fallen_wall(monkeypatch, tool, standing_walls, answer):
    interpreter = pool_of(tool).take()
    monkeypatch.setattr(probe, "_QUESTIONS", f"import os\ndef _probe(*_):\n    {answer or 'pass'}")
    real = interpreter.run
    monkeypatch.setattr(interpreter, "run", lambda code, earlier, images, seconds: real(code, earlier, images, 0.2))
    walls = probe.probe_walls(interpreter, tool.options.jail().limits)
    interpreter.close()
    assert [wall.stands for wall in walls] == [True, False]
