# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Search the web through Tavily's API, or your own corpus with BM25: ``tavily-search``.

The tool needs a key in the environment (TAVILY_API_KEY), recorded answers (``cache``, ``cache_mode: replay``), or a
``corpus``.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import pydantic

from tools.base import AgentTool, Answer
from tools.images import finite_number
from tools.search.bm25 import Bm25Index
from verl_ext.service.http import api_key
from verl_ext.service.options import Check, SearchOptions, address, check_cache
from verl_ext.service.text import Tokens, compact, neutralise, one_line
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError

DEFAULT_RESULTS = 5
MAX_TITLE_CHARS, MAX_URL_CHARS = 200, 300
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
    max_results_limit: int = pydantic.Field(10, ge=1, le=20)
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
            BadArgument: an argument is wrong.
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
            except ValueError as error:  # The recording was edited.
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
            check=parse_results,
            rate=self._rate,
        )

    def _parse(self, parameters: dict[str, Any]) -> tuple[str, int]:
        query = parameters.get("query")
        limit = self.options.max_query_chars
        if not isinstance(query, str) or not query.strip() or len(query) > limit:
            raise BadArgument("query", f"must be a text of 1 to {limit} characters.")
        value = parameters.get("max_results")
        number = finite_number(DEFAULT_RESULTS if value is None else value)
        most = self.options.max_results_limit
        if value is None:
            return clean_query(query), min(DEFAULT_RESULTS, most)
        if number is None or number != int(number) or not 1 <= number <= most:
            raise BadArgument("max_results", f"must be an integer from 1 to {most}.")
        return clean_query(query), int(number)

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


def clean_query(query: str) -> str:
    """Return a query that can be sent. JSON may hold halves of surrogate pairs, which UTF-8 cannot."""
    return query.strip().encode("utf-8", "replace").decode()


def parse_results(body: bytes) -> list[dict[str, str]]:
    """Return the results in Tavily's answer.

    Raises:
        ValueError: the body is not an answer of Tavily.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        raise ValueError("no JSON") from None
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise ValueError("no list of results")
    found = [{name: result.get(name) or "" for name in ("title", "url", "content")} for result in results]
    if not all(isinstance(value, str) for result in found for value in result.values()):
        raise ValueError("title, url and content of a result must be text")
    return found


def render(results: list[dict[str, Any]], tokens: Tokens, budget: int) -> tuple[str, bool]:
    """Format results for the model, within ``budget`` tokens.

    Returns:
        The text, and whether it was cut.
    """
    if not results:
        return NO_RESULTS, False
    blocks = []
    for number, result in enumerate(results, 1):
        title = neutralise(one_line(result["title"]))[:MAX_TITLE_CHARS].strip() or "(no title)"
        url = neutralise(one_line(result["url"]))[:MAX_URL_CHARS].strip()
        content = neutralise(compact(result["content"]))
        blocks.append(f"[{number}] {title}{f' ({url})' if url else ''}\n{content}".strip())
    # A blank line between two blocks is at most one token.
    blocks, truncated = tokens.cut_fairly(blocks, budget - len(blocks) + 1)
    text, cut_again = tokens.cut("\n\n".join(blocks), budget)
    return text, truncated or cut_again
