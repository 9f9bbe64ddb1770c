# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Fork interpreters. This process has the libraries in memory, so an interpreter costs milliseconds.

``jail.py`` starts it with one argument, a JSON object: ``control_fd``, ``modules`` to import, ``limits``, ``filter``
(hex), ``drop_to_uid`` (or null) and ``isolated``. It never runs untrusted code itself. Each message on the control
socket carries one end of a new interpreter's own socket. When the control socket closes, the zygote ends, and the jail
with it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import walls  # noqa: E402
import wire  # noqa: E402


def main() -> None:
    """Import the modules, report that, then fork on request until the host is gone."""
    config = json.loads(sys.argv[1])
    control = socket.socket(fileno=config["control_fd"])
    for name in config["modules"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    import interpreter

    interpreter.prepare()
    config["limits"]["address_space_in_use"] = walls.address_space_in_use()
    gc.collect()
    gc.freeze()  # The collector would touch, and therefore copy, every page that forks share.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Leave no zombies.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host.
    wire.send(control, {"ready": True, "threads": len(os.listdir("/proc/self/task"))})
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            _become_interpreter(fds[0], config)
        os.close(fds[0])


def _become_interpreter(fd: int, config: dict) -> None:
    """Build the walls in the fork, then serve. This function never returns."""
    sock = socket.socket(fileno=fd)
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        walls.leave_open_files({fd})
        if config["isolated"]:
            if config["drop_to_uid"] is not None:
                walls.drop_root(config["drop_to_uid"])
            walls.enter_namespaces()
            if os.fork() != 0:
                # The child is the first process of the new pid namespace. When it ends, all processes in the namespace
                # end.
                os._exit(0)
            walls.mount_disks(config["limits"]["disk_mb"])
            os.chdir("/work")
        else:
            walls.die_with_parent()
            os.chdir(tempfile.mkdtemp(dir=os.environ["SANDBOX_WORK"]))
        os.setsid()
        walls.set_limits(config["limits"])
        import interpreter

        output = interpreter.output_file()
        if config["isolated"]:
            walls.drop_capabilities()
            walls.filter_system_calls(bytes.fromhex(config["filter"]))
        interpreter.serve(sock, config["limits"], output)
    except BaseException as error:
        try:
            wire.send(sock, {"failed": f"{type(error).__name__}: {error}"})
        finally:
            os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
