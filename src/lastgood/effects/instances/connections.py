"""Which connections an instance still has, from the kernel: what it has to answer before it may be stopped.

The proxies close their idle connections to an endpoint that was taken out, and keep those on which a request is under
way; so does everybody who speaks to it directly. No connection means no request.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"


def connections_to(ports: Collection[int]) -> dict[int, int]:
    """How many connections are open at each of these local ports."""
    found = dict.fromkeys(ports, 0)
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *_ = line.split(None, 4)
            port = int(local.rpartition(":")[2], 16)
            if state == _ESTABLISHED and port in found:
                found[port] += 1
    return found
