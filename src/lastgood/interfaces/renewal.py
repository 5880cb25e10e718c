"""Certificates are read again when their files change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from lastgood.errors import LastgoodError
from lastgood.operations.configurations import Configurations
from lastgood.operations.loop import Loop
from lastgood.release.ledger import live_now

LOOK_S = 1.0


async def watch_certificates(
    loop: Loop, configurations: Configurations, refresh: Callable[[], Awaitable[None]], *, look_s: float = LOOK_S
) -> None:
    """Serve again whenever a certificate or key file of the live release is another one than before.

    A file that is seen for the first time may have changed since it was read: that is served again too, which tells the
    proxies nothing where it did not.
    """
    seen: dict[str, tuple[int, int]] = {}
    while True:
        await asyncio.sleep(look_s)
        live = live_now(loop.state)
        if live is None:
            continue
        try:
            paths = certificate_files(configurations, live)
            now = {path: _stamp(path) for path in paths}
            if any(seen.get(path) != now[path] for path in now):
                await refresh()
            seen = now
        except LastgoodError:
            continue  # half of a new pair is on the disk: the next look finds both


def certificate_files(configurations: Configurations, live: int) -> set[str]:
    """Paths of the chains, and of the keys that are files."""
    found = set()
    for listener in configurations.of(live).listeners.values():
        if listener.tls is not None:
            found.add(listener.tls.cert)
            if listener.tls.key.startswith("file:"):
                found.add(listener.tls.key.removeprefix("file:"))
    return found


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
