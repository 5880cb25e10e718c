"""The supervisor's socket: connections, lines, limits. Knows nothing of what the lines mean."""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lastgood.effects.processes.entry import Reply

LINE_LIMIT_BYTES = 1024 * 1024
CONNECTION_LIMIT = 64
_CHUNK_BYTES = 65536

Handle = Callable[[bytes, Reply], None]


@dataclass
class Connection:
    """One client: what it has sent of a line, and what it has not yet read of the answers."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    closing: bool = False


class Listener:
    """Accepts connections of our own user and root; a client that floods, or does not read, is hung up on."""

    def __init__(self, path: str, selector: selectors.BaseSelector, handle: Handle) -> None:
        self._selector = selector
        self._handle = handle
        self._connections: list[Connection] = []
        self._socket = _bind(path)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Send what is left without waiting, and hang up."""
        for connection in list(self._connections):
            self._send(connection)
            self._hang_up(connection)
        self._selector.unregister(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        try:
            accepted, _ = self._socket.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(0.05)  # no descriptors left: it stays readable, and must not keep us spinning
            return
        if len(self._connections) >= CONNECTION_LIMIT or not _is_ours(accepted):
            accepted.close()
            return
        accepted.setblocking(False)
        connection = Connection(accepted)
        self._connections.append(connection)
        self._selector.register(accepted, selectors.EVENT_READ, lambda: self._serve(connection))

    def _serve(self, connection: Connection) -> None:
        self._send(connection)
        try:
            chunk = connection.socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._hang_up(connection)
            return
        connection.received += chunk
        while not connection.closing and (end := connection.received.find(b"\n")) >= 0:
            line = bytes(connection.received[:end])
            del connection.received[: end + 1]
            self._handle(line, lambda answer: self._answer(connection, answer))
        if len(connection.received) > LINE_LIMIT_BYTES:
            connection.closing = True
            self._answer(connection, {"ok": False, "error": "bad-request", "message": "the line is too long"})

    def _answer(self, connection: Connection, answer: dict[str, Any]) -> None:
        if connection not in self._connections:
            return  # it did not wait for the answer
        connection.unsent += json.dumps(answer).encode() + b"\n"
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        try:
            while connection.unsent:
                sent = connection.socket.send(connection.unsent)
                del connection.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up(connection)
            return
        if connection not in self._connections:
            return
        if (connection.closing and not connection.unsent) or len(connection.unsent) > 4 * LINE_LIMIT_BYTES:
            self._hang_up(connection)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection.socket, events, lambda: self._serve(connection))

    def _hang_up(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._selector.unregister(connection.socket)
            connection.socket.close()


def _bind(path: str) -> socket.socket:
    """Listen at the path, in place of whatever is there (the caller holds the lock, so it is nobody's)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        temporary = path + ".n"
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        listener.bind(temporary)
        listener.listen(CONNECTION_LIMIT)
        os.rename(temporary, path)  # from the first moment it is there it answers, and has its mode
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _is_ours(accepted: socket.socket) -> bool:
    peer = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", peer)
    return uid in (0, os.getuid())
