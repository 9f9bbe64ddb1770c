# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check the files of supervised fine-tuning before the run. verl would stop at the first bad row, maybe after hours."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from PIL import Image

ROWS = 1024  # of a file that are read; whole row groups, spread over the file
ROLES = ("system", "user", "assistant", "tool")
PLACEHOLDER = "<image>"
MESSAGE_TOKENS = 5  # of a message's role and borders, in Qwen's templates
PIXELS_OF_A_TOKEN = (16 * 2) ** 2  # Qwen3-VL's patches, merged two by two
WRITE = "write it with python -m data_prep sft-openai or sft-mini-o3 (data_prep/README.md)"


def sft_data_problems(config: DictConfig, model: str) -> Iterator[str]:
    """Yield what is wrong with the files of an SFT configuration, one line for each kind of mistake of a file.

    Args:
        config: the configuration of ``verl.trainer.sft_trainer``.
        model: directory of the model. Without its ``tokenizer.json`` only images count towards the lengths.
    """
    tokenizer = _tokenizer(model)
    for option in ("train_files", "val_files"):
        files = config.data.get(option)
        for file in files if OmegaConf.is_list(files) else [files] * (files is not None):
            if "://" in str(file):
                continue  # verl downloads it
            path = Path(str(file)).expanduser()
            for problem in _file_problems(path, config.data, tokenizer):
                yield f"data.{option}: {path}: {problem}"


def _tokenizer(model: str) -> Any:
    from tokenizers import Tokenizer

    path = Path(model).expanduser() / "tokenizer.json"
    return Tokenizer.from_file(str(path)) if path.exists() else None


def _file_problems(path: Path, data: DictConfig, tokenizer: Any) -> Iterator[str]:
    if not path.exists():
        yield f"does not exist; {WRITE}"
        return
    try:
        parquet = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        yield f"is no parquet file ({' '.join(str(error).split())[:80]}); {WRITE}"
        return
    names = parquet.schema_arrow.names
    if data.messages_key not in names:
        yield f"has no column {data.messages_key!r}, only {', '.join(names)}; {WRITE}, or name it: data.messages_key="
        return
    if not parquet.metadata.num_rows:
        yield f"has no row; {WRITE}"
        return
    columns = {name: key for name, key in _columns(data).items() if key in names}
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    read, longest = 0, (0, 0)
    for number, row in _rows(parquet, list(columns.values())):
        read += 1
        row = {name: row[key] for name, key in columns.items()}
        for kind, detail in _row_problems(row):
            counts[kind] = counts.get(kind, 0) + 1
            first.setdefault(kind, f"row {number}: {detail}")
        longest = max(longest, (_tokens(row, tokenizer), number))
    for kind, detail in first.items():
        yield f"{counts[kind]} of {read} rows {kind} ({detail}); correct them, or {WRITE}"
    if longest[0] > data.max_length and data.truncation == "error":
        yield (
            f"row {longest[1]} has about {longest[0]:,} tokens, data.max_length is {data.max_length:,}, and verl stops "
            "at such a row (data.truncation=error): raise data.max_length, with max_token_len_per_gpu, or leave it out"
        )


def _columns(data: DictConfig) -> dict[str, str]:
    return {
        "messages": data.messages_key,
        "images": data.get("image_key", "images"),
        "tools": data.get("tools_key", "tools"),
    }


def _rows(parquet: pq.ParquetFile, columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number, row) of about ``ROWS`` rows."""
    groups = parquet.num_row_groups
    sizes = [parquet.metadata.row_group(group).num_rows for group in range(groups)]
    step = max(1, -(-sum(sizes) // ROWS))
    for group in range(0, groups, step):
        rows = (row for batch in parquet.iter_batches(64, [group], columns) for row in batch.to_pylist())
        for number, row in zip(range(min(sizes[group], ROWS)), rows, strict=False):
            yield sum(sizes[:group]) + number, row


def _row_problems(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (kind of mistake, detail) of a row."""
    messages, images = row["messages"], row.get("images") or []
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        yield "hold no list of messages", f"{messages!r:.60}"
        return
    for number, message in enumerate(messages):
        if message.get("role") not in ROLES:
            yield f"have a role other than {', '.join(ROLES)}", f"message {number} has {message.get('role')!r}"
        if not isinstance(message.get("content"), str):
            yield "have a content that is no text", f"message {number} has {type(message.get('content')).__name__}"
    if not any(message.get("role") == "assistant" for message in messages):
        yield "have no assistant message, so that nothing is learnt", f"{len(messages)} messages"
    slots = sum(str(message.get("content")).count(PLACEHOLDER) for message in messages)
    if slots != len(images):
        yield f"have other numbers of {PLACEHOLDER} and images", f"{slots} and {len(images)}"
    for number, image in enumerate(images):
        if _pixels(image) is None:
            yield "have an image that cannot be read", f"image {number}"
    try:
        known = _tool_names(row.get("tools"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield "have tools that are no list of schemas", f"{type(error).__name__}: {error}"
        return
    if missing := sorted(set(_called(messages)) - known):
        yield (
            "call a tool that their prompt does not list",
            f"{missing[0]!r}; listed: {', '.join(sorted(known)) or '-'}",
        )


def _tool_names(tools: Any) -> set[str]:
    tools = json.loads(tools) if isinstance(tools, str) else tools
    return {tool["function"]["name"] for tool in tools or ()}


def _called(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        for call in message.get("tool_calls") or ():
            yield (call.get("function") or {}).get("name") or "?"
        if message.get("role") == "assistant":
            for text in re.findall(r"<tool_call>(.*?)</tool_call>", str(message.get("content")), re.DOTALL):
                try:
                    yield str(json.loads(text)["name"])
                except (ValueError, TypeError, KeyError):
                    continue  # rows may show the model calls that fail


def _pixels(image: Any) -> int | None:
    """Return the pixels of an image, from its header; None if it cannot be read."""
    content = image.get("bytes") if isinstance(image, dict) else None
    path = str((image.get("path") or image.get("image") or "") if isinstance(image, dict) else image)
    try:
        with Image.open(io.BytesIO(content) if content else path.removeprefix("file://")) as opened:
            return opened.width * opened.height
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _tokens(row: dict[str, Any], tokenizer: Any) -> int:
    """Return about how many tokens a row has."""
    messages = row["messages"] if isinstance(row["messages"], list) else []
    count = sum((_pixels(image) or 0) // PIXELS_OF_A_TOKEN for image in row.get("images") or ())
    if tokenizer is None:
        return count
    texts = [text for message in messages if isinstance(text := message.get("content"), str)]
    texts += [json.dumps(message["tool_calls"]) for message in messages if message.get("tool_calls")]
    texts += [json.dumps(row["tools"])] if row.get("tools") else []
    return count + sum(len(one.ids) + MESSAGE_TOKENS for one in tokenizer.encode_batch(texts))
