"""A port for an instance, for as long as the instance lives.

Below those that the kernel gives to outgoing connections (from 32768): one of these could take the port of an instance
while it is being restarted, and it would never come back.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

FIRST, LAST = 20_000, 29_999
_TRIES = 500


def free_port(taken: Collection[int] = ()) -> int:
    """A port that nobody listens on now and that is not ``taken``."""
    for _ in range(_TRIES):
        port = random.randint(FIRST, LAST)  # noqa: S311 nobody has to guess it
        if port not in taken and is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def is_free(port: int) -> bool:
    """Whether nobody listens there now; not to be asked while the port's own process may be about to."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
