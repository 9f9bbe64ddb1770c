# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of a paid or changing service, kept on disk: recorded once, replayed byte for byte without the service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

import diskcache

from verl_ext.tool_calls import ToolInfrastructureError

Mode = Literal["off", "record", "replay"]
_NEVER = 2**62
_ERRORS = (OSError, sqlite3.Error, diskcache.Timeout)


class _PlainDisk(diskcache.Disk):
    """Text and bytes inside of the database; refuses pickles, which run code of whoever made the cache."""

    def store(self, value, read, key=diskcache.UNKNOWN):
        if read or not isinstance(value, bytes):
            raise TypeError("only bytes are stored")
        return super().store(value, read, key)

    def get(self, key, raw):
        if not raw:
            raise sqlite3.DatabaseError("the cache holds a pickled key")
        return super().get(key, raw)

    def fetch(self, mode, filename, value, read):
        if filename is not None or not isinstance(value, bytes):
            raise sqlite3.DatabaseError("the cache holds an entry that is no bytes")
        return value


class _Recorded:
    """A recorded cache, read only: it may lie on a read-only disk or belong to somebody else."""

    def __init__(self, file: Path):
        wal = file.with_name(file.name + "-wal")
        # what a recording has left in its log needs the log's index, which SQLite must be able to write
        mode = "mode=ro" if wal.is_file() and wal.stat().st_size else "mode=ro&immutable=1"
        self._database = sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        len(self)  # whether it is a cache at all

    def __len__(self) -> int:
        with self._lock:
            return self._database.execute("SELECT COUNT(*) FROM Cache").fetchone()[0]

    def get(self, key: str, retry: bool = True) -> bytes | None:
        with self._lock:
            row = self._database.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
        if row is not None and not isinstance(row[0], bytes):
            raise sqlite3.DatabaseError("the cache holds an entry that is no bytes")
        return None if row is None else row[0]


@dataclass
class _Asking:
    """A request on its way, and how many wait for its answer."""

    task: asyncio.Task[bytes]
    callers: int = 0


class AnswerCache:
    """Keeps raw answers by request, for one tool; for many processes of one machine on a local disk.

    Modes: "off" asks every time; "record" takes what is there, else asks and stores; "replay" never asks.

    Args:
        service: address that is asked; a folder holds one service's answers. None in mode "replay": whatever it was.

    Raises:
        ValueError: the folder cannot be opened, holds another service's answers, or is missing in mode "replay".
    """

    def __init__(self, tool: str, path: str | None, mode: Mode, service: str | None = None):
        self.tool, self.path, self.mode = tool, path, mode
        self._cache: diskcache.Cache | _Recorded | None = None
        self._asking: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Asking]] = WeakKeyDictionary()
        if mode == "off":
            return
        folder = Path(path).expanduser()
        if mode == "replay" and not (folder / "cache.db").is_file():
            raise ValueError(f"cache: there is no recorded cache in {path}; record one with cache_mode: record")
        key = f"service of {tool}"
        try:
            if mode == "replay":
                self._cache = _Recorded(folder / "cache.db")
            else:
                self._cache = diskcache.Cache(
                    str(folder), disk=_PlainDisk, eviction_policy="none", size_limit=_NEVER, cull_limit=0,
                    disk_min_file_size=_NEVER, statistics=0, tag_index=0,
                )  # fmt: skip
                if service is not None:
                    self._cache.add(key, service.encode(), retry=True)
            recorded = self._cache.get(key)
        except _ERRORS as error:
            raise ValueError(f"cache: cannot open {path}: {error}") from error
        if service is not None and recorded is not None and recorded != service.encode():
            raise ValueError(
                f"cache: {path} holds answers of {recorded.decode()}, not of {service}; use another folder"
            )

    def __len__(self) -> int:
        if self._cache is None:
            return 0
        return len(self._cache) - (self._cache.get(f"service of {self.tool}") is not None)

    async def answer(self, backend: str, request: dict[str, Any], ask: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer to a request, from disk or from `ask`.

        Raises:
            ToolInfrastructureError: of kind "cache_miss" or "cache", or what `ask` raises; only what it returns is
                stored.
        """
        if self._cache is None:
            return await ask()
        text, key = self.key(backend, request)
        body = await self._do(self._cache.get, key, retry=True)
        if body is not None:
            return body
        if self.mode == "replay":
            raise ToolInfrastructureError(
                f"{self.tool}: this request is not in the cache {self.path}; run it once with cache_mode: record",
                "cache_miss",
            )
        # The rollouts of one question often ask the same: pay once, and fail together.
        waiting = self._asking.setdefault(asyncio.get_running_loop(), {})
        asking = waiting.get(key)
        if asking is None:
            asking = waiting[key] = _Asking(asyncio.create_task(self._record(key, text, ask)))
        asking.callers += 1
        try:
            return await asyncio.shield(asking.task)
        finally:
            asking.callers -= 1
            if not asking.callers:
                asking.task.cancel()  # nobody waits for it any more
            if (not asking.callers or asking.task.done()) and waiting.get(key) is asking:
                del waiting[key]

    async def _record(self, key: str, text: str, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        body = await self._do(self._cache.get, key, retry=True)
        if body is not None:
            return body
        body = await ask()
        # Another process may have been faster: then its answer counts, for this call, too. The tag is for readers.
        await self._do(self._cache.add, key, body, tag=text, retry=True)
        return await self._do(self._cache.get, key, default=body, retry=True)

    def key(self, backend: str, request: dict[str, Any]) -> tuple[str, str]:
        """The request as canonical JSON, and its hash."""
        content = {"tool": self.tool, "backend": backend, "request": request}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return text, hashlib.sha256(text.encode()).hexdigest()

    async def _do(self, work: Callable[..., Any], *args, **kwargs) -> Any:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except _ERRORS as error:
            raise ToolInfrastructureError(f"{self.tool}: cache {self.path}: {error}", "cache") from error
