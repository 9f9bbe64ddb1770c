# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Answers of a paid or changing service, kept on disk: recorded once, replayed byte for byte without the service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary, WeakValueDictionary

import diskcache

from tools.errors import ToolInfrastructureError

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


class AnswerCache:
    """Keeps raw answers by request, for one tool; for many processes of one machine on a local disk.

    Modes: "off" asks every time; "record" takes what is there, else asks and stores; "replay" never asks.

    Raises:
        ValueError: the folder cannot be opened, or is missing in mode "replay".
    """

    def __init__(self, tool: str, path: str | None, mode: Mode):
        self.tool, self.path, self.mode = tool, path, mode
        self._cache: diskcache.Cache | None = None
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, asyncio.Lock]]
        self._locks = WeakKeyDictionary()
        if mode == "off":
            return
        folder = Path(path).expanduser()
        if mode == "replay" and not (folder / "cache.db").is_file():
            raise ValueError(f"cache: there is no recorded cache in {path}; record one with cache_mode: record")
        try:
            self._cache = diskcache.Cache(
                str(folder), disk=_PlainDisk, eviction_policy="none", size_limit=_NEVER, cull_limit=0,
                disk_min_file_size=_NEVER, statistics=0, tag_index=0,
            )  # fmt: skip
        except _ERRORS as error:
            raise ValueError(f"cache: cannot open {path}: {error}") from error

    def __len__(self) -> int:
        return 0 if self._cache is None else len(self._cache)

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
        locks = self._locks.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        lock = locks.setdefault(key, asyncio.Lock())
        async with lock:  # the rollouts of one question often ask the same: pay once
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
