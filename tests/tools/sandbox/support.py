# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Calling the python tool from a test, and looking at its processes as the host's kernel sees them."""

import asyncio
import contextlib
import functools
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image
from verl.tools.tool_registry import load_all_tools

from tools.sandbox import pool as pools

TOOLS = Path(__file__).parents[3] / "tools"
REPO_ROOT = TOOLS.parent
SMALL = {"code_timeout_s": 2.0, "memory_mb": 256, "disk_mb": 16}  # limits that are reached quickly
NOBODY = 65534


class Trajectory:
    """What the tool sees of verl's `AgentData`."""

    def __init__(self, *messages, request_id="one"):
        self.messages, self.image_data, self.request_id = list(messages), None, request_id


@functools.cache
def as_configured():
    (tool,) = load_all_tools(str(TOOLS / "python.yaml"), None)
    return tool


def load(**options):
    """The tool of python.yaml with other options."""
    tool = as_configured()
    return type(tool)({**tool.config, **options}, tool.tool_schema)


def pool_of(tool):
    """The pool behind a tool, as the tool itself would ask for it."""
    names = ("spares", "max_idle", "max_idle_mb")
    options = {name: getattr(tool.options, name) for name in names}
    return pools.get_pool(tool.options.jail(), threads=tool.options.max_concurrency, **options)


async def acall(tool, code, agent_data=None):
    """One call as verl makes it; the response and the metrics."""
    instance, _ = await tool.create()
    try:
        response, _, metrics = await tool.execute(instance, {"code": code}, agent_data=agent_data)
    finally:
        await tool.release(instance)
    return response, metrics


def call(tool, code, agent_data=None):
    return asyncio.run(acall(tool, code, agent_data))


def say(tool, code, agent_data=None):
    """The text of a call."""
    return call(tool, code, agent_data)[0].text


def wait_until(condition, seconds=5.0):
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---------------------------------------------------------------- processes


def status(pid):
    """/proc/<pid>/status as a dict; empty if the process is gone."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def is_alive(pid):
    return status(pid).get("State", "Z")[0] not in "ZX"


def parents():
    """Parent of every process of this machine."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            found[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def family(root=None):
    """Pids below a process (this one), zombies included."""
    tree = parents()
    found, todo = set(), [root or os.getpid()]
    while todo:
        todo = [pid for pid, parent in tree.items() if parent in todo]
        found.update(todo)
    return found


def zygote_of(pool):
    """Pid of the zygote, bubblewrap's only child."""
    (zygote,) = [pid for pid, parent in parents().items() if parent == pool._process.pid]
    return zygote


def interpreters(pool):
    """Pids of the interpreters that the pool knows: used and waiting, or spare."""
    return {interpreter.pid for interpreter in [*pool._idle, *pool._ready] if interpreter.alive}


def newest(pool):
    """The interpreter that has run the latest cell."""
    return list(pool._idle)[-1]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pids):
    """Memory in use: each process's share of its pages (PSS), which counts what forks share once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def picture(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 7)], axis=-1).astype(np.uint8))


def message(*images, role="user"):
    return {"role": role, "content": [{"type": "image", "image": image} for image in images]}
