"""What the proxies count, and where it is kept as evidence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from lastgood.health.reading import ProxyReading


class Measurements(Protocol):
    """The counters of the gateway's proxies."""

    async def read(self, releases: Collection[int] | None = None) -> Mapping[str, ProxyReading]:
        """Every proxy that answers, by name; empty when none does. Counts are since each proxy's start.

        Of routes those of ``releases``, without it of all: a proxy forgets none that it ever served.
        """
        ...


class Evidence(Protocol):
    """One file of lines for each release that was judged; nothing in it is ever changed."""

    def append(self, release: int, line: str) -> None:
        """Add a line (with its end). Raises ``JournalFull`` where there is no room."""
        ...

    def keep(self, release: int) -> None:
        """Return once what was added is on the disk."""
        ...

    def lines(self, release: int) -> Sequence[str]:
        """All of its lines; none where nothing was measured. A line that was not finished is left out."""
        ...

    def remove(self, release: int) -> None:
        """Forget the lines of a release; harmless where there are none. Raises ``OSError``."""
        ...

    def releases(self) -> Sequence[int]:
        """The releases there are lines of, the newest first."""
        ...
