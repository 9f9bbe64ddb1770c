# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What was made from what: identity of a run, and the manifest beside the files."""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_PACKAGES = ("datasets", "pyarrow", "pillow", "verl")


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(function: Callable) -> str:
    """Digest of the sources that make rows: shards of other code are not continued.

    Args:
        function: the dataset's ``rows``; its file counts beside the shared ones.
    """
    package = Path(__file__).resolve().parents[1]
    files = [*sorted((package / "core").glob("*.py")), package / "abilities.py", package / "rows.py"]
    if own := inspect.getsourcefile(function):
        files.append(Path(own))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Python and the packages that have a say in the files."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Content of a JSON file; None if there is none or it is broken."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """``limit: 5 -> 9, seed: 0 -> 1``: entries that are not the same."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return ", ".join(f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in keys)
