# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Add to an error what the model needs to know about this place: its images, packages and limits."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import importlib.util
import re
import sys
import traceback

from pictures import SUFFIXES

# The import names of the default packages. Others in ``SITE`` are found by their metadata.
PACKAGES = (
    *("numpy", "scipy", "sympy", "pandas", "PIL", "matplotlib", "cv2", "skimage", "sklearn", "networkx", "shapely"),
    *("seaborn", "tqdm"),
)
SITE = "/opt/site"
NO_PROCESSES = "no processes or programs can be started here: use one process, or threads"
WRITABLE = "files can be written in /work, where cells start, and in /tmp"

_IMAGE_NAME = re.compile(r"(?:^|_)(?:im|img|imgs|image|images|picture|photo)(?:$|_|\d)", re.IGNORECASE)
_STARTS_PROCESSES = re.compile(r"/(?:subprocess|multiprocessing/\w+)\.py$")
_STARTS = re.compile(r"\bos\.(?:v?fork|exec|spawn|posix_spawn)")
_WRITES = re.compile(r"save|write|\.to_\w+\(|mkdir|makedirs|[\"'][wax]b?\+?[\"']", re.IGNORECASE)
_USES_NETWORK = re.compile(r"/(?:socket|http/client|urllib/request)\.py$|/(?:urllib3|requests|httpx|httpcore)/")


def hint(error: BaseException) -> str:
    """Return a hint in parentheses with a space in front, or nothing, whatever the cell has changed."""
    with contextlib.suppress(Exception):
        if text := _hint(error):
            return f" ({text})"
    return ""


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        top = error.name.partition(".")[0] if isinstance(error.name, str) else ""
        return f"installed: {', '.join(installed())}" if top and top not in sys.modules else ""
    if isinstance(error, NameError):
        return images() if isinstance(error.name, str) and _IMAGE_NAME.search(error.name) else ""
    if isinstance(error, EOFError):
        return "nobody answers input() here" if "EOF when reading a line" in str(error) else ""
    if isinstance(error, OSError):
        return _hint_of_system(error)
    return ""


def _hint_of_system(error: OSError) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, FileNotFoundError):
        if any(frame.filename.startswith("<cell ") and _WRITES.search(frame.line or "") for frame in frames):
            return WRITABLE
        return images() if str(error.filename).lower().endswith(SUFFIXES) else ""
    if any(_USES_NETWORK.search(frame.filename) for frame in frames):
        return "there is no network here"
    if error.errno == errno.EROFS:
        return WRITABLE
    starts = any(_STARTS_PROCESSES.search(frame.filename) for frame in frames)
    if error.errno == errno.EPERM and (starts or (frames and _STARTS.search(frames[-1].line or ""))):
        return NO_PROCESSES
    return ""


def images() -> str:
    """Return how the images of the conversation can be reached."""
    paths = sys.modules["__main__"].__dict__.get("image_paths")
    if type(paths) is not list:
        return ""
    if not paths:
        return "this conversation has no image"
    if len(paths) == 1:
        return f"the conversation's image is images[0], its file is image_paths[0] = {paths[0]!r}"
    last = len(paths) - 1
    files = f"their files image_paths[0] = {paths[0]!r} and so on"
    return f"the conversation's images are images[0] to images[{last}], {files}"


def installed() -> list[str]:
    """Return the names of what can be imported beyond the standard library, without what is there for others only."""
    found = [name for name in PACKAGES if importlib.util.find_spec(name)]
    distributions = list(importlib.metadata.distributions(path=[SITE]))
    needed = {_distribution(line) for one in distributions for line in one.requires or ()}
    for one in distributions:
        modules = [name for name in (one.read_text("top_level.txt") or one.name).split() if not name.startswith("_")]
        if _distribution(one.name) not in needed and not set(modules) & set(PACKAGES):
            found += [name for name in modules if importlib.util.find_spec(name)]
    return list(dict.fromkeys(found))


def _distribution(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")
