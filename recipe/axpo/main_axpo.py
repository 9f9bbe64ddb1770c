# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Entry point: ``python -m recipe.axpo.main_axpo algorithm.adv_estimator=axpo|grpo ...`` (Hydra: ``--help``)."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
import ray
from omegaconf import DictConfig, OmegaConf, open_dict
from recipe.axpo.config import ConfigError
from recipe.axpo.preflight import validate_axpo_config
from recipe.axpo.ray_classes import undecorated

from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.device import auto_set_device
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry, _load_sglang


def load_sglang_replica() -> type[RolloutReplica]:
    """Return the replica of ``rollout.name=sglang``; imports SGLang."""
    _load_sglang()  # stubs modules that SGLang imports and may not find
    from recipe.axpo.sglang_server import TokenExactSGLangReplica

    return TokenExactSGLangReplica


def load_entropy_replica() -> type[RolloutReplica]:
    """Return vLLM's replica for ``axpo.ranking=entropy``; imports vLLM."""
    from recipe.axpo.vllm_server import EntropyVLLMReplica

    return EntropyVLLMReplica


class AXPOTaskRunner(undecorated(TaskRunnerV1)):
    """verl's V1 task runner with the AXPO trainer."""

    def run(self, config: DictConfig):
        """Register the trainer and the servers in this process, complete the configuration, and train."""
        from recipe.axpo.plugins import load_plugins, resolve_config
        from recipe.axpo.trainer import TRAINER_NAME

        with open_dict(config):
            config.trainer.v1.trainer_mode = TRAINER_NAME
        RolloutReplicaRegistry.register("sglang", load_sglang_replica)
        if config.axpo.ranking == "entropy":
            RolloutReplicaRegistry.register("vllm", load_entropy_replica)
        load_plugins(config)
        resolve_config(config)
        super().run(config)


@hydra.main(config_path="config", config_name="axpo_trainer", version_base=None)
def main(config: DictConfig) -> None:
    """Validate the whole configuration, then train."""
    auto_set_device(config)
    try:
        validate_axpo_config(config)
    except ConfigError as error:
        sys.exit(f"configuration error: {error}")
    validate_config(config=config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    folder = Path(config.trainer.default_local_dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "config.yaml", resolve=True)  # for a reader of the run
    run_ppo(config, task_runner_class=ray.remote(num_cpus=1)(AXPOTaskRunner))


if __name__ == "__main__":
    main()
