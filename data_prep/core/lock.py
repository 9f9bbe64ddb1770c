# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""One run at a time writes to a folder, and its processes end with it."""

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
    """Make a folder and hold it; the kernel lets go when the process ends, however it ends.

    Raises:
        DataError: another run is writing there.
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
    """For workers: end when the parent does, even by SIGKILL.

    Workers of a `ProcessPoolExecutor` otherwise go on with what is queued, into files that the next run writes, too,
    and then wait for ever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
