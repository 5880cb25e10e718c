"""The metrics: each is a stream of bad ones among so many, on both sides, with its own bets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lastgood.health.reading import EDGES_MS, Counts
from lastgood.health.ticks import Arm, Pair, Tick
from lastgood.health.wealth import LESS, Wealth, against, between_arms, lesser, of_share

FORGET = 0.999
"""What a tick's counts are worth one tick later in the estimate of the baseline."""
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
ENOUGH = 200
"""Answers of the baseline before latency is judged, and requests before its past can stand in for it."""
LEAST = 20
"""Requests of the baseline before they can stand in for it once it is gone, with the bound that so few permit."""


class Estimate:
    """The share of bad ones, of the past alone; before there is a past, half a bad one in a hundred."""

    def __init__(self, bad: float = 0.5, n: float = 100.0) -> None:
        self._bad, self._n = bad, n
        self.seen = 0
        self.seen_bad = 0

    @property
    def share(self) -> float:
        """Between one in a million and nine in ten."""
        return min(max(self._bad / self._n, 1e-6), 0.9)

    @property
    def at_most(self) -> float | None:
        """A share that the past is very likely (99.9 %) below, None where there is too little of it."""
        return None if self.seen < ENOUGH else upper(self.seen_bad, self.seen)

    @property
    def surely_at_most(self) -> float | None:
        """The same of little past, and hence much higher; None where there is next to none."""
        return None if self.seen < LEAST else surely(self.seen_bad, self.seen)

    def learn(self, bad: int, n: int) -> None:
        """One more tick."""
        self._bad, self._n = self._bad * FORGET + bad, self._n * FORGET + n
        self.seen += n
        self.seen_bad += bad


def upper(bad: int, n: int) -> float:
    """A share that ``bad`` of ``n`` are very likely (99.9 %) below."""
    spread: float = 3.1 * ((bad + 1.0) ** 0.5)
    return min((bad + 1.0 + spread) / n, 0.9)


def surely(bad: int, n: int) -> float:
    """The share at which at most ``bad`` of ``n`` come about once in 10,000 times (Clopper and Pearson, 1934)."""
    low, high = bad / n, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        chance = sum(math.comb(n, k) * middle**k * (1 - middle) ** (n - k) for k in range(bad + 1))
        low, high = (middle, high) if chance > 1e-4 else (low, middle)
    return min(high, 0.9)


class Compared:
    """Bad ones of the candidate beside bad ones of the baseline.

    Where the baseline is gone, what was seen of it (or ``reference``, a share that a known good release stayed below)
    stands in. It is no proof against an outage of what both share; so where anything else goes through the gateway the
    bet pays no more than one against "no more than the rest" does (see :mod:`lastgood.health.vigil`).
    """

    def __init__(self, start_every_s: float | None, dispersion: float, reference: float | None = None) -> None:
        self.wealth = Wealth(start_every_s=start_every_s)
        self.expected = Estimate()
        self._usual = Estimate()
        self._reference = reference
        self._dispersion = dispersion
        self.past_alone = True
        """Whether its past may condemn it where nothing else goes through the gateway either."""

    def take(
        self,
        mine: tuple[int, int],
        theirs: tuple[int, int],
        took_s: float,
        rest: tuple[int, int] = (0, 0),
        *,
        gone: bool = False,
    ) -> None:
        """Bet on this tick, then learn from it; ``gone`` is whether no request goes to the baseline any more."""
        mine, theirs, rest = _sane(mine), _sane(theirs), _sane(rest)
        limit = self.expected.at_most or self._reference or (self.expected.surely_at_most if gone else None)
        if mine[1] and theirs[1]:
            gains = between_arms(mine, theirs, self.expected.share)
            self.wealth.bet([gain / self._dispersion for gain in gains], took_s)
        elif mine[1] and limit is not None and (rest[1] or self.past_alone):
            gains = against(*mine, limit)
            if rest[1]:
                gains = lesser(gains, between_arms(mine, rest, self._usual.share))
            self.wealth.bet([gain / self._dispersion for gain in gains], took_s)
        self.learn(theirs, rest)

    def learn(self, theirs: tuple[int, int], rest: tuple[int, int]) -> None:
        """What the others do, and nothing else: while the candidate warms up they are what they always are."""
        self.expected.learn(*_sane(theirs))
        self._usual.learn(*_sane(rest))


def _sane(counts: tuple[int, int]) -> tuple[int, int]:
    """An answer may be counted a tick after its request: never more bad ones than requests."""
    bad, n = counts
    return min(bad, n), n


def errors_of(arm: Arm) -> tuple[int, int]:
    """Failed attempts, of all that ended."""
    return arm.failures, arm.finished


def refused_of(arm: Arm) -> tuple[int, int]:
    """4xx, of all that ended."""
    return arm.counts.refused, arm.finished


class Latency:
    """Answers slower than an edge, for up to six edges near the baseline's quantiles: the wealths are averaged.

    Failures are not answers, and what hangs counts as slow. The edges are chosen once the baseline had enough answers:
    by the past alone.
    """

    def __init__(self, start_every_s: float | None, dispersion: float) -> None:
        self._every_s, self._dispersion = start_every_s, dispersion
        self._past = Counts()
        self._edges: dict[int, Compared] = {}
        self._seen: dict[int, tuple[int, int, int, int]] = {}
        self._owed = [0, 0]

    def take(self, pair: Pair, took_s: float, rest: Arm | None = None) -> None:
        """Bet on this tick, then learn from it."""
        owed = list(self._owed)
        for edge, compared in self._edges.items():
            mine, theirs = (_slow(arm, edge, owed[side]) for side, arm in enumerate(pair))
            compared.take(mine, theirs, took_s, _slow(rest, edge, 0) if rest is not None else (0, 0))
            slow, n, slow_b, n_b = self._seen[edge]
            self._seen[edge] = (slow + mine[0], n + mine[1], slow_b + theirs[0], n_b + theirs[1])
        for side, arm in enumerate(pair):
            late = arm.counts.within[-1] - arm.counts.within[-8]
            self._owed[side] = max(0, self._owed[side] + arm.hanging - late)
        self._past += pair[1].counts
        if not self._edges and self._past.within[-1] >= ENOUGH:
            self._edges = {edge: self._begun(edge) for edge in edges(self._past)}
            self._seen = dict.fromkeys(self._edges, (0, 0, 0, 0))

    def _begun(self, edge: int) -> Compared:
        compared = Compared(self._every_s, self._dispersion)
        compared.past_alone = False  # a machine that is busier than it was makes everything slower
        answers = self._past.within[-1]
        compared.expected = Estimate(answers - self._past.within[edge] + 0.5, answers + 1.0)
        compared.expected.seen, compared.expected.seen_bad = answers, answers - self._past.within[edge]
        return compared

    @property
    def now(self) -> float:
        """The wealth: 1 as long as there are no edges."""
        if not self._edges:
            return 1.0
        return sum(compared.wealth.now for compared in self._edges.values()) / len(self._edges)

    @property
    def told(self) -> str:
        """What speaks most against it: the edge at which the most was won, and who was slower than that."""
        edge = max(self._edges, key=lambda each: self._edges[each].wealth.now)
        slow, n, slow_b, n_b = self._seen[edge]
        beside = f", of the baseline's {slow_b} of {n_b}" if n_b else ""
        return f"slower: {slow} of {n} answers took more than {EDGES_MS[edge]} ms{beside}"


def _slow(arm: Arm, edge: int, owed: int) -> tuple[int, int]:
    counts = arm.counts
    slow = max(0, counts.within[-1] - counts.within[edge] - owed) + arm.hanging
    return slow, max(slow, counts.within[-1] - counts.failed + arm.hanging)


def edges(past: Counts) -> tuple[int, ...]:
    """The indices of the buckets that hold each of ``QUANTILES`` of these answers."""
    answers = past.within[-1]
    found = [
        next(index for index, within in enumerate(past.within) if within >= quantile * answers)
        for quantile in QUANTILES
    ]
    return tuple(sorted({min(edge, len(EDGES_MS) - 2) for edge in found}))


class Volume:
    """Requests the candidate gets, of those it should get."""

    def __init__(self, start_every_s: float | None, dispersion: float) -> None:
        self.wealth = Wealth(len(LESS), start_every_s)
        self._dispersion = dispersion

    def take(self, tick: Tick) -> None:
        """Bet on a tick in which the share did not move."""
        share = tick.percent / 100
        if not tick.steady or not 0 < share < 1:
            return
        mine, theirs = (arm.counts.attempts - arm.counts.retried for arm in tick.sides)
        gains: Sequence[float] = of_share(max(mine, 0), max(theirs, 0), share)
        self.wealth.bet([gain / self._dispersion for gain in gains], tick.took_s)
