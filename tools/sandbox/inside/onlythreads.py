# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Let code that asks for several processes run in the only one. The system-call filter refuses all others."""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import functools
import multiprocessing
import multiprocessing.context
import multiprocessing.dummy.connection
import multiprocessing.heap
import multiprocessing.pool
import os
import queue
import threading

from errorhints import NO_PROCESSES

MAX_WORKERS = 8
LOCKS = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier")


def prepare() -> None:
    """Replace pools of processes by pools of threads. One CPU is reported, so ``n_jobs=-1`` means one job."""
    os.cpu_count = lambda: 1
    os.system = _system
    context = multiprocessing.context.BaseContext
    context.Pool = lambda self, *args, **kwargs: _pool(*args, **kwargs)
    # The original ones need shared memory and pipes, which the filter refuses, too.
    replaced = {name: getattr(threading, name) for name in LOCKS}
    replaced |= {"Queue": _Queue, "JoinableQueue": _Queue, "SimpleQueue": _SimpleQueue, "Pipe": _pipe}
    for name, kind in replaced.items():
        setattr(context, name, staticmethod(kind))
    for name in ("Pool", *replaced):
        setattr(multiprocessing, name, getattr(multiprocessing.context._default_context, name))
    multiprocessing.pool.Pool._wait_for_updates = staticmethod(_wait)
    multiprocessing.heap.Arena._dir_candidates = []  # No shared memory: values are in a file in /tmp.
    concurrent.futures.process.ProcessPoolExecutor = concurrent.futures.ProcessPoolExecutor = _ProcessPoolExecutor


class _SimpleQueue(queue.SimpleQueue):
    _reader = None  # A pool asks for it and does not use it.

    def close(self) -> None:
        """Do nothing, as for all queues here."""


def _wait(sentinels, change_notifier, timeout=None) -> None:
    """Wait until a pool changes. Its workers are threads, which have no file to wait for."""
    change_notifier.get()


class _Queue(queue.Queue):
    def close(self) -> None:
        """Do nothing: there is no thread behind the queue."""

    join_thread = cancel_join_thread = close


def _pipe(duplex: bool = True):
    return multiprocessing.dummy.connection.Pipe(duplex)


def _workers(number: int | None) -> int:
    print("note: no processes can be started here, the pool runs in threads")
    return min(number or 1, MAX_WORKERS)


def _pool(processes=None, initializer=None, initargs=(), maxtasksperchild=None):
    return multiprocessing.pool.ThreadPool(_workers(processes), initializer, initargs)


class _ProcessPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    @functools.wraps(concurrent.futures.process.ProcessPoolExecutor.__init__)
    def __init__(self, max_workers=None, mp_context=None, initializer=None, initargs=(), **kwargs):
        super().__init__(_workers(max_workers), initializer=initializer, initargs=initargs)


def _system(command) -> int:
    """Return what a shell returns if it cannot run a command, but do not hide it."""
    print(f"os.system: {NO_PROCESSES}")
    return 127 << 8
