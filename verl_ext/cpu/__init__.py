# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""verl, vLLM and SGLang on a machine without a GPU.

But for ``env`` nothing here is imported unless ``VERL_PLATFORM=cpu`` is set (``verl_ext.cpu.env`` prints all it takes):

- ``env``          the environment of a CPU run, for shells and for tests
- ``bootstrap``    start-up of every interpreter, before torchvision and vLLM (by ``site/sitecustomize``)
- ``register``     loaded at ``import verl``: platform, process group, position ids
- ``engine``       FSDP engine for device "cpu" (``actor_rollout_ref.model.external_lib=verl_ext.cpu.engine``)
- ``vllm_worker``  vLLM worker extension that keeps weights writable
- ``sglang_rollout``  SGLang adapter that sends weights by value
"""
