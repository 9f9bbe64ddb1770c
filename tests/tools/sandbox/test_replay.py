# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Cells that are run again, at a fork or after an interpreter's end, find what they found the first time."""

import asyncio
import os
import time

import numpy as np
import pytest
from PIL import Image

from tests.tools.sandbox.support import Trajectory, acall, call, message, newest, picture, pool_of, say, wait_until
from verl_ext.tool_calls import ToolInfrastructureError, drain, past_calls, summarise

pytestmark = pytest.mark.stack


def fork_of(source):
    fork = Trajectory(*source.messages)
    past_calls(fork).extend(past_calls(source))
    return fork


def test_a_cell_that_was_stopped_and_those_behind_it(own):
    tool, source = own(code_timeout_s=1.0), Trajectory()
    response, _ = call(tool, "import time\nx = 1\ntime.sleep(60)\nx = 3", source)
    assert "Variables are kept" in response.text
    assert say(tool, "y = 2; x, y", source) == "(1, 2)"
    started = time.monotonic()
    assert say(tool, "x, y", fork_of(source)) == "(1, 2)"
    assert time.monotonic() - started < 1.5  # not all of its time once more


def test_a_cell_that_did_not_end_in_time_this_time(own):
    """What was done before is lost with it, and the model is told."""
    tool, source = own(code_timeout_s=1.0), Trajectory()
    say(tool, "import time", source)
    say(tool, "x = 1; time.sleep(0.7)", source)
    say(tool, "time.sleep(0.7); y = 2", source)
    response, _ = call(tool, "x, 'y' in globals()", fork_of(source))
    assert response.text.startswith("(1, False)") and "some variables of earlier calls are lost" in response.text


@pytest.mark.parametrize("again", ["fork", "ended"])
def test_images_that_came_later_are_not_there_yet(own, again):
    tool, source = own(), Trajectory(message(picture(320, 200)))
    assert say(tool, "w = images[-1].size; n = len(images), len(image_paths)", source) == "(no output)"
    source.messages.append(message(picture(64, 96), role="tool"))
    assert say(tool, "m = [image.size for image in images]; w, n, m", source) == (
        "((320, 200), (1, 1), [(320, 200), (64, 96)])"
    )
    source.messages.append(message(picture(32, 32), role="tool"))
    if again == "ended":
        newest(pool_of(tool)).close()
    trajectory = source if again == "ended" else fork_of(source)
    expected = "((320, 200), (1, 1), [(320, 200), (64, 96)], 3, (32, 32))"
    assert say(tool, "w, n, m, len(images), images[-1].size", trajectory) == expected


def test_a_cancelled_call_leaves_nothing(own):
    tool, trajectory = own(code_timeout_s=5.0), Trajectory()
    say(tool, "x = 1", trajectory)
    interpreter = newest(pool_of(tool))

    async def cancelled():
        task = asyncio.create_task(acall(tool, "x = 2\nimport time\ntime.sleep(4)", trajectory))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    started = time.monotonic()
    asyncio.run(cancelled())
    assert wait_until(lambda: not interpreter.alive) and time.monotonic() - started < 3  # its code does not go on
    assert say(tool, "x", trajectory) == "1"


# ---------------------------------------------------------------- random numbers

RANDOM = {
    "random": "random.random()",
    "a generator of its own": "random.Random().random()",
    "random, seeded anew": "[random.seed(), random.random()][1]",
    "the system's random": "random.SystemRandom().random()",
    "secrets": "secrets.token_hex()",
    "os.urandom": "os.urandom(8).hex()",
    "uuid4": "str(uuid.uuid4())",
    "shuffle": "random.sample(range(1000), 5)",
    "numpy": "np.random.rand(3).tolist()",
    "numpy's new generators": "np.random.default_rng().random(3).tolist()",
    "numpy's old generators": "np.random.RandomState().rand(3).tolist()",
    "numpy, seeded anew": "[np.random.seed(), np.random.rand()][1]",
    "scipy": "stats.norm.rvs(size=2).tolist()",
    "pandas": "pd.DataFrame({'a': range(1000)}).sample(3).a.tolist()",
    "sympy": "sympy.randprime(10**9, 10**12)",
    "order of sets": "list({'one', 'two', 'three', 'four', 'five', 'six', 'seven'})",
    "hash of a string": "hash('a string')",
    "names of temporary files": "tempfile.mktemp()",
}
IMPORTS = (
    "import os, random, secrets, tempfile, uuid\nimport numpy as np\nimport pandas as pd\nimport sympy\n"
    "from scipy import stats\n"
)


@pytest.fixture(scope="module")
def drawn(tool):
    """What each source gave, in the source's trajectory and below another zygote, and the trajectory."""
    source = Trajectory()
    say(tool, IMPORTS + "got = {}", source)
    for name, code in RANDOM.items():
        say(tool, f"got[{name!r}] = [{code}, {code}]\nprint(got[{name!r}])", source)
    return source, eval(say(tool, "got", source))


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_come_again(tool, drawn, name):
    source, got = drawn
    drain()
    assert eval(say(tool, f"got[{name!r}]", fork_of(source))) == got[name]
    assert summarise(drain())["tools/python/replays"] == 1


def test_random_numbers_come_again_below_another_zygote(own, drawn):
    source, got = drawn
    drain()
    assert eval(say(own(code_timeout_s=20.0, max_output_chars=8000), "got", fork_of(source))) == got
    assert not any("incomplete" in name for name in summarise(drain()))


def test_notebooks_draw_different_numbers(tool):
    code = "import random, numpy as np; random.random(), np.random.rand(), np.random.default_rng().random()"
    assert len({say(tool, code, Trajectory()) for _ in range(5)}) == 5


def test_a_stream_of_numbers_runs_on_from_cell_to_cell(tool):
    trajectory = Trajectory()
    say(tool, "import random, numpy as np\nrandom.seed(1); np.random.seed(1)", trajectory)
    values = [say(tool, "random.random(), np.random.rand()", trajectory) for _ in range(2)]
    import random

    random.seed(1)
    state = np.random.RandomState(1)
    assert [eval(value) for value in values] == [(random.random(), state.rand()) for _ in range(2)]


def test_continuations_go_on_with_the_same_numbers(tool):
    source = Trajectory()
    say(tool, "import random\nrandom.random()", source)
    code = "random.random()"
    assert say(tool, code, fork_of(source)) == say(tool, code, fork_of(source)) == say(tool, code, source)


# ---------------------------------------------------------------- what does not come again

REPEATED = {
    "addresses": "class A: pass\nprint(A(), A.__init__, object())\nA()",
    "a figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
    "a picture": "from PIL import Image\nImage.new('RGB', (32, 32)).show()",
    "an error": "1 / 0",
    "much output": "for i in range(100000): print(i)",
    "half of a surrogate pair": "'\\ud800'",
    "a value that counts how often it is shown": "class B:\n    n = 0\n    def __repr__(self):\n"
    "        B.n += 1; return str(B.n)\nB()",
    "files": "open('x', 'a').write('x'); open('x').read()",
    "nothing": "x = 1",
}
NOT_REPEATED = {
    "the clock": ("import time; time.time_ns()", "output"),
    "a printed clock": ("import time; print(time.perf_counter_ns())", "output"),
    "an error at times": ("import time\nif time.time_ns() // 10**9 % 2**40 > @NOW@: 1 / 0", "error"),
    "an end at times": ("import os, time\nif time.time_ns() // 10**9 % 2**40 > @NOW@: os._exit(0)", "died"),
    "an endless loop at times": ("import time\nwhile time.time_ns() // 10**9 % 2**40 > @NOW@: pass", "time"),
}


def incomplete():
    figures = summarise(drain())
    head = "tools/python/incomplete_replays/"
    return {name.removeprefix(head): count for name, count in figures.items() if name.startswith(head)}


@pytest.mark.parametrize("code", REPEATED.values(), ids=REPEATED)
def test_a_complete_replay_counts_as_one(tool, code):
    source = Trajectory()
    say(tool, code, source)
    drain()
    say(tool, "1", fork_of(source))
    assert incomplete() == {}


@pytest.mark.parametrize("policy", ["continue", "drop"])
@pytest.mark.parametrize("name", NOT_REPEATED)
def test_an_incomplete_replay_ends_as_the_user_chooses(own, name, policy):
    code, kind = NOT_REPEATED[name]
    tool, source = own(code_timeout_s=3.0, incomplete_replay=policy, spares=0), Trajectory()
    say(tool, "x = 1", source)
    say(tool, "0", source)  # It needs no start any more.
    now = int(time.time()) + 2
    say(tool, code.replace("@NOW@", str(now)), source)
    assert time.time() < now + 1
    time.sleep(max(0, now + 1.1 - time.time()))
    drain()
    if policy == "drop":
        with pytest.raises(ToolInfrastructureError) as error:
            say(tool, "x", fork_of(source))
        assert error.value.kind == "replay"
        assert summarise(drain())["tools/python/failures/infrastructure:replay"] == 1
    else:
        call(tool, "x", fork_of(source))
        assert incomplete() == {kind: 1}
    assert say(tool, "x", source) == "1"  # Its own interpreter is still there.


# ---------------------------------------------------------------- images


def noise(seed, side=900):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("again", ["same", "fork", "ended"])
def test_images_may_be_larger_than_the_cells_disk(own, again):
    """Twenty pictures of 2.4 MB, of which some came from the cells, on a disk of 8 MiB that a cell has filled."""
    tool = own(disk_mb=8, spares=0, code_timeout_s=10.0)
    trajectory = Trajectory(message(*map(noise, range(6))))
    draw = (
        "import numpy as np\nfrom PIL import Image\nfor i in range(4):\n"
        "    Image.fromarray(np.random.randint(0, 255, (960, 960, 3), dtype=np.uint8)).show()"
    )
    for _ in range(3):
        response, metrics = call(tool, draw, trajectory)
        assert metrics["ok"] and len(response.image) == 4
        trajectory.messages.append(message(*response.image, role="tool"))
    fill = (
        "try:\n    with open('/work/full', 'wb') as f:\n        while True: f.write(bytes(1 << 16))\nexcept OSError: 0"
    )
    say(tool, fill, trajectory)
    trajectory.messages.append(message(noise(77), role="tool"))
    if again == "ended":
        newest(pool_of(tool)).close()
    trajectory = fork_of(trajectory) if again == "fork" else trajectory
    look = "len(images), images[18].getpixel((3, 3)), sum(len(open(path, 'rb').read()) > 10**6 for path in image_paths)"
    assert eval(say(tool, look, trajectory)) == (19, noise(77).getpixel((3, 3)), 19)


STORE = {
    "writing": "open('/images/image_0.png', 'r+b')",
    "adding": "open('/images/x', 'w')",
    "removing": "os.unlink('/images/image_0.png')",
    "renaming": "os.rename('/images/image_0.png', '/images/x')",
    "rights": "os.chmod('/images/image_0.png', 0o777)",
    "times": "os.utime('/images/image_0.png')",
    "a link": "os.link('/images/image_0.png', '/work/y')",
    "the length": "os.truncate('/images/image_0.png', 0)",
    "an attribute": "os.setxattr('/images/image_0.png', 'user.x', b'x')",
    "a folder": "os.mkdir('/images/d')",
    "mounting anew": "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
    "if libc.umount2(b'/images', 2): raise OSError(ctypes.get_errno(), '')",
}


@pytest.mark.parametrize("code", STORE.values(), ids=STORE)
def test_the_store_can_only_be_read(tool, standing_walls, code):
    trajectory, other = Trajectory(message(picture(96, 64))), Trajectory(message(picture(32, 32)))
    say(tool, "1", other)
    assert "Error: [Errno" in say(tool, f"import os\n{code}", trajectory)
    assert say(tool, "os.listdir('/images'), images[0].size", trajectory) == "(['image_0.png'], (96, 64))"


def test_a_cell_may_write_where_an_image_is_linked(tool):
    trajectory = Trajectory(message(picture(96, 64)))
    save = "from PIL import Image\nImage.new('RGB', (32, 32)).save('image_0.png')"
    response, _ = call(tool, save, trajectory)
    assert [image.size for image in response.image] == [(32, 32)]
    assert say(tool, "images[0].size, Image.open(image_paths[0]).size", trajectory) == "((96, 64), (32, 32))"


def test_nothing_is_left_of_images(own):
    tool = own(spares=0)
    trajectory = Trajectory(message(*map(noise, range(3))))
    say(tool, "x = 1", trajectory)
    interpreter = newest(pool_of(tool))
    assert interpreter.memory() > 3 * 2_000_000
    folder = os.dup(interpreter.images._folder)
    assert sorted(os.listdir(folder)) == [f"image_{i}.png" for i in range(3)]
    os.close(folder)
    del trajectory
    assert wait_until(lambda: interpreter.images._folder is None and not interpreter.alive)


def test_a_cell_learns_nothing_about_the_images_of_others(tool):
    look = "import os\ns = os.stat(image_paths[0]); v = os.statvfs('/images')\ns.st_ino, s.st_uid, v.f_bfree, v.f_files"
    first = say(tool, look, Trajectory(message(picture(96, 64))))
    others = [Trajectory(message(*map(noise, range(2)))) for _ in range(3)]
    for other in others:
        say(tool, "1", other)
    assert say(tool, look, Trajectory(message(picture(96, 64)))) == first


# ---------------------------------------------------------------- the cell's own alarm


def test_a_cell_may_use_the_alarm(tool):
    trajectory = Trajectory()
    code = (
        "import signal, time\ndef late(*_): raise TimeoutError('mine')\nsignal.signal(signal.SIGALRM, late)\n"
        "signal.alarm(1)\ntry:\n    time.sleep(5)\nexcept TimeoutError as error: print(error)"
    )
    assert say(tool, code, trajectory) == "mine"
    assert say(tool, "signal.setitimer(signal.ITIMER_REAL, 0.2); 1", trajectory).endswith("1")
    time.sleep(0.3)
    assert say(tool, "2", trajectory) == "2"
    assert "was stopped after 2 s" in say(tool, "signal.alarm(0)\ntime.sleep(9)", trajectory)
