# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Exchange messages between the host and an interpreter: a JSON header and raw bytes, each with its length in front.

Both sides bound what they accept, because the jail's output is as untrusted as the code in it. Images are raw RGB, so
the host needs no decoder for them.
"""

from __future__ import annotations

import json
import socket
import struct
import time

_LENGTHS = struct.Struct("!QQ")

# An order to the zygote: what to do, and a number. A socket for the answer comes along with it.
ORDER = struct.Struct("!cQ")
FORK = b"f"  # Fork an interpreter. The number has no meaning.
WAS_KILLED = b"k"  # Answer with one byte whether the process with this number was killed from outside.
FOLDER = b"i"  # The first byte from an interpreter. The open directory for its images comes along with it.


class WireError(RuntimeError):
    """Raised if the other side is gone or violates the format."""


class ConnectionLost(WireError):
    """Raised if the other side is gone."""


def send(sock: socket.socket, header: dict, blobs: list[bytes] = (), deadline: float | None = None) -> None:
    """Send one message. ``header["blobs"]`` is set to the lengths of the blobs.

    Raises:
        TimeoutError: the message is not sent by ``deadline`` (seconds of ``time.monotonic``).
        ConnectionLost: the other side is gone.
    """
    data = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    try:
        for part in (_LENGTHS.pack(len(data), sum(map(len, blobs))), data, *blobs):
            _set_timeout(sock, deadline)
            sock.sendall(part)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectionLost(f"connection lost: {error}") from error


def receive(
    sock: socket.socket,
    *,
    max_header: int,
    max_blobs: int,
    max_count: int | None = None,
    deadline: float | None = None,
) -> tuple[dict, list[bytes]]:
    """Receive one message. Limits are in bytes, ``max_count`` is in blobs.

    Raises:
        TimeoutError: the message is not there by ``deadline``.
        ConnectionLost: the other side is gone.
        WireError: the other side sent too much, or no valid message.
    """
    header_length, blob_length = _LENGTHS.unpack(_read(sock, _LENGTHS.size, deadline))
    if header_length > max_header or blob_length > max_blobs:
        raise WireError(f"message of {header_length} + {blob_length} bytes is too long")
    try:
        header = json.loads(_read(sock, header_length, deadline))
        lengths = header["blobs"]
        if type(lengths) is not list or (max_count is not None and len(lengths) > max_count):
            raise WireError("too many blobs")
        if not all(type(n) is int and n >= 0 for n in lengths) or sum(lengths) != blob_length:
            raise WireError("lengths do not add up")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError(f"no message: {type(error).__name__}") from error
    return header, [_read(sock, length, deadline) for length in lengths]


def _set_timeout(sock: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _read(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    buffer = bytearray(length)
    view = memoryview(buffer)
    done = 0
    while done < length:
        try:
            _set_timeout(sock, deadline)
            count = sock.recv_into(view[done:])
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error}") from error
        if count == 0:
            raise ConnectionLost("connection closed")
        done += count
    return bytes(buffer)
