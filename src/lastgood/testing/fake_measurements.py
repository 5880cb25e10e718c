"""Counters and evidence in memory, with the faults that real ones have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lastgood.errors import LastgoodError
from lastgood.health.reading import EDGES_MS, WHOLE, Counts, ProxyReading
from lastgood.ports.journal import JournalFull


class FakeMeasurements:
    """``ports.Measurements``: proxies whose counters a test moves."""

    def __init__(self, names: Sequence[str] = ("one",)) -> None:
        self._proxies = {name: ProxyReading(1.0) for name in names}
        self._gone: set[str] = set()
        self.reads = 0
        self.refuses: LastgoodError | None = None

    def requests(self, label: str, n: int, *, failed: int = 0, took_ms: float = 10.0, name: str = "one") -> None:
        """So many requests were answered by the routes of ``label`` (``r12``)."""
        proxy = self._proxies[name]
        within = tuple(n if edge >= took_ms else 0 for edge in EDGES_MS)
        more = proxy.arms.get(label, Counts()) + Counts(n, n, failed, 0, 0, within)
        self._proxies[name] = replace(proxy, arms={**proxy.arms, label: more})

    def hang(self, label: str, n: int, name: str = "one") -> None:
        """So many requests began and got no answer."""
        proxy = self._proxies[name]
        more = proxy.arms.get(label, Counts()) + Counts(n)
        self._proxies[name] = replace(proxy, arms={**proxy.arms, label: more})

    def vanish(self, name: str = "one") -> None:
        """It answers no more."""
        self._gone.add(name)

    def come_back(self, name: str = "one") -> None:
        """It answers again."""
        self._gone.discard(name)

    def restart(self, name: str = "one") -> None:
        """It counts from zero."""
        self._proxies[name] = ProxyReading(0.0)

    async def read(self, releases: Collection[int] | None = None) -> Mapping[str, ProxyReading]:
        """See ``ports.Measurements``; a second passes for the proxies."""
        self.reads += 1
        if self.refuses is not None:
            raise self.refuses
        self._proxies = {name: replace(proxy, up_s=proxy.up_s + 1) for name, proxy in self._proxies.items()}
        return {name: _of(proxy, releases) for name, proxy in self._proxies.items() if name not in self._gone}


def _of(proxy: ProxyReading, releases: Collection[int] | None) -> ProxyReading:
    if releases is None:
        return proxy
    labels = {WHOLE, *(f"r{number}" for number in releases)}
    return replace(proxy, arms={label: made for label, made in proxy.arms.items() if label.partition(".")[0] in labels})


class FakeEvidence:
    """``ports.Evidence`` in memory; ``full`` is a disk without room."""

    def __init__(self) -> None:
        self.kept: dict[int, list[str]] = {}
        self.full = False
        self.synced: list[int] = []

    def append(self, release: int, line: str) -> None:
        """See ``ports.Evidence``."""
        if self.full:
            raise JournalFull("the disk is full", where=f"r{release}", next="make room")
        self.kept.setdefault(release, []).append(line)

    def keep(self, release: int) -> None:
        """See ``ports.Evidence``."""
        self.synced.append(release)

    def lines(self, release: int) -> Sequence[str]:
        """See ``ports.Evidence``."""
        return tuple(self.kept.get(release, ()))

    def remove(self, release: int) -> None:
        """See ``ports.Evidence``."""
        self.kept.pop(release, None)

    def releases(self) -> Sequence[int]:
        """See ``ports.Evidence``."""
        return tuple(sorted(self.kept, reverse=True))
