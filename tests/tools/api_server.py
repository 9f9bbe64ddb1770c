# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on this machine that plays a search API, well or badly."""

import contextlib
import itertools
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Reply:
    """What the server does with one request.

    Args:
        body: the answer, JSON unless it is bytes.
        claims: Content-Length, if not the truth.
        delay: seconds before the answer.
    """

    def __init__(self, body=b"", status=200, headers=None, delay=0.0, claims=None):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers, self.delay, self.claims = status, headers or {}, delay, claims


class ApiServer:
    """Answers with `replies` one after the other, the last one for ever, or with what `route(path, data)` returns."""

    def __init__(self, replies=(), route=None):
        self.replies, self.route = list(replies), route
        self.requests, self.times = [], []  # (path, headers, body) and when
        self.in_flight = self.max_in_flight = 0
        self.lock, self.stopped = threading.Lock(), threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with api.lock:
                    api.requests.append((self.path, dict(self.headers), data))
                    api.times.append(time.monotonic())
                    api.in_flight += 1
                    api.max_in_flight = max(api.max_in_flight, api.in_flight)
                    reply = api.route and api.route(self.path, data)
                    reply = reply or api.replies[min(len(api.requests), len(api.replies)) - 1]
                api.stopped.wait(reply.delay)
                with api.lock:  # before the answer: whoever gets it may ask again at once
                    api.in_flight -= 1
                with contextlib.suppress(OSError):
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(reply.claims or len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                if reply.claims:
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class RawServer:
    """Sends bytes of any kind: `start`, then `more` for ever (or `times` times), `pause` seconds apart."""

    def __init__(self, start, more=b"", times=None, pause=0.0):
        self.start, self.more, self.times, self.pause = start, more, times, pause
        self.connections, self.stopped = 0, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.recv(2**20)
            connection.sendall(self.start)
            for _ in itertools.count() if self.times is None and self.more else range(self.times or 0):
                connection.sendall(self.more)
                if self.stopped.wait(self.pause):
                    return


def tavily_answer(number=3, content="The tower is 330 metres high."):
    results = [
        {"title": f"Page {i}", "url": f"https://example.org/{i}", "content": f"{content} ({i})", "score": 1 - i / 10}
        for i in range(number)
    ]
    return {"query": "echo", "results": results, "response_time": 0.5}
