# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl's Megatron engine on a CPU: rows of a step, forward and update, against FSDP on the same weights."""

import importlib.util
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from tensordict import TensorDict

from recipe.axpo.advantage import Role, compute_axpo_advantage
from recipe.axpo.batching import ModelPass, micro_batch_multiple, padding_rows, rows_per_mini_batch
from run_scripts.quickstart import CHECKPOINT

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        importlib.util.find_spec("megatron") is None,
        reason="Megatron is not installed: bash run_scripts/install_megatron_cpu.sh",
    ),
]
MICRO = 3
# Questions of 4 rollouts. The second has branched: a source and two continuations.
ROLES = [Role.ROLLOUT] * 7 + [Role.SOURCE] + [Role.CONTINUATION] * 2
QUESTIONS = ["a"] * 4 + ["b"] * 6
REWARDS = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def row(processor, seed: int) -> dict:
    """A row as an agent-loop worker writes it: no, one or two images, the second of them in the response."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    rng = np.random.default_rng(seed)
    images = [Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)) for _ in range(seed % 3)]
    features = dict(processor.image_processor(images=images, return_tensors="pt")) if images else {}
    grids = features.get("image_grid_thw", [])
    pads = [[531, *[processor.image_token_id] * (int(grid.prod()) // 4), 532] for grid in grids]
    prompt = [40, *(pads[0] if pads else []), *rng.integers(20, 500, 5 + seed)]
    response = [*rng.integers(20, 500, 9 + 4 * (seed % 5)), *(pads[1] if len(pads) > 1 else []), 60, 61]
    ids = torch.tensor(prompt + response, dtype=torch.long)
    mask = torch.ones_like(ids)
    worker = SimpleNamespace(processor=processor)
    inputs = {**features, "mm_token_type_ids": mask}
    positions = AgentLoopWorker._compute_position_ids(worker, ids[None], mask[None], inputs)[0]
    trained = torch.ones(len(response), dtype=torch.long)
    trained[torch.tensor(response) >= 528] = 0  # what a tool returned
    trained[: seed % 4] = 0  # a prefix that another row trains
    return {
        "prompts": torch.tensor(prompt, dtype=torch.long),
        "responses": torch.tensor(response, dtype=torch.long),
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": positions,
        "response_mask": trained,
        "loss_mask": trained,
        "multi_modal_inputs": features,
    }


def batch(processor, dynamic: bool) -> TensorDict:
    """One mini-batch: two questions, one of them with continuations, and the no-op rows that complete it."""
    from verl.utils import tensordict_utils as tu

    rows = [row(processor, seed) for seed in range(len(ROLES))]
    count = rows_per_mini_batch([4, 6], [0, 0], 1, [ModelPass(1, None if dynamic else MICRO)])
    _, fields, _ = padding_rows({"position_ids": rows[0]["position_ids"]}, {}, count - len(rows), 530)
    rows += [{name: field[name] for name in rows[0]} for field in fields]
    lengths = [len(row["response_mask"]) for row in rows]
    mask = torch.nn.utils.rnn.pad_sequence([row["response_mask"] for row in rows], batch_first=True)
    scores, real = torch.zeros(mask.shape), len(ROLES)
    scores[torch.arange(real), torch.tensor(lengths[:real]) - 1] = torch.tensor(REWARDS)
    padding = [Role.ROLLOUT] * (count - real)
    advantages, _ = compute_axpo_advantage(
        scores,
        mask,
        QUESTIONS + ["no-op"] * len(padding),
        role=ROLES + padding,
        prefix_group=[None] * 7 + ["p"] * 3 + [None] * len(padding),
        recovery_reward=[None] * 7 + [1.0] + [None] * (2 + len(padding)),
        separate_groups=True,
        norm_adv_by_std_in_grpo=True,
        config=None,
    )
    generator = torch.Generator().manual_seed(0)
    for number, (fields, length) in enumerate(zip(rows, lengths, strict=True)):
        fields["advantages"] = advantages[number, :length]
        for name in ("old_log_probs", "ref_log_prob"):  # of the tiny model's size
            fields[name] = -6 + torch.rand(length, generator=generator)
    data = tu.list_of_dict_to_tensordict(rows)
    tu.assign_non_tensor(
        data,
        use_dynamic_bsz=dynamic,
        max_token_len_per_gpu=200,
        micro_batch_size_per_gpu=MICRO,
        use_remove_padding=False,
        use_fused_kernels=False,
        calculate_entropy=True,
        temperature=1.0,
        global_batch_size=8,
    )
    return data


LEARN = {"lr": 1.0, "weight_decay": 0.0, "total_training_steps": 10, "clip_grad": 1e6}


@pytest.fixture(scope="module")
def world():
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    from megatron.core import parallel_state

    parallel_state.destroy_model_parallel()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def model_config():
    from verl.workers.config import HFModelConfig

    return partial(
        HFModelConfig,
        path=str(CHECKPOINT),
        use_remove_padding=False,
        override_config={"attn_implementation": "sdpa"},
    )


def outcome(engine, data: TensorDict, steps: int = 1) -> SimpleNamespace:
    """What an engine makes of a batch: log-probs before, figures of the update, weights after it."""
    from verl.workers.config import ActorConfig
    from verl.workers.utils.losses import ppo_loss

    config = ActorConfig(
        strategy="megatron",
        rollout_n=4,
        ppo_micro_batch_size_per_gpu=MICRO,
        use_kl_loss=True,
        kl_loss_coef=0.1,
        loss_agg_mode="seq-mean-token-mean",
    )
    with engine.eval_mode():
        before = engine.infer_batch(data.copy())["model_output"]
    with engine.train_mode():
        metrics = engine.train_batch(data.copy(), partial(ppo_loss, config))["metrics"]
    weights = {name: weight.detach().clone().float() for name, weight, *_ in engine.get_per_tensor_param()[0]}
    figures = {name: float(metrics[name].aggregate()) for name in ("actor/pg_loss", "kl_loss")}
    return SimpleNamespace(before=before, grad_norm=float(metrics["grad_norm"]), figures=figures, weights=weights)


@pytest.fixture(scope="module")
def megatron(world, model_config):
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import McoreEngineConfig, McoreOptimizerConfig

    from verl_ext.cpu.megatron import CPUMegatronEngineWithLMHead, on_host

    def run(dynamic):
        # With a large epsilon Adam's step is the gradient, and the weights after it show every part of that.
        optimizer = McoreOptimizerConfig(**LEARN, override_optimizer_config={"adam_eps": 1e3})
        with on_host():
            config = McoreEngineConfig(use_remove_padding=False, use_fused_kernels=False)
            engine = CPUMegatronEngineWithLMHead(model_config(), config, optimizer, CheckpointConfig())
            engine.initialize()
            return outcome(engine, batch(engine.model_config.processor, dynamic))

    return run


@pytest.fixture(scope="module")
def fsdp(world, model_config):
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    import verl_ext.position_ids  # noqa: F401

    optimizer = FSDPOptimizerConfig(**LEARN, override_optimizer_config={"eps": 1e3})
    precision = dict.fromkeys(("param_dtype", "reduce_dtype", "buffer_dtype"), "fp32")
    config = FSDPEngineConfig(strategy="fsdp2", dtype="float32", mixed_precision=precision, use_torch_compile=False)
    engine = FSDPEngineWithLMHead(model_config(), config, optimizer, CheckpointConfig())
    engine.initialize()
    return outcome(engine, batch(engine.model_config.processor, dynamic=False))


@pytest.mark.parametrize("dynamic", [True, False], ids=["by tokens", "fixed micro-batches"])
def test_megatron_trains_what_fsdp_trains(megatron, fsdp, dynamic):
    result, start = megatron(dynamic), CHECKPOINT / "model.safetensors"
    for name in ("log_probs", "entropy"):
        rows, expected = result.before[name].unbind(), fsdp.before[name].unbind()
        for got, wanted in zip(rows[: len(ROLES)], expected[: len(ROLES)], strict=True):
            # The last token has no successor: what stands there is read by nothing.
            assert torch.allclose(got[:-1], wanted[:-1], atol=1e-4), name
    assert result.figures == pytest.approx(fsdp.figures, rel=1e-3)
    assert result.grad_norm == pytest.approx(fsdp.grad_norm, rel=1e-3)

    from safetensors.torch import load_file

    before = load_file(start)
    assert before.keys() <= result.weights.keys()
    moved = 0
    for name, weight in before.items():
        got, wanted = result.weights[name] - weight, fsdp.weights[name] - weight
        moved += bool(wanted.any())
        assert torch.allclose(got, wanted, atol=1e-3 * float(wanted.abs().max()) + 1e-9), name
    assert moved > 0.9 * len(before)


@pytest.mark.parametrize("group", [None, 6])
def test_micro_batches_of_a_virtual_pipeline_come_in_groups_of_its_stages(group):
    """verl asserts that a rank's number of micro-batches is a multiple of what Megatron sets here."""
    from megatron.core.transformer import TransformerConfig

    parallel = {"pipeline_model_parallel_size": 4, "virtual_pipeline_model_parallel_size": 2}
    override = {} if group is None else {"microbatch_group_size_per_vp_stage": group}
    role = OmegaConf.create({"strategy": "megatron", "megatron": {**parallel, "override_transformer_config": override}})
    shape = {"num_layers": 8, "hidden_size": 8, "num_attention_heads": 1, "pipeline_dtype": torch.float32}
    config = TransformerConfig(**shape, **parallel, **override)
    assert micro_batch_multiple(role) == config.microbatch_group_size_per_vp_stage == (group or 4)
