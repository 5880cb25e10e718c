"""Asking an activator how its function is, beside the socket where requests arrive. Standard library only.

A Unix socket in the abstract name space, named after the port: nothing is left behind on a disk, and whoever knows the
port knows where to ask. Only the same user is answered. One line there, one line of JSON back: ``status`` or ``warm``.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

_NAME = "\0lastgood-function-{port}"


def listen_for_questions(port: int) -> socket.socket:
    """The socket of an activator's own. Raises ``OSError``."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(_NAME.format(port=port))
    listener.listen(64)
    listener.setblocking(False)
    return listener


class Asked:
    """A question that has arrived."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def answer(self, give: Callable[[str], dict[str, Any]]) -> None:
        """Answer it; who does not ask at once gets none."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(0.2)
            try:
                _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if uid in (os.getuid(), 0):
                    question = connection.recv(64).decode("ascii", "replace").strip()
                    connection.sendall(json.dumps(give(question)).encode() + b"\n")
            except (OSError, struct.error):
                return


async def ask(port: int, question: str = "status", timeout_s: float = 2.0) -> dict[str, Any]:
    """What the activator at a port says. Raises ``OSError``, ``TimeoutError``, ``ValueError``."""
    import asyncio  # the activator, which stays for ever, has no use for it

    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_unix_connection(_NAME.format(port=port))
        try:
            writer.write(question.encode() + b"\n")
            return dict(json.loads(await reader.readline()))
        finally:
            writer.close()


async def is_able(port: int, timeout_s: float = 2.0) -> bool:
    """Whether requests may go to it: it is warm, or it went to sleep after it was."""
    try:
        said = await ask(port, "status", timeout_s)
    except (OSError, TimeoutError, ValueError):
        return False
    return bool(said["proven"]) and said["state"] in ("warm", "cold", "leaving", "starting")
