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
"""Runs at the start of every interpreter that has this folder on its ``PYTHONPATH``.

vLLM's engine processes are spawned, and import torchvision and vLLM before anything of ours: this is the one place
that is early enough. Does nothing unless ``VERL_PLATFORM=cpu``.
"""

import os

if os.environ.get("VERL_PLATFORM") == "cpu":
    from verl_ext.cpu.bootstrap import install

    install()
