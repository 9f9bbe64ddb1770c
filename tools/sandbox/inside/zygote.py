# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Fork interpreters. This process has the libraries in memory, so an interpreter costs milliseconds.

``jail.py`` starts it with one argument, a JSON object: ``control_fd``, ``modules`` to import, ``limits``, ``filter``
(hex), ``drop_to_uid`` (or null) and ``isolated``. It never runs untrusted code itself. Each message on the control
socket is an order (``wire.ORDER``) that carries one end of a socket: that of a new interpreter, or one for an answer.
When the control socket closes, the zygote ends, and the jail with it.
"""

from __future__ import annotations

import contextlib
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
    variables = dict(os.environ)
    for name in config["modules"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    os.environ.clear()  # Some libraries add variables.
    os.environ.update(variables)
    import interpreter
    from ends import Ends

    interpreter.prepare()
    config["limits"]["address_space_in_use"] = walls.address_space_in_use()
    gc.collect()
    gc.freeze()  # The collector would touch, and therefore copy, every page that forks share.
    ends = Ends()
    ends.watch()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host.
    wire.send(control, {"ready": True, "threads": len(os.listdir("/proc/self/task"))})
    while True:
        data, fds, _, _ = socket.recv_fds(control, wire.ORDER.size, 1)
        if not data:
            return
        order, number = wire.ORDER.unpack(data)
        if order == wire.WAS_KILLED:
            with contextlib.suppress(OSError):  # The host may wait no more.
                os.write(fds[0], bytes([ends.was_killed(number)]))
        elif os.fork() == 0:
            control.close()
            ends.forget()
            _become_interpreter(fds[0], config)
        os.close(fds[0])


def _become_interpreter(fd: int, config: dict) -> None:
    """Build the walls in the fork, then serve. This function never returns."""
    sock = socket.socket(fileno=fd)
    try:
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
            images, folder = walls.mount_images()
            os.chdir("/work")
        else:
            walls.die_with_parent()
            os.chdir(tempfile.mkdtemp(dir=os.environ["SANDBOX_WORK"]))
            images = tempfile.mkdtemp(dir=os.environ["SANDBOX_WORK"])
            folder = os.open(images, os.O_RDONLY | os.O_DIRECTORY)
        os.setsid()
        walls.set_limits(config["limits"])
        import interpreter

        socket.send_fds(sock, [wire.FOLDER], [folder])
        os.close(folder)
        if config["isolated"]:
            output = walls.mount_output(config["limits"]["output_bytes"])
            walls.drop_capabilities()
            walls.forbid_dumps()
            walls.filter_system_calls(bytes.fromhex(config["filter"]))
        else:
            output = interpreter.output_file()
        interpreter.serve(sock, config["limits"], output, images)
    except BaseException as error:
        try:
            wire.send(sock, {"failed": f"{type(error).__name__}: {error}"})
        finally:
            os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
