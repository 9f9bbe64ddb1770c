# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What plugins register, and the recipe alone: copied beside verl, with nothing else of this project."""

import os
import shutil
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from recipe.axpo import plugins
from recipe.axpo.config import AXPOConfig
from verl_ext import tool_calls
from verl_ext.cpu.env import REPO_ROOT

PURE = ("forks", "selection", "tree", "advantage", "trajectory", "metrics", "dump")


def config(*names):
    return OmegaConf.create({"axpo": {"plugins": list(names)}})


def test_the_default_registers_our_tools_and_rewards():
    plugins.load_plugins(config(*AXPOConfig().plugins))
    assert tool_calls.ToolInfrastructureError in plugins.infrastructure_errors()
    tool_calls.drain()
    tool_calls.record(tool_calls.CallRecord("zoom", None, 0.5))
    assert plugins.summarise_tool_calls(plugins.drain_tool_calls(), "val-tools")["val-tools/zoom/calls"] == 1.0


@pytest.mark.parametrize("value", [None, {}, {"axpo": {}}, {"axpo": {"plugins": None}}, {"axpo": {"plugins": []}}])
def test_no_plugins(value):
    plugins.load_plugins(OmegaConf.create(value or {}))


@pytest.mark.parametrize("name", ["no_such_module_here", "verl_ext.no_such_module"])
def test_a_plugin_that_is_missing(name):
    with pytest.raises(plugins.PluginError, match=rf"axpo.plugins names '{name}'.*axpo.plugins=\[\] runs with verl's"):
        plugins.load_plugins(config(name))


def test_tools_and_recipe_mean_the_same_past_calls():
    data = type("AgentData", (), {})()
    tool_calls.past_calls(data).append("a call")
    assert plugins.past_calls(data) == ["a call"] and plugins.past_calls(data) is tool_calls.past_calls(data)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The recipe's directory and its pure tests in an empty directory, and a way to run Python there."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(REPO_ROOT / "recipe" / "axpo", folder / "recipe" / "axpo", ignore=shutil.ignore_patterns("*.pyc"))
    (folder / "tests").mkdir()
    for name in PURE:
        shutil.copy(REPO_ROOT / "tests" / "recipe" / "axpo" / f"test_{name}.py", folder / "tests")

    # What verl needs to be imported on a machine without a GPU, and nothing else of this project.
    platform = tmp_path_factory.mktemp("platform")
    shutil.copytree(REPO_ROOT / "verl_ext" / "cpu", platform / "verl_ext" / "cpu")
    for name in ("__init__.py", "versions.py"):
        shutil.copy(REPO_ROOT / "verl_ext" / name, platform / "verl_ext")

    def run(*arguments):
        env = {**os.environ, "PYTHONPATH": f"{folder}:{platform / 'verl_ext' / 'cpu' / 'site'}:{platform}"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return run


def test_every_module_imports_alone(alone):
    code = (
        "import importlib.util, pathlib, sys\n"
        "for path in sorted(pathlib.Path('recipe/axpo').glob('*.py')):\n"
        # main_axpo imports it for SGLang alone
        "    if path.stem != 'sglang_server' or importlib.util.find_spec('sglang'):\n"
        "        importlib.import_module('recipe.axpo.' + path.stem)\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('tools', 'data_prep', 'run_scripts')])"
    )
    assert alone("-c", code).splitlines()[-1] == "[]"


def test_pure_tests_pass_alone(alone):
    out = alone("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests")
    assert " passed" in out and "failed" not in out


def test_the_configuration_composes_alone(alone):
    code = (
        "from hydra import compose, initialize_config_dir\n"
        "import pathlib\n"
        "with initialize_config_dir(str(pathlib.Path('recipe/axpo/config').resolve()), version_base=None):\n"
        "    config = compose('axpo_trainer', overrides=['axpo.plugins=[]'])\n"
        "from recipe.axpo.config import AXPOConfig\n"
        "print(AXPOConfig.from_config(config).continuations, config.algorithm.adv_estimator)"
    )
    assert alone("-c", code).splitlines()[-1] == "4 axpo"
