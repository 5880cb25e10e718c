"""The API's socket: ours alone from its first moment, and never for a proxy, whatever a route says."""

from __future__ import annotations

import os
import re
import socket
import struct
from asyncio import BaseTransport, Protocol
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from lastgood.effects.processes.records import read_records

PROXIES = re.compile(r"proxy-\d+|preflight")
"""The keys under which the supervisor keeps them."""
_CREDENTIALS = struct.Struct("3i")
Refuses = Callable[[int], bool]
"""Whether the process with this pid gets no answer."""


class SocketServer(uvicorn.Server):
    """uvicorn on a Unix socket, 0600; a peer that ``refuses`` is hung up on before a byte of it is read."""

    def __init__(self, app: Any, path: Path, refuses: Refuses = lambda pid: False) -> None:
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1, ws="none")
        config.load()
        config.http_protocol_class = _guarded(config.http_protocol_class, refuses)
        super().__init__(config)
        self._path = path

    def install_signal_handlers(self) -> None:
        """Signals are the controller's."""

    async def serve(self, sockets: Any = None) -> None:
        """Serve until ``should_exit``."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        listener.bind(str(temporary))
        temporary.chmod(0o600)
        temporary.replace(self._path)
        inode = self._path.stat().st_ino
        await self._serve([listener])
        if self._path.exists() and self._path.stat().st_ino == inode:
            self._path.unlink()


def is_proxy(records: str) -> Refuses:
    """Whether a pid is that of one of our proxies, by what the supervisor has written down in this folder."""

    def refuses(pid: int) -> bool:
        found, _ = read_records(records, PROXIES.fullmatch)  # there may be hundreds of others, and somebody waits
        return any(record.identity is not None and record.identity.pid == pid for record in found)

    return refuses


def peer_pid(connection: socket.socket) -> int:
    """The process on the other side of a Unix socket, as the kernel knows it (SO_PEERCRED)."""
    size = _CREDENTIALS.size
    pid: int = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]
    return pid


def _guarded(protocol: Any, refuses: Refuses) -> type[Protocol]:
    class Guarded(protocol):  # type: ignore[misc]
        def connection_made(self, transport: BaseTransport) -> None:
            super().connection_made(transport)
            if refuses(peer_pid(transport.get_extra_info("socket"))):
                transport.abort()  # type: ignore[attr-defined]

    return Guarded
