# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run untrusted Python cells in a jail. The package uses nothing of verl and nothing of this project outside itself.

Two layers hold the code:

1. bubblewrap (``jail.py``) holds one process, the *zygote* (``inside/zygote.py``). The zygote has imported the
   libraries and forks. It sees Python's files and the shared libraries, read-only, and nothing else of the host: no
   home directory, no network, no other process.
2. Each notebook gets an *interpreter*, a fork of the zygote. Before it runs any code it builds its own walls
   (``inside/walls.py``): user, pid, mount, network and IPC namespaces, an empty disk of limited size, limits on memory,
   threads, files and CPU time, no capabilities. A system-call filter (``syscalls.py``) then refuses new processes,
   programs and sockets.

``pool.py`` is the host's side. ``probe.py`` shows that the walls stand before anything else runs. ``notebook.py`` is
the simplest way in.
"""
