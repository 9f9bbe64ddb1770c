# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The process behind ``latex.py``, run as a script: it reads pairs of expressions and writes which are equal."""

import importlib.util
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

CPU_S = 0.8
WALL_S = 20.0  # under load a comparison may wait long for its CPU time
MEMORY_BYTES = 3 * 2**30


def serve(same_value: Callable[[str, str], bool]) -> None:
    """Answer one line for each line of the input, until it ends or a limit ends this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)  # the default action ends the process at any point
    while line := read_line():
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        signal.setitimer(signal.ITIMER_REAL, WALL_S)
        try:
            verdict = "equal" if same_value(*json.loads(line)) else "different"
        except (Exception, RecursionError, MemoryError):  # third-party parsers raise anything
            verdict = "different"
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(1, f"{verdict} {time.process_time() - started:.3f}\n".encode())


def read_line() -> bytes:
    """Read one line without a buffer: a child must not take input that its successor needs."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 65536)
        if not data:
            return b""
        line += data
    return line


def load() -> Callable[[str, str], bool]:
    """Import ``same_value`` from beside this script, without the package, whose imports take seconds."""
    spec = importlib.util.spec_from_file_location("latex_value", Path(__file__).with_name("latex_value.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.same_value


def main() -> None:
    """Fork children that serve, one after the other."""
    same_value = load()
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(2000)
    # Load the imports, and the tables that the parser builds at first use.
    for warm_up in (r"\frac{1}{2}x", r"2\pi \sqrt{x+1}", "(x+y_1)^2", r"\sin^2 x + \log_2 8", "x > 3", "y=2x"):
        same_value(warm_up, warm_up)
    os.write(1, b"ready\n")
    while True:
        child = os.fork()
        if child == 0:
            serve(same_value)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return  # the end of the input
        # A comparison that uses up its own limit counts as not equal. One that waited for a CPU, or was killed from
        # outside, is undecided.
        verdict = "undecided" if code in (-signal.SIGALRM, -signal.SIGKILL, -signal.SIGTERM) else "died"
        os.write(1, f"{verdict} {CPU_S}\n".encode())


if __name__ == "__main__":
    main()
