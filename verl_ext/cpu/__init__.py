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
"""verl and vLLM on a machine without a GPU.

But for ``env`` nothing here is imported unless ``VERL_PLATFORM=cpu`` is set (``verl_ext.cpu.env`` prints all it takes):

- ``env``          the environment of a CPU run, for shells and for tests
- ``bootstrap``    start-up of every interpreter, before torchvision and vLLM (by ``site/sitecustomize``)
- ``register``     loaded at ``import verl``: platform, process group, position ids
- ``engine``       FSDP engine for device "cpu" (``actor_rollout_ref.model.external_lib=verl_ext.cpu.engine``)
- ``vllm_worker``  vLLM worker extension that keeps weights writable
"""
