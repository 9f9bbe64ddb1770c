# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Identify a run for the manifest: digests of files and code, package versions, changed options."""

from __future__ import annotations

import hashlib
import inspect
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_PACKAGES = ("datasets", "pyarrow", "pillow", "verl")


def sha256(path: Path) -> str:
    """Return the hex digest of a file, which is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(function: Callable) -> str:
    """Return a digest of the code that makes rows. A run does not continue shards of other code.

    Args:
        function: the dataset's ``rows``. Its file and the shared files are hashed.
    """
    package = Path(__file__).resolve().parents[1]
    files = [*sorted((package / "core").glob("*.py")), *sorted(package.glob("*.py"))]
    if own := inspect.getsourcefile(function):
        files.append(Path(own))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the files."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the entries that differ, such as ``limit: 5 -> 9, seed: 0 -> 1``."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return ", ".join(f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in keys)
