# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Let one run at a time write to a directory, and end its workers with it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from data_prep.errors import DataError

LOCK = ".lock"


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Create a directory and lock it. The kernel releases the lock when the process ends, even by SIGKILL.

    Raises:
        DataError: another run holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"another run is writing to {folder}: wait for its end or choose another --output") from None
    try:
        yield
    finally:
        lock.release()


def end_with_parent() -> None:
    """End this worker process when its parent ends, even by SIGKILL.

    Workers of a ``ProcessPoolExecutor`` otherwise continue with queued jobs and write to files of the next run. They
    then wait forever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
