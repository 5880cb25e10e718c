"""What Prometheus reads of requests: the proxies' own counters, by proxy and release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lastgood.health.reading import Counts, ProxyReading
from lastgood.release.state import State

_COUNTED: tuple[tuple[str, str, Callable[[Counts], int]], ...] = (
    ("requests", "Requests that ended", lambda counts: counts.answered),
    ("failed_requests", "Requests that failed for the client: 5xx, resets, timeouts", lambda counts: counts.failed),
    ("refused_requests", "Requests answered with 4xx", lambda counts: counts.refused),
    ("retried_requests", "Attempts that failed and were followed by another one", lambda counts: counts.retried),
)


TOLD = 20
"""Releases: a proxy remembers all that it ever served."""


def told_of(state: State) -> set[int]:
    """The releases whose requests are told: the one on its way, and of those that were live the newest."""
    target = (
        state.deployment.plan.target if state.deployment is not None and state.deployment.plan is not None else None
    )
    return {*state.lived[-TOLD:], *([target] if target is not None else [])}


def requests(readings: Mapping[str, ProxyReading]) -> Iterator[str]:
    """The lines. ``release`` is ``all`` for everything, else a release whose routes are counted apart."""
    for name, told, of in _COUNTED:
        yield f"# HELP lastgood_{name}_total {told}"
        yield f"# TYPE lastgood_{name}_total counter"
        for proxy, reading in sorted(readings.items()):
            for label, counts in sorted(_releases(reading).items()):
                yield f'lastgood_{name}_total{{proxy="{proxy}",release="{label}"}} {of(counts)}'


def _releases(reading: ProxyReading) -> dict[str, Counts]:
    """Guarded routes count as their releases."""
    sums: dict[str, Counts] = {}
    for label, counts in reading.arms.items():
        release = label.partition(".")[0]
        sums[release] = sums.get(release, Counts()) + counts
    return sums
