# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Check what holds for the repository as a whole: versions, licence lines, commands of the README."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from recipe.axpo.preflight import SGLANG, SGLANG_FIX

REPO_ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("recipe", "verl_ext", "tools", "data_prep", "run_scripts")
PROJECT = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((REPO_ROOT / folder).rglob("*.py"))


def test_recipe_is_a_namespace_package():
    assert not (REPO_ROOT / "recipe" / "__init__.py").exists(), "it would hide every other recipe on the path"


def versions(lines: list[str]) -> dict[str, str]:
    """Return the version specifier by distribution; a later line overrides an earlier one of the same distribution."""
    found = (Requirement(text) for line in lines if (text := line.partition("#")[0].strip()))
    specifiers = {canonicalize_name(requirement.name): str(requirement.specifier) for requirement in found}
    return {name: specifier for name, specifier in specifiers.items() if name != PROJECT["name"]}


def requirements(name: str) -> dict[str, str]:
    return versions((REPO_ROOT / name).read_text().splitlines())


def test_versions_agree_on_gpus():
    declared = versions([*PROJECT["dependencies"], *EXTRAS["tools"], *EXTRAS["vllm"]])
    assert declared == requirements("requirements.txt")
    sglang = "\n".join(f"# {requirement}" for requirement in EXTRAS["sglang"])
    assert f"# or, instead of the line above:\n{sglang}\n" in (REPO_ROOT / "requirements.txt").read_text()


def test_version_of_sglang_is_one_that_is_accepted():
    text = (REPO_ROOT / "run_scripts/install_sglang_cpu.sh").read_text()
    version = versions(EXTRAS["sglang"])["sglang"].removeprefix("==")
    assert Version(version) in SGLANG and f"sglang=={version}" in SGLANG_FIX and f" sglang=={version} " in text


def test_versions_agree_on_a_cpu():
    declared = versions([*PROJECT["dependencies"], *EXTRAS["tools"], *EXTRAS["cpu"], *EXTRAS["dev"]])
    assert declared == requirements("run_scripts/requirements-cpu.txt")


def test_required_verl_is_the_installed_one():
    lines = (REPO_ROOT / "recipe/axpo/REQUIRED_VERL.txt").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert {"UPSTREAM", "MODE", "TAG", "COMMIT", "PIP_INSTALL", "NOTES"} <= fields.keys()
    version = versions(PROJECT["dependencies"])["verl"]
    assert fields["PIP_INSTALL"] == f"pip install verl{version}" and fields["TAG"] == version.replace("==", "v")


def test_licence_is_there():
    text = (REPO_ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text and PROJECT["license"] == "Apache-2.0"


def test_every_file_names_its_licence():
    def has_both_lines(file: Path) -> bool:
        text = file.read_text()
        first, second, *_ = [*text.split("\n"), ""]
        return not text or first.startswith("# Copyright 20") and second == "# SPDX-License-Identifier: Apache-2.0"

    without = [
        str(file.relative_to(REPO_ROOT)) for file in python_files(*PACKAGES, "tests") if not has_both_lines(file)
    ]
    assert not without, "\n".join(without)


PAGES = ["README.md", "CONTRIBUTING.md", *(f"{name}/README.md" for name in ("tools", "data_prep", "run_scripts"))]


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_pages_name_files_that_exist(page):
    blocks = re.findall(r"^```bash\n(.*?)^```", (REPO_ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    words = [word for block in blocks for line in block.split("\n") for word in line.partition(" #")[0].split()]
    paths = {word.split("=")[-1] for word in words}
    paths = {path for path in paths if path.startswith(tuple(f"{name}/" for name in (*PACKAGES, "tests")))}
    paths |= {word for word in words if re.fullmatch(r"requirements[\w-]*\.txt", word)}
    modules = {word.rstrip(')"') for before, word in zip(words, words[1:], strict=False) if before == "-m"}
    modules = {name for name in modules if name.split(".")[0] in PACKAGES}
    missing = {path for path in paths if not (REPO_ROOT / path).exists()}
    for name in modules:
        file = REPO_ROOT / name.replace(".", "/")
        if not (file.with_suffix(".py").exists() or (file / "__main__.py").exists()):
            missing.add(f"python -m {name}")
    assert blocks and not missing, sorted(missing)


def test_entry_points_name_modules_that_exist():
    for module in PROJECT["entry-points"]["verl.plugins"].values():
        assert importlib.util.find_spec(module) is not None


@pytest.mark.stack
def test_plugin_fixes_position_ids_without_importing_the_engines():
    code = """
import sys, torch, verl, verl_ext.verl_plugin
from tensordict import TensorDict
from verl.utils import tensordict_utils
assert "verl.workers.engine_workers" not in sys.modules
tensordict_utils.maybe_fix_3d_position_ids(TensorDict({}, batch_size=[]))
import verl.workers.engine_workers, verl_ext.position_ids as fix
assert verl.workers.engine_workers.maybe_fix_3d_position_ids is fix.fix_3d_position_ids
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO_ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
