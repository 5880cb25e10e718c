"""Which connections an instance still has, from the kernel: what it has to answer before it may be stopped.

The proxies close their idle connections to an endpoint that was taken out, and keep those on which a request is under
way; so does everybody who speaks to it directly. No connection means no request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

LOOK_S = 0.03
QUIET_LOOKS = 2
"""Looks in a row without a connection: one alone may fall between two requests."""
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


async def until_quiet(ports: Collection[int], at_most_s: float) -> int:
    """Until nobody is connected to these ports any more; how many are when the time is over."""
    began_s = time.monotonic()
    quiet, left = 0, 0
    while ports and quiet < QUIET_LOOKS:
        left = sum(connections_to(ports).values())
        quiet = quiet + 1 if left == 0 else 0
        if time.monotonic() - began_s >= at_most_s:
            break
        await asyncio.sleep(LOOK_S)
    return left
