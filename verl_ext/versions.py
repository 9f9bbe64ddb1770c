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
"""Version guards: every patch in ``verl_ext`` names the release it was written for."""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import Version

logger = logging.getLogger(__name__)


def installed_version(*distributions: str) -> Version | None:
    """Version of the first of ``distributions`` that is installed, local part (``+cpu``) dropped; None if none is."""
    for name in distributions:
        try:
            return Version(Version(version(name)).public)
        except PackageNotFoundError:
            continue
    return None


def patch_applies(reason: str, specifier: str, *distributions: str) -> bool:
    """Whether a patch written for ``specifier`` (PEP 440) fits the installed release of ``distributions``.

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
