# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""List the files of this Python that an interpreter needs: the standard library and the requested packages."""

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

SITE = "/opt/site"  # The packages appear here in the jail.

# distribution -> modules to import before forking. It names sub-packages that load late and are used often.
MODULES = {
    "numpy": ("numpy", "numpy.linalg", "numpy.random", "numpy.fft"),
    "scipy": ("scipy", "scipy.optimize", "scipy.integrate", "scipy.linalg", "scipy.special", "scipy.stats"),
    "sympy": ("sympy",),
    "pandas": ("pandas",),
    "pillow": ("PIL.Image", "PIL.ImageDraw", "PIL.ImageFilter", "PIL.ImageOps", "PIL.ImageEnhance"),
    "matplotlib": ("matplotlib", "matplotlib.pyplot", "matplotlib.backends.backend_agg"),
    "opencv-python-headless": ("cv2",),
    "scikit-image": ("skimage", *(f"skimage.{name}" for name in "io color filters measure morphology feature".split())),
    "scikit-learn": ("sklearn", "sklearn.cluster", "sklearn.linear_model", "sklearn.decomposition"),
    "networkx": ("networkx",),
    "shapely": ("shapely", "shapely.geometry"),
    "seaborn": ("seaborn",),
    "tqdm": ("tqdm", "tqdm.auto"),
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

# Files of fonts with Chinese, Japanese and Korean characters, the preferred first.
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
CJK_FONTS = (
    *("wqy-zenhei.ttc", "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf"),
    *("SourceHanSansSC-Regular.otf", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf"),
)


class PackageMissing(RuntimeError):
    """Raised if a package that the configuration puts in the jail is not installed here."""


@functools.cache
def package_files(packages: tuple[str, ...]) -> dict[str, Path]:
    """Return the entries of site-packages for the packages and their requirements, as name in the jail -> path here.

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
    """Return the modules that the zygote imports."""
    found = list(STANDARD)
    for package in packages:
        found += MODULES.get(canonicalize_name(package), ())
    return found


def python_files() -> tuple[Path, list[Path]]:
    """Return the real interpreter behind this virtual environment, and the paths that it needs to start."""
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    prefix = Path(sys.base_prefix)
    paths = [executable]
    # Other software has files there, too. Its libraries count as the system's.
    if prefix in (Path("/usr"), Path("/usr/local")):
        base = {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
        paths += [Path(sysconfig.get_path(name, vars=base)) for name in ("stdlib", "platstdlib")]
    else:
        paths.append(prefix / "lib")
        if (library := sysconfig.get_config_var("LIBDIR")) and Path(library).is_dir():
            paths.append(Path(library))
    return executable, list(dict.fromkeys(paths))


def hidden_site_packages(visible: Iterable[Path]) -> list[Path]:
    """Return directories inside the visible ones that hold other installed packages. An empty directory covers each."""
    patterns = [f"{version}{kind}-packages" for version in ("", "python3*/") for kind in ("site", "dist")]
    folders = [folder for folder in visible if folder.is_dir() and not folder.is_symlink()]
    found = [path for folder in folders for pattern in patterns for path in folder.glob(pattern)]
    return [path for path in dict.fromkeys(found) if path.is_dir()]


def system_libraries() -> list[Path]:
    """Return the shared libraries of the system and the time zones, without programs or configuration.

    /usr/lib holds much more than libraries if the C library is in a directory for its architecture, as on Debian.
    """
    triplet = f"{os.uname().machine}-linux-gnu"
    found = []
    for folder in map(Path, ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/local/lib64")):
        if folder.is_symlink() and folder.parent == Path("/"):  # For example /lib -> usr/lib.
            found.append(folder)
        elif (folder / "libc.so.6").exists():
            found.append(folder)
        elif folder.is_dir():
            own = {triplet, sysconfig.get_config_var("MULTIARCH") or triplet}
            found += [folder / name for name in sorted(own) if (folder / name).is_dir()]
            found += [path for path in sorted(folder.glob("*.so*")) if path.is_file()]
    others = ("/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime", "/nix/store")
    return found + [Path(path) for path in others if os.path.exists(path)]


@functools.cache
def cjk_font() -> list[Path]:
    """Return the file of one font for Chinese, Japanese and Korean, in a list, or an empty list."""
    files = {name: Path(folder, name) for top in FONT_FOLDERS for folder, _, names in os.walk(top) for name in names}
    return [files[name] for name in CJK_FONTS if name in files][:1]
