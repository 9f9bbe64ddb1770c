# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Extend verl's SFT dataset for the chat template of Qwen3-VL-Thinking and for several tools.

    data.custom_cls.path=pkg://data_prep.sft.dataset data.custom_cls.name=ToolSFTDataset

verl renders each message alone and joins the pieces. Qwen's template drops the thoughts of a single assistant turn.
verl then stops with a mismatch, or trains turns without their thoughts if it is told to ignore the mismatch. This class
renders an assistant turn behind a question, where the template keeps the thoughts. verl still checks that the pieces
make the whole conversation. The class also reads the JSON of files that list several tools.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.tokenizer.chat_template import apply_chat_template

_QUESTION = {"role": "user", "content": [{"type": "text", "text": "?"}]}


class ToolSFTDataset(MultiTurnSFTDataset):
    """Keep thoughts under Qwen's own templates. Options and rows are those of ``MultiTurnSFTDataset``."""

    def _read_files_and_process(self) -> None:
        super()._read_files_and_process()
        if self.tools is not None:
            self.tools = [json.loads(tools) if isinstance(tools, str) else tools for tools in self.tools]

    def _process_single_message(
        self,
        index: int,
        message: dict[str, Any],
        full_message: list,
        tools: list[dict[str, Any]] | None = None,
        enable_thinking: bool | None = None,
    ):
        if message["role"] != "assistant":
            return super()._process_single_message(index, message, full_message, tools, enable_thinking)
        options = dict(self.apply_chat_template_kwargs)
        if enable_thinking is not None:
            options["enable_thinking"] = enable_thinking

        def ids(messages: list) -> torch.Tensor:
            rendered = apply_chat_template(
                self.processor if self.processor is not None else self.tokenizer,
                messages=messages,
                add_generation_prompt=False,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                **options,
            )
            return rendered["input_ids"][0]

        # Without a processor, contents are texts.
        question = _QUESTION if self.processor is not None else {"role": "user", "content": "?"}
        input_ids = ids([question, message])[len(ids([question])) :]
        loss_mask = torch.ones_like(input_ids)
        loss_mask[: len(self.generation_prompt)] = 0  # the engine writes the generation prompt
        return input_ids, loss_mask, torch.ones_like(input_ids), {}
