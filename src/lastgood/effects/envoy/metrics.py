"""What each proxy counted of each release's routes: Envoy's own cumulative counters, read from the admin socket.

``upstream_rq_total`` counts attempts, ``upstream_rq_completed`` (and its classes) what clients got, and
``upstream_rq_retry`` the attempts that another one followed, on whichever version that was: so nothing is hidden. The
buckets of ``upstream_rq_time`` are those of ``health.reading``; a proxy started by an older build has its own, and is
read as if each of its answers had taken as long as its bucket allows.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from typing import Any

from lastgood.effects.envoy.admin import Admin
from lastgood.errors import Unavailable
from lastgood.health.reading import EDGES_MS, WHOLE, Counts, ProxyReading

_ROUTES = r"vhost\.[^.]+\.route\.r(%s)(\.[^.]+)?\.upstream_rq_(total|completed|4xx|5xx|retry|time)"
_ALL = r"server\.uptime|http\.[^.]+\.downstream_rq_(completed|4xx|5xx|time)"
_NAME = re.compile(r"vhost\.[^.]+\.route\.(?P<label>r\d+(?:\.[^.]+)?)\.upstream_rq_(?P<what>\w+)")
_WHOLE = re.compile(r"http\.(?!admin\.)[^.]+\.downstream_rq_(?P<what>\w+)")
"""Everything that came to a listener, whichever route took it; Envoy's own admin listener is none of ours."""
_FIELDS = {"total": "attempts", "completed": "answered", "5xx": "failed", "4xx": "refused", "retry": "retried"}


class EnvoyMeasurements:
    """``ports.Measurements`` of these proxies."""

    def __init__(self, admins: Mapping[str, Admin]) -> None:
        self._admins = admins

    async def read(self, releases: Collection[int] | None = None) -> Mapping[str, ProxyReading]:
        """See ``ports.Measurements``; one that does not answer in time is left out."""
        wanted = statistics_of(releases)
        answers = await asyncio.gather(
            *(admin.statistics(wanted) for admin in self._admins.values()), return_exceptions=True
        )
        found: dict[str, ProxyReading] = {}
        for name, answer in zip(self._admins, answers, strict=True):
            if isinstance(answer, list):
                found[name] = reading_of(answer)
            elif not isinstance(answer, Unavailable):
                raise answer
        return found


def statistics_of(releases: Collection[int] | None) -> str:
    """The names to ask a proxy for, of these releases or of all (RE2)."""
    numbers = "[0-9]+" if releases is None else "|".join(str(number) for number in sorted(releases))
    return "|".join([*([_ROUTES % numbers] if numbers else []), _ALL])


def reading_of(statistics: list[dict[str, Any]]) -> ProxyReading:
    """One proxy's reading of the ``stats`` of its admin interface; listeners are summed."""
    up_s = 0.0
    sums: dict[str, dict[str, int]] = {}
    times: dict[str, list[int]] = {}
    for one in statistics:
        for histogram in one.get("histograms", ()):
            if named := _named(histogram["name"]):
                within = _within(histogram["buckets"])
                before = times.get(named[0], [0] * len(EDGES_MS))
                times[named[0]] = [mine + more for mine, more in zip(before, within, strict=True)]
        name, value = one.get("name", ""), one.get("value")
        if not isinstance(value, int):
            continue
        if name == "server.uptime":
            up_s = float(value)
        elif (named := _named(name)) and (counted := _FIELDS.get(named[1])):
            fields = sums.setdefault(named[0], {})
            fields[counted] = fields.get(counted, 0) + value
    if WHOLE in sums:  # a request is counted when it ends: there are as many attempts as answers
        sums[WHOLE]["attempts"] = sums[WHOLE].get("answered", 0)
    arms = {
        label: Counts(**fields, within=tuple(times.get(label, [0] * len(EDGES_MS)))) for label, fields in sums.items()
    }
    return ProxyReading(up_s, arms)


def _named(name: str) -> tuple[str, str] | None:
    """The label and what is counted, of a statistic's name."""
    if found := _NAME.fullmatch(name):
        return found["label"], found["what"]
    return (WHOLE, found["what"]) if (found := _WHOLE.fullmatch(name)) else None


def _within(buckets: list[dict[str, Any]]) -> list[int]:
    """Cumulative counts at our edges; between two of the proxy's bounds the lower one counts."""
    bounds = [bucket["upper_bound"] for bucket in buckets]
    counts = [0, *(int(bucket["cumulative"]) for bucket in buckets)]
    within = [counts[bisect_right(bounds, edge)] for edge in EDGES_MS]
    within[-1] = counts[-1]
    return within
