# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The process behind ``latex.py``, run as a script: it reads pairs of expressions and writes which are equal."""

import json
import logging
import os
import resource
import signal
import sys
import time

CPU_S = 0.8
WALL_S = 20.0  # under load a comparison may wait long for its CPU time
MEMORY_BYTES = 3 * 2**30


def compare(said: str, truth: str) -> bool:
    """Return math-verify's verdict on two texts, each of which must be one whole expression."""
    from math_verify import LatexExtractionConfig, parse, verify

    def read(text: str):
        # math-verify's own timeouts are signals, which only running Python code can see.
        return parse(f"${text}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)

    gold, answer = read(truth), read(said)
    return bool(gold and answer and verify(gold, answer, timeout_seconds=None))


def serve() -> None:
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
            verdict = "equal" if compare(*json.loads(line)) else "different"
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


def main() -> None:
    """Fork children that serve, one after the other."""
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(2000)
    compare("\\frac{1}{2}x", "0.5x")  # load the imports, and the tables that parsers build at first use
    os.write(1, b"ready\n")
    while True:
        child = os.fork()
        if child == 0:
            serve()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return  # the end of the input
        os.write(1, f"died {CPU_S}\n".encode())  # the comparison is undecided, which counts as not equal


if __name__ == "__main__":
    main()
