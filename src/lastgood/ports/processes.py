"""Processes that outlive us."""

from __future__ import annotations

from typing import Protocol

from lastgood.errors import Unavailable
from lastgood.process import ProcessSpec, ProcessState


class KeeperAway(Unavailable):
    """What keeps the processes is not there; it comes back by itself, and the processes go on without it."""


class Processes(Protocol):
    """Processes that outlive us, kept running by something small.

    Every call may be refused, may find nobody (``KeeperAway``: repeat it), may time out (``Unavailable``; it may have
    taken effect all the same: repeat it), and its answer may be out of date when it arrives: whether a process is able
    to work, only its health check tells.
    """

    async def start(self, spec: ProcessSpec) -> ProcessState:
        """Have it running; returns once its program has been executed, not once it is ready.

        Idempotent by key: the same spec again changes nothing but brings its secrets, another spec replaces the process
        (stop, then start). One that ended with ``restart="never"`` is not run again: stop its key first. Raises
        ``Failed`` when it cannot be executed, ``Fenced``, ``Refused``, ``UsageError``.
        """
        ...

    async def stop(self, key: str, grace_s: float | None = None) -> bool:
        """SIGTERM to it and all it started, SIGKILL after the grace (default: its spec's); returns when they are gone.

        False: there was none. Raises ``Failed`` when it does not end even so.
        """
        ...

    async def restart(self, key: str, pid: int) -> bool:
        """End a process that lives and does not answer, and start it again: SIGTERM to it and all it started, SIGKILL
        after its spec's grace, then its pause, which grows while it is asked for again and again. Counted as a restart
        and as a hang; stays listed, not as running.

        Returns as soon as it was told to end. False: that pid is not (any more) the running process of this key, so the
        same request again, or one that comes late, ends nothing.
        """
        ...

    async def list(self) -> tuple[ProcessState, ...]:
        """Every process that is kept, and those that ended and were not stopped, by key."""
        ...
