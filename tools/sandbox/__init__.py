# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A jailed Python for code that a model writes.

Two walls, one inside the other:

1. bubblewrap (`jail.py`) holds one process, the *zygote* (`inside/zygote.py`), which has imported the libraries and
   forks. It sees Python's files and shared libraries, read-only, and nothing else of the host: no home, no network, no
   other process.
2. Every trajectory gets an *interpreter*, a fork of the zygote that first builds its own walls (`inside/walls.py`):
   user, pid, mount, network and IPC namespaces, an empty disk of limited size, limits on memory, threads, files and CPU
   time, no capabilities, and a system-call filter (`syscalls.py`) without new processes, programs or sockets.

`pool.py` is the host's side of it, `probe.py` shows before anything else runs that the walls stand.
"""
