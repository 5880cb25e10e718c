"""From what proxies counted since they started to what happened within one tick.

A proxy that restarted, was away for a while or says something impossible contributes nothing to that tick: what it
missed is not known, so it is neither healthy nor bad.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lastgood.health.reading import EDGES_MS, WHOLE, Counts, ProxyReading, Reading

LONGEST_S = 5.0
"""More than this between two readings is a gap: the machine was suspended, or nobody looked."""
SUSPECT_S = 2.0
"""A request is not called hanging before this, or four times what the baseline's slowest percent takes."""


_NONE = Counts()


@dataclass(frozen=True, slots=True)
class Arm:
    """One side within one tick. ``hanging`` are requests newly known to wait for longer than ``SUSPECT_S``."""

    counts: Counts = _NONE
    hanging: int = 0

    @property
    def finished(self) -> int:
        """Attempts that came to an end, one way or the other."""
        return self.counts.answered + self.counts.retried

    @property
    def failures(self) -> int:
        """Attempts that failed: 5xx, resets, timeouts, and those that retries hid."""
        return self.counts.failed + self.counts.retried


Pair = tuple[Arm, Arm]
"""The candidate's side and the baseline's."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: both sides, summed over the proxies, and the guarded routes alone.

    ``seen`` proxies contributed; ``dropped`` says why others did not. ``steady`` is False where the share moved.
    ``rest`` is everything else that went through the gateway, None where that was not counted.
    """

    at_s: float
    took_s: float
    percent: float
    sides: Pair = field(default_factory=lambda: (Arm(), Arm()))
    routes: Mapping[str, Pair] = field(default_factory=dict)
    seen: int = 0
    dropped: tuple[str, ...] = ()
    steady: bool = True
    rest: Arm | None = None

    @property
    def blind(self) -> bool:
        """Whether nothing is known of this tick."""
        return self.seen == 0


def rest_of(whole: Counts, own: Counts) -> Counts:
    """All but a release's own. Requests are counted when they end, on their route a moment before: never below zero."""
    left = whole - own
    answered = max(0, left.answered)
    within = tuple(max(0, number) for number in left.within)
    return Counts(answered, answered, min(max(0, left.failed), answered), max(0, left.refused), 0, within)


def unshielded(tick: Tick) -> Tick:
    """As if nobody had been rescued, on both sides alike: a request with a failed attempt is one that failed."""

    def bare(pair: Pair) -> Pair:
        return _bare(pair[0]), _bare(pair[1])

    return replace(tick, sides=bare(tick.sides), routes={name: bare(pair) for name, pair in tick.routes.items()})


def _bare(arm: Arm) -> Arm:
    counts = arm.counts
    failed = min(counts.answered, counts.failed + counts.retried)
    return replace(arm, counts=replace(counts, attempts=counts.attempts - counts.retried, failed=failed, retried=0))


class Meter:
    """Turns readings into ticks for one candidate (``r12``) against one baseline (``r11``).

    A candidate of all that goes through the gateway (``WHOLE``) has neither a baseline nor a rest.
    More than ``longest_s`` between two readings of a proxy is a gap.
    """

    def __init__(self, candidate: str, baseline: str | None, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._names = (candidate, baseline or "")
        self._last: dict[str, tuple[float, ProxyReading]] = {}
        self._at_s: float | None = None
        self._percent: float | None = None
        self._total = [Counts(), Counts()]
        self._hanging = (_Hanging(), _Hanging())

    def tick(self, reading: Reading) -> Tick | None:
        """What happened since the last reading; None for the first one, and for one that comes late or twice."""
        last_s, percent = self._at_s, self._percent
        if not math.isfinite(reading.at_s) or (last_s is not None and reading.at_s <= last_s):
            return None
        self._at_s, self._percent = reading.at_s, reading.percent
        dropped: list[str] = []
        deltas = []
        for name, proxy in sorted(reading.proxies.items()):
            delta, why = self._delta(name, proxy, reading.at_s)
            if delta is not None:
                deltas.append(delta)
            elif why:
                dropped.append(f"{name}: {why}")
        if last_s is None:
            return None
        took_s = reading.at_s - last_s
        labels = sorted({label for delta in deltas for label in delta})
        summed = {label: sum((delta.get(label, Counts()) for delta in deltas), Counts()) for label in labels}
        sides = self._sides(summed, reading.at_s, measured=bool(deltas))
        return Tick(
            reading.at_s,
            took_s,
            reading.percent,
            sides,
            {route: self._pair(summed, f".{route}") for route in self._routes(labels)},
            len(deltas),
            tuple(dropped),
            steady=percent == reading.percent,
            rest=self._rest(summed, sides),
        )

    def _rest(self, summed: Mapping[str, Counts], sides: Pair) -> Arm | None:
        if WHOLE not in summed or self._names[0] == WHOLE:
            return None
        own = sum((arm.counts for name, arm in zip(self._names, sides, strict=True) if name != WHOLE), Counts())
        return Arm(rest_of(summed[WHOLE], own))

    def _delta(self, name: str, proxy: ProxyReading, at_s: float) -> tuple[dict[str, Counts] | None, str]:
        if not _is_possible(proxy):
            return None, "impossible numbers"
        before_s, before = self._last.get(name, (None, None))
        self._last[name] = (at_s, proxy)
        if before is None or before_s is None:
            return None, ""
        if at_s - before_s > self._longest_s:
            return None, f"not seen for {at_s - before_s:.1f} s"
        if proxy.up_s < before.up_s:
            return None, "started again"
        delta = {label: counts - before.arms.get(label, Counts()) for label, counts in proxy.arms.items()}
        if any(number < 0 for counts in delta.values() for number in counts.numbers):
            return None, "counts from anew"
        return delta, ""

    def _routes(self, labels: list[str]) -> list[str]:
        return sorted({label.partition(".")[2] for label in labels if label.partition(".")[0] in self._names} - {""})

    def _pair(self, summed: Mapping[str, Counts], suffix: str) -> Pair:
        mine, theirs = (Arm(summed.get(f"{name}{suffix}", Counts())) for name in self._names)
        return mine, theirs

    def _sides(self, summed: Mapping[str, Counts], at_s: float, *, measured: bool) -> Pair:
        """A release's routes together, the guarded ones included."""
        sides = []
        for name in self._names:
            whole = [counts for label, counts in summed.items() if label.partition(".")[0] == name]
            sides.append(Arm(sum(whole, Counts())))
        if not measured:
            return sides[0], sides[1]
        self._total = [total + side.counts for total, side in zip(self._total, sides, strict=True)]
        suspect_s = max(SUSPECT_S, 4 * slowest_s(self._total[1]))
        found = [
            replace(side, hanging=hanging.more(total, at_s, suspect_s))
            for side, hanging, total in zip(sides, self._hanging, self._total, strict=True)
        ]
        return found[0], found[1]


class _Hanging:
    """How many requests are known to hang: those begun long ago, less all that have ended since the beginning.

    It is a lower bound: an answer that came may have been a younger request's. It never falls, so that no request is
    counted twice; what times out in the end is counted as a failure then.
    """

    def __init__(self) -> None:
        self._begun: deque[tuple[float, int]] = deque()
        self._old = 0
        self._known = 0

    def more(self, total: Counts, at_s: float, suspect_s: float) -> int:
        self._begun.append((at_s, total.attempts))
        while self._begun and self._begun[0][0] <= at_s - suspect_s:
            self._old = self._begun.popleft()[1]
        hanging = self._old - total.answered - total.retried
        more = max(0, hanging - self._known)
        self._known += more
        return more


def slowest_s(counts: Counts) -> float:
    """An upper bound of the time that all but one in a hundred answers took; 0 where there is none."""
    answers = counts.within[-1]
    if not answers:
        return 0.0
    return next(edge for edge, within in zip(EDGES_MS, counts.within, strict=True) if within >= 0.99 * answers) / 1000


def _is_possible(proxy: ProxyReading) -> bool:
    if not math.isfinite(proxy.up_s) or proxy.up_s < 0:
        return False
    rows = [counts.numbers for counts in proxy.arms.values()]
    return all(isinstance(number, int) and number >= 0 for row in rows for number in row)
