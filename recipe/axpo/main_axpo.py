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
"""Entry point: ``python -m recipe.axpo.main_axpo algorithm.adv_estimator=axpo|grpo ...`` (Hydra: ``--help``)."""

from __future__ import annotations

import sys

import hydra
import ray
from omegaconf import DictConfig, open_dict
from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.device import auto_set_device

from recipe.axpo.config import ConfigError, validate_axpo_config
from verl_ext.ray_classes import undecorated


class AXPOTaskRunner(undecorated(TaskRunnerV1)):
    """verl's V1 task runner with our trainer."""

    def run(self, config: DictConfig):
        from recipe.axpo.thinking import resolve_thinking
        from recipe.axpo.trainer import TRAINER_NAME  # registers the trainer in this process

        with open_dict(config):
            config.trainer.v1.trainer_mode = TRAINER_NAME
        resolve_thinking(config)
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
    run_ppo(config, task_runner_class=ray.remote(num_cpus=1)(AXPOTaskRunner))


if __name__ == "__main__":
    main()
