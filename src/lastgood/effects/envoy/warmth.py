"""Waiting until new listeners are open, which an acknowledgement does not say, and until clusters are warm."""

from __future__ import annotations

import asyncio

from lastgood.effects.envoy.admin import Admin
from lastgood.errors import Unavailable


async def wait_until_zero(admin: Admin, gauge: str, timeout_s: float) -> bool:
    """Ask for a gauge (a regex) until it is zero; False when the time is over or the proxy cannot be asked.

    Bounded on purpose: a cluster none of whose hosts answers warms as long as its health check takes, and whether to
    route to it is not decided here.
    """
    pause_s = 0.001
    try:
        async with asyncio.timeout(timeout_s):
            while any((await admin.stats(gauge)).values()):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.05)
    except (TimeoutError, Unavailable):
        return False
    return True
