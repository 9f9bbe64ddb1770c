# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The trainer's own steps on a batch in a TransferQueue: balancing, padding, advantages, metrics, dump.

Most tests use a queue in this process. Those marked ``stack`` show on the real one that this makes no difference.
"""

import json
import pickle
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
import transfer_queue as tq
from hydra import compose, initialize_config_dir
from tensordict import TensorDict
from tensordict.tensorclass import NonTensorStack
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.core_algos import agg_loss
from verl.trainer.ppo.metric_utils import RolloutMoELoadBalanceMetricsAccumulator
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

import recipe.axpo.trainer as trainer_module
from recipe.axpo.advantage import Role
from recipe.axpo.config import AXPOConfig
from recipe.axpo.metrics import StepReport
from recipe.axpo.trainer import AXPOTrainer, branch_columns, lone_rows, original_figures
from recipe.axpo.tree import BranchColumn
from verl_ext.cpu.env import REPO_ROOT

EOS, N, K = 9, 4, 3
RAW_PROMPT = "image " * 500_000  # 3 MB; a real prompt holds its images.


# ----------------------------------------------------------------------- queue


class LocalQueue:
    """The TransferQueue's semantics in this process: a batch has the fields that all of its rows have."""

    def __init__(self):
        self.rows = defaultdict(dict)
        self.fetched = []

    def kv_batch_put(self, keys, partition_id, fields=None, tags=None):
        for i, key in enumerate(keys):
            for name in fields.keys():
                value = fields[name][i]
                self.rows[key][name] = value if isinstance(value, torch.Tensor) else getattr(value, "data", value)
        return KVBatchMeta(keys=keys, tags=tags or [{} for _ in keys], partition_id=partition_id)

    def kv_batch_get(self, keys, partition_id, select_fields=None):
        names = set.intersection(*(set(self.rows[key]) for key in keys))
        names = sorted(names if select_fields is None else names & set(select_fields))
        self.fetched.append((list(keys), names))
        columns = {name: [self.rows[key][name] for key in keys] for name in names}
        data = {
            name: torch.nested.as_nested_tensor(values, layout=torch.jagged)
            if isinstance(values[0], torch.Tensor)
            else NonTensorStack(*values)
            for name, values in columns.items()
        }
        return TensorDict(data, batch_size=[len(keys)])


@pytest.fixture(scope="module")
def transfer_queue_service(tmp_path_factory):
    import shutil
    import tempfile

    import ray

    folder = tempfile.mkdtemp(prefix="axpo-", dir="/tmp")  # Ray puts sockets there, whose paths must be short.
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=100_000_000,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
    )
    try:
        tq.init()
        yield
        tq.close()
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["local", pytest.param("transfer_queue", marks=pytest.mark.stack)])
def queue(request, monkeypatch):
    """Both queues; the local one in ``local_queue`` for tests of what needs no second look."""
    if request.param == "transfer_queue":
        request.getfixturevalue("transfer_queue_service")
        yield None
        tq.kv_clear(keys=list(tq.kv_list("train")["train"]), partition_id="train")
    else:
        yield request.getfixturevalue("local_queue")


@pytest.fixture
def local_queue(monkeypatch):
    queue = LocalQueue()
    monkeypatch.setattr(tq, "kv_batch_put", queue.kv_batch_put)
    monkeypatch.setattr(tq, "kv_batch_get", queue.kv_batch_get)
    return queue


# ----------------------------------------------------------------------- batch


@dataclass(frozen=True)
class Question:
    """A question's N rewards, and of some of its sessions the rewards of the K continuations."""

    name: str
    rewards: tuple
    continuations: dict


QUESTIONS = (
    Question("a", (0.0, 0.0, 1.0, 1.0), {0: (0.0, 1.0, 1.0)}),
    Question("b", (0.0, 0.0, 0.0, 0.0), {1: (0.0, 0.0, 0.0), 3: (1.0, 0.0, 0.0)}),
    Question("c", (1.0, 0.0, 0.0, 1.0), {}),
    Question("d", (1.0,), {}),  # Infrastructure failures have taken the others.
    Question("e", (0.0, 1.0, 0.0), {2: (1.0,)}),
)


def put_batch(questions=QUESTIONS, *, branching=True, log_probs=True):
    """Write a batch as the agent loop and the log-prob pass do; returns its metadata."""
    generator = torch.Generator().manual_seed(0)
    columns, rewards = [], []
    for question in questions:
        for session, reward in enumerate(question.rewards):
            column = BranchColumn(question.name, session)
            if session in question.continuations:
                group = f"{question.name}:{session}:2"
                recovery = max(question.continuations[session])
                column = BranchColumn(question.name, session, Role.SOURCE, group, recovery, session, 2, 0.5, 1)
            columns.append(column)
            rewards.append(reward)
        for source, outcomes in question.continuations.items():
            for k, reward in enumerate(outcomes):
                session, group = N + source * K + k, f"{question.name}:{source}:2"
                columns.append(BranchColumn(question.name, session, Role.CONTINUATION, group, None, source, 2, 0.5, 1))
                rewards.append(reward)
    keys, rows, tags = [], [], []
    for i, (column, reward) in enumerate(zip(columns, rewards, strict=True)):
        # verl's prompt_length/clip_ratio takes the longest prompt for the limit, and a padding row's has 127 tokens.
        prompt, response = 130 + i % 2, 5 + i % 7
        mask = torch.ones(response, dtype=torch.int64)
        mask[2:] *= column.role != Role.SOURCE
        mask[:2] *= column.role != Role.CONTINUATION
        scores = torch.zeros(response)
        scores[-1] = reward
        ids = torch.randint(10, 99, (prompt + response,), generator=generator)
        row = {
            "prompts": ids[:prompt],
            "responses": ids[prompt:],
            "input_ids": ids,
            "position_ids": torch.arange(prompt + response).expand(4, -1).clone(),
            "response_mask": mask,
            "loss_mask": mask,
            "rm_scores": scores,
            "num_turns": 2 + i % 3,
            "multi_modal_inputs": {"pixel_values": torch.zeros(4, 8)},
            "extra_fields": {"reward_extra_info": {"acc": reward}},
            "reward_model": {"ground_truth": "red"},
            "raw_prompt": [{"role": "user", "content": RAW_PROMPT if i == 0 else "short"}],
            "uid": column.question,
            "session_id": column.session,
        }
        if log_probs:
            row["rollout_log_probs"] = -torch.rand(response, generator=generator)
            row["old_log_probs"] = row["rollout_log_probs"] + 0.1 * torch.randn(response, generator=generator)
        if branching:
            row["axpo"] = column.as_dict()
        keys.append(f"{column.question}_{column.session}_0")
        rows.append(row)
        tags.append(
            {
                "prompt_len": prompt,
                "response_len": response,
                "seq_len": prompt + response,
                "min_global_steps": 1,
                "max_global_steps": 1,
            }
        )
    tq.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(rows), tags=tags)
    return KVBatchMeta(keys=keys, tags=tags, partition_id="train")


def without_branches(questions=QUESTIONS):
    return [Question(question.name, question.rewards, {}) for question in questions]


def is_padding(batch):
    return [tag.get("is_padding", False) for tag in batch.tags]


def put_log_probs(batch):
    """Do what the log-prob pass does for the padding rows."""
    keys = [key for key, padding in zip(batch.keys, is_padding(batch), strict=True) if padding]
    if keys:
        fields = TensorDict({"old_log_probs": torch.full((len(keys), 1), -3.0)}, batch_size=[len(keys)])
        tq.kv_batch_put(keys=keys, partition_id="train", fields=fields)


# --------------------------------------------------------------------- trainer


class WorkerGroup:
    """Worker group of ``ranks`` data-parallel ranks, each made of two workers."""

    def __init__(self, ranks, mesh="actor"):
        self._dispatch_info, self.ranks, self.mesh, self.batches = {}, ranks, mesh, []

    def _query_dispatch_info(self, mesh):
        assert mesh == self.mesh
        return [rank for rank in range(self.ranks) for _ in range(2)]

    def update_actor(self, batch):
        self.batches.append(batch)
        info = batch.extra_info
        steps = info["epochs"] * info["num_mini_batch"]  # As ``TrainingWorker.train_mini_batch`` counts them.
        metrics = {"grad_norm": [1.0] * steps, "mfu": [0.5] * steps, "pg_loss": [0.25] * steps}
        return TensorDict({"metrics": tu.NonTensorData(metrics)}, batch_size=[])


@pytest.fixture
def make_trainer(monkeypatch):
    """A trainer with verl's own configuration and stand-ins for what runs in other processes."""
    report = StepReport({}, [], [], {}, 0, timing={"timing_s/axpo/barrier_wait": 1.5})
    waited = []

    class Coordinator:
        close = SimpleNamespace(remote=lambda step: (report, step))

    def get(result, timeout):
        waited.append((result[1], timeout))
        return result[0]

    monkeypatch.setattr(trainer_module, "get_coordinator", Coordinator)
    monkeypatch.setattr(trainer_module, "ray", SimpleNamespace(get=get))

    def make(*overrides, branching=True, dp_size=2, ref_dp_size=None, lora=False):
        estimator = "axpo" if branching else "grpo"
        with initialize_config_dir(str(REPO_ROOT / "recipe" / "axpo" / "config"), version_base=None):
            config = compose(
                "axpo_trainer",
                overrides=[
                    f"algorithm.adv_estimator={estimator}",
                    f"actor_rollout_ref.rollout.n={N}",
                    "data.train_batch_size=6",
                    "actor_rollout_ref.actor.ppo_mini_batch_size=3",
                    "actor_rollout_ref.actor.use_dynamic_bsz=true",
                    *overrides,
                ],
            )
        trainer = AXPOTrainer.__new__(AXPOTrainer)
        trainer.config, trainer.branching, trainer.axpo = config, branching, AXPOConfig.from_config(config)
        trainer.tokenizer = SimpleNamespace(eos_token_id=EOS, decode=lambda ids: f"{len(ids)} tokens")
        trainer.actor_rollout_wg = WorkerGroup(dp_size)
        trainer.use_critic, trainer.use_reference_policy = False, ref_dp_size is not None
        trainer.ref_in_actor, trainer.ref_policy_wg = lora, WorkerGroup(ref_dp_size, "ref")
        trainer.resource_pool_manager = SimpleNamespace(get_n_gpus=lambda: 1)
        trainer._rollout_moe_lb_metrics_accumulator = RolloutMoELoadBalanceMetricsAccumulator()
        trainer.global_steps, trainer.waited = 5, waited
        trainer._init_dump_executor()
        return trainer

    return make


def train(trainer, batch):
    """The trainer's steps from the advantages to the metrics; returns the metrics."""
    metrics = {}
    trainer._compute_advantage(batch, metrics)
    timing = {name: 1.0 for name in ("step", "gen", "adv", "update_actor")}
    trainer._compute_metrics(batch, metrics, timing, global_steps=5, epoch=0)
    return metrics


# ------------------------------------------------------------------- balancing


def test_a_balanced_batch(queue, make_trainer):
    trainer, metrics = make_trainer(), {}
    batch = put_batch()
    real = len(batch)
    batch = trainer._balance_batch(batch, metrics)
    padding = is_padding(batch)
    rows_each, ranks, steps = len(batch) // 2, 2, 2
    assert rows_each % ranks == 0 and metrics["axpo/padding_rows"] == sum(padding) == len(batch) - real > 0
    assert {f"global_seqlen/{name}" for name in ("min", "max", "mean", "balanced_min")} <= set(metrics)
    columns = branch_columns(batch, branching=True)
    share = rows_each // ranks
    questions = defaultdict(set)  # question -> mini-batches
    for i, column in enumerate(columns):
        if not padding[i]:
            questions[column.question].add(i % (steps * share) // share)
    assert all(len(mini_batches) == 1 for mini_batches in questions.values()) and len(questions) == len(QUESTIONS)
    # A padding row needs no special case: it is an ordinary rollout of a question of its own.
    pads = [column for column, pad in zip(columns, padding, strict=True) if pad]
    assert {column.question for column in pads}.isdisjoint(questions)
    assert sorted(pads, key=lambda column: column.session) == [
        BranchColumn(pads[0].question, session, Role.ROLLOUT) for session in range(len(pads))
    ]


def test_what_the_workers_get(queue, make_trainer):
    """A batch has the fields that all of its rows have: every field that a later step reads, and no raw prompt."""
    batch = make_trainer()._balance_batch(put_batch(), {})
    put_log_probs(batch)
    data = tq.kv_batch_get(keys=batch.keys, partition_id="train")
    read = {"prompts", "responses", "input_ids", "position_ids", "response_mask", "loss_mask", "multi_modal_inputs"}
    read |= {"rm_scores", "rollout_log_probs", "old_log_probs", "num_turns", "extra_fields", "axpo", "uid"}
    assert set(data.keys()) == read | {"session_id"}
    for i, padding in enumerate(is_padding(batch)):
        row = data[i]
        tokens = len(row["input_ids"])
        assert row["position_ids"].shape == (4, tokens) and len(row["prompts"]) + len(row["responses"]) == tokens
        assert len(row["response_mask"]) == len(row["rm_scores"]) == len(row["rollout_log_probs"])
        assert tokens == batch.tags[i]["seq_len"]
        assert not padding or not row["loss_mask"].any() and row["multi_modal_inputs"] == {}


def test_padding_rows_cost_nothing(local_queue, make_trainer):
    """Of the real row only what gives the padding its form is fetched, and a padding row has no images."""
    batch = make_trainer()._balance_batch(put_batch(), {})
    fetched = [names for keys, names in local_queue.fetched if "position_ids" in names]
    assert fetched == [["extra_fields", "position_ids"]]
    pads = [local_queue.rows[key] for key, pad in zip(batch.keys, is_padding(batch), strict=True) if pad]
    assert pads and all(len(pickle.dumps(row)) < 20_000 for row in pads)
    assert len(pickle.dumps(local_queue.rows["a_0_0"])) > 1_000_000


@pytest.mark.parametrize(
    "overrides, ranks, multiple",
    [
        ((), {"dp_size": 1}, 1),
        ((), {"dp_size": 4}, 4),
        (("actor_rollout_ref.ref.log_prob_use_dynamic_bsz=false",), {"ref_dp_size": 2}, 10),
        (("actor_rollout_ref.ref.log_prob_use_dynamic_bsz=false",), {"ref_dp_size": 2, "lora": True}, 2),
        (("actor_rollout_ref.actor.use_dynamic_bsz=false",), {}, 12),
    ],
)
def test_row_counts_follow_the_configuration(local_queue, make_trainer, overrides, ranks, multiple):
    sizes = ("actor.ppo_micro_batch_size_per_gpu=6", "rollout.log_prob_micro_batch_size_per_gpu=3")
    sizes += ("ref.log_prob_micro_batch_size_per_gpu=10",)
    trainer = make_trainer(*overrides, *(f"actor_rollout_ref.{size}" for size in sizes), **ranks)
    batch = put_batch()
    fullest = 14  # Rows of the fuller of the two mini-batches.
    assert len(trainer._balance_batch(batch, {})) == 2 * -(-fullest // multiple) * multiple


def test_no_padding_where_none_is_needed(local_queue, make_trainer):
    metrics = {}
    batch = make_trainer(dp_size=1)._balance_batch(put_batch([QUESTIONS[2], Question("f", (1.0,) * 4, {})]), metrics)
    assert metrics["axpo/padding_rows"] == 0 and len(batch) == 8 and not any(is_padding(batch))


def test_a_batch_without_rows(make_trainer):
    with pytest.raises(RuntimeError, match="no rollout of this batch could be finished"):
        make_trainer()._balance_batch(KVBatchMeta(partition_id="train"), {})


# ---------------------------------------------------- advantages, losses, metrics

WORKLOAD = ("perf/", "timing_", "global_seqlen/")  # verl's figures of what was computed, padding included


def test_padding_rows_change_nothing(queue, make_trainer):
    trainer = make_trainer(dp_size=4)
    plain = put_batch()
    before = train(trainer, plain)
    fields = ["advantages", "returns", "response_mask"]
    old = tq.kv_batch_get(keys=plain.keys, partition_id="train", select_fields=fields)
    old = {key: [value[i] for value in (old[name] for name in fields)] for i, key in enumerate(plain.keys)}

    padded = trainer._balance_batch(put_batch(), {})
    assert sum(is_padding(padded)) >= 3
    put_log_probs(padded)
    after = train(trainer, padded)
    assert before.keys() == after.keys()
    for name in before:
        if not name.startswith(WORKLOAD):
            assert after[name] == pytest.approx(before[name], rel=1e-5, nan_ok=True), name

    data = tq.kv_batch_get(keys=padded.keys, partition_id="train", select_fields=fields)
    for i, key in enumerate(padded.keys):
        for name, value in zip(fields, old.get(key, ()), strict=key in old):
            torch.testing.assert_close(data[name][i], value)
    data = data.to_padded_tensor()
    real = torch.tensor([not padding for padding in is_padding(padded)])
    assert not data["advantages"][~real].any()
    losses = torch.rand(data["advantages"].shape)
    for mode in ("seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm", "token-mean", "token-sum"):
        sizes = {"dp_size": 4, "global_batch_size": 24, "batch_num_tokens": int(data["response_mask"].sum())}
        with_padding = agg_loss(losses, data["response_mask"], mode, **sizes)
        torch.testing.assert_close(agg_loss(losses[real], data["response_mask"][real], mode, **sizes), with_padding)


def test_rollout_corr_metrics_are_verls(local_queue, make_trainer):
    """The same keys and values as verl's own trainer logs for the same rows."""
    ours, verls = {}, {}
    batch = put_batch()
    make_trainer(branching=False)._compute_advantage(batch, verls)
    trainer = make_trainer(dp_size=4)
    trainer._compute_advantage(batch, ours)
    names = {name for name in verls if name.startswith("rollout_corr/")}
    assert len(names) > 10 and names == {name for name in ours if name.startswith("rollout_corr/")}
    assert {name: ours[name] for name in names} == {name: verls[name] for name in names}
    # verl would count padding rows as rows of perplexity 1.
    padded, metrics = trainer._balance_batch(put_batch(), {}), {}
    put_log_probs(padded)
    trainer._compute_advantage(padded, metrics)
    assert {name: pytest.approx(metrics[name], rel=1e-5) for name in names} == {name: verls[name] for name in names}


@pytest.mark.parametrize(
    "overrides, log_probs",
    [
        (("algorithm.rollout_correction=null",), True),
        (("algorithm.rollout_correction.bypass_mode=true",), True),
        ((), False),
    ],
)
def test_no_rollout_corr_metrics(local_queue, make_trainer, overrides, log_probs):
    metrics = {}
    make_trainer(*overrides)._compute_advantage(put_batch(log_probs=log_probs), metrics)
    assert not [name for name in metrics if name.startswith("rollout_corr/")]


def test_tokens_of_continuations(local_queue, make_trainer):
    metrics = {}
    batch = put_batch()
    make_trainer()._compute_advantage(batch, metrics)
    rows = [local_queue.rows[key] for key in batch.keys]
    resampled = sum(row["response_mask"].sum().item() for row in rows if row["axpo"]["role"] == Role.CONTINUATION)
    assert metrics["axpo/resampled_tokens"] == resampled > 0
    trained = sum(row["response_mask"].sum().item() for row in rows)
    assert metrics["axpo/continuation_tokens_ratio"] == pytest.approx(resampled / trained)


def test_weight_of_continuations(local_queue, make_trainer):
    batch = put_batch()
    make_trainer()._compute_advantage(batch, {})
    once = {key: local_queue.rows[key]["advantages"].clone() for key in batch.keys}
    make_trainer("axpo.continuation_weight=0.25")._compute_advantage(batch, {})
    for key in batch.keys:
        weight = 0.25 if local_queue.rows[key]["axpo"]["role"] == Role.CONTINUATION else 1.0
        torch.testing.assert_close(local_queue.rows[key]["advantages"], weight * once[key])


# The rows of a question by role, a continuation with its prefix -> rows alone in their group.
@pytest.mark.parametrize(
    "rows, expected",
    [
        ([], 0),
        (["a R"], 1),
        (["a R", "a R"], 0),
        (["a R", "b R"], 2),
        (["a S", "a C a:0", "a C a:0"], 1),
        (["a S", "a R", "a C a:0"], 1),
        (["a S", "a C a:0"], 2),
        (["a S", "a S", "a C a:0", "a C a:1", "a C a:1"], 1),
        (["a S", "a R", "b S", "b R", "a C a:0", "b C b:0"], 2),
        (["a R", "a R", "a R", "b R", "b R", "b R"], 0),
    ],
)
def test_lone_rows(rows, expected):
    roles = {"R": Role.ROLLOUT, "S": Role.SOURCE, "C": Role.CONTINUATION}
    parsed = [row.split() for row in rows]
    columns = [
        BranchColumn(question, i, roles[role], group[0] if group else (None if role == "R" else f"{question}:{i}"))
        for i, (question, role, *group) in enumerate(parsed)
    ]
    assert len(lone_rows(columns)) == expected


@pytest.mark.parametrize("reward", [-1.0, 1.0])
def test_a_lone_row_trains_nothing(local_queue, make_trainer, reward):
    """verl would give it its raw reward as the advantage; a lone continuation gets 0, too."""
    batch = put_batch([Question("alone", (reward,), {}), Question("pair", (0.0, 1.0), {})])
    make_trainer()._compute_advantage(batch, {})
    trained = {key: local_queue.rows[key]["advantages"].abs().sum().item() > 0 for key in batch.keys}
    assert list(trained.values()) == [False, True, True]


def test_figures_of_the_originals():
    roles = [Role.ROLLOUT, Role.CONTINUATION, Role.SOURCE, Role.CONTINUATION]
    columns = [BranchColumn("q", i, role) for i, role in enumerate(roles)]
    figures = original_figures(
        columns, response_length=[10, 999, 31, 1], num_turns=[2, 9, 5, 1], score=[1.0, 1.0, -1.0, 1.0]
    )
    assert figures == {
        "axpo/original/response_length/mean": 20.5,
        "axpo/original/response_length/max": 31.0,
        "axpo/original/response_length/min": 10.0,
        "axpo/original/num_turns/mean": 3.5,
        "axpo/original/num_turns/max": 5.0,
        "axpo/original/num_turns/min": 2.0,
        "axpo/original/score/mean": 0.0,
    }
    assert all(type(value) is float for value in figures.values())


def test_grpo_has_the_same_figures(queue, make_trainer):
    """Without continuations the originals are all rows: the figures are verl's own, padding left out in both."""
    trainer = make_trainer(branching=False)
    batch = trainer._balance_batch(put_batch(without_branches(), branching=False), {})
    assert any(is_padding(batch))
    put_log_probs(batch)
    metrics = train(trainer, batch)
    for name in ("response_length", "num_turns"):
        for figure in ("mean", "max", "min"):
            assert metrics[f"axpo/original/{name}/{figure}"] == pytest.approx(metrics[f"{name}/{figure}"])
    assert metrics["axpo/original/score/mean"] == pytest.approx(metrics["critic/score/mean"])
    assert metrics["axpo/lone_rows"] == 1  # Question d.
    branched = train(make_trainer(), put_batch())
    originals = {name for name in branched if name.startswith("axpo/original/")}
    assert originals == {name for name in metrics if name.startswith("axpo/original/")} and len(originals) == 7
    assert {name: branched[name] for name in originals} != {name: metrics[name] for name in originals}
    assert branched["axpo/original/score/mean"] == metrics["axpo/original/score/mean"]
    assert branched["axpo/lone_rows"] == 2  # And the only continuation of question e that has settled.


def test_the_report_of_the_coordinator(local_queue, make_trainer):
    trainer = make_trainer("axpo.close_timeout_s=4000")
    metrics = train(trainer, put_batch())
    assert metrics["timing_s/axpo/barrier_wait"] == 1.5
    assert trainer.waited == [(5, 4060)]


# ------------------------------------------------------------------- update


@pytest.mark.parametrize("epochs, steps", [(1, 2), (3, 6)])
def test_optimizer_steps(local_queue, make_trainer, epochs, steps):
    trainer, metrics = make_trainer(f"actor_rollout_ref.actor.ppo_epochs={epochs}"), {}
    trainer._update_actor(put_batch(), metrics)
    assert metrics["axpo/optimizer_steps"] == steps
    (batch,) = trainer.actor_rollout_wg.batches
    assert batch.extra_info["num_mini_batch"] == 2 and "mini_batch_size" not in batch.extra_info
    assert batch.extra_info["global_batch_size"] == 3 * N  # GRPO's divisor of the loss
    assert (metrics["actor/pg_loss"], metrics["perf/mfu/actor"]) == (0.25, 0.5)


# -------------------------------------------------------------- hand over to verl


@pytest.mark.parametrize("step", ["_balance_batch", "_compute_advantage", "_update_actor"])
def test_grpo_is_verls(monkeypatch, make_trainer, step):
    calls = []
    monkeypatch.setattr(PPOTrainerSync, step, lambda self, *args: calls.append(args) or "verl's")
    monkeypatch.setattr(tq, "kv_batch_get", None)
    batch, metrics = KVBatchMeta(partition_id="train"), {}
    assert getattr(make_trainer(branching=False), step)(batch, metrics) == "verl's"
    ((given, *_),) = calls
    assert given is batch and metrics == {}


@pytest.mark.parametrize("branching", [True, False])
def test_sampling_waits_for_the_manager(monkeypatch, make_trainer, branching):
    trainer, order = make_trainer(branching=branching), []
    trainer.agent_loop_manager = SimpleNamespace(wait=lambda step: order.append(step))
    monkeypatch.setattr(PPOTrainerSync, "on_sample_begin", lambda self: order.append("verl"))
    trainer.on_sample_begin()
    assert order == [5, "verl"]

    def fail(step):
        raise RuntimeError("question q was given up")

    trainer.agent_loop_manager.wait = fail
    with pytest.raises(RuntimeError, match="question q was given up"):
        trainer.on_sample_begin()
    assert order == [5, "verl"]


# ---------------------------------------------------------------------- dump


@pytest.mark.parametrize("branching", [True, False])
def test_dump(queue, make_trainer, tmp_path, branching):
    trainer = make_trainer(branching=branching)
    batch = put_batch(QUESTIONS if branching else without_branches(), branching=branching)
    keys = list(batch.keys)
    batch = trainer._balance_batch(batch, {})
    put_log_probs(batch)
    train(trainer, batch)
    trainer._log_rollout_data(batch, {}, str(tmp_path / "rollouts"))
    trainer._shutdown_dump_executor()
    entries = [json.loads(line) for line in (tmp_path / "rollouts" / "5.jsonl").read_text().splitlines()]
    assert sorted(entry["uid"] for entry in entries) == sorted(keys)
    assert [(e["question"], e["session"]) for e in entries] == sorted((e["question"], e["session"]) for e in entries)
    for entry in entries:
        assert entry["uid"] == f"{entry['question']}_{entry['session']}_0" and entry["step"] == 5
        assert len(entry["response_ids"]) == len(entry["old_log_probs"]) and entry["output"].endswith(" tokens")
    roles = Counter(entry.get("role") for entry in entries)
    assert roles == ({"rollout": 12, "source": 4, "continuation": 10} if branching else {None: 16})


def test_the_dump_is_written_behind_the_trainers_back(local_queue, make_trainer, tmp_path):
    trainer, batch = make_trainer(), put_batch()
    go_on, main_thread = threading.Event(), threading.get_ident()
    decoding = []

    def decode(ids):
        decoding.append(threading.get_ident())
        assert go_on.wait(30)
        return ""

    trainer.tokenizer.decode = decode
    trainer._log_rollout_data(batch, {}, str(tmp_path))  # It would wait for ever if it decoded anything itself.
    local_queue.rows.clear()  # As the trainer does at the end of the step.
    assert not (tmp_path / "5.jsonl").exists()
    go_on.set()
    trainer._shutdown_dump_executor()
    assert main_thread not in decoding
    assert len((tmp_path / "5.jsonl").read_text().splitlines()) == len(batch)


def test_a_failed_dump_ends_the_run(local_queue, make_trainer, tmp_path):
    """In the next step, or at the end of the run."""
    (tmp_path / "a file").touch()
    batch = put_batch()
    for ends in (
        lambda trainer: trainer._log_rollout_data(batch, {}, str(tmp_path)),
        AXPOTrainer._shutdown_dump_executor,
    ):
        trainer = make_trainer()
        trainer._log_rollout_data(batch, {}, str(tmp_path / "a file"))
        with pytest.raises(FileExistsError):
            ends(trainer)
