# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""``rollout.name=sglang`` on a CPU: ids of prompts with images reach the model unchanged, and the script of AXPO."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from data_prep.__main__ import main as data_prep
from run_scripts.quickstart import CHECKPOINT
from run_scripts.summary import Metrics
from tests.stack.dumps import by_question, check_advantages, check_masks, read_dump
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.cpu.launch import remove_stale_segments

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        importlib.util.find_spec("sglang") is None,
        reason="SGLang is not installed: bash run_scripts/install_sglang_cpu.sh",
    ),
]
NEW_TOKENS = 8
TOLERANCE = 1e-4  # between log-probs of one model; a step of training moves them by far more
LITERAL = "<|vision_start|><|image_pad|><|vision_end|>"


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(CHECKPOINT)


@pytest.fixture(scope="module")
def model():
    return AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)) for size in ((96, 128), (64, 64))]


@pytest.fixture(scope="module")
def generate():
    """Return (ids, images, as_verl) -> verl's TokenOutput, from the server of a run or as verl's own would answer."""
    import ray
    from omegaconf import OmegaConf
    from verl.workers.rollout.replica import RolloutMode
    from verl.workers.rollout.sglang_rollout.async_sglang_server import SGLangHttpServer

    from recipe.axpo.sglang_server import TokenExactSGLangServer
    from tests.stack.forced.world import load_config

    class Server(TokenExactSGLangServer):
        async def as_verl(self, *args, **kwargs):
            return await SGLangHttpServer.generate(self, *args, **kwargs)

    started, folder = time.time(), tempfile.mkdtemp(prefix="axpo-", dir="/tmp")
    ray.init(num_cpus=4, include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=folder)
    config = load_config(CHECKPOINT, "actor_rollout_ref.rollout.name=sglang")
    OmegaConf.resolve(config)
    parts, place = config.actor_rollout_ref, {"replica_rank": 0, "node_rank": 0, "nnodes": 1, "base_gpu_id": 0}
    server = (
        ray.remote(Server)
        .options(max_concurrency=8)
        .remote(parts.rollout, parts.model, RolloutMode.STANDALONE, [], cuda_visible_devices="", **place)
    )
    ray.get(server.launch_server.remote(), timeout=600)

    def run(ids, images, as_verl=False):
        sampling = {"temperature": 0, "max_tokens": NEW_TOKENS, "logprobs": True, "prompt_logprobs": 0}
        method = server.as_verl if as_verl else server.generate
        return ray.get(method.remote(ids, sampling, str(time.time()), image_data=images), timeout=120)

    yield run
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    remove_stale_segments(started)


def spell(tokenizer, text):
    """Return ``text`` as one token a character, which no encoder would write."""
    return [tokenizer.get_vocab()[character] for character in text]


def prompt(processor, images, change):
    """Return the ids of a prompt with two images, as verl's agent loop has them, changed."""
    tokenizer = processor.tokenizer
    content = [{"type": "image"}, {"type": "text", "text": "What colour is the square?"}, {"type": "image"}]
    messages = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = processor(text=[text], images=images)["input_ids"][0]
    if change == "canonical":
        return ids
    if change == "split":
        words = ((i, tokenizer.convert_ids_to_tokens(i)) for i in ids)
        return [k for i, word in words for k in (spell(tokenizer, word) if word.isalpha() and word.isascii() else [i])]
    return ids[:-5] + spell(tokenizer, LITERAL) + ids[-5:]  # text of the user that looks like an image


def logits_of(model, processor, images, ids):
    """Return transformers' logits of the token after each of ``ids``, (tokens, vocabulary)."""
    features = processor.image_processor(images=images, return_tensors="pt")
    ids = torch.tensor([ids])
    with torch.no_grad():
        return model(input_ids=ids, mm_token_type_ids=(ids == processor.image_token_id).int(), **features).logits[0]


def is_canonical(tokenizer, ids):
    return tokenizer.encode(tokenizer.decode(ids), add_special_tokens=False) == ids


@pytest.mark.parametrize("change", ["canonical", "split", "literal"])
def test_model_gets_the_ids_given_and_answers_as_transformers_does(generate, model, processor, images, change):
    ids = prompt(processor, images, change)
    assert is_canonical(processor.tokenizer, ids) == (change == "canonical"), "the case shows nothing"
    output, pad = generate(ids, images), processor.image_token_id
    # SGLang puts a hash of the image in the place of its tokens, and reports them as 0
    assert output.extra_fields["prompt_ids"] == [[0 if token == pad else token] for token in ids[1:]] + [[0]]
    logits = logits_of(model, processor, images, ids + output.token_ids)
    read, generated = logits[: len(ids) - 1].log_softmax(-1), logits[len(ids) - 1 : -1]
    for place, token in enumerate(ids[1:]):
        (got,) = output.extra_fields["prompt_logprobs"][place]
        assert token == pad or got == pytest.approx(read[place, token].item(), abs=TOLERANCE)
    generated[:, [pad, processor.video_token_id]] = -1e4  # never sampled
    assert len(output.token_ids) > 1 and output.token_ids == generated.argmax(-1).tolist()
    assert output.log_probs == pytest.approx(generated.log_softmax(-1).max(-1).values.tolist(), abs=TOLERANCE)


def test_verls_own_server_encodes_such_a_prompt_again(generate, processor, images):
    """If this fails, verl or SGLang has changed, and ``recipe/axpo/sglang_server.py`` may no longer be needed."""
    assert len(generate(prompt(processor, images, "canonical"), images, as_verl=True).token_ids) > 1
    with pytest.raises(Exception, match="does not match sequence length"):
        generate(prompt(processor, images, "split"), images, as_verl=True)


def test_images_that_do_not_fill_the_placeholders_are_refused(generate, processor, images):
    with pytest.raises(Exception, match="12 tokens: the agent loop and the rollout engine"):
        generate(prompt(processor, images, "canonical"), images[:1])


def test_axpo_trains_with_sglang(tmp_path):
    """The script for GPUs, unchanged."""
    data_prep(["embedded", f"--output={tmp_path / 'data'}", "--train=16", "--val=8", "--seed=3"])
    environ = {"HARDWARE": "cpu", "ENGINE": "sglang", "AXPO_VENV": str(Path(sys.executable).parents[1])}
    environ |= {"MODEL": str(CHECKPOINT), "DATA": str(tmp_path / "data"), "OUTPUT": str(tmp_path)}
    line = ["bash", "run_scripts/qwen3vl_2b_axpo.sh", "axpo.trace_engine_calls=true", "axpo.budget_ratio=0.5"]
    line += ["axpo.seed=3", "data.seed=3", "trainer.val_before_train=false", "trainer.test_freq=-1"]
    log = tmp_path / "log.txt"
    with log.open("wb") as output:
        run = subprocess.run(
            line, cwd=REPO_ROOT, env={**os.environ, **environ}, stdout=output, stderr=output, timeout=900
        )
    assert run.returncode == 0, log.read_text(errors="replace")[-4000:]
    assert (tmp_path / "huggingface" / "config.json").exists()
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    open_id = processor.tokenizer.convert_tokens_to_ids("<tool_call>")
    steps = [read_dump(tmp_path / "rollouts" / f"{step}.jsonl") for step in (1, 2)]
    for rows in steps:
        assert any(row["role"] == "continuation" for row in rows)
        assert any(processor.image_token_id in row["response_ids"] for row in rows), "no tool returned an image"
        for members in by_question(rows).values():
            check_masks(members, open_id)  # a continuation got its prefix token for token
            check_advantages(members)
        for row in rows:  # step 2 is sampled with the weights of step 1
            columns = (row["rollout_log_probs"], row["old_log_probs"], row["response_mask"])
            assert all(not mask or abs(a - b) < TOLERANCE for a, b, mask in zip(*columns, strict=True))
    assert all(step["axpo/infra_failures"] == 0 for step in Metrics(tmp_path / "metrics").steps.values())
