# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What the recipe must know of tools and rewards, registered from outside instead of imported.

A plugin is a module that ``axpo.plugins`` names. Every process of a run imports it before anything else, and the module
calls the functions below. Without plugins the recipe runs with verl's own tools and rewards.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from ray.exceptions import RayError

# The attribute of verl's ``AgentData`` under which stateful tools keep the calls of a trajectory. A continuation starts
# with the calls of its prefix, and a tool replays them to restore its state.
PAST_CALLS = "past_tool_calls"

Files = Sequence[tuple[str, Path]]  # (option, local parquet file)


def _no_metrics(calls: Iterable[Any], prefix: str) -> dict[str, float]:
    return {}


_infrastructure_errors: list[type[BaseException]] = [OSError, TimeoutError, MemoryError, RayError]
_config_checks: list[Callable[[DictConfig, Files], Iterator[str]]] = []
_config_defaults: list[Callable[[DictConfig], None]] = []
_drain: Callable[[], list] = list
_summarise: Callable[[Iterable[Any], str], dict[str, float]] = _no_metrics


class PluginError(ValueError):
    """Raised if a plugin cannot be imported; the message names the option and the fix."""


def load_plugins(config: DictConfig) -> None:
    """Import the modules that ``axpo.plugins`` names, in this process.

    Raises:
        PluginError: a module is missing or fails.
    """
    for name in OmegaConf.select(config, "axpo.plugins", default=None) or ():
        try:
            importlib.import_module(name)
        except Exception as error:
            raise PluginError(
                f"axpo.plugins names {name!r}, which cannot be imported ({type(error).__name__}: {error}); put its "
                "package on PYTHONPATH or leave it out (axpo.plugins=[] runs with verl's own tools and rewards)"
            ) from error


def register_infrastructure_errors(*errors: type[BaseException]) -> None:
    """Add exceptions that a tool raises when it fails itself: the rollout is left out, never scored as wrong.

    verl shows the text of any other exception to the model and goes on.
    """
    _infrastructure_errors.extend(error for error in errors if error not in _infrastructure_errors)


def register_tool_calls(drain: Callable[[], list], summarise: Callable[[Iterable[Any], str], dict[str, float]]) -> None:
    """Set where records of tool calls come from, and what makes metrics of them.

    Args:
        drain: returns this process's records since the last time; the recipe passes them on as they are.
        summarise: (records, prefix of the metrics' names) -> metrics.
    """
    global _drain, _summarise
    _drain, _summarise = drain, summarise


def register_config_check(check: Callable[[DictConfig, Files], Iterator[str]]) -> None:
    """Add a check of the whole configuration and its data, which yields what is wrong. It runs before Ray starts."""
    if check not in _config_checks:
        _config_checks.append(check)


def register_config_default(resolve: Callable[[DictConfig], None]) -> None:
    """Add a function that completes the configuration in place, once the model's files are at hand."""
    if resolve not in _config_defaults:
        _config_defaults.append(resolve)


def infrastructure_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions that mean that a tool itself has failed."""
    return tuple(_infrastructure_errors)


def drain_tool_calls() -> list:
    """Return this process's records of tool calls since the last time."""
    return _drain()


def summarise_tool_calls(calls: Iterable[Any], prefix: str = "tools") -> dict[str, float]:
    """Make metrics of records of tool calls."""
    return _summarise(calls, prefix)


def config_problems(config: DictConfig, files: Files) -> Iterator[str]:
    """Yield what the plugins find wrong with a configuration and its files."""
    for check in _config_checks:
        yield from check(config, files)


def resolve_config(config: DictConfig) -> None:
    """Have the plugins complete a configuration."""
    for resolve in _config_defaults:
        resolve(config)


def past_calls(agent_data: Any) -> list:
    """Return the calls that a trajectory has made; a list to read or to fill."""
    return vars(agent_data).setdefault(PAST_CALLS, [])
