# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The sandbox on its own: its command line, its blocking notebook, and what it imports."""

import ast
import subprocess
import sys

import pytest
from PIL import Image

from tests.tools.sandbox.support import REPO_ROOT
from tools.sandbox.__main__ import cells, main
from tools.sandbox.errors import SandboxError
from tools.sandbox.notebook import Notebook
from tools.sandbox.options import SandboxOptions


def repl(stdin, *arguments, **variables):
    command = [sys.executable, "-m", "tools.sandbox", *arguments]
    environment = {"PATH": "/usr/bin:/bin", **variables}
    return subprocess.run(
        command, input=stdin, cwd=REPO_ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("\n\n", []),
        ("a = 1\nb = 2\n\na + b\n", ["a = 1\nb = 2", "a + b"]),
        ("x = [1,\n\n2]\n\nx", ["x = [1,\n\n2]", "x"]),  # a blank line does not end what is incomplete
        ("s = '''a\n\nb'''\n\n\n\ns\n\n", ["s = '''a\n\nb'''", "s"]),
        ("1 +* 2\n\n3", ["1 +* 2", "3"]),
        ("(1,\n\n", ["(1,\n"]),  # the end of the input ends everything
    ],
)
def test_cells(text, expected):
    assert list(cells(text.splitlines())) == expected


def test_help():
    done = repl("", "--help")
    assert done.returncode == 0 and "blank line ends a cell" in done.stdout and "--memory-mb" in done.stdout


def test_without_bubblewrap_it_says_what_to_do():
    done = repl("1 + 1\n", PATH="/nowhere")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m tools.sandbox: bubblewrap (bwrap) is not installed: install it")


def test_a_bad_option_is_named(capsys):
    assert main(["--memory-mb", "1"]) == 2
    assert "memory_mb: Input should be greater than or equal to 64" in capsys.readouterr().err


def test_it_imports_nothing_of_the_project_outside():
    code = (
        "import sys, tools.sandbox.__main__\n"
        "print(sorted(n for n in sys.modules if n.partition('.')[0] in ('verl', 'verl_ext', 'recipe', 'data_prep')\n"
        "             or n.startswith('tools.') and not n.startswith('tools.sandbox')))"
    )
    command = [sys.executable, "-c", code]
    # Without the environment of the tests, which loads a module of the project into every process.
    done = subprocess.run(command, cwd=REPO_ROOT, env={}, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
    for path in (REPO_ROOT / "tools" / "sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in ("verl", "verl_ext", "recipe", "data_prep"), path
                assert not name.startswith("tools") or name.startswith("tools.sandbox"), path


@pytest.mark.stack
def test_state_persists_between_piped_cells(tmp_path):
    Image.new("RGB", (8, 6), "red").save(tmp_path / "in.png")
    stdin = "x = 6\ndef f(y):\n    return x * y\n\nprint('seven')\nf(7)\n\n1 / 0\n\nimages[0].size\n\nimages[0]\n"
    done = repl(stdin, "--image", str(tmp_path / "in.png"), "--output", str(tmp_path / "out"))
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[:5] == ["seven", "42", "line 1: 1 / 0", "ZeroDivisionError: division by zero", "(8, 6)"]
    assert len(lines) == 6 and lines[5].startswith("[value: 8x6 px, saved as ")
    assert Image.open(tmp_path / "out" / "cell5_0.png").size == (8, 6)


@pytest.mark.stack
def test_a_cell_that_ends_its_interpreter_does_not_end_the_loop():
    done = repl("x = 1\n\nimport os; os._exit(0)\n\n'x' in globals()\n\nwhile True: pass\n", "--timeout", "0.5")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "interpreter ended" in lines[0] and lines[1] == "False"
    assert lines[-1] == "The cell was stopped after 0.5 s. Variables are kept."


@pytest.mark.stack
def test_a_notebook_restores_its_variables(standing_walls, tmp_path):
    options = SandboxOptions(code_timeout_s=2.0, memory_mb=256, disk_mb=16)
    with Notebook(options) as notebook, pytest.raises(SandboxError, match="cannot read an image"):
        notebook.add_image(tmp_path / "missing.png")
        notebook.run("1")
    with Notebook(options) as notebook:
        notebook.run("x = 1")
        notebook.add_image(Image.new("RGB", (4, 4)))
        assert notebook.run("x += 1; len(images)").value == "1"
        notebook._backend._interpreter.close()  # as the pool does to make room
        assert notebook.run("x").value == "2"
        assert notebook.run("import os; os._exit(1)").ended == "died"
        assert "NameError" in notebook.run("x").error
