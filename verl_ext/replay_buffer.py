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
"""A replay buffer that looks for finished questions more often than verl's (which polls every 2 s).

Worth it only where a step takes a few seconds: set ``trainer.v1.sampler.custom_sampler.path`` to
``pkg://verl_ext.replay_buffer`` and ``.name`` to ``EagerReplayBuffer``.
"""

from __future__ import annotations

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer


class EagerReplayBuffer(ReplayBuffer):
    """verl's synchronous replay buffer with ``sampler_kwargs.poll_interval`` seconds between looks (default 0.1)."""

    def __init__(self, *args, sampler_kwargs=None, **kwargs):
        poll_interval = float((sampler_kwargs or {}).get("poll_interval", 0.1))
        super().__init__(*args, sampler_kwargs=sampler_kwargs, poll_interval=poll_interval, **kwargs)
