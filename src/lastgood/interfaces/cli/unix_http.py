"""HTTP over a Unix socket; loaded when a controller is asked: it takes longer than most of the command line."""

from __future__ import annotations

import http.client
import socket

HungUp = http.client.HTTPException


class Connection(http.client.HTTPConnection):
    """To the socket at a path."""

    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """See ``HTTPConnection``."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
