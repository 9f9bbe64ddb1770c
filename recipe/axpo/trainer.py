# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""AXPO on verl's synchronous V1 trainer: branch columns into the estimator, mini-batches by question, metrics, dumps.

Every override hands over to verl unless the estimator is ``axpo``; GRPO trains through verl's own code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import transfer_queue as tq
from omegaconf import DictConfig, open_dict
from recipe.axpo import dump
from recipe.axpo.advantage import Role, compute_axpo_advantage
from recipe.axpo.batching import (
    PADDING_SOURCE_FIELDS,
    assign_questions,
    model_passes,
    order_rows,
    padding_rows,
    rows_per_mini_batch,
)
from recipe.axpo.config import AXPOConfig, branching_enabled
from recipe.axpo.coordinator import get_coordinator
from recipe.axpo.metrics import thinking_acting_gap
from recipe.axpo.plugins import summarise_tool_calls
from recipe.axpo.tree import BranchColumn
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from verl.protocol import DataProto
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_and_add_to_batch
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.debug import marked_timer
from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions, log_seqlen_unbalance
from verl.utils.tensordict_utils import list_of_dict_to_tensordict
from verl.workers.utils.padding import response_to_nested

TRAINER_NAME = "axpo"


@register_trainer(TRAINER_NAME)
class AXPOTrainer(PPOTrainerSync):
    """``PPOTrainerSync`` for batches whose questions may have more rows than ``rollout.n``."""

    def __init__(self, config: DictConfig):
        # verl looks the trainer up by trainer_mode, then compares that name with "sync" in several places.
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"
        self.axpo = AXPOConfig.from_config(config)
        self.branching = branching_enabled(config)
        super().__init__(config)

    @property
    def num_mini_batches(self) -> int:
        """Return the number of mini-batches of a training step, which is GRPO's."""
        return self.config.data.train_batch_size // self.config.actor_rollout_ref.actor.ppo_mini_batch_size

    def on_sample_begin(self):
        """Wait until every question of the step has been written or given up. verl polls without a deadline."""
        self.agent_loop_manager.wait(self.global_steps)
        super().on_sample_begin()

    # ------------------------------------------------------------------ batch

    def _balance_batch(self, batch: KVBatchMeta, metrics, logging_prefix="global_seqlen", keep_minibatch=False):
        """Fill up and order the rows so that verl's contiguous cuts are the mini-batches of ``batching``."""
        if not self.branching:
            return super()._balance_batch(batch, metrics, logging_prefix, keep_minibatch)
        if len(batch) == 0:
            raise RuntimeError(
                "no rollout of this batch could be finished; see the errors of the agent loop workers above"
            )
        dp_size = _dp_size(self.actor_rollout_wg, "actor")
        has_ref = self.use_reference_policy and not self.ref_in_actor
        ref_dp_size = _dp_size(self.ref_policy_wg, "ref") if has_ref else None
        passes = model_passes(self.config.actor_rollout_ref, dp_size, ref_dp_size)

        columns = branch_columns(batch, self.branching)
        # Rows come in the order in which they were written, which differs between two runs of one seed.
        places = [(column.place, column.question, column.session) for column in columns]
        batch.reorder(sorted(range(len(batch)), key=places.__getitem__))
        questions = [question for _, question, _ in sorted(places)]
        rows = Counter(questions)
        counts, num = list(rows.values()), self.num_mini_batches
        assigned = assign_questions(counts, num, self.config.actor_rollout_ref.actor.ppo_mini_batch_size)
        rows_each = rows_per_mini_batch(counts, assigned, num, passes)
        missing = num * rows_each - len(batch)
        metrics["axpo/padding_rows"] = missing
        batch = _with_padding(batch, missing, self.tokenizer.eos_token_id)

        def partition(lengths: list[int], ranks: int) -> list[list[int]]:
            workload = calculate_workload(torch.tensor(lengths, dtype=torch.int64))
            return get_seqlen_balanced_partitions(workload, k_partitions=ranks, equal_size=True)

        seq_lens = [tag["seq_len"] for tag in batch.tags]
        order = order_rows(
            questions + [None] * missing,
            [_is_padding(tag) for tag in batch.tags],
            seq_lens,
            dict(zip(rows, assigned, strict=True)),
            num_mini_batches=num,
            rows_each=rows_each,
            dp_size=dp_size,
            partition=partition,
        )
        batch.reorder(order)
        share = len(order) // dp_size
        partitions = [order[rank * share : (rank + 1) * share] for rank in range(dp_size)]
        metrics.update(log_seqlen_unbalance(seqlen_list=seq_lens, partitions=partitions, prefix=logging_prefix))
        return batch

    # -------------------------------------------------------------- advantage

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Compute Eq. 2-4 on the batch. verl's version passes neither roles nor groups to an estimator."""
        if not self.branching:
            return super()._compute_advantage(batch, metrics)
        fields = ["response_mask", "rm_scores", "rollout_log_probs", "old_log_probs"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        nested_mask = data["response_mask"]
        data = data.to_padded_tensor()
        real = torch.tensor([not _is_padding(tag) for tag in batch.tags])
        metrics.update(_rollout_corr_metrics(data[real], self.config.algorithm.get("rollout_correction")))

        columns = branch_columns(batch, self.branching)
        advantages, returns = compute_axpo_advantage(
            data["rm_scores"],
            data["response_mask"],
            [column.question for column in columns],
            role=[column.role for column in columns],
            prefix_group=[column.prefix_group for column in columns],
            recovery_reward=[column.recovery_reward for column in columns],
            separate_groups=self.axpo.separate_groups,
            norm_adv_by_std_in_grpo=self.config.algorithm.get("norm_adv_by_std_in_grpo", True),
            config=self.config.algorithm,
        )
        # verl gives a row that is alone in its group its raw reward. The others of its group were infrastructure
        # failures, so it has no baseline: like a lone continuation it trains nothing.
        advantages[lone_rows(columns, self.axpo.separate_groups)] = 0.0
        is_continuation = torch.tensor([column.role == Role.CONTINUATION for column in columns])
        if self.axpo.continuation_weight != 1.0:  # PPO's clipped loss is homogeneous in the advantage.
            advantages[is_continuation] *= self.axpo.continuation_weight
        trained = data["response_mask"].sum(dim=-1)
        resampled = trained[is_continuation].sum()
        metrics["axpo/resampled_tokens"] = resampled.item()
        metrics["axpo/continuation_tokens_ratio"] = (resampled / trained.sum().clamp(min=1)).item()

        output = {
            name: response_to_nested(value, nested_mask)
            for name, value in {"advantages": advantages, "returns": returns}.items()
        }
        return tq.kv_batch_put(
            keys=batch.keys, partition_id=batch.partition_id, fields=TensorDict(output, batch_size=len(batch))
        )

    # ----------------------------------------------------------------- update

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Run verl's actor update, told the *number* of mini-batches instead of their rows.

        ``global_batch_size``, the divisor of the loss, stays ``ppo_mini_batch_size * n``: every row weighs 1/(B*N)
        whether or not a question has branched.
        """
        if not self.branching:
            return super()._update_actor(batch, metrics)
        actor = self.config.actor_rollout_ref.actor
        batch.extra_info.update(
            {
                "calculate_entropy": actor.calculate_entropy or actor.entropy_coeff != 0.0,
                "distillation_use_topk": False,
                "distillation_only": False,
                "global_batch_size": actor.ppo_mini_batch_size * self.config.actor_rollout_ref.rollout.n,
                "num_mini_batch": self.num_mini_batches,
                "epochs": actor.ppo_epochs,
                "seed": actor.data_loader_seed,
                "dataloader_kwargs": {"shuffle": False},
                "temperature": self.config.actor_rollout_ref.rollout.temperature,
            }
        )
        output = rename_dict(self.actor_rollout_wg.update_actor(batch)["metrics"], "actor/")
        metrics["axpo/optimizer_steps"] = len(output["actor/grad_norm"])  # One for every mini-batch of every epoch.
        output["perf/mfu/actor"] = output.pop("actor/mfu")
        metrics.update(reduce_metrics(output))
        return batch

    # ---------------------------------------------------------------- metrics

    def _compute_metrics(self, batch: KVBatchMeta, metrics, timing_raw, global_steps, epoch):
        """Add to verl's metrics the figures of the original rollouts, the Thinking-Acting Gap and the tools' figures.

        verl's own figures count continuations, each with the prefix that it shares with its source.
        """
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        rows = _without_padding(batch)
        data = tq.kv_batch_get(keys=rows.keys, partition_id=rows.partition_id, select_fields=["rm_scores", "num_turns"])
        columns = branch_columns(rows, self.branching)
        metrics["axpo/lone_rows"] = len(lone_rows(columns, self.axpo.separate_groups))
        metrics.update(
            original_figures(
                columns,
                response_length=[tag["response_len"] for tag in rows.tags],
                num_turns=_plain(data["num_turns"]),
                score=[score.sum().item() for score in data["rm_scores"].unbind()],
            )
        )
        self._add_report(global_steps, metrics)

    def _add_report(self, step: int, metrics: dict) -> None:
        """Add the figures that only the coordinator has, and close the step there."""
        report = ray.get(get_coordinator().close.remote(step), timeout=self.axpo.close_timeout_s + 60)
        metrics["axpo/given_up_questions"] = len(report.given_up)
        metrics.update(report.timing)
        metrics.update(thinking_acting_gap(report))
        metrics.update(summarise_tool_calls(report.tool_calls))

    def _val_metrics_update(self, *args, expected_acc_counts=None, **kwargs) -> dict[str, float]:
        """Compute verl's validation metrics over the answers there are. verl scores those that are missing with 0."""
        metrics = super()._val_metrics_update(*args, expected_acc_counts=None, **kwargs)
        sample_uids = args[1] if len(args) > 1 else kwargs["sample_uids"]
        metrics["val-aux/infra_failures"] = sum((expected_acc_counts or {}).values()) - len(sample_uids)
        return metrics

    def _validate(self) -> dict[str, float]:
        metrics = super()._validate()
        metrics.update(summarise_tool_calls(ray.get(get_coordinator().validation_calls.remote()), prefix="val-tools"))
        return metrics

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str):
        """Fetch the step's rows and have verl's dump thread write them, see ``dump``."""
        with marked_timer("dump_rollout_generations", timing_raw, color="green"):
            rows = _without_padding(batch)
            data = tq.kv_batch_get(keys=rows.keys, partition_id=rows.partition_id, select_fields=list(dump.FIELDS))
            columns = branch_columns(rows, self.branching)
            for future in self._dump_futures:  # A failed write ends the run here. Memory holds one step's rows.
                future.result()
            written = self._dump_executor.submit(
                dump.write_rollouts,
                Path(rollout_data_dir) / f"{self.global_steps}.jsonl",
                self.global_steps,
                rows.keys,
                columns,
                data,
                self.tokenizer.decode,
                roles=self.branching,
            )
            self._dump_futures = [written]


# ------------------------------------------------------------------------ rows


def branch_columns(batch: KVBatchMeta, branching: bool) -> list[BranchColumn]:
    """Fetch the place of every row in its question's tree. Without branching every row is an ordinary rollout."""
    fields = ["axpo"] if branching else ["uid", "session_id"]
    data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
    values = [_plain(data[field]) for field in fields]
    if branching:
        return [BranchColumn.from_dict(column) for column in values[0]]
    return [BranchColumn(uid, int(session)) for uid, session in zip(*values, strict=True)]


def _plain(column: Iterable[Any]) -> list[Any]:
    """Unwrap a column that is no tensor."""
    return [getattr(item, "data", item) for item in column]


def _is_padding(tag: dict[str, Any]) -> bool:
    return tag.get("is_padding", False)


def _without_padding(batch: KVBatchMeta) -> KVBatchMeta:
    return batch.select_keys([key for key, tag in zip(batch.keys, batch.tags, strict=True) if not _is_padding(tag)])


def _with_padding(batch: KVBatchMeta, count: int, eos_token_id: int) -> KVBatchMeta:
    """Put ``count`` no-op rows into the TransferQueue, behind the rows of the batch."""
    if count == 0:
        return batch
    source = tq.kv_batch_get(
        keys=batch.keys[:1], partition_id=batch.partition_id, select_fields=list(PADDING_SOURCE_FIELDS)
    )[0]
    source = {name: source[name] for name in source.keys()}  # Indexing unwraps what is not a tensor, get() does not.
    keys, fields, tags = padding_rows(source, batch.tags[0], count, eos_token_id)
    tq.kv_batch_put(keys=keys, partition_id=batch.partition_id, fields=list_of_dict_to_tensordict(fields), tags=tags)
    return KVBatchMeta(
        keys=batch.keys + keys,
        tags=batch.tags + tags,
        partition_id=batch.partition_id,
        fields=batch.fields,
        extra_info=batch.extra_info,
    )


def _dp_size(worker_group: Any, mesh: str) -> int:
    """Return the number of data-parallel ranks that verl divides a batch among."""
    if mesh not in worker_group._dispatch_info:
        worker_group._dispatch_info[mesh] = worker_group._query_dispatch_info(mesh)
    return max(worker_group._dispatch_info[mesh]) + 1


# --------------------------------------------------------------------- figures


def _rollout_corr_metrics(data: TensorDict, correction: DictConfig | None) -> dict[str, float]:
    """Compute verl's ``rollout_corr/*`` metrics, under the conditions under which verl's own trainer does."""
    fields = ("response_mask", "rollout_log_probs", "old_log_probs")
    if correction is None or correction.get("bypass_mode", False) or not set(fields) <= set(data.keys()):
        return {}
    _, metrics = compute_rollout_correction_and_add_to_batch(DataProto(batch=data.select(*fields)), correction)
    return metrics


def lone_rows(columns: Sequence[BranchColumn], separate_groups: bool = True) -> list[int]:
    """Find the rows that are alone in their group, because all others were infrastructure failures.

    The group of a continuation is its siblings, that of any other row the original rollouts of its question. Without
    ``separate_groups`` all rows of a question are one group.
    """
    apart = Role.CONTINUATION if separate_groups else None
    groups = [column.prefix_group if column.role == apart else column.question for column in columns]
    sizes = Counter(groups)
    return [row for row, group in enumerate(groups) if sizes[group] == 1]


def original_figures(
    columns: Sequence[BranchColumn],
    *,
    response_length: Sequence[int],
    num_turns: Sequence[int],
    score: Sequence[float],
) -> dict[str, float]:
    """Compute verl's figures over the original rollouts only, so that runs with and without branching compare.

    Args:
        columns: (rows,) Place of each row in its question's tree.
        response_length: (rows,) Tokens of the response, tools' included.
        num_turns: (rows,) Turns of the conversation.
        score: (rows,) Outcome reward.
    """
    original = np.array([column.role != Role.CONTINUATION for column in columns], dtype=bool)
    metrics = {"axpo/original/score/mean": np.mean(np.array(score)[original])}
    for name, values in (("response_length", response_length), ("num_turns", num_turns)):
        values = np.array(values)[original]
        for figure, compute in (("mean", np.mean), ("max", np.max), ("min", np.min)):
            metrics[f"axpo/original/{name}/{figure}"] = compute(values)
    return {name: float(value) for name, value in metrics.items()}
