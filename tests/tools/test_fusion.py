# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The python tool on a SandboxFusion server: a local one that runs cells in an IPython kernel, as the real one does.

Only harmless code runs here: nothing isolates it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from verl.tools.tool_registry import load_all_tools

from tools.python import PythonTool
from verl_ext.tool_calls import PastCall, ToolInfrastructureError, past_calls

TOOLS = Path(__file__).parents[2] / "tools"


def run_cells(request: dict) -> dict:
    """What SandboxFusion's driver does with a request: a fresh kernel, all cells in turn, one time limit."""
    from jupyter_client.manager import start_new_kernel

    with tempfile.TemporaryDirectory() as folder:
        for name, data in request["files"].items():
            Path(folder, name).write_bytes(base64.b64decode(data))
        manager, client = start_new_kernel(
            cwd=folder, env={**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        )
        deadline, cells = time.monotonic() + request["total_timeout"], []
        try:
            for code in request["cells"]:
                result = {"stdout": "", "stderr": "", "display": [], "error": []}

                def hook(message, result=result):
                    kind, content = message["header"]["msg_type"], message["content"]
                    if kind == "stream":
                        result[content["name"]] += content["text"]
                    elif kind in ("display_data", "execute_result"):
                        result["display"].append(content["data"])
                    elif kind == "error":
                        result["error"].append(content)

                left = max(0.01, deadline - time.monotonic())
                client.execute_interactive(code, output_hook=hook, timeout=left, allow_stdin=False)
                cells.append(result)
        except TimeoutError:
            driver = {"status": "TimeLimitExceeded", "stdout": "", "stderr": ""}
            return {"status": "Failed", "message": "", "driver": driver, "cells": [], "files": {}}
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        return {"status": "Success", "message": "", "driver": {"status": "Finished"}, "cells": cells, "files": {}}


kernel = pytest.mark.stack  # starts IPython kernels


GOOD = {"status": "Success", "message": "", "driver": {}, "files": {}}
EMPTY = {"stdout": "", "stderr": "", "display": [], "error": []}


def png(size):
    buffer = BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PROBED = GOOD | {
    "cells": [EMPTY, EMPTY, EMPTY | {"stdout": "(6, 8, 3)\n"}, EMPTY | {"display": [{"image/png": png((8, 6))}]}]
}


class Server:
    """`answers` are taken first, (status, body) each; then cells are run."""

    def __init__(self):
        self.requests, self.answers = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, json.loads(body)))
                status, data = outer.answers.pop(0) if outer.answers else (200, run_cells(json.loads(body)))
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server():
    started = Server()
    yield started
    started.server.shutdown()
    started.server.server_close()


def start(server, **options) -> PythonTool:
    (tool,) = load_all_tools(str(TOOLS / "python.yaml"), None)
    config = {"backend": "sandbox_fusion", "url": server.url, "code_timeout_s": 10.0, **options}
    made = PythonTool(config, tool.tool_schema)
    made._client.backoff_s = 0.01
    return made


def load(server, **options) -> PythonTool:
    """A tool whose server has passed the probe at start."""
    server.answers.insert(0, (200, PROBED))
    made = start(server, **options)
    server.requests.clear()
    return made


class Talk:
    """A trajectory as tools see it."""

    def __init__(self, *images):
        self.messages = [{"role": "user", "content": [{"type": "image", "image": image} for image in images]}]


def call(tool, code, agent_data=None):
    async def run():
        instance, _ = await tool.create()
        try:
            return await tool.execute(instance, {"code": code}, agent_data=agent_data)
        finally:
            await tool.release(instance)

    response, _, metrics = asyncio.run(run())
    return response, metrics


@kernel
def test_cells_of_a_trajectory_share_variables_images_and_figures(server):
    tool = load(server)
    picture = Image.fromarray(np.arange(64 * 96 * 3, dtype=np.uint8).reshape(64, 96, 3))
    talk = Talk(picture)
    response, metrics = call(tool, "x = 20\nprint('printed once')\nimages[0].size, images[0].getpixel((5, 1))", talk)
    assert response.text == f"printed once\n((96, 64), {picture.getpixel((5, 1))})" and metrics["ok"]
    drawing = (
        "x += 1\nimport matplotlib.pyplot as plt\nplt.plot([x, 2]); plt.show()\nimages[0].save('copy.png')\nprint(x)"
    )
    response, _ = call(tool, drawing, talk)
    assert response.text.startswith("21\n") and "printed once" not in response.text
    assert "Image 1: image." in response.text and "Image 2: image." in response.text and len(response.image) == 2
    assert np.array_equal(response.image[1], picture)  # the file that the cell has written
    response, metrics = call(tool, "y = x + 1\ny / 0", talk)
    assert response.text == "line 2: y / 0\nZeroDivisionError: division by zero" and metrics["error"] == "exception"
    assert call(tool, "y", talk)[0].text == "22"
    path, last = server.requests[-1]
    assert path == "/run_jupyter" and list(last["files"]) == ["image_0.png"] and len(server.requests) == 4


@kernel
def test_a_fork_starts_with_the_cells_of_its_prefix(server):
    tool, talk = load(server), Talk()
    past_calls(talk).extend([PastCall("python", {"code": "z = 1"}), PastCall("image_zoom_in", {"label": "x"})])
    past_calls(talk).append(PastCall("python", {"code": "z += 1"}))
    assert call(tool, "z", talk)[0].text == "2"


@kernel
def test_a_cell_of_the_prefix_sees_the_images_it_saw(server):
    tool, talk = load(server), Talk(*(Image.new("RGB", (32, 32)) for _ in range(2)))
    past_calls(talk).append(PastCall("python", {"code": "n = len(images), len(image_paths)"}, replay={"images": 1}))
    assert call(tool, "n, len(images)", talk)[0].text == "((1, 1), 2)"


@kernel
def test_a_cell_that_takes_too_long_is_not_run_again(server):
    tool, talk = load(server, code_timeout_s=3.0), Talk()
    response, metrics = call(tool, "import time\ntime.sleep(60)", talk)
    assert "did not stop after 3 s" in response.text and metrics["error"] == "timeout"
    assert call(tool, "1 + 1", talk)[0].text == "2"
    assert not any("sleep" in cell for cell in server.requests[-1][1]["cells"])


def test_a_failing_server_is_asked_again(server):
    busy = {"status": "SandboxError", "message": "no kernel left", "cells": []}
    done = GOOD | {"cells": [EMPTY, EMPTY, EMPTY | {"stdout": "here\n"}, EMPTY]}
    server.answers = [(500, b"down"), (200, busy), (200, done)]
    assert call(load(server), "print('here')")[0].text == "here"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "answer, kind, says",
    [
        ((500, b"down"), "http_500", "HTTP 500"),
        ((404, b"not here"), "http_404", "HTTP 404"),
        ((200, {"status": "SandboxError", "message": "no kernel left"}), "garbage", "no kernel left"),
        ((200, b"<html>"), "garbage", "not what was expected"),
        ((200, b"[]"), "garbage", "not what was expected"),
        ((200, GOOD | {"cells": [{}, {}, {}]}), "garbage", "notebook interface"),
        ((200, GOOD), "garbage", "notebook interface"),
    ],
)
def test_a_broken_server_is_no_mistake_of_the_model(server, answer, kind, says):
    server.answers = [answer] * 3
    with pytest.raises(ToolInfrastructureError, match=says) as raised:
        call(load(server), "1")
    assert raised.value.kind == kind


def failed(driver, message=""):
    return {"status": "Failed", "message": message, "driver": driver, "cells": []}


CONFIG = 'config: \n{\n  "kernel": "python3",\n  "cells": [\n    "1"\n  ]\n}\n'
NO_KERNEL = "kernel failed to start, trying a new one. error: No such kernel named python3\n"
NO_PILLOW = {"ename": "ModuleNotFoundError", "evalue": "No module named 'PIL'", "traceback": []}
NO_NAME = {"ename": "NameError", "evalue": "name 'images' is not defined", "traceback": []}

# What a server reports that cannot run cells, and what the message says.
BROKEN = {
    "no kernel": (failed({"status": "TimeLimitExceeded", "stdout": CONFIG + 9 * NO_KERNEL}), "kernel does not start"),
    "no kernel, output lost": (failed({"status": "TimeLimitExceeded", "stdout": ""}), "within the time limit"),
    "no jupyter": (
        failed({"status": "Finished", "return_code": 1, "stderr": "No module named 'jupyter_client'"}),
        "No module named 'jupyter_client'",
    ),
    "no process": (failed({"status": "Error", "stderr": "exception on running command: fork"}), "fork"),
    "nothing known": (failed(None), "None"),
    "no Pillow": (
        GOOD | {"cells": [EMPTY | {"error": [NO_PILLOW]}, *3 * [EMPTY | {"error": [NO_NAME]}]]},
        "No module named 'PIL'",
    ),
    "no results": (GOOD | {"cells": []}, "0 results of 4 cells"),
    "no kernel left": ({"status": "SandboxError", "message": "no kernel left"}, "no kernel left"),
    "no images back": (GOOD | {"cells": [*PROBED["cells"][:3], EMPTY]}, "0 images"),
}


@pytest.mark.parametrize("answer, says", BROKEN.values(), ids=BROKEN)
def test_a_server_that_cannot_run_cells_is_told_at_start(server, answer, says):
    server.answers = [(200, answer)] * 3
    with pytest.raises(ValueError, match=f"^python: .*{says}"):
        start(server)


@pytest.mark.parametrize("answer, says", BROKEN.values(), ids=BROKEN)
def test_a_server_that_breaks_later_is_no_mistake_of_the_model(server, answer, says):
    if says == "0 images":
        return  # A cell may return no images.
    tool = load(server)
    server.answers = [(200, answer)] * 6
    with pytest.raises(ToolInfrastructureError, match=says):
        call(tool, "1")
    assert not tool.check()[0].ready


@kernel
def test_a_server_without_numpy_is_told_at_start(server, monkeypatch):
    import tools.fusion as fusion

    assert start(server).check()[0].ready
    monkeypatch.setattr(fusion, "_PROBE", fusion._PROBE.replace("numpy", "no_such_numpy", 1))
    with pytest.raises(ValueError, match="^python: .*No module named 'no_such_numpy'"):
        start(server)


# What a cell can make of a server that works.
FORGED = {
    "time": (failed({"status": "TimeLimitExceeded", "stdout": CONFIG}), "timeout"),
    "killed the driver": (failed({"status": "Finished", "return_code": -9}), "died"),
    "wrote the results": (GOOD | {"cells": []}, "died"),
    "wrote other results": (GOOD | {"cells": 5}, "died"),
    "wrote a failing start": (GOOD | {"cells": [EMPTY | {"error": [NO_PILLOW]}, *3 * [EMPTY]]}, "died"),
    "displayed a number": (
        {"status": "SandboxError", "message": "exception on running jupyter: 1 validation error for CellRunResult"},
        "died",
    ),
}


@pytest.mark.parametrize("answer, error", FORGED.values(), ids=FORGED)
def test_a_cell_cannot_blame_the_server(server, answer, error):
    tool = load(server)
    server.answers = [(200, answer), (200, PROBED)]
    _, metrics = call(tool, "1")
    assert metrics["error"] == error and len(server.requests) == 2
    assert "1" not in server.requests[1][1]["cells"]  # The probe holds no cell of the model.


def test_a_kernel_that_did_not_start_once_gets_a_second_chance(server):
    tool = load(server)
    lost = failed({"status": "TimeLimitExceeded", "stdout": CONFIG + NO_KERNEL})
    server.answers = [(200, lost), (200, PROBED), (200, GOOD | {"cells": [EMPTY] * 4})]
    assert call(tool, "1")[1]["ok"]
    server.answers = [(200, lost), (200, PROBED), (200, lost), (200, PROBED)]  # forged
    assert call(tool, "1")[1]["error"] == "timeout"


def test_printing_without_end_does_not_lose_the_rollout(server, monkeypatch):
    monkeypatch.setattr("tools.fusion.MAX_RESPONSE", 10_000)
    tool = load(server)
    server.answers = [(200, GOOD | {"cells": [EMPTY, EMPTY, EMPTY | {"stdout": "x" * 20_000}, EMPTY]}), (200, PROBED)]
    assert call(tool, "print('x' * 20_000)")[1]["error"] == "died"


@pytest.mark.parametrize(
    "cell",
    [
        {"display": [{"text/plain": 5}]},
        {"display": [{"image/png": {"a": [1]}}, {"application/json": {"deep": [[[]]]}}]},
        {"error": [{"ename": 5, "evalue": None, "traceback": "no list"}]},
        {"error": [{}]},
        {"error": [{"ename": "E", "evalue": "v", "traceback": [1, 2]}]},
        {"stdout": "a\ud800b"},
        {"stdout": "{" * 300_000},
    ],
)
def test_odd_messages_of_a_cell_are_no_failure_of_the_server(server, cell):
    tool = load(server)
    server.answers = [(200, GOOD | {"cells": [EMPTY, EMPTY, EMPTY | cell, EMPTY]})]
    response, metrics = call(tool, "1")
    assert metrics["error"] in (None, "exception") and len(server.requests) == 1


def test_a_kernel_that_a_cell_has_broken_is_the_models_fault(server):
    tool = load(server)
    server.answers = [(200, failed({"status": "Error"})), (200, PROBED)]
    response, metrics = call(tool, "import os; os._exit(1)")
    assert "the interpreter ended" in response.text and metrics["error"] == "died"


def test_images_that_are_none_are_left_out(server):
    bad = [{"image/png": "AAAA"}, {"image/png": "?"}, {"text/plain": "5"}]
    server.answers = [(200, GOOD | {"cells": [EMPTY, EMPTY, EMPTY | {"display": bad}, EMPTY]})]
    response, metrics = call(load(server), "5")
    assert response.text == "5\n(2 more images not shown)" and response.image is None and metrics["ok"]


@pytest.mark.parametrize("url", [None, "sandbox:8080"])
def test_the_address_is_checked_at_start(server, url):
    with pytest.raises(ValueError, match="python: .*url"):
        load(server, url=url)
