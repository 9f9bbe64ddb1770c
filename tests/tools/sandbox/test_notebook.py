# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a cell may look like, and what it says: text, values, errors."""

import pytest

from tests.tools.sandbox.support import Trajectory, call, load, newest, pool_of, say

PLOT = "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1))\n"


@pytest.mark.parametrize(
    "code, text",
    [
        ("```python\nprint(1)\n1 / 0\n```", "1\nline 3: 1 / 0\nZeroDivisionError: division by zero"),
        ("\n```\n6 * 7\n```\n", "42"),
        ("```py\n6 * 7", "42"),
        ("s = '''\n```\n'''\ns", repr("\n```\n")),
        ("    x = 6\n    if x:\n        print(x * 7)", "42"),
        ("  x = '''\na'''\n  x", "line 1: x = '''\nIndentationError: unexpected indent"),
        ("x = 6\r\nx * 7", "42"),
        ("%matplotlib inline\nx = 6\nif x:\n    %time x\nx * 7", "42"),
        ("!pip install cv2\n42", "shell commands are not available\n42"),
        ("'''\n%a\n!b\n'''", repr("\n%a\n!b\n")),
        ("x = 5\nx", "5"),
        ("x = 5\nx;", "(no output)"),
        ("'\u00e4;'  ;  # quiet", "(no output)"),
        ("'\u00e4;'", "'\u00e4;'"),
        ("import asyncio\nawait asyncio.sleep(0, 42)", "42"),
        ("import asyncio\nx = await asyncio.sleep(0, 42)\nprint(x)", "42"),
        ("def f(x: int) -> str: ...\nf.__annotations__", "{'x': <class 'int'>, 'return': <class 'str'>}"),
        ("eval('lambda x: int').__code__.co_flags & 0x1000000", "0"),
        ("display('a', 5)", "'a'\n5"),
        ("open('helper.py', 'w').write('v = 42'); import helper; helper.v", "42"),
        ("import argparse\np = argparse.ArgumentParser(); p.add_argument('--n', default=42)\np.parse_args().n", "42"),
        ("import sys; sys.argv, sys.orig_argv, [p for p in sys.path if 'axpo' in p]", "([''], [''], [])"),
        ("from PIL import ImageFont\nImageFont.truetype('DejaVuSans.ttf', 20).getname()[0]", "'DejaVu Sans'"),
        ("a = []; a.append(a); a", "[[...]]"),
    ],
)
def test_what_models_write(tool, code, text):
    assert say(tool, code, Trajectory()) == text


@pytest.mark.parametrize(
    "code, text",
    [
        ("x = (1,", "line 1: x = (1,\nSyntaxError: '(' was never closed"),
        ("x = 1\neval('1+')", "line 2: eval('1+')\nSyntaxError: invalid syntax (<string>, line 1)"),
        ("x = 1\nraise SyntaxError", "line 2: raise SyntaxError\nSyntaxError"),
        ("e = SyntaxError('x'); e.text = 5; e.lineno = 1\nraise e", "line 2: raise e\nSyntaxError: x (line 1)"),
        ("e = SyntaxError('x'); e.filename = 7\nraise e", "line 2: raise e\nSyntaxError: x"),
        ("class M(type):\n    __name__ = property(lambda c: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E(1)",
         "line 4: raise E(1)\nE: 1"),
        ("class E(Exception):\n    __traceback__ = property(lambda s: 1 / 0)\nraise E(1)", "E: ?"),
        ("class E(Exception):\n    def __str__(self): raise SystemExit\nraise E", "line 3: raise E\nE: ?"),
        ("import cv3", "line 1: import cv3\nModuleNotFoundError: No module named 'cv3' "
         "(installed: numpy, scipy, sympy, pandas, PIL, matplotlib, cv2, skimage, sklearn, networkx, shapely, seaborn, "
         "tqdm)"),
        ("import scipy.nothing", "line 1: import scipy.nothing\nModuleNotFoundError: No module named 'scipy.nothing'"),
        ("import sys; sys.exit('No image found')", "No image found"),
        ("raise SystemExit('bad')", "bad"),
        ("exit(2)", "exit status 2"),
        ("class E(SystemExit):\n    code = property(lambda s: 1 / 0)\nraise E", "E: ?"),
        ("import numpy as np\nraise SystemExit(np.zeros(2))", "[0. 0.]"),
        ("class T(str):\n    def __len__(self): return 'x'\n    __getitem__ = dict\n"
         "class V:\n    def __repr__(self): return T('v')\nraise ValueError(V())",
         "line 6: raise ValueError(V())\nValueError: v"),
    ],
)  # fmt: skip
def test_errors_and_exits(tool, code, text):
    trajectory = Trajectory()
    say(tool, "k = 42", trajectory)
    response, metrics = call(tool, code, trajectory)
    assert response.text == text and metrics["error"] == "exception"
    assert say(tool, "k", trajectory) == "42"


def test_an_exit_without_a_message_is_no_error(tool):
    trajectory = Trajectory()
    for code in ("exit()", "raise SystemExit", "import sys; sys.exit(0)"):
        response, metrics = call(tool, code, trajectory)
        assert response.text == "(no output)" and metrics["ok"]
    assert "EOFError" in say(tool, "input('x')", trajectory)


def test_a_broken_line_cache_is_mended(tool):
    trajectory = Trajectory()
    say(tool, "import linecache; linecache.cache = None", trajectory)
    assert say(tool, "1 / 0", trajectory) == "line 1: 1 / 0\nZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    "code, start, end",
    [
        ("for i in range(100_000): print(i)\nprint('ANSWER 42')", "0\n1\n2\n", "99999\nANSWER 42"),
        ("import os; os.write(1, b'a' * 200_000 + b'END'); None", "aaaa", "aEND"),
        ("import os; os.write(1, b'a' * 200_000); print('b' * 9, 'END')", "aaaa", "ab" + "b" * 8 + " END"),
        ("import sys; sys.stdout.buffer.write(b'a' * 200_000 + b'END'); None", "aaaa", "aEND"),
        ("print('a' * 200_000); 1 / 0", "aaaa", "ZeroDivisionError: division by zero"),
    ],
)
def test_of_long_output_the_middle_is_cut_out(tool, code, start, end):
    response, metrics = call(tool, code, Trajectory())
    assert response.text.startswith(start) and response.text.endswith(end)
    assert response.text.count("... (cut) ...") == 1 and metrics["truncated"]
    assert len(response.text) < tool.options.max_output_chars + 100


def test_output_just_below_the_limit_is_whole(tool):
    limit = tool.options.max_output_chars
    for size in (limit // 2, limit - 1, limit):
        assert say(tool, f"print('x' * {size})", Trajectory()) == "x" * size
    wide = "\U0001f600" * (limit - 1)  # four bytes each
    assert say(tool, f"print({wide!r})".replace(wide, "\\U0001f600' * " + f"{limit - 1} + '"), Trajectory()) == wide


def test_values_of_matplotlib_are_not_printed_below_a_figure(tool):
    for call_of in ("plt.plot([1, 2])", "plt.title('x')", "plt.bar([1], [2])", "plt.gca()", "plt.pie([1, 2])"):
        assert say(tool, PLOT + call_of, Trajectory()) == "Image 0: figure."
    assert say(tool, PLOT + "h = plt.hist([1, 2])\nplt.close()\nh[2][:0]", Trajectory()) == "()"


def test_every_interpreter_has_random_numbers_of_its_own(tool):
    code = "import random, numpy as np\nfrom sympy.core.random import rng\nprint({})"
    for number in ("random.random()", "np.random.rand()", "rng.random()"):
        assert say(tool, code.format(number), Trajectory()) != say(tool, code.format(number), Trajectory())


def test_replayed_cells_draw_nothing(tool):
    trajectory = Trajectory()
    assert "Image 0" in say(tool, PLOT + "x = 1; plt.show(); display(plt.gcf()); plt.plot([1])", trajectory)
    newest(pool_of(tool)).close()
    assert say(tool, "x, plt.get_fignums()", trajectory) == "(1, [])"


def test_only_what_is_installed_is_named():
    tool = load(packages=["pillow"], spares=0)
    assert say(tool, "import numpy", Trajectory()).endswith("No module named 'numpy' (installed: PIL)")
    pool_of(tool).close()


# ---------------------------------------------------------------- cells with something around the code

REPAIRED = [
    ("Here's the code:\n```python\nprint(1)\n```\nThis prints 1.", "1"),
    ("```python\na = 6\n```\nThen:\n```python\nprint(a * 7)\n```", "42"),
    ("```\na = 6\n```\n\n```\na * 7\n```", "42"),
    ("```python\nprint(42)\n```\nOutput:\n```\n41\n```", "42"),
    ("```bash\npip install x\n```\n```python\n42\n```", "42"),
    ("```bash\nls\n```", "shell commands are not available"),
    ("~~~python\n42\n~~~", "42"),
    ("```{python}\n42\n```", "42"),
    ("   ```py\n   if 1:\n       print(42)\n   ```", "42"),
    ("print(42)\n```", "42"),
    ("```python\nprint(42)```", "42"),
    ("```python\ns = '''\n```\nx\n```\n'''\ns\n```", repr("\n```\nx\n```\n")),
    ("<code>print(42)</code>", "42"),
    ("<code>\nprint(42)\n</code>", "42"),
    ("<code>\n```python\nprint(42)\n```\n</code>", "42"),
    ("Let's run this: <code>print(42)</code>. Then we see.", "42"),
    ("<python>\nx = 42\n</python>\n<code>\nx\n</code>", "42"),
    ("print(42)\n</code>", "42"),
    (">>> x = 6\n>>> x * 7\n42", "42"),
    (">>> for i in range(2):\n...     print(i)\n...\n0\n1", "0\n1"),
    ("x\u00a0=\u00a042\nx", "42"),
    # Strings are left as they are, even where another line has to be changed.
    ("!ls\ns = '''\n!x\n%y\n```\n'''\ns", "shell commands are not available\n" + repr("\n!x\n%y\n```\n")),
    ('%matplotlib inline\ns = """%a\n%b"""\ns', repr("%a\n%b")),
    ("!ls\nx = (84\n% 43\n)\nx", "shell commands are not available\n41"),
    ("!ls\ns = 'a \\\n!b'\ns", "shell commands are not available\n'a !b'"),
    ("!echo it's \"\n42", "shell commands are not available\n42"),
    ("!apt-get install \\\n  tesseract\n42", "shell commands are not available\n42"),
    ("files = !ls\nprint(files)", "shell commands are not available\nNone"),
    ("%%time\nx = 42\nx", "42"),
    ("%time x = 42\nx", "42"),
    ("%%writefile a.py\nx = 'it", "%%writefile is not available: cells are Python"),
    ("pip install easyocr\n42", "shell commands are not available\n42"),
    ("if True:\n    !ls\n    %cd /x01\n42", "shell commands are not available\n42"),
    ("s = '<code>x</code>'\ns", "'<code>x</code>'"),
    ("s = '```python\\nx\\n```'\ns", repr("```python\nx\n```")),
]

BROKEN = [
    ("s = '''\n```\nx = 1\n```\n'''\nprint(s", "line 6: print(s\nSyntaxError: '(' was never closed"),
    ("print('<code>x</code>'", "line 1: print('<code>x</code>'\nSyntaxError: '(' was never closed"),
    ("Here:\n```python\nx = 1\nx +* 2\n```", "line 4: x +* 2\nSyntaxError: invalid syntax"),
    ("%matplotlib inline\nx = 5 +* 2", "line 2: x = 5 +* 2\nSyntaxError: invalid syntax"),
    ("Here:\n```python\nx = 1\n1 / 0\n```", "line 4: 1 / 0\nZeroDivisionError: division by zero"),
    ("I cannot run code for this.", "line 1: I cannot run code for this.\nSyntaxError: invalid syntax"),
]


@pytest.mark.parametrize("code, text", REPAIRED + BROKEN)
def test_what_surrounds_the_code_is_removed(tool, code, text):
    assert say(tool, code, Trajectory()) == text


def test_progress_is_shown_as_a_terminal_shows_it(tool):
    assert say(tool, "for i in range(99): print(f'{i}/98', end='\\r')", Trajectory()) == "98/98"
    assert say(tool, "print('a\\r\\nb'); print('12\\r3')", Trajectory()) == "a\nb\n3"
