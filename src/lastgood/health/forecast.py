"""Before a release: how long a regression takes to find at this traffic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lastgood.health.terms import Terms
from lastgood.health.wealth import EFFECTS


def divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli distributions, in nats."""
    first = p * math.log(p / q) if p else 0.0
    return first + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)


def information(share: float, per_second: float, bad: float, base: float) -> float:
    """Nats a second that two arms give about "fails with ``bad`` in place of ``base``" (both 0 to 1)."""
    mine, theirs = share * per_second, (1 - share) * per_second
    if mine <= 0 or theirs <= 0:
        return 0.0
    pooled = (mine * bad + theirs * base) / per_second
    return mine * divergence(bad, pooled) + theirs * divergence(base, pooled)


def bound_s(share: float, per_second: float, bad: float, base: float, alpha: float) -> float:
    """No test with that chance of a false alarm is faster in the mean (Wald); infinite where nothing can be learnt."""
    rate = information(share, per_second, bad, base)
    return math.log(1 / alpha) / rate if rate else math.inf


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds to find a share of failing requests (0 to 1)."""

    bad: float
    seconds: float


def forecast(
    share: float, per_second: float, base: float, terms: Terms, shares: tuple[float, ...] = (0.01, 0.05, 0.2, 1.0)
) -> tuple[Forecast, ...]:
    """How long this judge takes, roughly: the bound, and what the mixtures cost."""
    stakes = sum(terms.stakes.values()) or 1.0
    stake = terms.stakes.get("errors", 0.0) / stakes or 1.0
    cost = math.log(len(EFFECTS)) + math.log(1 / stake) + (math.log(2) if terms.start_every_s else 0.0)
    slower = terms.dispersion.get("errors", 1.0)
    found = []
    for bad in shares:
        rate = information(share, per_second, bad, base) if bad > base else 0.0
        found.append(Forecast(bad, (math.log(1 / terms.alpha) + cost) * slower / rate if rate else math.inf))
    return tuple(found)


def told(found: tuple[Forecast, ...], per_second: float) -> str:
    """One sentence for a person."""
    if not any(math.isfinite(one.seconds) for one in found):
        return "at your traffic nothing can be found: hold some of it back on the old release (bake: hold_back: 5%)"
    parts = [f"{one.bad:.0%} failing about {_time(one.seconds)}" for one in found if math.isfinite(one.seconds)]
    return f"at your traffic ({per_second:.3g} requests a second) it takes to find " + ", ".join(parts)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
