# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Texts the tiny model's tokenizer is trained on: every sentence of the embedded task and the tools' schemas."""

from __future__ import annotations

import json

from data_prep.embedded.rl import INSTRUCTION, TOOL_CONFIG
from data_prep.embedded.scene import ANSWERS, KINDS, QUESTIONS
from data_prep.embedded.sft import BEFORE_CALL, HINTS, READINGS, answer_tag, zoom_answer, zoom_call
from data_prep.tool_schemas import load_tool_schemas

FRAMING = (
    '\n\nsystem\nuser\nassistant\ntool\n<tools>\n</tools>\nTo call a tool: {"name": NAME, "arguments": ARGUMENTS}\n'
)


def tokenizer_corpus() -> list[str]:
    """Return sentences without the added tokens, which would otherwise be learnt as ordinary text."""
    texts = [FRAMING, *(json.dumps(schema) for schema in load_tool_schemas([TOOL_CONFIG]))]
    for kind in KINDS:
        texts += [f"{QUESTIONS[kind]} {INSTRUCTION}", BEFORE_CALL[kind]]
        for answer in ANSWERS[kind]:
            texts += [HINTS[kind].format(answer), READINGS[kind].format(answer), answer_tag(answer)]
    box = [0, 250, 500, 750]
    call = zoom_call(box).replace("<tool_call>", "").replace("</tool_call>", "")
    # repeated, so that common pieces of each sentence are merged into whole words
    return [*texts, call, zoom_answer(box)] * 4
