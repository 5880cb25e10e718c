"""Requests by chance, seeded: ticks as a meter would make them, for the judge's tests and figures."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lastgood.health.reading import EDGES_MS, Counts
from lastgood.health.ticks import Arm, Tick

Share = Callable[[float], float]
"""Seconds since the beginning -> a share (0 to 1)."""


def steady(share: float) -> Share:
    """The same all the time."""
    return lambda at_s: share


@dataclass(frozen=True)
class Side:
    """One release: how many of its requests fail or get a 4xx, and its median latency (log-normal, sigma 0.5).

    ``clusters`` is how many failures come together.
    """

    fails: Share = field(default_factory=lambda: steady(0.005))
    refused: Share = field(default_factory=lambda: steady(0.01))
    median_ms: Share | None = None
    clusters: int = 1


def ticks(
    seed: int,
    seconds: int,
    candidate: Side,
    baseline: Side,
    *,
    per_second: float = 200.0,
    percent: float = 5.0,
    load: Share = lambda at_s: 1.0,
) -> Iterator[Tick]:
    """One tick a second: Poisson arrivals, each of them decided on its own."""
    chance = random.Random(seed)  # noqa: S311 a simulation
    for second in range(1, seconds + 1):
        rate = per_second * load(second)
        sides = (
            _arm(chance, second, rate * percent / 100, candidate),
            _arm(chance, second, rate * (1 - percent / 100), baseline),
        )
        yield Tick(float(second), 1.0, percent, sides, seen=1)


def after_bake(
    seed: int, seconds: int, mine: Share, rest: Share, *, load: int = 300, others: int = 2000
) -> Iterator[Tick]:
    """A tick every ten seconds: ``load`` requests to what the release changed, and the whole gateway's."""
    chance = random.Random(seed)  # noqa: S311 a simulation
    for at_s in range(10, seconds + 1, 10):
        own, other = (_counts(chance, n, share(at_s)) for n, share in ((load, mine), (others, rest)))
        yield Tick(float(at_s), 10.0, 100.0, (Arm(own), Arm(own + other)), seen=1, rest=Arm(other))


def _counts(chance: random.Random, n: int, share: float) -> Counts:
    return Counts(n, n, _binomial(chance, n, share), 0, 0, (n,) * len(EDGES_MS))


def _arm(chance: random.Random, at_s: float, rate: float, side: Side) -> Arm:
    n = _poisson(chance, rate)
    groups = _poisson(chance, n * side.fails(at_s) / side.clusters) if side.clusters > 1 else 0
    failed = min(n, groups * side.clusters) if side.clusters > 1 else _binomial(chance, n, side.fails(at_s))
    refused = _binomial(chance, n - failed, side.refused(at_s))
    return Arm(Counts(n, n, failed, refused, 0, _within(chance, n, side, at_s)))


def _within(chance: random.Random, n: int, side: Side, at_s: float) -> tuple[int, ...]:
    if side.median_ms is None:
        return (n,) * len(EDGES_MS)
    buckets = [0] * len(EDGES_MS)
    middle = math.log(side.median_ms(at_s))
    for _ in range(n):
        buckets[min(bisect_left(EDGES_MS, chance.lognormvariate(middle, 0.5)), len(EDGES_MS) - 1)] += 1
    total, within = 0, []
    for count in buckets:
        total += count
        within.append(total)
    return tuple(within)


def _binomial(chance: random.Random, n: int, share: float) -> int:
    """By the gaps between successes: work follows what is found, not what is looked at."""
    if share <= 0 or n == 0:
        return 0
    if share >= 1:
        return n
    found, at, log_miss = 0, 0, math.log1p(-share)
    while True:
        at += int(math.log(1.0 - chance.random()) / log_miss) + 1
        if at > n:
            return found
        found += 1


def _poisson(chance: random.Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, n = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        n += 1
    return n
