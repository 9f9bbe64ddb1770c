# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Generate at an OpenAI-compatible API instead of verl's servers, behind the same agent loop.

A prompt without images is sent to ``/completions`` as token ids, which vLLM and SGLang take: the model reads exactly
what it would read from verl's servers. A prompt with images can only be sent to ``/chat/completions``, as messages that
the server renders with its own chat template. Templates leave out the thoughts of earlier turns, so that a model may
read something else from its second turn on. vLLM tells the ids it has rendered, and the sample's ``details`` then say
under ``prompt_exact`` whether they were the same in all turns. They are with the template ``verbatim.jinja``:

    vllm serve MODEL --chat-template run_scripts/evaluation/verbatim.jinja --chat-template-content-format openai

Where a server returns no ids, the answer's text is encoded again.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from transformers import AutoTokenizer
from verl.workers.rollout.replica import TokenOutput

from verl_ext.service.http import HttpClient

TIMEOUT_S = 3600.0
MAX_BYTES = 64 << 20
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_PADS = re.compile(r"(?:<\|image_pad\|>)+")
_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>\n?", re.DOTALL)

# Whether each turn's prompt was read as it was sent, of the sample that runs in this context.
EXACT: ContextVar[list[bool] | None] = ContextVar("EXACT", default=None)


class EndpointClient:
    """Take the place of verl's ``LLMServerClient`` in an agent-loop worker.

    Args:
        url: address of the API, without ``/chat/completions``.
        model: the model's name there.
        api_key_env: environment variable that holds the key, or None.
        tokenizer: directory or Hub id of the model's tokenizer.
    """

    def __init__(self, url: str, model: str, api_key_env: str | None, tokenizer: str):
        self._arguments = (url, model, api_key_env, tokenizer)
        self._url, self._model = url, model
        self._tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        key = os.environ.get(api_key_env) if api_key_env else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = HttpClient(
            "endpoint", attempts=4, attempt_timeout_s=TIMEOUT_S, backoff_s=1.0, max_connections=1024, secret=key
        )

    def __reduce__(self) -> tuple:  # connections do not travel to another process
        return type(self), self._arguments

    async def generate(
        self,
        request_id: str,
        *,
        prompt_ids: Sequence[int],
        sampling_params: dict[str, Any],
        image_data: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> TokenOutput:
        """Generate one turn; the arguments and the result are those of verl's client.

        Raises:
            ToolInfrastructureError: the endpoint does not answer, or answers what cannot be read.
        """
        names = ("temperature", "top_p", "top_k", "seed", "max_tokens", "repetition_penalty")
        body: dict[str, Any] = {name: sampling_params[name] for name in names if name in sampling_params}
        body |= {"model": self._model, "skip_special_tokens": False, "return_token_ids": True}
        if image_data:
            path = "/chat/completions"
            body |= chat(self._tokenizer.decode(list(prompt_ids), skip_special_tokens=False), image_data)
        else:
            path, body = "/completions", body | {"prompt": list(prompt_ids)}
        answer = await self._http.request(
            "POST", self._url + path, deadline_s=TIMEOUT_S, max_bytes=MAX_BYTES, json=body, headers=self._headers,
            check=read_choice,
        )  # fmt: skip
        choice, read = read_choice(answer)
        exact = EXACT.get()
        if exact is not None and (not image_data or read is not None):
            exact.append(not image_data or self._same(prompt_ids, read))
        ids = choice.get("token_ids")
        if ids is None:
            ids = self._tokenizer.encode(text_of(choice), add_special_tokens=False)
        return TokenOutput(token_ids=list(ids), stop_reason=_stop_reason(choice.get("finish_reason")))

    def _same(self, sent: Sequence[int], read: Sequence[int]) -> bool:
        """Compare prompts. Servers differ in whether they tell the features of an image or its placeholder."""
        texts = [_PADS.sub("", self._tokenizer.decode(list(ids), skip_special_tokens=False)) for ids in (sent, read)]
        return texts[0] == texts[1]


def read_choice(body: bytes) -> tuple[dict[str, Any], list[int] | None]:
    """Return the first choice of an answer, and the ids of the prompt that the server has read, where it tells.

    Raises:
        ValueError: the body is no such answer.
    """
    answer = json.loads(body)
    try:
        choice = answer["choices"][0]
        if not isinstance(choice.get("text"), str) and not isinstance(choice.get("message"), dict):
            raise ValueError("the choice has neither a text nor a message")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("the answer has no choices") from error
    return choice, answer.get("prompt_token_ids") or choice.get("prompt_token_ids")


def text_of(choice: dict[str, Any]) -> str:
    """Return what the model generated, as the text that a server without tool and reasoning parsers would give."""
    if isinstance(choice.get("text"), str):
        text = choice["text"]
    else:
        message = choice["message"]
        thought = message.get("reasoning") or message.get("reasoning_content")
        text = f"{thought}\n</think>\n\n" if thought else ""
        text += message.get("content") or ""
        for call in message.get("tool_calls") or ():
            function = call["function"]
            arguments = function.get("arguments") or "{}"
            text += f'<tool_call>\n{{"name": {json.dumps(function["name"])}, "arguments": {arguments}}}\n</tool_call>'
    if choice.get("finish_reason") in ("stop", "tool_calls") and not text.endswith("<|im_end|>"):
        text += "<|im_end|>"
    return text


def _stop_reason(finish_reason: str | None) -> str | None:
    """Return verl's word for it."""
    if finish_reason in ("stop", "length", "tool_calls"):
        return "completed"
    return "aborted" if finish_reason == "abort" else finish_reason


def chat(prompt: str, images: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of a chat request that say what a prompt in ChatML says.

    Args:
        prompt: the decoded prompt.
        images: in the order of its placeholders.

    Raises:
        ValueError: the prompt is no ChatML, or has more or fewer placeholders than there are images.
    """
    prompt = _PADS.sub("<|image_pad|>", prompt)
    if prompt.count(IMAGE) != len(images):
        raise ValueError(f"{prompt.count(IMAGE)} image placeholders for {len(images)} images")
    waiting, messages, end = iter(images), [], 0
    for turn in _TURN.finditer(prompt):
        if turn.start() != end:
            raise ValueError(f"the prompt is no ChatML at character {end}; an endpoint can only be given such")
        content: list[dict[str, Any]] = []
        for i, text in enumerate(turn[2].split(IMAGE)):
            if i:
                content.append({"type": "image_url", "image_url": {"url": _data_url(next(waiting))}})
            if text:
                content.append({"type": "text", "text": text})
        plain = len(content) == 1 and content[0]["type"] == "text"
        messages.append({"role": turn[1], "content": content[0]["text"] if plain else content})
        end = turn.end()
    opened, _, tail = prompt[end:].partition("\n")
    if opened != "<|im_start|>assistant":
        raise ValueError("the prompt does not end where the assistant begins to speak")
    return {"messages": messages, "chat_template_kwargs": {"tail": tail}}


def _data_url(image: Any) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
