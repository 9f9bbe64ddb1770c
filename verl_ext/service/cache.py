# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the answers of a paid or changing service on disk. A replay returns the recorded bytes without the service."""

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
    """Store bytes in the database. Refuse pickles, because loading one executes code of the cache's author."""

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
    """Open a recorded cache read-only, so that it may be on a read-only disk or belong to another user."""

    def __init__(self, file: Path):
        wal = file.with_name(file.name + "-wal")
        # A recording may have left entries in its log. To read them, SQLite must be able to write the log's index.
        mode = "mode=ro" if wal.is_file() and wal.stat().st_size else "mode=ro&immutable=1"
        self._database = sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        len(self)  # Fail now if the file is not a cache.

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
    """Hold a request under way and the number of callers that wait for its answer."""

    task: asyncio.Task[bytes]
    callers: int = 0


class AnswerCache:
    """Keep raw answers by request for one tool. Several processes of one machine may share a directory on a local disk.

    In mode ``"off"`` every request is sent. In mode ``"record"`` a known answer is returned, any other request is sent
    and its answer stored. In mode ``"replay"`` no request is sent.

    Args:
        tool: the tool's name, part of every key.
        path: directory of the cache. Ignored in mode ``"off"``.
        mode: ``"off"``, ``"record"`` or ``"replay"``.
        service: URL of the service. A directory holds the answers of one service. None accepts any service.

    Raises:
        ValueError: the directory cannot be opened, holds answers of another service, or is missing in mode
            ``"replay"``.
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
                f"cache: {path} holds answers of {recorded.decode()}, not of {service}; use another directory"
            )

    def __len__(self) -> int:
        if self._cache is None:
            return 0
        return len(self._cache) - (self._cache.get(f"service of {self.tool}") is not None)

    async def answer(self, backend: str, request: dict[str, Any], ask: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the answer to a request, from disk or from ``ask``.

        Only what ``ask`` returns is stored, never an error that it raises.

        Raises:
            ToolInfrastructureError: of kind ``"cache_miss"`` or ``"cache"``, or what ``ask`` raises.
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
        # The rollouts of one question often send the same request. It is paid for once, and all of them fail together.
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
                asking.task.cancel()  # No caller waits for the answer any more.
            if (not asking.callers or asking.task.done()) and waiting.get(key) is asking:
                del waiting[key]

    async def _record(self, key: str, text: str, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        body = await self._do(self._cache.get, key, retry=True)
        if body is not None:
            return body
        body = await ask()
        # Another process may have been faster. Its answer then counts for this call, too. The tag is for human readers.
        await self._do(self._cache.add, key, body, tag=text, retry=True)
        return await self._do(self._cache.get, key, default=body, retry=True)

    def key(self, backend: str, request: dict[str, Any]) -> tuple[str, str]:
        """Return the request as canonical JSON, and its hash."""
        content = {"tool": self.tool, "backend": backend, "request": request}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return text, hashlib.sha256(text.encode()).hexdigest()

    async def _do(self, work: Callable[..., Any], *args, **kwargs) -> Any:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except _ERRORS as error:
            raise ToolInfrastructureError(f"{self.tool}: cache {self.path}: {error}", "cache") from error
