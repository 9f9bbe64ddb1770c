# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check before a run starts that every row of its data can be scored."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_ext.reward_score.defaults import DEFAULTS, EMBEDDED, PREFIX, has_defaults
from verl_ext.reward_score.judge import JudgeOptions, read_options
from verl_ext.reward_score.row import RowError, is_scored, read_row
from verl_ext.reward_score.scorer import OPTIONS, Scorer
from verl_ext.reward_score.template import TemplateError, template_problems

Files = Sequence[tuple[str, Path]]
REWARD = "pkg://verl_ext.reward_score.reward"


def scoring_problems(config: DictConfig, files: Files) -> Iterator[str]:
    """Check the reward's options, and find rows that it cannot score.

    Args:
        config: the whole configuration.
        files: (option, path) of every local parquet file.
    """
    function = config.reward.get("custom_reward_function") or {}
    if function.get("path") not in (None, REWARD):
        return  # another reward function has its own rules
    by_model = OmegaConf.select(config, "reward.reward_model.enable") and function.get("path") is None
    if by_model or OmegaConf.select(config, "reward.reward_manager.source") == "importlib":
        return  # a reward model or another manager does not read verl's table of data sources
    yield from _source_problems(config, files, own_reward=function.get("path") == REWARD)
    if function.get("path") is None:
        return
    kwargs = OmegaConf.to_container(function.get("reward_kwargs") or OmegaConf.create({}), resolve=True)
    if unknown := sorted(set(kwargs) - {"judge", "thinking"}):
        yield f"{OPTIONS}.{unknown[0]} is no option of {REWARD}; there are judge, thinking"
    try:
        judge = read_options(kwargs.get("judge"))
        Scorer(judge, kwargs.get("thinking", "auto"))
    except ValueError as error:
        yield f"{OPTIONS}: {error}"
        return
    yield from template_problems(config)
    yield from _truth_problems(files, judge)


def refuse_template(config: DictConfig) -> None:
    """Check the chat template again once the model's files are at hand.

    Raises:
        TemplateError: see ``template_problems``.
    """
    if OmegaConf.select(config, "reward.custom_reward_function.path") == REWARD:
        for problem in template_problems(config, download=True):
            raise TemplateError(problem)


def _source_problems(config: DictConfig, files: Files, own_reward: bool) -> Iterator[str]:
    """Find rows that no reward can score, and a threshold that does not separate rewards of 0 and 1."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for option, path in files:
        if "data_source" not in pq.read_schema(path).names:
            continue
        sources = pc.unique(pq.read_table(path, columns=["data_source"])["data_source"]).to_pylist()
        ours = {source for source in sources if own_reward and isinstance(source, str) and source.startswith(PREFIX)}
        ours -= _without_type(path, {source for source in ours if not has_defaults(source)})
        for source in sources:
            if source not in ours and not _verl_scores(source):
                names = ", ".join(f"{PREFIX}{name}" for name in DEFAULTS)
                yield (
                    f"data.{option}: rows of {path.name} have the data_source {source!r} and no type in "
                    f"extra_info.scoring: neither {REWARD} (if it is set) nor verl can score them, and the first "
                    f"reward would raise; name one of {EMBEDDED}*, {names} or of verl's, or {PREFIX}<name> with a "
                    "type in every row's extra_info.scoring (prepare the data again), or set "
                    "reward.custom_reward_function.path to a reward of your own"
                )
        if option != "train_files" or OmegaConf.select(config, "algorithm.adv_estimator") != "axpo":
            continue
        threshold = OmegaConf.select(config, "axpo.correct_threshold", default=1.0)
        if not 0 < threshold <= 1 and ours:
            yield (
                f"axpo.correct_threshold must be above 0 and at most 1, got {threshold}: rows of {path.name} are "
                f"rewarded 0 or 1, and {'every' if threshold <= 0 else 'no'} rollout would be correct"
            )


def _without_type(path: Path, sources: set[str]) -> set[str]:
    """Return which data sources have a row whose ``scoring`` names no type."""
    found: set[str] = set()
    for row in _rows(path, ("data_source", "extra_info")) if sources else ():
        # _truth_problems reports a scoring that cannot be read
        with contextlib.suppress(RowError):
            if row["data_source"] in sources - found and not is_scored(row["data_source"], row.get("extra_info")):
                found.add(row["data_source"])
    return found


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(path)
    there = [name for name in columns if name in parquet.schema_arrow.names]
    for batch in parquet.iter_batches(batch_size=1024, columns=there):
        yield from batch.to_pylist()


def _verl_scores(source: Any) -> bool:
    """Return whether verl's own table of rewards has this data source."""
    from verl.utils.reward_score import default_compute_score

    if not isinstance(source, str):
        return False
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # some scorers print what they cannot read
            default_compute_score(source, None, None)
    except NotImplementedError:
        return False
    except Exception:  # a scorer exists and cannot read a response of None
        return True
    return True


def _truth_problems(files: Files, judge: JudgeOptions) -> Iterator[str]:
    """Find the first row whose truth or scoring cannot be read, or that needs a judge where there is none."""
    import pyarrow.parquet as pq

    wanted = {"process_score": judge.process_score is not None, "send_image": judge.send_image}
    for option, path in files:
        if not {"data_source", "reward_model"} <= set(pq.read_schema(path).names):
            continue
        for row in _rows(path, ("data_source", "reward_model", "extra_info")):
            truth = (row["reward_model"] or {}).get("ground_truth")
            try:
                scored = read_row(row["data_source"], truth, row.get("extra_info"))
            except RowError as error:
                yield f"data.{option}: {path.name}: {error}"
                return
            if scored is None or scored.type != "judge":
                continue
            wanted["process_score"] &= scored.scoring.rubric is None
            wanted["send_image"] &= scored.scoring.judge_sees is None
            if not judge.enabled and judge.fallback is None:
                yield (
                    f"data.{option}: rows of {path.name} ({row['data_source']}) need a judge: set "
                    f"{OPTIONS}.judge.base_url and .model (any OpenAI-compatible API), or "
                    f"{OPTIONS}.judge.fallback=rules to compare by rules"
                )
                return
    for name, way in (("process_score", "process-score"), ("send_image", "judge-sees-image")):
        if files and wanted[name]:
            yield f"{OPTIONS}.judge.{name} is set, but no row asks for it; prepare the data again with --{way}"
