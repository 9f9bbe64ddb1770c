# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Token ids of the tags that forks are found by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ToolCallTags:
    """Hold the ids of a chat template's tags in one tokenizer; None where the tokenizer has no such single token."""

    open_id: int
    close_id: int
    think_open_id: int | None
    think_close_id: int | None

    @classmethod
    def from_tokenizer(cls, tokenizer, open_tag: str = "<tool_call>", close_tag: str = "</tool_call>") -> ToolCallTags:
        """Look the tags up.

        Raises:
            ValueError: if the tool-call tags are not single tokens of this tokenizer: a fork lies behind one.
        """

        def single(tag: str) -> int | None:
            token_id = tokenizer.convert_tokens_to_ids(tag)
            if not isinstance(token_id, int) or token_id == tokenizer.unk_token_id:
                return None
            return token_id

        open_id, close_id = single(open_tag), single(close_tag)
        for tag, token_id in ((open_tag, open_id), (close_tag, close_id)):
            if token_id is None:
                raise ValueError(
                    f"{tag!r} is no single token of the tokenizer {tokenizer.name_or_path!r}; AXPO forks behind it: "
                    "use a model whose chat template has Qwen's tool-call tokens"
                )
        return cls(open_id, close_id, single("<think>"), single("</think>"))

    @property
    def ids(self) -> dict[str, int | None]:
        """Return the keyword arguments of the functions in ``forks``."""
        return {
            "open_id": self.open_id,
            "close_id": self.close_id,
            "think_open_id": self.think_open_id,
            "think_close_id": self.think_close_id,
        }
