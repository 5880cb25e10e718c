"""Answers for requests to a function that does not start: 503 at once, rather than silence."""

from __future__ import annotations

import selectors
import socket
import time

_BODY = b"the function does not start\n"
_LINGER_S = 2.0
_LARGEST_READ_BYTES = 65_536


class Refusals:
    """Connections that were answered and wait for their other end to leave: closing at once could lose the answer."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._open: dict[socket.socket, float] = {}

    @property
    def busy(self) -> bool:
        """Whether there is anything to expire."""
        return bool(self._open)

    def refuse(self, listener: socket.socket, retry_s: float) -> None:
        """Answer one connection of the queue."""
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        head = (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            f"retry-after: {max(1, round(retry_s))}\r\ncontent-length: {len(_BODY)}\r\n\r\n"
        )
        try:
            connection.send(head.encode() + _BODY)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()
            return
        self._open[connection] = time.monotonic() + _LINGER_S
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection))

    def expire(self, now_s: float) -> None:
        """Close what has lingered long enough."""
        for connection in [each for each, until_s in self._open.items() if now_s >= until_s]:
            self._close(connection)

    def _read(self, connection: socket.socket) -> None:
        try:
            more = connection.recv(_LARGEST_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._open[connection]
        connection.close()
