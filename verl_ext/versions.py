# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Version guards: every patch in ``verl_ext`` names the release it was written for."""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import Version

logger = logging.getLogger(__name__)


def installed_version(*distributions: str) -> Version | None:
    """Return the version of the first of ``distributions`` that is installed, without ``+cpu``; else None."""
    for name in distributions:
        try:
            return Version(Version(version(name)).public)
        except PackageNotFoundError:
            continue
    return None


def patch_applies(reason: str, specifier: str, *distributions: str) -> bool:
    """Return whether a patch written for ``specifier`` (PEP 440) fits the installed release of ``distributions``.

    An unknown release is reported and left unpatched: a patch on code it was not written for hides the real error.
    """
    found = installed_version(*distributions)
    if found is not None and found in SpecifierSet(specifier):
        return True
    logger.warning(
        "not patching (%s): written for %s %s, found %s; see the tests in tests/verl_ext for whether it is needed",
        reason,
        distributions[0],
        specifier,
        found,
    )
    return False
