# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Answer one sample of a question with the agent loop of training, in a Ray actor."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import torch
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import get_processor_token_id

import recipe.axpo.agent_loop  # noqa: F401  registers the agent loop in the worker's process
from data_prep.abilities import IMAGE_TOOLS
from recipe.axpo.agent_loop import REWARD_KEYS, TRAJECTORY_KEY, RolloutInfrastructureError
from recipe.axpo.config import AXPOConfig
from recipe.axpo.deadline import within
from recipe.axpo.forks import read_response
from recipe.axpo.plugins import drain_tool_calls, load_plugins
from recipe.axpo.rollout import SEED_OPTION, validation_seed
from recipe.axpo.tags import ToolCallTags
from recipe.axpo.trajectory import ExecutedCall
from recipe.axpo.tree import check_images
from run_scripts.evaluation.endpoint import EXACT, EndpointClient
from run_scripts.evaluation.questions import question_id, row_meta
from run_scripts.evaluation.record import INFRASTRUCTURE, Call, Sample, Segment, save_images

ERROR_CHARS = 500


class EvaluationWorker(AgentLoopWorker):
    """verl's agent-loop worker, asked for one sample at a time.

    A row goes through the same classes as a validation row of a training run: verl's data set, the agent loop that the
    row names, the tools, the reward worker.

    Args:
        config: the whole configuration.
        llm_client: verl's client of its servers, or an ``EndpointClient``.
        teacher_client: None.
        reward_loop_worker_handles: verl's reward workers.
        directory: of the evaluation.
        files: benchmark -> its parquet files.
        added_tools: offered to each row beside its own, those that need an image only to rows with one.
    """

    def __init__(
        self,
        config: Any,
        llm_client: Any,
        teacher_client: Any = None,
        reward_loop_worker_handles: list | None = None,
        *,
        directory: Path = Path(),
        files: Mapping[str, Sequence[Path]] = MappingProxyType({}),
        added_tools: Sequence[str] = (),
    ):
        super().__init__(config, llm_client, teacher_client, reward_loop_worker_handles)
        load_plugins(config)
        self.axpo = AXPOConfig.from_config(config)
        self.tags = ToolCallTags.from_tokenizer(self.tokenizer)
        self.image_token_id = get_processor_token_id(self.processor, "image") if self.processor else None
        self._directory, self._files, self._added_tools = directory, files, tuple(added_tools)
        self._data: dict[str, RLHFDataset] = {}

    async def sample(self, benchmark: str, row: int, number: int) -> Sample:
        """Answer a question once.

        Args:
            benchmark: key of ``files``.
            row: place of the question in the files.
            number: of the sample.

        Returns:
            The sample. Its status says whether it could be finished; nothing is raised.
        """
        started, known = time.monotonic(), {"question": f"row {row}", "seed": 0}
        exact: list[bool] = []
        EXACT.set(exact)  # seen by this sample's own task alone
        try:
            prompt = await asyncio.to_thread(self._prompt, benchmark, row)
            seed = validation_seed(self.axpo.seed, prompt, number)
            known = {"question": question_id(prompt["extra_info"]), "seed": seed}
            run = self._run_agent_loop(
                self._sampling_params(seed),
                {"step": -1, "sample_index": row, "rollout_n": number, "validate": True},
                trace=False,
                session_id=number,
                uid=uuid4().hex,
                global_steps=-1,
                **prompt,
            )
            what = f"sample {number} of question {known['question']}"
            values = await within(self.axpo.session_timeout_s, run, what, "axpo.session_timeout_s")
            if exact:
                values["details"]["prompt_exact"] = all(exact)
        except Exception as error:
            reason = " ".join(str(error).split())[-ERROR_CHARS:]
            values = {"status": INFRASTRUCTURE, "error": f"{type(error).__name__}: {reason}"}
        drain_tool_calls()  # the trajectory has them
        seconds = round(time.monotonic() - started, 3)
        return Sample(benchmark=benchmark, sample=number, seconds=seconds, **known, **values)

    def _sampling_params(self, seed: int) -> dict[str, Any]:
        """Return what a validation sample is drawn with."""
        rollout = self.config.actor_rollout_ref.rollout
        return {
            "temperature": rollout.val_kwargs.temperature,
            "top_p": rollout.val_kwargs.top_p,
            "top_k": rollout.val_kwargs.top_k,
            "repetition_penalty": 1.0,
            "logprobs": rollout.calculate_log_probs,
            "seed" if isinstance(self.llm_client, EndpointClient) else SEED_OPTION.get(rollout.name, "seed"): seed,
        }

    def _prompt(self, benchmark: str, row: int) -> dict[str, Any]:
        """Read a row as the trainer's validation does."""
        if benchmark not in self._data:
            files = [str(file) for file in self._files[benchmark]]
            self._data[benchmark] = RLHFDataset(files, self.tokenizer, self.config.data, self.processor)
        prompt = self._data[benchmark][row]
        prompt.pop("dummy_tensor", None)
        prompt.setdefault("agent_name", self.rollout_config.agent.default_agent_loop)
        if self._added_tools and (selection := prompt["extra_info"].get("tool_selection")):
            pictures = any(isinstance(message["content"], list) for message in prompt["raw_prompt"])
            added = [name for name in self._added_tools if pictures or name not in IMAGE_TOOLS]
            prompt["extra_info"]["tool_selection"] = list(dict.fromkeys([*selection, *added]))
        return prompt

    async def _agent_loop_postprocess(self, output: Any, validate: bool, **kwargs: Any) -> dict[str, Any]:
        """Score a trajectory. Return the fields of its sample."""
        trajectory = output.extra_fields.pop(TRAJECTORY_KEY)
        if self.image_token_id is not None:
            check_images(output, self.image_token_id)
        await self._compute_score([output], kwargs=kwargs)
        for key in REWARD_KEYS:
            output.extra_fields.pop(key, None)
        score = output.reward_score
        if score is None or not math.isfinite(score):
            raise RolloutInfrastructureError(f"the reward is {score}: a finite one is needed")
        read = read_response(
            output.response_ids, output.response_mask, None, **self.tags.ids, executed_calls=trajectory.executed_calls
        )
        segments = await asyncio.to_thread(self._segments, output)
        shown = sum(segment.text.count("<|image_pad|>") for segment in segments)
        images = ((output.multi_modal_data or {}).get("images") or [])[:shown]
        details = {key: _plain(value) for key, value in output.extra_fields.get("reward_extra_info", {}).items()}
        return {
            "segments": segments,
            "images": await asyncio.to_thread(save_images, self._directory, images),
            "calls": tuple(_call(call, self.tools) for call in trajectory.calls),
            "used_tool": read.acted,
            "ground_truth": kwargs["reward_model"]["ground_truth"],
            "answer": details.get("extracted") or None,
            "score": float(score),
            "details": details,
            "meta": row_meta(kwargs["extra_info"]),
            "turns": sum(1 for by, _ in itertools.groupby(output.response_mask) if by),
            "generated_tokens": sum(output.response_mask),
            "truncated": len(output.response_ids) >= self.rollout_config.response_length,
        }

    def _segments(self, output: Any) -> tuple[Segment, ...]:
        runs = [("prompt", list(output.prompt_ids))]
        marked = zip(output.response_mask, output.response_ids, strict=True)
        for generated, run in itertools.groupby(marked, key=lambda pair: bool(pair[0])):
            runs.append(("model" if generated else "tool", [token for _, token in run]))
        return tuple(Segment(by, self._text(ids), len(ids)) for by, ids in runs)

    def _text(self, ids: list[int]) -> str:
        kept = [
            token
            for i, token in enumerate(ids)
            if token != self.image_token_id or i == 0 or ids[i - 1] != self.image_token_id
        ]
        return self.tokenizer.decode(kept, skip_special_tokens=False)

    # The reward reads text. Image features, which take up to half a second each, would only be thrown away.

    def _compute_multi_modal_inputs(self, output: Any, input_ids: Any) -> dict[str, Any]:
        return {}

    def _compute_position_ids(self, input_ids: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        return torch.arange(input_ids.shape[-1]).unsqueeze(0)

    async def alive(self) -> int:
        """Return this process's id, once its libraries are loaded."""
        return os.getpid()


def _call(call: ExecutedCall, tools: Any) -> Call:
    """Describe an executed call. verl answers in the place of a tool that is not there or raises an error."""
    known = {tool.name for tool in tools}
    kind = None
    if call.name not in known:
        kind = "unknown_tool"
    elif call.figures.get("ok") is False:
        kind = str(call.figures.get("error") or "other")
    elif not call.figures and call.text.startswith(
        (f"Error executing tool '{call.name}'", "Invalid JSON in arguments")
    ):
        kind = "error"
    try:
        arguments = json.loads(call.arguments)
    except (TypeError, ValueError):
        arguments = call.arguments
    return Call(call.name, arguments, kind is None, kind, round(call.seconds, 3))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
