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
"""One world for all forced cases: starting its processes takes longer than playing the cases."""

from __future__ import annotations

import pytest

from verl_ext.cpu.env import REPO_ROOT

pytest.register_assert_rewrite("tests.stack.forced.checks")
CHECKPOINT = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"


@pytest.fixture(scope="package")
def world(tmp_path_factory):
    from tests.stack.forced.world import World

    model = CHECKPOINT
    if not (model / "config.json").exists():
        from run_scripts.tiny_model.build import build

        model = build(tmp_path_factory.mktemp("model"))
    started = World(model, tmp_path_factory.mktemp("data"))
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def play(world):
    """Roll a batch out and check what holds for every one."""
    from tests.stack.forced.checks import check_rows

    def run(*questions, variant: str = "axpo"):
        result = world.run(questions, variant)
        check_rows(world, result)
        return result

    yield run
    world.forget()
