# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search the web through Tavily's API, or your own corpus with BM25: ``tavily-search``.

The tool needs a key in the environment (TAVILY_API_KEY), recorded answers (``cache``, ``cache_mode: replay``), or a
``corpus``.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Literal

import msgspec
import pydantic

from tools.base import AgentTool, Answer
from tools.images import finite_number
from tools.search.bm25 import Bm25Index
from tools.search.refusals import STATUSES, refuses
from verl_ext.service.http import api_key
from verl_ext.service.json_answer import read_json
from verl_ext.service.options import Check, SearchOptions, address, check_cache
from verl_ext.service.text import CUT_MARK, Tokens, compact, neutralise, one_line
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError

DEFAULT_RESULTS, MAX_RESULTS = 5, 20
MAX_TITLE_CHARS, MAX_URL_CHARS = 200, 300
CHARS_PER_TOKEN = 16  # Text rarely has more. What is further back cannot fit and is not even looked at.
NO_RESULTS = "No results were found."


class TavilyOptions(SearchOptions):
    """Choose where to search, and how much of the results the model sees."""

    backend: Literal["tavily", "bm25"] = "tavily"
    base_url: str = "https://api.tavily.com"
    """URL without the path ``/search``, of Tavily or of a proxy with the same interface."""
    api_key_env: str = pydantic.Field("TAVILY_API_KEY", min_length=1)
    """Environment variable with the key."""
    search_depth: Literal["basic", "advanced"] = "basic"
    """Tavily's search depth. ``"advanced"`` costs twice as many credits."""
    max_results_limit: int = pydantic.Field(10, ge=1, le=MAX_RESULTS)
    """Number of results that the model may request. Tavily allows 20."""
    max_query_chars: int = pydantic.Field(400, ge=1)
    """Length of the longest query. Tavily allows 400."""
    max_result_tokens: int = pydantic.Field(1024, ge=64)
    """Tokens of the whole text that the model receives, counted by ``tokenizer``."""
    tokenizer: str | None = pydantic.Field(None, min_length=1)
    """Path of a tokenizer. None uses an estimate: 4 ASCII characters or 1 other character make a token."""
    corpus: str | None = pydantic.Field(None, min_length=1)
    """File for backend ``bm25``: JSON lines or parquet with ``text`` (or ``content``, ``contents``), ``title``,
    ``url``, ``id``."""
    index_dir: str | None = pydantic.Field(None, min_length=1)
    """Directory of the index, which holds a copy of the texts. None uses the corpus's directory."""

    _base_url = pydantic.field_validator("base_url")(address)

    @pydantic.model_validator(mode="after")
    def _backend(self):
        if self.backend == "bm25" and self.corpus is None:
            raise ValueError("corpus: backend bm25 needs a file of documents")
        if self.backend == "bm25" and self.cache_mode != "off":
            raise ValueError("cache_mode: backend bm25 needs no cache")
        if self.backend == "tavily" and (self.corpus or self.index_dir):
            raise ValueError("corpus and index_dir are for backend bm25")
        return self


class TavilySearchTool(AgentTool):
    """Search for a query and return titles, URLs and excerpts.

    Raises:
        ValueError: at start, without a key, a recorded cache or a readable corpus.
    """

    Options = TavilyOptions

    def __init__(self, config, tool_schema):
        super().__init__(config, tool_schema)
        options = self.options
        self._tokens = Tokens(options.tokenizer)
        self._tokens.load()
        self._index, self._key = None, None
        if options.backend == "bm25":
            self._index = Bm25Index(options.corpus, options.index_dir)
            return
        if options.asks:
            self._key = api_key("api_key_env", options.api_key_env)
            if self._key is None:
                raise ValueError(
                    f"{self.name}: the environment variable {options.api_key_env} is not set; set it to a Tavily key, "
                    "or replay recorded answers (cache, cache_mode: replay), or search a corpus of your own "
                    "(backend: bm25, corpus)"
                )
        # A replay does not need to name its service.
        named = options.asks or "base_url" in options.model_fields_set
        self._cache = options.make_cache(self.name, options.base_url if named else None)
        self._rate = options.make_rate_limit(self.name)
        self._http = options.make_client(self.name, self._key)

    async def call(self, parameters: dict[str, Any], agent_data: Any, create_kwargs: dict[str, Any]) -> Answer:
        """Search.

        Args:
            parameters: ``query``, and optionally ``max_results``.
            agent_data: verl's trajectory, unused.
            create_kwargs: unused.

        Returns:
            A numbered list, cut so that every result keeps a share, with metric ``results``, the number of results.

        Raises:
            BadArgument: an argument is wrong, or the service refuses it.
            ToolInfrastructureError: the service, the cache or the rate limit failed.
        """
        query, max_results = self._parse(parameters)
        if self._index is not None:
            results = await asyncio.to_thread(self._index.search, query, max_results)
        else:
            request = {"query": query, "max_results": max_results, "search_depth": self.options.search_depth}
            body = await self._cache.answer("tavily", request, lambda: self._ask(request))
            try:
                results = parse_results(body)[:max_results]
            except ValueError as error:
                self._raise_refusal(body, request)
                # Otherwise the recording was edited.
                raise ToolInfrastructureError(f"{self.name}: cache {self.options.cache}: {error}", "cache") from None
        # Counting the tokens of long results is slow.
        text, truncated = await asyncio.to_thread(render, results, self._tokens, self.options.max_result_tokens)
        return Answer(text, truncated=truncated, metrics={"results": len(results)})

    async def _ask(self, request: dict[str, Any]) -> bytes:
        return await self._http.request(
            "POST",
            f"{self.options.base_url}/search",
            json=request,
            headers={"Authorization": f"Bearer {self._key}"},
            deadline_s=self.options.budget_s,
            max_bytes=self.options.max_response_bytes,
            check=lambda body: _refused_argument(body, request) or parse_results(body),
            # A refusal is an answer, too: it is recorded, and a replay tells the model the same.
            answers=lambda status, body: status in STATUSES and _refused_argument(body, request) is not None,
            rate=self._rate,
        )

    def _raise_refusal(self, body: bytes, request: dict[str, Any]) -> None:
        argument = _refused_argument(body, request)
        rules = {
            "query": f"a text of 2 to {self.options.max_query_chars} characters with words in it",
            "max_results": "a smaller number",
        }
        if argument is not None:
            raise BadArgument(argument, f"was refused by the search service. Send {rules[argument]}.")

    def _parse(self, parameters: dict[str, Any]) -> tuple[str, int]:
        query = parameters.get("query")
        limit = self.options.max_query_chars
        # The length is checked first, because a model can write megabytes.
        clean = clean_query(query) if isinstance(query, str) and len(query) <= 2 * limit else ""
        if not 1 <= len(clean) <= limit:
            raise BadArgument("query", f"must be a text of 1 to {limit} characters.")
        value = parameters.get("max_results")
        number = finite_number(DEFAULT_RESULTS if value is None else value)
        most = self.options.max_results_limit
        if value is None:
            return clean, min(DEFAULT_RESULTS, most)
        if number is None or number != int(number) or not 1 <= number <= most:
            raise BadArgument("max_results", f"must be an integer from 1 to {most}.")
        return clean, int(number)

    @property
    def max_answer_chars(self) -> int:
        """Return six characters for each token. Longer tokens are rare."""
        return 6 * self.options.max_result_tokens

    def check(self) -> list[Check]:
        """Report the key, the cache or the corpus. Send no request."""
        options = self.options
        if self._index is not None:
            return [Check("corpus", True, f"{options.corpus}, {len(self._index)} documents")]
        key = Check("key", True, f"{options.api_key_env} is set (not tried), for {options.base_url}")
        return ([key] if options.asks else []) + check_cache(self._cache)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def clean_query(query: str) -> str:
    """Return a query that can be sent: without control characters and halves of surrogate pairs."""
    return _UNPRINTABLE.sub(" ", query).strip().encode("utf-8", "replace").decode()


class _Result(msgspec.Struct):
    title: str | None = None
    url: str | None = None
    content: str | None = None


class _Found(msgspec.Struct):
    results: list[_Result]


def parse_results(body: bytes) -> list[dict[str, str]]:
    """Return the results in Tavily's answer, at most ``MAX_RESULTS``.

    Raises:
        ValueError: the body is not an answer of Tavily.
    """
    found = read_json(body, _Found).results[:MAX_RESULTS]
    return [{"title": one.title or "", "url": one.url or "", "content": one.content or ""} for one in found]


def _refused_argument(body: bytes, request: dict[str, Any]) -> str | None:
    """Return the argument of the model that the service refuses, or None if the answer is another one."""
    sent = {"query": request["query"], "max_results": ""}
    return next((name for name, value in sent.items() if refuses(body, name, value)), None)


def render(results: list[dict[str, Any]], tokens: Tokens, budget: int) -> tuple[str, bool]:
    """Format results for the model, within ``budget`` tokens.

    Returns:
        The text, and whether it was cut.
    """
    if not results:
        return NO_RESULTS, False
    blocks, longest, cut_before = [], CHARS_PER_TOKEN * budget, False
    for number, result in enumerate(results, 1):
        title = (
            neutralise(one_line(result["title"][:longest]), tokens.special)[:MAX_TITLE_CHARS].strip() or "(no title)"
        )
        url = neutralise(one_line(result["url"][:longest]), tokens.special)[:MAX_URL_CHARS].strip()
        content = neutralise(compact(result["content"][:longest]), tokens.special)
        if len(result["content"]) > longest:
            content, cut_before = f"{content} {CUT_MARK}", True
        blocks.append(f"[{number}] {title}{f' ({url})' if url else ''}\n{content}".strip())
    # A blank line between two blocks is at most one token.
    blocks, truncated = tokens.cut_fairly(blocks, budget - len(blocks) + 1)
    text, cut_again = tokens.cut("\n\n".join(blocks), budget)
    return text, cut_before or truncated or cut_again
