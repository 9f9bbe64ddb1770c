# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation over real vLLM on the CPU: the nine benchmarks' fixtures and the embedded task, killed and resumed."""

import asyncio
import json
import math
import random
import re
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from verl.workers.rollout.replica import RolloutReplicaRegistry, _load_vllm

from data_prep.registry import BENCHMARKS
from recipe.axpo.main_axpo import load_entropy_replica
from run_scripts.evaluation.__main__ import make_parser
from run_scripts.evaluation.metrics import compute_metrics
from run_scripts.evaluation.record import read_evaluation, read_settings
from run_scripts.evaluation.settings import read_arguments
from tests.data_prep.conftest import benchmark_root, benchmarks, jpeg, sources  # noqa: F401  fixtures
from verl_ext.cpu.launch import launch

REPO_ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.stack
N = 4


@pytest.fixture(scope="module")
def options(benchmarks, tmp_path_factory):  # noqa: F811
    """The command line of every evaluation here, without --output."""
    from data_prep.__main__ import main as data_prep

    folder = tmp_path_factory.mktemp("evaluation")
    assert data_prep(["embedded", "--output", str(folder / "embedded"), "--train=1", "--val=8", "--sft=1"]) == 0
    corpus = folder / "corpus.jsonl"
    corpus.write_text(json.dumps({"title": "Comets", "url": "http://a.test/1", "text": "Ice and dust."}) + "\n")
    tools = {
        "image_zoom_in": {"min_pixels": 16384, "max_pixels": 16384},
        "python": {"code_timeout_s": 10.0, "max_concurrency": 2, "min_pixels": 4096, "max_pixels": 16384},
        "tavily-search": {"backend": "bm25", "corpus": str(corpus), "index_dir": str(folder), "max_result_tokens": 64},
        "image_search": {
            "backend": "offline",
            "folder": str(folder / "pictures"),
            "max_results": 2,
            "max_pixels": 4096,
        },
    }
    (folder / "pictures").mkdir()
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(folder / "pictures" / "red.png")
    for name, config in tools.items():
        (tool,) = yaml.safe_load((REPO_ROOT / "tools" / f"{name}.yaml").read_text())["tools"]
        function = tool["tool_schema"]["function"]
        function["description"] = name  # every prompt carries the schemas, and this model's has little room
        for parameter in function["parameters"]["properties"].values():
            parameter.pop("description", None)
        file = {"tools": [{**tool, "config": {"type": "native", **config}}]}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(file))
    return [
        f"--data={benchmarks}",
        f"--benchmarks={','.join(BENCHMARKS)},embedded={folder / 'embedded' / 'val.parquet'}",
        f"--tools={','.join(str(folder / f'{name}.yaml') for name in tools if name != 'image_search')}",
        f"--n={N}",
        "--limit=2",
        "--seed=3",
        "data.max_prompt_length=3072",
        "data.max_response_length=256",
        "actor_rollout_ref.rollout.max_model_len=3328",
        "actor_rollout_ref.rollout.max_num_batched_tokens=4096",
        "reward.custom_reward_function.reward_kwargs.judge.fallback=rules",
    ], folder


def settings_of(options, output):
    args, rest = make_parser().parse_known_args(["run", f"--output={output}", *options])
    return read_arguments(args, rest, {"HARDWARE": "cpu"})


def lines(directory):
    """Return benchmark -> the lines of its file, parsed here and not by the reader; a torn one is left out."""
    found = {}
    for path in (directory / "samples").glob("*.jsonl"):
        text = path.read_bytes()
        found[path.stem] = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
    return found


@pytest.fixture(scope="module")
def killed(options, tmp_path_factory):
    """An evaluation that was killed at a random sample."""
    output = tmp_path_factory.mktemp("killed")
    environ = {"HARDWARE": "cpu", "AXPO_VENV": str(Path(sys.executable).parents[1])}
    command = ["bash", "run_scripts/evaluate.sh", f"--output={output}", "--in-flight=4", *options[0]]
    wanted = random.SystemRandom().randint(1, 60)
    with launch(command, output / "log.txt", env=environ, ray=False) as run:
        while run.process.poll() is None and sum(map(len, lines(output).values())) < wanted:
            time.sleep(0.02)
        run.process.kill()
    before = lines(output)
    assert 0 < sum(map(len, before.values())) < 10 * 2 * N, (output / "log.txt").read_text()[-4000:]
    return output, before


@pytest.fixture(scope="module")
def servers(options, tmp_path_factory):
    """Servers that stay for all tests of this file."""
    from run_scripts.evaluation.engine import Servers, compose, ray_session

    chat = "+actor_rollout_ref.rollout.engine_kwargs.vllm.chat_template"  # of its HTTP API, which verl does not use
    template = REPO_ROOT / "run_scripts" / "evaluation" / "verbatim.jinja"
    given = [*options[0], f"{chat}={template}", f"{chat}_content_format=openai"]
    settings = settings_of(given, tmp_path_factory.mktemp("servers"))
    settings.prepare()
    config = compose(settings)
    RolloutReplicaRegistry.register("vllm", load_entropy_replica)  # the last test looks at its entropies
    try:
        with ray_session(config):
            yield Servers(config, settings)
    finally:
        RolloutReplicaRegistry.register("vllm", _load_vllm)


def run(settings, servers):
    from run_scripts.evaluation.engine import compose
    from run_scripts.evaluation.run import make_samples

    settings.prepare()
    failed = make_samples(settings, compose(settings), servers)
    compute_metrics(settings.output)
    return failed


@pytest.fixture(scope="module")
def resumed(options, killed, servers):
    """The killed evaluation, gone on with."""
    output, before = killed
    assert run(settings_of(options[0], output), servers) == 0
    return output, before


@pytest.fixture(scope="module")
def whole(options, servers, tmp_path_factory):
    """The same evaluation in one piece, with another number of samples at a time."""
    output = tmp_path_factory.mktemp("whole")
    assert run(settings_of([*options[0], "--in-flight=5"], output), servers) == 0
    return output


def test_killed_and_resumed_it_loses_none_and_repeats_none(resumed):
    output, before = resumed
    after = lines(output)
    assert set(after) == {*BENCHMARKS, "embedded"}
    for name, records in after.items():
        assert records[: len(before.get(name, ()))] == before.get(name, [])
        keys = [(record["question"], record["sample"]) for record in records]
        assert len(keys) == len(set(keys)) == 2 * N and {record["status"] for record in records} == {"ok"}


def test_two_runs_with_one_seed_agree(resumed, whole):
    for name, samples in read_evaluation(whole).items():
        others = read_evaluation(resumed[0])[name]
        for one, other in zip(samples, others, strict=True):
            assert replace(one, seconds=0, calls=()) == replace(other, seconds=0, calls=())
            assert [replace(call, seconds=0) for call in one.calls] == [replace(c, seconds=0) for c in other.calls]


def test_every_trajectory_is_whole(whole):
    seeds, used = [], 0
    for name, samples in read_evaluation(whole).items():
        for sample in samples:
            text = "".join(segment.text for segment in sample.segments)
            assert [segment.by for segment in sample.segments][:2] == ["prompt", "model"]
            assert text.startswith("<|im_start|>") and text.count("<|image_pad|>") == len(sample.images)
            assert all((whole / image).exists() for image in sample.images)
            assert sample.generated_tokens == sum(s.tokens for s in sample.segments if s.by == "model")
            assert sample.score in (0.0, 1.0) and sample.turns >= 1
            seeds.append(sample.seed)
            used += name == "embedded" and bool(sample.calls)
    assert len(set(seeds)) == len(seeds)
    assert used, "no call was ever executed: the test has shown nothing"


def test_numbers_follow_from_the_raw_lines(whole):
    metrics, raw = json.loads((whole / "metrics.json").read_text()), lines(whole)
    accuracies = {}
    for name, records in raw.items():
        found = metrics["benchmarks"][name]
        right = [record["details"]["acc"] for record in records]
        accuracies[name] = np.mean(right)
        assert found["pass@1"]["value"] == pytest.approx(np.mean(right), abs=1e-6)
        questions = {record["question"] for record in records}
        solved = [any(r["details"]["acc"] for r in records if r["question"] == question) for question in questions]
        assert found[f"pass@{N}"]["value"] == pytest.approx(np.mean(solved), abs=1e-6)
        assert found["calls"]["value"] == pytest.approx(np.mean([len(record["calls"]) for record in records]))
        assert found["infrastructure"]["samples"] == 0
    assert metrics["average"]["benchmarks"] == list(BENCHMARKS)
    expected = np.mean([accuracies[name] for name in BENCHMARKS])
    assert metrics["average"]["pass@1"]["value"] == pytest.approx(expected, abs=1e-6)


def test_validation_of_a_training_run_agrees(options, servers, whole):
    """The same checkpoint, seed and settings through the trainer's own manager, worker and reward."""
    import ray
    import transfer_queue as tq
    from verl.utils import tensordict_utils as tu
    from verl.utils.config import omega_conf_to_dataclass
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    from recipe.axpo.rollout import AXPOAgentLoopManager
    from run_scripts.evaluation.engine import compose

    settings = settings_of(options[0], whole)
    config = compose(settings)
    config.transfer_queue.enable = True
    tq.init(config.transfer_queue)
    manager = AXPOAgentLoopManager.create(
        config=config, llm_client=servers.client, teacher_client=None, reward_loop_worker_handles=servers.rewards
    )
    try:
        model = omega_conf_to_dataclass(config.actor_rollout_ref.model)
        expected = {}
        for name in ("embedded", "hrbench_4k", "dynamath"):
            benchmark = next(b for b in settings.benchmarks if b.name == name)
            data = RLHFDataset([str(f) for f in benchmark.files], model.tokenizer, config.data, model.processor)
            batch = collate_fn([data[question.row] for question in benchmark.questions])
            uids = [str(uuid.uuid4()) for _ in benchmark.questions]
            batch["uid"] = np.array(uids, dtype=object)
            batch = tu.get_tensordict(batch)
            tu.assign_non_tensor_data(batch, "global_steps", 5)
            tu.assign_non_tensor_data(batch, "validate", True)
            tags = [{"is_prompt": True, "status": "pending", "global_steps": 5} for _ in uids]
            tq.kv_batch_put(keys=uids, partition_id="val", tags=tags)
            manager.generate_sequences(batch)
            for uid, question in zip(uids, benchmark.questions, strict=True):
                for number in range(N):
                    row = tq.kv_batch_get(keys=[f"{uid}_{number}_0"], partition_id="val")
                    text = model.tokenizer.decode(row["responses"][0], skip_special_tokens=False)
                    expected[name, question.id, number] = text, row["rm_scores"][0].sum().item()
        compared = 0
        for name, samples in read_evaluation(whole).items():
            for sample in samples:
                if (name, *sample.key) in expected:
                    text, score = expected[name, *sample.key]
                    ours = "".join(segment.text for segment in sample.segments if segment.by != "prompt")
                    assert (ours, sample.score) == (re.sub(r"(<\|image_pad\|>)+", "<|image_pad|>", text), score)
                    compared += 1
        assert compared == len(expected) == 3 * 2 * N
    finally:
        for worker in manager.agent_loop_workers:
            ray.kill(worker)
        tq.close()


def test_an_unseen_tool_is_offered_to_rows_with_an_image(options, servers, tmp_path):
    arguments, folder = options
    few = ["--benchmarks=mmsearch", "--n=1", "--limit=3", f"--add-tools={folder / 'image_search.yaml'}"]
    assert run(settings_of([*arguments, *few], tmp_path), servers) == 0
    samples = read_evaluation(tmp_path)["mmsearch"]
    for sample in samples:
        assert ('"name": "image_search"' in sample.segments[0].text) == bool(sample.images)
        assert '"name": "tavily-search"' in sample.segments[0].text
    assert {bool(sample.images) for sample in samples} == {True, False}
    assert read_settings(tmp_path)["added_tools"] == ["image_search"]


def test_an_endpoint_answers_as_the_servers_do(options, servers, whole, tmp_path):
    """verl's server is an OpenAI-compatible API, too; with the verbatim template it reads every prompt as it is."""
    from types import SimpleNamespace

    from run_scripts.evaluation.endpoint import EndpointClient

    url = f"http://{servers.addresses[0]}/v1"
    embedded = next(word for word in options[0] if word.startswith("--benchmarks")).rsplit(",", 1)[1]
    settings = settings_of([*options[0], f"--benchmarks=math_vr,mmsearch,{embedded}", f"--endpoint={url}"], tmp_path)
    client = EndpointClient(url, settings.model, None, settings.model)
    assert run(settings, SimpleNamespace(client=client, rewards=servers.rewards, replicas=1)) == 0
    expected, turns = read_evaluation(whole), set()
    for name, samples in read_evaluation(tmp_path).items():
        for sample, other in zip(samples, expected[name], strict=True):
            assert sample.details["prompt_exact"]
            assert (sample.segments, sample.images, sample.score) == (other.segments, other.images, other.score)
            turns.add((sample.turns, bool(sample.images)))
    assert (1, False) in turns and any(number > 1 and pictured for number, pictured in turns)


def test_entropies_are_those_of_the_policy(servers):
    """``axpo.ranking=entropy``: vLLM's entropies against transformers' own, from the 20 most likely tokens of each."""
    import torch
    from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

    from recipe.axpo.trajectory import ENTROPIES_KEY
    from recipe.axpo.vllm_server import TOP
    from run_scripts.quickstart import CHECKPOINT

    prompt = AutoTokenizer.from_pretrained(CHECKPOINT).encode("<think>\nThe specks are too fine to read here. ")
    wanted = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "seed": 5, "max_tokens": 24}
    outputs = [
        asyncio.run(
            servers.client.generate(
                request_id=f"r{n}", prompt_ids=prompt, sampling_params={**wanted, "logprobs": logprobs}
            )
        )
        for n, logprobs in enumerate((True, False))
    ]
    output, plain = outputs
    assert output.token_ids == plain.token_ids and ENTROPIES_KEY not in plain.extra_fields
    model = Qwen3VLForConditionalGeneration.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *output.token_ids]])).logits[0, len(prompt) - 1 : -1]
    found = output.extra_fields[ENTROPIES_KEY]
    assert len(found) == len(output.token_ids) == len(logits)
    for value, row in zip(found, logits.log_softmax(-1), strict=True):
        top = row.topk(TOP).values
        rest = 1.0 - float(top.exp().sum())
        assert value == pytest.approx(-float((top.exp() * top).sum()) - rest * math.log(max(rest, 1e-12)), abs=2e-3)
        assert value <= -float((row.exp() * row).sum()) + 2e-3
    assert max(found) > 0.05
