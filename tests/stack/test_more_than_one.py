# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The main job with two of everything: data-parallel ranks, rollout replicas and agent-loop workers.

verl's hybrid engine starts ``trainer.n_gpus_per_node / tensor_model_parallel_size`` replicas, so two ranks bring two
vLLM servers. The run has a reference model and cuts every pass into fixed micro-batches. A second run of the same seed
has one of everything, and its actor batches by tokens. A third has its two ranks on two Ray nodes. All must roll out
the same tokens and find the same gradient.

Three classes below are loaded by the runs themselves, through verl's own options. They record who did what.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer
from verl.workers.rollout.router import GlobalRequestLoadBalancer

from run_scripts.quickstart import CHECKPOINT, main
from run_scripts.settings import in_every_process
from run_scripts.summary import Metrics
from tests.stack.dumps import by_question, check_advantages, check_masks, read_dump
from tools.image_zoom_in import ImageZoomInTool
from verl_ext.cpu.env import REPO_ROOT, cpu_environment
from verl_ext.cpu.launch import Run, launch

pytestmark = pytest.mark.stack

B, N, K, STEPS = 4, 8, 4, 2
MINI_BATCH = 2
COMMON = [
    f"data.train_batch_size={B}",
    f"actor_rollout_ref.rollout.n={N}",
    f"axpo.continuations={K}",
    f"actor_rollout_ref.actor.ppo_mini_batch_size={MINI_BATCH}",
    "axpo.budget_ratio=0.5",
    "axpo.trace_engine_calls=true",
    "trainer.val_before_train=false",
    "trainer.test_freq=-1",
    "trainer.save_freq=-1",
]
# Three different sizes: verl requires that the rows divide evenly into the micro-batches of every pass.
TWO = [
    "trainer.n_gpus_per_node=2",
    "ray_kwargs.ray_init.num_gpus=2",
    "actor_rollout_ref.rollout.agent.num_workers=2",
    "actor_rollout_ref.actor.use_dynamic_bsz=false",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=5",
    "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=false",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4",
    "actor_rollout_ref.ref.log_prob_use_dynamic_bsz=false",
    "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=2",
]
# The actor batches by tokens, the reference does not.
ONE = [
    "actor_rollout_ref.ref.log_prob_use_dynamic_bsz=false",
    "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=5",
]
# verl's nodes have equal numbers of ranks. Ray forbids to size a cluster that runs already; nodes avoid the loopback.
ON_TWO_NODES = [
    *("trainer.nnodes=2", "trainer.n_gpus_per_node=1", "reward.num_workers=2"),
    *("ray_kwargs.ray_init.num_cpus=null", "ray_kwargs.ray_init.num_gpus=null"),
    *("ray_kwargs.ray_init.object_store_memory=null", "ray_kwargs.ray_init._node_ip_address=null"),
]
# What a CPU run needs in every process; ``ray start`` knows nothing of it on the second node.
FORWARDED = ("VERL_PLATFORM", "VERL_USE_EXTERNAL_MODULES", "PYTHONPATH")
ACTORS = {"AXPOAgentLoopWorker", "RewardLoopWorker", "WorkerDict", "vLLMHttpServer"}


# ------------------------------------------------------------------ loaded by the runs


class RecordingBalancer(GlobalRequestLoadBalancer):
    """verl's load balancer. It records which replica serves a request."""

    def __init__(self, servers, config):
        super().__init__(servers)
        self._record = Path(config["record"]).open("a", buffering=1)

    def require_acquire_fields(self) -> list[str]:
        return ["prompt_ids"]

    def acquire_server(self, request_id, prompt_ids):
        server, handle = super().acquire_server(request_id)
        record = {"server": server, "request": request_id, "prompt": list(map(int, prompt_ids))}
        self._record.write(json.dumps(record) + "\n")
        return server, handle


class RecordingZoom(ImageZoomInTool):
    """The quickstart's tool. It records the process of the agent-loop worker that calls it."""

    def __init__(self, config, tool_schema):
        self._record = Path(config["record"])
        super().__init__({name: value for name, value in config.items() if name != "record"}, tool_schema)

    async def execute(self, instance_id, parameters, **kwargs):
        with self._record.open("a") as record:  # The lines of two processes do not mix: each is one short write.
            record.write(f"{os.getpid()}\n")
        return await super().execute(instance_id, parameters, **kwargs)


# ------------------------------------------------------------------------------- runs


def recorders(folder: Path) -> list[str]:
    """Write the configurations that make a run record its requests and its calls of the tool into ``folder``."""
    tools = yaml.safe_load((REPO_ROOT / "tools" / "image_zoom_in_tiny.yaml").read_text())
    tools["tools"][0]["class_name"] = f"{__name__}.RecordingZoom"
    tools["tools"][0]["config"]["record"] = str(folder / "workers.txt")
    router = {"router_class": f"{__name__}.RecordingBalancer", "record": str(folder / "requests.jsonl")}
    for name, content in {"tools": tools, "router": router}.items():
        # The prompt holds the tool's schema in this order.
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return [
        f"actor_rollout_ref.rollout.multi_turn.tool_config_path={folder / 'tools.yaml'}",
        f"actor_rollout_ref.rollout.router_config_path={folder / 'router.yaml'}",
    ]


def run(output: Path, steps: int, *overrides: str) -> None:
    argv = [f"--steps={steps}", "--seed=3", "--val=8", f"--output={output}", "--timeout=900", "--"]
    assert main([*argv, *COMMON, *overrides]) == 0


def dumps(output: Path) -> dict[int, list[dict]]:
    return {step: read_dump(output / "rollouts" / f"{step}.jsonl") for step in range(1, STEPS + 1)}


def requests(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "requests.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    output = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # Twice as many processes compute at the same time.
        run(output, STEPS, *TWO, *recorders(output))
    return output


@pytest.fixture(scope="module")
def one(two, tmp_path_factory):
    output = tmp_path_factory.mktemp("one")
    shutil.copytree(two / "data", output / "data")
    run(output, 1, *ONE)
    return output


@contextmanager
def ray_nodes(folder: Path) -> Iterator[tuple[str, list[Run]]]:
    """Start two Ray nodes on this machine, each with one logical GPU; yield their address and their processes.

    The second node lacks this project's environment: what a run needs there must come with the run.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    start += ["--num-cpus=16", "--num-gpus=1", "--object-store-memory=300000000"]
    start += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
    with (
        tempfile.TemporaryDirectory(prefix="axpo-", dir="/tmp", ignore_cleanup_errors=True) as ray,
        ExitStack() as stack,
    ):
        head = ["--head", f"--port={address.split(':')[1]}", "--include-dashboard=false", f"--temp-dir={ray}"]
        nodes = []
        for name, options, env in (
            ("head", head, {}),
            ("second", [f"--address={address}"], dict.fromkeys(FORWARDED, "")),
        ):
            log = folder / f"{name}.txt"
            nodes.append(stack.enter_context(launch([*start, *options], log, env=env, ray=False)))
            while "Ray runtime started" not in log.read_text():
                assert nodes[-1].process.poll() is None, log.read_text()
                time.sleep(0.2)
        yield address, nodes


def actors(node: Run) -> set[str]:
    """Return the classes of the actors that live on a node."""
    titles = [" ".join(process.cmdline()) for process in node.members()]
    # "ray::Class.method", padded with blanks, or "ray::name:Class.method"
    return {found[1] for title in titles if (found := re.match(r"ray::(?:[\w#]+:)?(\w+)", title))}


@pytest.fixture(scope="module")
def two_nodes(two, tmp_path_factory):
    """Return the output of a run like ``two`` with one rank on each of two nodes, and the actors of each node."""
    output, seen = tmp_path_factory.mktemp("two-nodes"), [set(), set()]
    shutil.copytree(two / "data", output / "data")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_AUTH_MODE", "token")  # as run_scripts/README.md tells users of several nodes
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        address, nodes = stack.enter_context(ray_nodes(output))
        patch.setenv("RAY_ADDRESS", address)
        env = in_every_process({name: cpu_environment()[name] for name in FORWARDED})
        done = stack.enter_context(ThreadPoolExecutor(1)).submit(run, output, 1, *TWO, *ON_TWO_NODES, *env)
        while not done.done():
            time.sleep(1)
            if any(not known >= ACTORS for known in seen):  # reading all processes takes a good part of a core
                seen = [known | actors(node) for known, node in zip(seen, nodes, strict=True)]
        done.result()
    return output, seen


# ------------------------------------------------------------------------------ tests


def test_branches_within_the_budget(two):
    metrics = Metrics(two / "metrics").steps
    budget, branched = math.floor(0.5 * B * N / K), 0
    for step, rows in dumps(two).items():
        roles = Counter(row["role"] for row in rows)
        questions = by_question(rows)
        assert len(questions) == B
        assert roles["rollout"] + roles["source"] == B * N
        assert roles["source"] <= budget and roles["source"] == metrics[step]["axpo/selected_prefixes"]
        assert roles["continuation"] == K * roles["source"]
        assert metrics[step]["axpo/infra_failures"] == 0
        branched += roles["source"]
    assert branched > 0, "the run never branched: the test has shown nothing"


def test_masks_tokens_and_advantages(two):
    open_id = AutoTokenizer.from_pretrained(CHECKPOINT).convert_tokens_to_ids("<tool_call>")
    for rows in dumps(two).values():
        for members in by_question(rows).values():
            check_masks(members, open_id)
            check_advantages(members)


def test_both_replicas_and_both_workers_do_the_work(two):
    rows = [row for rows in dumps(two).values() for row in rows]
    served = Counter(request["server"] for request in requests(two))
    assert served.total() == sum(len(row["engine_calls"]) for row in rows)
    assert len(served) == 2 and min(served.values()) > served.total() / 4
    worked = Counter((two / "workers.txt").read_text().split())
    assert len(worked) == 2 and min(worked.values()) > worked.total() / 10


def test_continuations_of_a_prefix_share_a_replica(two):
    server, sent = {}, Counter()
    for request in requests(two):
        assert server.setdefault(request["request"], request["server"]) == request["server"]
        sent[request["request"], tuple(request["prompt"])] += 1
    # No turn of a rollout begins with a prompt that ends in the opening tag: continuations alone send these prompts.
    forks = Counter(
        tuple(row["prompt_ids"] + row["response_ids"][: row["prefix_length"]])
        for rows in dumps(two).values()
        for row in rows
        if row["role"] == "source"
    )
    siblings = {key: count for key, count in sent.items() if key[1] in forks}
    assert forks and set(siblings.values()) == {K}
    assert Counter(prompt for _, prompt in siblings) == forks


def test_rollout_and_actor_agree_on_log_probs(two):
    for rows in dumps(two).values():
        for row in rows:
            for rollout, actor, mask in zip(
                row["rollout_log_probs"], row["old_log_probs"], row["response_mask"], strict=True
            ):
                assert not mask or abs(rollout - actor) < 1e-3
    # The actor has moved further than that: a replica whose weights were not synchronised would have shown.
    assert Metrics(two / "metrics").steps[STEPS]["actor/kl_loss"] > 1e-6


def test_optimizer_steps_are_those_of_grpo(two):
    steps = Metrics(two / "metrics").steps
    assert [step["axpo/optimizer_steps"] for step in steps.values()] == [B // MINI_BATCH] * STEPS
    assert sum(step["axpo/padding_rows"] for step in steps.values()) > 0, "every batch happened to divide evenly"


def first_step(output: Path) -> list:
    """Return the tokens, rewards and trees of the first step, whatever the order of its rows."""
    names = ("session", "role", "source_session", "prefix_length", "response_ids", "response_mask", "score")
    return sorted(
        [members[0]["prompt_ids"], [[row[name] for name in names] for row in members]]
        for members in by_question(read_dump(output / "rollouts" / "1.jsonl")).values()
    )


def assert_same_update(one: Path, other: Path, tolerance: float) -> None:
    first, second = (Metrics(output / "metrics").steps[1] for output in (one, other))
    # The KL term compares the actor with the reference after the first mini-batch of the step has moved the actor.
    for name in ("actor/grad_norm", "actor/pg_loss", "actor/kl_loss"):
        assert second[name] == pytest.approx(first[name], rel=tolerance), name


def test_two_roll_out_the_tokens_of_one(one, two):
    """Tokens, rewards and trees do not depend on the number of workers and replicas."""
    assert first_step(one) == first_step(two)


def test_two_compute_the_gradient_of_one(one, two):
    """A row's weight does not depend on the ranks, the micro-batches, or the padding rows."""
    assert_same_update(one, two, 5e-3)


def test_a_second_node_does_its_share(two_nodes):
    """The recipe's modules load on a node that has nothing of this project's environment."""
    for actors_of_a_node in two_nodes[1]:
        assert ACTORS <= actors_of_a_node


def test_two_nodes_train_as_one(two, two_nodes):
    assert first_step(two) == first_step(two_nodes[0])
    assert_same_update(two, two_nodes[0], 1e-4)
