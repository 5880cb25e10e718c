"""What proxies have counted since they started: the input of every judgement, and what is kept of it as evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EDGES_MS = (
    *(1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640, 900),
    *(1280, 1800, 2560, 5120, 10_240, 60_000, 3_600_000),
)
"""Upper bounds of the latency buckets, each about 1.4 times the one before; the last takes everything."""


WHOLE = "all"
"""The label of everything that came to the gateway, whichever route took it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Cumulative counts of one release's routes at one proxy.

    ``attempts`` were sent upstream, ``answered`` have ended for the client, ``retried`` were followed by another
    attempt (whatever became of it). ``failed`` are 5xx, resets and timeouts among the answered, ``refused`` are 4xx.
    ``within`` counts answers not slower than each of ``EDGES_MS``.
    """

    attempts: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    retried: int = 0
    within: tuple[int, ...] = (0,) * len(EDGES_MS)

    def __add__(self, other: Counts) -> Counts:
        return self._with(other, 1)

    def __sub__(self, other: Counts) -> Counts:
        return self._with(other, -1)

    def _with(self, other: Counts, sign: int) -> Counts:
        return Counts(
            self.attempts + sign * other.attempts,
            self.answered + sign * other.answered,
            self.failed + sign * other.failed,
            self.refused + sign * other.refused,
            self.retried + sign * other.retried,
            tuple(mine + sign * theirs for mine, theirs in zip(self.within, other.within, strict=True)),
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """All of them in a row."""
        return (self.attempts, self.answered, self.failed, self.refused, self.retried, *self.within)

    @property
    def in_flight(self) -> int:
        """Attempts without an answer yet."""
        return self.attempts - self.answered - self.retried


Arms = Mapping[str, Counts]
"""Counts by label: ``r12`` is all of a release's routes, ``r12.checkout`` one that is guarded."""


@dataclass(frozen=True, slots=True)
class ProxyReading:
    """One proxy: seconds since it started, and what it counted."""

    up_s: float
    arms: Arms = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """All proxies that answered, at one moment of the boot-time clock; ``percent`` is the candidate's share then.

    ``veto`` is what was seen beside the counters and needs no statistics, ``doubts`` what else keeps it from being
    good, in words.
    """

    at_s: float
    percent: float
    proxies: Mapping[str, ProxyReading] = field(default_factory=dict)
    veto: str = ""
    doubts: tuple[str, ...] = ()


def write_reading(reading: Reading) -> dict[str, Any]:
    """As JSON values."""
    proxies = {
        name: {"up": proxy.up_s, "arms": {label: list(counts.numbers) for label, counts in proxy.arms.items()}}
        for name, proxy in reading.proxies.items()
    }
    seen: dict[str, Any] = {"veto": reading.veto} if reading.veto else {}
    if reading.doubts:
        seen["doubts"] = list(reading.doubts)
    return {"at": reading.at_s, "percent": reading.percent, "proxies": proxies, **seen}


def read_reading(raw: Mapping[str, Any]) -> Reading:
    """The inverse of :func:`write_reading`."""
    proxies = {
        name: ProxyReading(one["up"], {label: _counts(numbers) for label, numbers in one["arms"].items()})
        for name, one in raw["proxies"].items()
    }
    return Reading(raw["at"], raw["percent"], proxies, raw.get("veto", ""), tuple(raw.get("doubts", ())))


def _counts(numbers: Sequence[int]) -> Counts:
    attempts, answered, failed, refused, retried, *within = numbers
    return Counts(attempts, answered, failed, refused, retried, tuple(within))
