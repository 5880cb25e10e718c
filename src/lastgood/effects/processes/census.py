"""Who runs, looked at once and asked often: what a process started, wherever it went since.

Two hundred processes that end together are two hundred questions, and a look at every process of the machine takes
milliseconds: one look for each question would take the supervisor longer than the processes take to end.
"""

from __future__ import annotations

import signal
from collections import defaultdict

from lastgood.effects.processes.identity import (
    Identity,
    Stat,
    boot_id,
    marker_of,
    running,
    signal_if_same,
    stat_of,
)


class Census:
    """Every process that runs at this moment.

    That nothing is left of a process stays true: only what it started can start more of it. That something is left
    may not: look again. One that forks meanwhile is not in it: repeat SIGKILL, with a new one, until nobody is left.
    """

    def __init__(self) -> None:
        self._marked: dict[str, list[Stat]] = defaultdict(list)
        self._unmarked: dict[int, list[Stat]] = defaultdict(list)
        for stat in running():
            marker = marker_of(stat.pid)
            if marker is None:
                self._unmarked[stat.session].append(stat)
            else:
                self._marked[marker].append(stat)

    def members(self, identity: Identity) -> tuple[Stat, ...]:
        """The process and all it started that still run, those that left its session by their marker.

        Without a marker a process belongs to the session as long as its leader, dead but not reaped included, holds
        the number; afterwards the number may be somebody else's.
        """
        if identity.boot_id != boot_id():
            return ()
        leader = stat_of(identity.pid)
        found = list(self._marked.get(identity.marker, ()))
        if leader is not None and leader.start_ticks == identity.start_ticks:
            found += self._unmarked.get(identity.pid, ())
        return tuple(stat for stat in found if stat.start_ticks >= identity.start_ticks)

    def signal(self, identity: Identity, number: signal.Signals) -> int:
        """Signal the process and all it started, each once; how many there were."""
        found = self.members(identity)
        for stat in found:
            signal_if_same(stat, number)
        return len(found)
