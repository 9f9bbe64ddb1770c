# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""AXPO on verl's synchronous V1 trainer: branch columns into the estimator, mini-batches by question, metrics, dumps.

Every override hands over to verl unless the estimator is ``axpo``; GRPO trains through verl's own code.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import ray
import torch
import transfer_queue as tq
from omegaconf import DictConfig, open_dict
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.padding_utils import upsample_batch_to_divisible_size
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.debug import marked_timer
from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions, log_seqlen_unbalance
from verl.workers.utils.padding import response_to_nested

from recipe.axpo.advantage import Role, compute_axpo_advantage
from recipe.axpo.batching import assign_questions, order_rows, rows_per_mini_batch
from recipe.axpo.config import AXPOConfig, branching_enabled
from recipe.axpo.coordinator import get_coordinator
from recipe.axpo.metrics import thinking_acting_gap
from tools.metrics import summarise

TRAINER_NAME = "axpo"


def _question(key: str) -> str:
    """Question of a row: TransferQueue keys are ``{uid}_{session}_{index}``."""
    return key.rsplit("_", 2)[0]


@register_trainer(TRAINER_NAME)
class AXPOTrainer(PPOTrainerSync):
    """``PPOTrainerSync`` for batches whose questions may have more rows than ``rollout.n``."""

    def __init__(self, config: DictConfig):
        # verl looks the trainer up by trainer_mode, then compares that name with "sync" in several places
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"
        self.axpo = AXPOConfig.from_config(config)
        self.branching = branching_enabled(config)
        super().__init__(config)

    @property
    def num_mini_batches(self) -> int:
        """Optimizer steps of a training step, GRPO's number."""
        return self.config.data.train_batch_size // self.config.actor_rollout_ref.actor.ppo_mini_batch_size

    # ------------------------------------------------------------------ batch

    def _row_multiple(self, dp_size: int) -> int:
        """Rows of a mini-batch must divide by the ranks, and without dynamic batching by every micro-batch too."""
        actor, rollout, ref = (self.config.actor_rollout_ref[name] for name in ("actor", "rollout", "ref"))
        sizes = [1]
        if not actor.use_dynamic_bsz:
            sizes += [actor.ppo_micro_batch_size_per_gpu, rollout.log_prob_micro_batch_size_per_gpu]
            if self.use_reference_policy:
                sizes.append(ref.log_prob_micro_batch_size_per_gpu)
        return dp_size * math.lcm(*(int(size) for size in sizes if size))

    def _balance_batch(self, batch: KVBatchMeta, metrics, logging_prefix="global_seqlen", keep_minibatch=False):
        """Fill up and order the rows so that verl's contiguous cuts are the mini-batches of ``batching``."""
        if not self.branching:
            return super()._balance_batch(batch, metrics, logging_prefix, keep_minibatch)
        if len(batch) == 0:
            raise RuntimeError(
                "no rollout of this batch could be finished; see the errors of the agent loop workers above"
            )
        worker_group = self.actor_rollout_wg
        if "actor" not in worker_group._dispatch_info:
            worker_group._dispatch_info["actor"] = worker_group._query_dispatch_info("actor")
        dp_size = max(worker_group._dispatch_info["actor"]) + 1

        rows = Counter(_question(key) for key in batch.keys)
        counts = list(rows.values())
        num = self.num_mini_batches
        assigned = assign_questions(counts, num, self.config.actor_rollout_ref.actor.ppo_mini_batch_size)
        rows_each = rows_per_mini_batch(counts, assigned, num, self._row_multiple(dp_size))
        metrics["axpo/padding_rows"] = num * rows_each - len(batch)
        batch = upsample_batch_to_divisible_size(batch, num * rows_each, self.tokenizer.eos_token_id)

        seq_lens = [tag["seq_len"] for tag in batch.tags]

        def partition(lengths: list[int], ranks: int) -> list[list[int]]:
            workload = calculate_workload(torch.tensor(lengths, dtype=torch.int64))
            return get_seqlen_balanced_partitions(workload, k_partitions=ranks, equal_size=True)

        order = order_rows(
            [_question(key) for key in batch.keys],
            [tag.get("is_padding", False) for tag in batch.tags],
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

    def _branch_columns(self, batch: KVBatchMeta) -> list[dict[str, Any]]:
        """The branch column of every row; no-op rows are ordinary ones of a question of their own."""
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["axpo"])
        columns = [getattr(column, "data", column) for column in data["axpo"]]
        padding = {"role": int(Role.ROLLOUT), "prefix_group": None, "recovery_reward": None, "source_session": None}
        return [
            {**column, **padding} if tag.get("is_padding", False) else column
            for column, tag in zip(columns, batch.tags, strict=True)
        ]

    # -------------------------------------------------------------- advantage

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Eq. 2-4 on the batch. verl's version passes neither roles nor groups to an estimator."""
        if not self.branching:
            return super()._compute_advantage(batch, metrics)
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask", "rm_scores"]
        )
        nested_mask = data["response_mask"]
        data = data.to_padded_tensor()
        columns = self._branch_columns(batch)
        role = [column["role"] for column in columns]
        advantages, returns = compute_axpo_advantage(
            data["rm_scores"],
            data["response_mask"],
            [_question(key) for key in batch.keys],
            role=role,
            prefix_group=[column["prefix_group"] for column in columns],
            recovery_reward=[column["recovery_reward"] for column in columns],
            norm_adv_by_std_in_grpo=self.config.algorithm.get("norm_adv_by_std_in_grpo", True),
            config=self.config.algorithm,
        )
        is_continuation = torch.tensor(role) == Role.CONTINUATION
        if self.axpo.continuation_weight != 1.0:  # PPO's clipped loss is homogeneous in the advantage
            advantages[is_continuation] *= self.axpo.continuation_weight
        trained = data["response_mask"].sum(dim=-1)
        metrics["axpo/continuation_tokens_ratio"] = (trained[is_continuation].sum() / trained.sum().clamp(min=1)).item()

        fields = {"advantages": advantages, "returns": returns}
        output = {name: response_to_nested(value, nested_mask) for name, value in fields.items()}
        return tq.kv_batch_put(
            keys=batch.keys, partition_id=batch.partition_id, fields=TensorDict(output, batch_size=len(batch))
        )

    # ----------------------------------------------------------------- update

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """verl's actor update, told the *number* of mini-batches instead of their rows.

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
        metrics["axpo/optimizer_steps"] = len(output["actor/grad_norm"])
        output["perf/mfu/actor"] = output.pop("actor/mfu")
        metrics.update(reduce_metrics(output))
        return batch

    # ---------------------------------------------------------------- metrics

    def _compute_metrics(self, batch: KVBatchMeta, metrics, timing_raw, global_steps, epoch):
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        report = ray.get(get_coordinator().close.remote(global_steps))
        metrics.update(thinking_acting_gap(report))
        metrics.update(summarise(report.tool_calls))

    def _validate(self) -> dict[str, float]:
        metrics = super()._validate()
        metrics.update(summarise(ray.get(get_coordinator().validation_calls.remote()), prefix="val-tools"))
        return metrics

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str):
        """Dump every row as JSONL: text, token ids, mask, reward, advantage, and its place in the question's tree."""
        with marked_timer("dump_rollout_generations", timing_raw, color="green"):
            rows = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
            rows.sort(key=lambda i: (_question(batch.keys[i]), *map(int, batch.keys[i].rsplit("_", 2)[1:])))
            fields = ["prompts", "responses", "response_mask", "rm_scores", "advantages", "rollout_log_probs"]
            fields += ["old_log_probs", "reward_model", "extra_fields"]
            kept = KVBatchMeta(
                partition_id=batch.partition_id,
                keys=[batch.keys[i] for i in rows],
                tags=[batch.tags[i] for i in rows],
            )
            data = tq.kv_batch_get(keys=kept.keys, partition_id=kept.partition_id, select_fields=fields)
            tensors = {name: data[name].unbind() for name in fields if isinstance(data.get(name), torch.Tensor)}
            ids = {name: [ids.tolist() for ids in tensors[name]] for name in ("prompts", "responses", "response_mask")}
            masks = [mask.bool() for mask in tensors["response_mask"]]
            scores = [score.sum().item() for score in tensors["rm_scores"]]
            extra = [getattr(item, "data", item) for item in data["extra_fields"]]
            truth = [getattr(item, "data", item) for item in data["reward_model"]]
            columns = {
                "uid": kept.keys,
                "question": [_question(key) for key in kept.keys],
                "session": [int(key.rsplit("_", 2)[1]) for key in kept.keys],
                # the advantage is one number for all trained tokens of a row
                "advantage": [
                    values[mask][0].item() if mask.any() else 0.0
                    for values, mask in zip(tensors["advantages"], masks, strict=True)
                ],
                "prompt_ids": ids["prompts"],
                "response_ids": ids["responses"],
                "response_mask": ids["response_mask"],
                "rollout_log_probs": [values.tolist() for values in tensors["rollout_log_probs"]],
                "old_log_probs": [values.tolist() for values in tensors["old_log_probs"]],
                "reward_extra_info": [item.get("reward_extra_info", {}) for item in extra],
            }
            if self.branching:
                branch = self._branch_columns(kept)
                columns["role"] = [Role(column["role"]).name.lower() for column in branch]
                names = ("prefix_group", "recovery_reward", "source_session", "prefix_length", "confidence", "turn")
                for name in (*names, "engine_calls"):
                    columns[name] = [column[name] for column in branch]
            self._dump_generations(
                inputs=[self.tokenizer.decode(prompt) for prompt in ids["prompts"]],
                outputs=[self.tokenizer.decode(response) for response in ids["responses"]],
                gts=[item.get("ground_truth") for item in truth],
                scores=scores,
                reward_extra_infos_dict=columns,
                dump_path=rollout_data_dir,
            )
