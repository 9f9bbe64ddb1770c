# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read from the chat template whether the model always thinks first: the reward's option ``thinking: auto``."""

from __future__ import annotations

import logging

from omegaconf import DictConfig, OmegaConf

from verl_ext.reward_score.template import ChatTemplate

logger = logging.getLogger(__name__)

OPTION = "reward.custom_reward_function.reward_kwargs.thinking"


def template_opens_thinking(template: ChatTemplate) -> bool:
    """Return whether the generation prompt ends with ``<think>``. A turn without ``</think>`` is then unfinished."""
    return template.render([{"role": "user", "content": "Hello."}]).rstrip().endswith("<think>")


def resolve_thinking(config: DictConfig) -> None:
    """Replace ``auto`` by ``required`` in ``config`` if the template opens a thought.

    Otherwise a first turn that is cut off in its thoughts looks like an answer, and its last words are scored.
    """
    if OmegaConf.select(config, OPTION) != "auto":
        return
    template = ChatTemplate.of(config, download=True)
    if template is None or not template_opens_thinking(template):
        return
    if "</think>" not in template.decoded("</think>"):
        # The reward's text would not show where a thought ends.
        logger.warning("%s stays auto: decoding removes </think>, thoughts cannot be told from answers", OPTION)
        return
    OmegaConf.update(config, OPTION, "required")
    print(f"{OPTION}=required: the chat template opens <think>, so a turn without </think> has no answer")
