# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jinja2
import pytest
from PIL import Image

from run_scripts.evaluation.endpoint import EXACT, IMAGE, EndpointClient, chat, read_choice, text_of
from run_scripts.settings import TINY_MODEL
from verl_ext.cpu.env import REPO_ROOT

FIRST = (
    "<|im_start|>system\nAnswer.\n\n<tools>\n{}\n</tools><|im_end|>\n"
    "<|im_start|>user\n<|vision_start|><|image_pad|><|image_pad|><|vision_end|>\nWhat is it?<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n"
)
SECOND = (
    FIRST + "I look closer.\n</think>\n\n<tool_call>\n{}\n</tool_call><|im_end|>\n"
    "<|im_start|>user\n<tool_response>\n<|vision_start|><|image_pad|><|vision_end|>region\n</tool_response><|im_end|>\n"
    "<|im_start|>assistant\n<think>\n"
)
IMAGES = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]


@pytest.mark.parametrize(("prompt", "images"), [(FIRST, IMAGES[:1]), (SECOND, IMAGES)])
def test_the_verbatim_template_renders_the_very_prompt(prompt, images):
    fields = chat(prompt, images)
    parts = [part for m in fields["messages"] for part in m["content"] if isinstance(part, dict)]
    assert sum(part["type"] == "image_url" for part in parts) == len(images)
    template = jinja2.Template((REPO_ROOT / "run_scripts/evaluation/verbatim.jinja").read_text())
    rendered = template.render(
        messages=fields["messages"], add_generation_prompt=True, **fields["chat_template_kwargs"]
    )
    assert rendered == prompt.replace("<|image_pad|><|image_pad|>", "<|image_pad|>")
    assert prompt.count(IMAGE) <= len(images)


def test_what_is_no_prompt_is_refused():
    with pytest.raises(ValueError, match="1 image placeholders for 2 images"):
        chat(FIRST, IMAGES)
    with pytest.raises(ValueError, match="does not end where the assistant begins"):
        chat(FIRST.removesuffix("<|im_start|>assistant\n<think>\n"), IMAGES[:1])
    with pytest.raises(ValueError, match="no ChatML at character 0"):
        chat("Hello. " + FIRST, IMAGES[:1])


def test_an_answer_without_ids_is_put_together_again():
    call = {"function": {"name": "image_zoom_in", "arguments": '{"bbox_2d": [0, 0, 9, 9]}'}}
    message = {"reasoning_content": "I look.", "content": None, "tool_calls": [call]}
    text = text_of({"message": message, "finish_reason": "tool_calls"})
    assert text.startswith("I look.\n</think>\n\n<tool_call>\n") and text.endswith("</tool_call><|im_end|>")
    written = json.loads(text.split("<tool_call>")[1].split("</tool_call>")[0])
    assert written == {"name": "image_zoom_in", "arguments": {"bbox_2d": [0, 0, 9, 9]}}
    assert text_of({"text": "cut", "finish_reason": "length"}) == "cut"
    assert text_of({"message": {"content": "42"}, "finish_reason": "stop"}) == "42<|im_end|>"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"choices": []}', b'{"choices": [{}]}', b'{"choices": ["x"]}', b"no"])
def test_what_is_no_answer_is_sent_again(body):
    with pytest.raises(ValueError):
        read_choice(body)


def test_the_prompt_that_was_read_may_be_beside_the_choices_or_in_one():
    assert read_choice(b'{"choices": [{"message": {"content": "a"}}], "prompt_token_ids": [1]}')[1] == [1]
    assert read_choice(b'{"choices": [{"text": "a", "prompt_token_ids": [2]}]}')[1] == [2]
    assert read_choice(b'{"choices": [{"text": "a"}]}')[1] is None


@pytest.fixture
def api():
    """A server that answers with what the test puts into ``answers``, and keeps what it was sent."""
    answers, sent = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            sent.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            status, body = answers.pop(0)
            body = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", answers, sent
    server.shutdown()


def test_it_says_whether_the_prompt_was_read_as_it_was_sent(api):
    url, answers, sent = api
    client = pickle.loads(pickle.dumps(EndpointClient(url, "m", None, str(TINY_MODEL))))
    ids = client._tokenizer.encode(FIRST, add_special_tokens=False)
    choice = {"message": {"content": "red"}, "token_ids": [5, 6], "finish_reason": "stop"}
    placeholder = [token for i, token in enumerate(ids) if i == 0 or token != ids[i - 1]]  # one for the whole image
    answers += [(503, {}), (200, {"choices": [choice], "prompt_token_ids": placeholder})]  # the first is sent again
    answers += [(200, {"choices": [choice], "prompt_token_ids": ids[:-1]})]
    answers += [(200, {"choices": [{"text": "red", "token_ids": [5], "finish_reason": "length"}]})]
    answers += [(200, {"choices": [{"message": {"content": "red"}, "finish_reason": "stop"}]})]

    async def run():
        exact = []
        EXACT.set(exact)
        params = {"temperature": 1.0, "seed": 3, "max_tokens": 9, "logprobs": True}
        found = [
            await client.generate("r", prompt_ids=prompt, sampling_params=params, image_data=images)
            for prompt, images in ((ids, IMAGES[:1]), (ids, IMAGES[:1]), (ids[:9], None), (ids, IMAGES[:1]))
        ]
        return exact, found

    exact, found = asyncio.run(run())
    assert exact == [True, False, True]  # the last server does not tell
    assert [list(output.token_ids) for output in found[:3]] == [[5, 6], [5, 6], [5]]
    assert client._tokenizer.decode(found[3].token_ids) == "red<|im_end|>"
    assert [path for path, _ in sent] == ["/v1/chat/completions"] * 3 + ["/v1/completions", "/v1/chat/completions"]
    assert sent[3][1]["prompt"] == ids[:9] and sent[3][1]["seed"] == 3 and "logprobs" not in sent[3][1]
