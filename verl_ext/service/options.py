# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Define the options that tools and services share, and check them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic

from verl_ext.service.cache import AnswerCache, Mode
from verl_ext.service.http import HttpClient
from verl_ext.service.rate import RateLimit


class Options(pydantic.BaseModel):
    """Define the options of every tool.

    A subclass adds its own. A wrong name or value stops the run before it starts.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout_s: float = pydantic.Field(60.0, gt=0, allow_inf_nan=False)
    """Seconds for one call. A call that takes longer is an infrastructure failure."""
    max_concurrency: int = pydantic.Field(32, ge=1)
    """Calls that run concurrently in one agent-loop worker."""
    queue_timeout_s: float = pydantic.Field(600.0, gt=0, allow_inf_nan=False)
    """Seconds that a call may wait for its turn."""


@dataclass(frozen=True)
class Check:
    """Hold one line of ``python -m tools check``."""

    what: str
    ready: bool
    detail: str


class SearchOptions(Options):
    """Define the options of a tool that sends requests to a server."""

    timeout_s: float = pydantic.Field(30.0, gt=0, allow_inf_nan=False)
    """Seconds for one call, including the wait for the rate limit, all attempts and the waits between them."""
    attempts: int = pydantic.Field(3, ge=1, le=20)
    """Maximum number of attempts. A lost connection, a busy server or an invalid answer causes another one."""
    attempt_timeout_s: float = pydantic.Field(15.0, gt=0, allow_inf_nan=False)
    """Seconds for one attempt."""
    backoff_s: float = pydantic.Field(0.5, ge=0, le=60)
    """Seconds before the second attempt. A random time of up to the same length is added. Each further wait doubles."""
    max_response_bytes: int = pydantic.Field(8_388_608, ge=1024)
    """Size limit of an answer. A larger answer is an infrastructure failure."""
    requests_per_minute: int | None = pydantic.Field(None, ge=1)
    """Requests in any 60 s, over all workers of this machine. None sets no limit. Needs ``rate_limit_path``."""
    rate_limit_path: str | None = pydantic.Field(None, min_length=1)
    """File on a local disk through which the workers share the limit. It is created if it is missing. Each tool has its
    own limit in the file."""
    cache: str | None = pydantic.Field(None, min_length=1)
    """Directory of recorded answers, on a local disk."""
    cache_mode: Mode = "off"
    """In mode ``"record"`` a known answer comes from ``cache``, any other request is sent and its answer stored. In
    mode ``"replay"`` no request is sent, and a missing answer is an infrastructure failure."""

    @pydantic.field_validator("cache_mode", mode="before")
    @classmethod
    def _yaml_off(cls, value):
        return "off" if value is False else value  # YAML reads an unquoted off as False.

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if (self.requests_per_minute is None) != (self.rate_limit_path is None):
            raise ValueError("requests_per_minute and rate_limit_path must be given together")
        if (self.cache is None) != (self.cache_mode == "off"):
            raise ValueError("cache (a directory) and cache_mode (record or replay) must be given together")
        return self

    @property
    def asks(self) -> bool:
        """Return True if requests may be sent."""
        return self.cache_mode != "replay"

    @property
    def budget_s(self) -> float:
        """Return slightly less than ``timeout_s``, so that an error inside the budget can still name its reason."""
        return 0.95 * self.timeout_s

    def make_cache(self, tool: str, service: str | None = None) -> AnswerCache:
        """Open the cache that the options describe."""
        return AnswerCache(tool, self.cache, self.cache_mode, service)

    def make_rate_limit(self, tool: str) -> RateLimit | None:
        """Open the rate limit that the options describe, or return None if there is none."""
        if self.requests_per_minute is None or not self.asks:
            return None
        return RateLimit(tool, self.rate_limit_path, self.requests_per_minute)

    def make_client(self, tool: str, secret: str | None) -> HttpClient:
        """Create the HTTP client that the options describe."""
        return HttpClient(
            tool,
            attempts=self.attempts,
            attempt_timeout_s=self.attempt_timeout_s,
            backoff_s=self.backoff_s,
            max_connections=self.max_concurrency,
            secret=secret,
        )


def check_cache(cache: AnswerCache) -> list[Check]:
    """Return the lines of ``python -m tools check`` about a cache."""
    if cache.mode == "off":
        return []
    entries = len(cache)
    ready = entries > 0 or cache.mode == "record"
    detail = f"{cache.path}, mode {cache.mode}, {entries} answers" + ("" if ready else ": nothing to replay")
    return [Check("cache", ready, detail)]


def address(value: str) -> str:
    """Check the URL of an API and return it without a trailing slash.

    Raises:
        ValueError: the value is not an HTTP URL.
    """
    if not value.startswith(("http://", "https://")) or any(c.isspace() for c in value):
        raise ValueError("must be an address that starts with http:// or https://")
    return value.rstrip("/")


def parse_options(tool: str, model: type[Options], values: dict[str, Any]) -> Options:
    """Check a tool's options.

    Raises:
        ValueError: names the tool, the option and the rule.
    """
    try:
        return model(**values)
    except pydantic.ValidationError as error:
        raise ValueError(f"{tool}: {explain(error, model)}") from error


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> str:
    """Return one line that names each wrong option of a model, with its rule and its value."""
    lines = []
    for item in error.errors():
        option, rule = ".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            lines.append(f"unknown option {option}; known: {', '.join(model.model_fields)}")
        elif item["type"] == "extra_forbidden":
            lines.append(f"{option}: unknown key")
        elif not option:  # The rule concerns several options and names them.
            lines.append(rule)
        else:
            lines.append(f"{option}: {rule} (got {item['input']!r:.100})")
    return "; ".join(lines)
