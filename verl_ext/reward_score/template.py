# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Render chats as the rollout does, and check that a chat template tells a tool's text from the model's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

CLOSING = "</tool_response>"
OPTION = "actor_rollout_ref.model.custom_chat_template"

_RESULT = "What the tool returned."
_CALL = {"name": "look", "arguments": {"place": "left"}}
_PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
_TOOL = {"name": "look", "description": "Look at a place.", "parameters": _PARAMETERS}


class TemplateError(ValueError):
    """Raised at start if the chat template does not tell tool messages from the model's."""


class ChatTemplate:
    """Render with a processor's template if there is one, as verl does, otherwise with the tokenizer's.

    Args:
        tokenizer: a Hugging Face tokenizer.
        processor: the model's processor, or None for a language model.
        template: ``custom_chat_template``, or None.
        variables: variables of the template, such as ``enable_thinking``.
    """

    def __init__(self, tokenizer: Any, processor: Any = None, template: str | None = None, **variables: Any):
        self.tokenizer, self.processor, self._variables = tokenizer, processor, variables
        if template is None and processor is not None and not getattr(processor, "chat_template", None):
            template = tokenizer.chat_template
        self._template = template

    @classmethod
    def of(cls, config: DictConfig, *, download: bool) -> ChatTemplate | None:
        """Load the template of a run.

        Args:
            config: the whole configuration.
            download: whether a model that is not on this machine is downloaded. If not, the result is None.
        """
        from verl.utils import hf_processor, hf_tokenizer
        from verl.utils.fs import copy_to_local

        model = OmegaConf.select(config, "actor_rollout_ref.model")
        path = model and (model.get("tokenizer_path") or model.get("path"))
        if not path or not (download or (Path(str(path)).expanduser() / "tokenizer_config.json").is_file()):
            return None
        local = copy_to_local(str(path), use_shm=model.get("use_shm", False))
        trust = model.get("trust_remote_code", False)
        variables = OmegaConf.to_container(
            OmegaConf.select(config, "data.apply_chat_template_kwargs") or OmegaConf.create({}), resolve=True
        )
        return cls(
            hf_tokenizer(local, trust_remote_code=trust),
            hf_processor(local, trust_remote_code=trust),
            model.get("custom_chat_template"),
            **variables,
        )

    def render(self, messages: list[dict[str, Any]], **variables: Any) -> str:
        """Return the prompt of a chat, up to where the model continues."""
        return (self.processor or self.tokenizer).apply_chat_template(
            messages,
            chat_template=self._template,
            add_generation_prompt=True,
            tokenize=False,
            **{**self._variables, **variables},
        )

    def decoded(self, text: str) -> str:
        """Return a text as the reward receives it, without special tokens."""
        return self.tokenizer.decode(self.tokenizer.encode(text, add_special_tokens=False), skip_special_tokens=True)

    def closes_tool_messages(self) -> bool:
        """Return whether every tool message ends with ``</tool_response>`` in what the reward receives."""
        contents: list[Any] = [_RESULT]
        if self.processor is not None:
            contents.append([{"type": "image"}, {"type": "text", "text": _RESULT}])
        return all(self._closes(content, several) for content in contents for several in (1, 2))

    def _closes(self, content: Any, several: int) -> bool:
        call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": _CALL}] * several}
        chat = [{"role": "user", "content": "Look."}, call, *[{"role": "tool", "content": content}] * several]
        try:
            text = self.decoded(self.render(chat, tools=[{"type": "function", "function": _TOOL}]))
        except Exception:  # A template is a program, and may fail in any way at messages that it does not know.
            return False
        _, *behind = text.split(_RESULT)
        return len(behind) == several and all(CLOSING in part for part in behind)


def template_problems(config: DictConfig, *, download: bool = False) -> Iterator[str]:
    """Yield why the reward could not tell tool messages from the model's, if rollouts call tools.

    Args:
        config: the whole configuration.
        download: see ``ChatTemplate.of``.
    """
    if not OmegaConf.select(config, "actor_rollout_ref.rollout.multi_turn.enable"):
        return
    template = ChatTemplate.of(config, download=download)
    if template is not None and not template.closes_tool_messages():
        path, custom = config.actor_rollout_ref.model.path, OmegaConf.select(config, OPTION)
        yield (
            f"{OPTION}: {'this template' if custom else f'the chat template of {path}'} does not end a tool message "
            f"with {CLOSING} in the decoded response, so what a tool returns could not be told from what the model "
            f"writes; set {OPTION} to a template that writes a tool message as <tool_response>...{CLOSING}, as "
            "Qwen3-VL's does (the tags must not be special tokens)"
        )
