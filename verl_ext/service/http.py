# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Send HTTP requests with one deadline over all attempts, retries where they can help, and answers of bounded size.

A thread with its own event loop talks to all servers. A server can send thousands of headers, empty chunks or interim
responses, and parsing them must not delay the event loop of the rollouts.
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import http.cookiejar
import os
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import tenacity

from verl_ext.service.rate import RateLimit
from verl_ext.tool_calls import ToolInfrastructureError

RETRIED_STATUSES = frozenset({408, 425, 429})  # All statuses from 500 on are retried, too.
KEY_STATUSES = frozenset({401, 403})
MAX_BACKOFF_S = 8.0
MAX_RETRY_AFTER_S = 30.0  # A server may ask for hours.
CONNECT_TIMEOUT_S = 10.0
DETAIL_CHARS = 200
MAX_PIECES = 65_536  # A server may send each byte in a chunk of its own, and every chunk costs as much as 64 KiB.


class _Failure(ToolInfrastructureError):
    """Raised by one failed attempt."""

    def __init__(self, message: str, kind: str, *, retry: bool = True, wait_s: float | None = None):
        super().__init__(message, kind)
        self.retry, self.wait_s = retry, wait_s


class HttpClient:
    """Send the requests of one tool. A client may serve several event loops.

    Args:
        name: the tool's name, for messages.
        attempts: maximum number of times a request is sent.
        attempt_timeout_s: seconds for one attempt.
        backoff_s: seconds before the second attempt. Each further wait doubles, up to ``MAX_BACKOFF_S``. A random time
            of up to the same length is added, so that workers do not return all at once.
        max_connections: connections open at a time.
        secret: text that never appears in a message, even if the server echoes it.
    """

    def __init__(
        self,
        name: str,
        *,
        attempts: int,
        attempt_timeout_s: float,
        backoff_s: float,
        max_connections: int,
        secret: str | None = None,
    ):
        self.name, self.attempts, self.attempt_timeout_s = name, attempts, attempt_timeout_s
        self.backoff_s, self.max_connections, self._secret = backoff_s, max_connections, secret
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def request(
        self,
        method: str,
        url: str,
        *,
        deadline_s: float,
        max_bytes: int,
        json: Any = None,
        headers: dict[str, str] | None = None,
        check: Callable[[bytes], Any] = lambda body: None,
        answers: Callable[[int, bytes], bool] = lambda status, body: False,
        rate: RateLimit | None = None,
    ) -> bytes:
        """Send a request until an answer is accepted.

        Args:
            method: the HTTP method.
            url: the URL.
            deadline_s: seconds for all attempts and the waits between them.
            max_bytes: size limit of the answer. A larger answer is an error, and so is a compressed one.
            json: body of the request.
            headers: additional headers.
            check: raises ValueError for a body that is not a valid answer. The request is then sent again. It runs in
                a thread.
            answers: returns True if the body of an error status is an answer as well. It is not checked.
            rate: limit from which every attempt takes a turn.

        Returns:
            The answer's body.

        Raises:
            ToolInfrastructureError: of kind ``"connect"``, ``"disconnect"``, ``"timeout"`` (one attempt),
                ``"deadline"``, ``"garbage"``, ``"size"``, ``"key"`` (the server refused it), ``"rate_limit"`` or
                ``"http_<status>"``.
        """
        last: _Failure | None = None
        end = time.monotonic() + deadline_s

        async def attempt() -> bytes:
            nonlocal last
            if rate is not None:
                await rate.acquire(end - time.monotonic())
            try:
                return await self._attempt(method, url, json, headers or {}, max_bytes, check, answers)
            except _Failure as failure:
                last = failure
                raise

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, _Failure) and error.retry),
            # An attempt that would start after the deadline is not worth waiting for.
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_before_delay(deadline_s),
            wait=self._wait,
            reraise=True,
        )
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                return await retrying(attempt)
        except _Failure as failure:
            tried = retrying.statistics.get("attempt_number", 1)
            raise ToolInfrastructureError(f"{failure} (attempt {tried} of {self.attempts})", failure.kind) from None
        except TimeoutError:
            if not deadline.expired():
                raise
            before = "" if last is None else f"; before: {last}"
            raise ToolInfrastructureError(
                f"{self.name}: no answer within {deadline_s:.3g} s{before}", "deadline"
            ) from None

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception()
        backoff = tenacity.wait_exponential(multiplier=self.backoff_s, max=MAX_BACKOFF_S)(state)
        jitter = tenacity.wait_random(0, backoff)(state)
        return max(backoff, getattr(error, "wait_s", None) or 0.0) + jitter

    async def _attempt(self, method, url, json, headers, max_bytes, check, answers) -> bytes:
        try:
            async with asyncio.timeout(self.attempt_timeout_s) as limit:
                exchange = self._exchange(method, url, json, headers, max_bytes)
                status, body, wait_s = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(exchange, _io_loop()))
        except TimeoutError:
            if not limit.expired():
                raise
            raise _Failure(f"{self.name}: no answer within {self.attempt_timeout_s:g} s", "timeout") from None
        except httpx.TransportError as error:
            kind = "connect" if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else "disconnect"
            # Name only the type, because httpx quotes headers in some of its messages.
            raise _Failure(f"{self.name}: {type(error).__name__} from {_host(url)}", kind) from None
        except (httpx.InvalidURL, httpx.TooManyRedirects, UnicodeError) as error:
            raise _Failure(f"{self.name}: {type(error).__name__} from {_host(url)}", "garbage", retry=False) from None
        try:
            if 200 <= status < 300:
                await asyncio.to_thread(check, body)
                return body
            if await asyncio.to_thread(answers, status, body):
                return body
        except (ValueError, RecursionError) as error:
            raise _Failure(
                f"{self.name}: the answer is not what was expected: {error}"[:DETAIL_CHARS], "garbage"
            ) from None
        raise self._refused(status, body, url, wait_s)

    async def _exchange(self, method, url, json, headers, max_bytes) -> tuple[int, bytes, float | None]:
        """Return the status, the body and the seconds that the server asks to wait. Run in the thread for servers."""
        async with self._client().stream(method, url, json=json, headers=headers) as response:
            status, wait_s = response.status_code, _retry_after(response.headers)
            encoding = response.headers.get("content-encoding", "").strip().lower()
            if encoding not in ("", "identity"):
                # A few hundred bytes may unpack to gigabytes, so a compressed body is never read.
                if 200 <= status < 300:
                    message = f"{self.name}: {_host(url)} sends a compressed answer, which was not requested"
                    raise _Failure(message, "garbage", retry=False)
                return status, b"", wait_s
            body, pieces = bytearray(), 0
            async for piece in response.aiter_raw():
                body += piece
                pieces += 1
                if len(body) > max_bytes:
                    message = f"{self.name}: the answer is larger than {max_bytes} bytes"
                    raise _Failure(message, "size", retry=False)
                if pieces > MAX_PIECES:
                    message = f"{self.name}: the answer comes in more than {MAX_PIECES} pieces"
                    raise _Failure(message, "size", retry=False)
        return status, bytes(body), wait_s

    def _refused(self, status: int, body: bytes, url: str, wait_s: float | None) -> _Failure:
        message = f"{self.name}: HTTP {status} from {_host(url)}: {self._detail(body[: 80 * DETAIL_CHARS])}"
        if status in KEY_STATUSES:
            return _Failure(f"{message} (is the API key right?)", "key", retry=False)
        return _Failure(message, f"http_{status}", retry=status in RETRIED_STATUSES or status >= 500, wait_s=wait_s)

    def _detail(self, body: bytes) -> str:
        text = body.decode("utf-8", "replace")
        if self._secret:
            text = text.replace(self._secret, "***")
        text = "".join(c if c.isprintable() else " " for c in text[: 20 * DETAIL_CHARS])
        return " ".join(text.split())[:DETAIL_CHARS]

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = httpx.AsyncClient(
                verify=_ssl_context(),
                timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
                limits=httpx.Limits(max_connections=self.max_connections),
                headers={"Accept-Encoding": "identity"},
                cookies=_NoCookies(),
                follow_redirects=False,  # A redirect could carry the key to another server.
            )
        return self._clients[loop]


class _NoCookies(http.cookiejar.CookieJar):
    """Keep no cookies: a server could send thousands, and every later request would return them."""

    def extract_cookies(self, response, request) -> None:
        """Ignore the cookies of a response."""


_io_lock = threading.Lock()
_io_loops: dict[int, asyncio.AbstractEventLoop] = {}


def _io_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of the thread that talks to servers. A forked process starts its own thread."""
    with _io_lock:
        if os.getpid() not in _io_loops:
            loop = _io_loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="http", daemon=True).start()
        return _io_loops[os.getpid()]


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """Share one context between all clients, because reading the certificates is slow."""
    return httpx.create_ssl_context()


def api_key(option: str, name: str) -> str | None:
    """Return an API key from the environment, or None if the variable is empty.

    Args:
        option: name of the option, for messages.
        name: name of the environment variable.

    Raises:
        ValueError: a header cannot carry the key. The message does not contain it.
    """
    key = os.environ.get(name, "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{option}: the environment variable {name} holds characters that no key has")
    return key or None


def _host(url: str) -> str:
    try:
        parts = httpx.URL(url)
        return parts.host if parts.port is None else f"{parts.host}:{parts.port}"
    except (httpx.InvalidURL, UnicodeError):
        return "an invalid address"


def _retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds that the server asks to wait, capped at ``MAX_RETRY_AFTER_S``."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value) if value.replace(".", "", 1).isdigit() else _until(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _until(date: str) -> float:
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
