# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Read from the chat template whether the model always thinks first: the reward's option ``thinking: auto``."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf

logger = logging.getLogger(__name__)

OPTION = "reward.custom_reward_function.reward_kwargs.thinking"


def template_opens_thinking(tokenizer: Any, template: str | None = None, **kwargs: Any) -> bool:
    """Return whether the generation prompt ends with ``<think>``. A turn without ``</think>`` is then unfinished.

    Args:
        tokenizer: a Hugging Face tokenizer.
        template: replaces the tokenizer's own chat template.
        kwargs: variables of the template, such as ``enable_thinking``.
    """
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello."}],
        chat_template=template,
        add_generation_prompt=True,
        tokenize=False,
        **kwargs,
    )
    return prompt.rstrip().endswith("<think>")


def resolve_thinking(config: DictConfig) -> None:
    """Replace ``auto`` by ``required`` in ``config`` if the template opens a thought.

    Otherwise a first turn that is cut off in its thoughts looks like an answer, and its last words are scored.
    """
    from verl.utils import hf_tokenizer
    from verl.utils.fs import copy_to_local

    if OmegaConf.select(config, OPTION) != "auto":
        return
    model = config.actor_rollout_ref.model
    path = copy_to_local(model.get("tokenizer_path") or model.path, use_shm=model.get("use_shm", False))
    tokenizer = hf_tokenizer(path, trust_remote_code=model.get("trust_remote_code", False))
    kwargs = OmegaConf.to_container(config.data.get("apply_chat_template_kwargs") or OmegaConf.create({}), resolve=True)
    if not template_opens_thinking(tokenizer, model.get("custom_chat_template"), **kwargs):
        return
    closing = tokenizer.decode(tokenizer.encode("</think>", add_special_tokens=False), skip_special_tokens=True)
    if "</think>" not in closing:
        # The reward's text would not show where a thought ends.
        logger.warning("%s stays auto: decoding removes </think>, thoughts cannot be told from answers", OPTION)
        return
    OmegaConf.update(config, OPTION, "required")
    print(f"{OPTION}=required: the chat template opens <think>, so a turn without </think> has no answer")
