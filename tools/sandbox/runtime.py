# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Which files of this Python an interpreter needs: the standard library and the packages asked for, nothing else."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SITE = "/opt/site"  # where the packages appear in the jail

# distribution -> what to import before forking; sub-packages too, where they load late and are used often
MODULES = {
    "numpy": ("numpy", "numpy.linalg", "numpy.random", "numpy.fft"),
    "scipy": ("scipy", "scipy.optimize", "scipy.integrate", "scipy.linalg", "scipy.special", "scipy.stats"),
    "sympy": ("sympy",),
    "pandas": ("pandas",),
    "pillow": ("PIL.Image", "PIL.ImageDraw", "PIL.ImageFilter", "PIL.ImageOps", "PIL.ImageEnhance"),
    "matplotlib": ("matplotlib", "matplotlib.pyplot", "matplotlib.backends.backend_agg"),
}
STANDARD = (
    "math",
    "json",
    "re",
    "random",
    "itertools",
    "collections",
    "fractions",
    "decimal",
    "statistics",
    "datetime",
)


class PackageMissing(RuntimeError):
    """A package that the configuration wants in the jail is not installed here."""


@functools.cache
def package_files(packages: tuple[str, ...]) -> dict[str, Path]:
    """Entries of site-packages that the packages and what they require consist of: name in the jail -> path here.

    Raises:
        PackageMissing: names the package and how to install it.
    """
    entries: dict[str, Path] = {}
    todo, done = [canonicalize_name(name) for name in packages], set()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise PackageMissing(f"packages: {name} is not installed in this Python (pip install {name})") from error
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(canonicalize_name(requirement.name))
        for file in distribution.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not top.endswith(".pth"):
                entries[top] = Path(distribution.locate_file(top))
    return {name: path for name, path in sorted(entries.items()) if path.exists()}


def modules(packages: Iterable[str]) -> list[str]:
    """What the zygote imports."""
    found = list(STANDARD)
    for package in packages:
        found += MODULES.get(canonicalize_name(package), ())
    return found


def python_files() -> tuple[Path, list[Path]]:
    """The real interpreter behind this virtual environment, and what must be visible for it to start."""
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    prefix = Path(sys.base_prefix)
    paths = [executable]
    if prefix != Path("/usr"):  # the system's own is bound anyway
        paths.append(prefix / "lib")
        if (library := sysconfig.get_config_var("LIBDIR")) and Path(library).is_dir():
            paths.append(Path(library))
    return executable, list(dict.fromkeys(paths))


def hidden_site_packages() -> list[Path]:
    """Folders inside of the paths above that hold whatever else has been installed: an empty folder covers them."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.base_prefix) / "lib" / version / name for name in ("site-packages", "dist-packages")]
    candidates += [Path("/usr/lib/python3/dist-packages")]
    return [path for path in candidates if path.is_dir()]


def system_libraries() -> list[Path]:
    """Shared libraries of the system: no programs, no configuration."""
    wanted = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo")
    wanted += ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime", "/nix/store")
    return [Path(path) for path in wanted if os.path.exists(path)]
