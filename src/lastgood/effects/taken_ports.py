"""Who listens where our proxies are about to.

Envoy shares its ports (``SO_REUSEPORT``), so that several proxies of ours can serve one. Another gateway's Envoy would
share it as well: both would open it, and the kernel would deal the connections out between them without a word.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator

_LISTENS = "0A"


def holder(address: str, port: int, is_ours: Callable[[int], bool]) -> str | None:
    """``nginx (process 12)``: who keeps us from having a port for ourselves; None: nobody does.

    What cannot be tried here (a port below 1024, an address of another machine) is for Envoy to say.
    """
    if not _in_use(address, port):
        return None
    listening = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(f"/proc/net/{table}", port)}
    pids = set(_with_files(listening)) if listening else set()
    others = sorted(pid for pid in pids if not is_ours(pid))
    if not listening or (pids and not others):
        return None  # what lingers of connections is in nobody's way
    return f"{_name(others[0])} (process {others[0]})" if others else "a process of somebody else's"


def _in_use(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _with_files(wanted: set[str]) -> Iterator[int]:
    """Processes that have one of these files open, as far as they can be seen."""
    for name in os.listdir("/proc"):
        if name.isdigit() and wanted & set(_open_files(f"/proc/{name}/fd")):
            yield int(name)


def _inodes(table: str, port: int) -> Iterator[str]:
    """Of listening sockets: https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt."""
    try:
        with open(table) as file:
            lines = file.readlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _open_files(folder: str) -> Iterator[str]:
    try:
        for name in os.listdir(folder):
            yield os.readlink(f"{folder}/{name}")
    except OSError:  # it has ended, or is not ours to look into
        return


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "a process"
