"""Healthy releases that break what simple statistics assume: how many of them the judge takes back all the same.

200 requests a second, 5 % of them on the new release, five minutes. Nothing here depends on the machine: the same seeds
give the same figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from benchmarks.batches import added_up
from benchmarks.table import Size, Table
from lastgood.health.dispersion import dispersion, in_bins
from lastgood.health.judge import Judge
from lastgood.health.limits import FAILURES, learnt_from
from lastgood.health.streams import errors_of
from lastgood.health.terms import Terms
from lastgood.health.ticks import Arm, Tick
from lastgood.testing.simulated_traffic import Share, Side, steady, ticks

ALPHA, BASE, PER_SECOND, SHARE = 1e-3, 0.005, 200.0, 0.05
SHIPPED = Terms()
HEALTHY_S = 300
PAST_S = 900
BEFORE_S = 600
"""As much of the release before is known as the judge needs to learn how failures cluster: ten minutes."""
RELEASES = {"full": 20_000, "smoke": 4}
UNPROMISED = 10
"""Where nothing is promised a tenth of the releases shows how wrong it goes."""
FIRST = 10**6
"""Seeds from here on; those of the releases before them are negative."""


def learnt(before: Side, seed: int) -> Terms:
    """The shipped terms, with the clusters that a release before this one showed."""
    past = ((tick.at_s, *errors_of(tick.sides[1])) for tick in ticks(-seed, BEFORE_S, Side(steady(0.0)), before))
    return replace(SHIPPED, dispersion={"errors": dispersion(in_bins(past))})


@dataclass(frozen=True)
class Null:
    """What a healthy release and its baseline do, and the terms on which the release of a seed is judged."""

    candidate: Side = field(default_factory=Side)
    baseline: Side = field(default_factory=Side)
    terms: Callable[[int], Terms] = lambda seed: SHIPPED
    load: Share = field(default_factory=lambda: steady(1.0))
    promised: bool = True
    alone: bool = False


def learnt_alone(usual: Side, seed: int) -> Terms:
    """Limits from a quarter of an hour of the whole gateway before, as a release without a baseline gets them."""
    stream = [(tick.at_s, tick.sides[1]) for tick in ticks(-seed, PAST_S, Side(steady(0.0)), usual)]
    found = learnt_from([stream], [stream])
    assert found is not None
    failures = tuple(limit for limit in found.limits if limit.name == FAILURES)
    tolerated = max(SHIPPED.tolerated, failures[0].share)
    return replace(SHIPPED, stakes={}, dispersion=found.dispersion, objectives=failures, tolerated=tolerated)


def without_baseline(tick: Tick) -> Tick:
    """The same second where all requests are the candidate's."""
    return replace(tick, percent=100.0, sides=(tick.sides[1], Arm()))


DRIFT = Side(lambda at_s: BASE * (1 + 0.8 * math.sin(at_s / 60)))
BURSTS = Side(lambda at_s: BASE * (8 if at_s % 120 < 15 else 1))
GROUPS = Side(steady(0.02), clusters=12)
COLD = Side(lambda at_s: 0.2 if at_s <= 15 else BASE)
NULLS: Mapping[str, Null] = {
    "failures and requests drift by 80 %": Null(DRIFT, DRIFT, load=lambda at_s: 1 + 0.8 * math.sin(at_s / 60)),
    "bursts in both, eight times as many failures": Null(BURSTS, BURSTS),
    "failures in groups of 12, learnt in the ten minutes before": Null(GROUPS, GROUPS, partial(learnt, GROUPS)),
    "one in five fails for 15 s of a warm-up of 20 s": Null(
        COLD, Side(), lambda seed: replace(SHIPPED, warm_up_s=20.0)
    ),
    "nothing stands beside it, failures drift by 80 %, limits learnt in the quarter of an hour before": Null(
        DRIFT, DRIFT, partial(learnt_alone, DRIFT), alone=True
    ),
    "nothing stands beside it, failures in groups of 12, learnt in the quarter of an hour before": Null(
        GROUPS, GROUPS, partial(learnt_alone, GROUPS), alone=True
    ),
    "failures in groups of 12 as the first release ever, taken for groups of 3": Null(
        GROUPS, GROUPS, lambda seed: replace(SHIPPED, dispersion={"errors": 3.0}), promised=False
    ),
}


def run(size: Size) -> Table:
    """All of them."""
    of = RELEASES["full" if size.name == "full" else "smoke"]
    return shown({name: (taken_back(name, many), many) for name, many in amounts(of).items()})


def amounts(of: int) -> dict[str, int]:
    """How many releases of each are played."""
    return {name: of if null.promised else max(of // UNPROMISED, 1) for name, null in NULLS.items()}


def taken_back(name: str, releases: int) -> int:
    """How many of so many releases go back, over every core."""
    return added_up(partial(batch, name), releases)


def batch(name: str, first: int, releases: int, seconds: int = HEALTHY_S) -> int:
    """How many of the releases from a seed on go back."""
    return sum(goes_back(NULLS[name], seed, seconds) for seed in range(FIRST + first, FIRST + first + releases))


def goes_back(null: Null, seed: int, seconds: int) -> bool:
    """Whether one of them is called bad at any second."""
    judge = Judge(null.terms(seed))
    stream = ticks(seed, seconds, null.candidate, null.baseline, per_second=PER_SECOND, load=null.load)
    if null.alone:
        stream = map(without_baseline, stream)
    return any(judge.take(tick).outcome == "bad" for tick in islice(stream, seconds))


def shown(found: Mapping[str, tuple[int, int]]) -> Table:
    """A row each; the promise is about the chance, so that what it is at most with certainty 95 % stands beside it."""
    cells = [
        [name, f"{wrong:,} of {of:,}", f"{at_most(wrong, of):.2%}", f"{ALPHA:.1%}" if NULLS[name].promised else "none"]
        for name, (wrong, of) in found.items()
    ]
    notes = [
        'Each release lives for five minutes at 200 requests a second, 5 % of them on it. "At most" is the upper end '
        "of the one-sided 95 % interval of Clopper and Pearson. The last row is why `clusters` can be set "
        "(docs/how-to/judge-a-release.md): before ten minutes of a known good release are on record nobody knows how "
        "failures cluster, groups of three are assumed, and for larger ones the promise does not hold."
    ]
    columns = ["what is not as assumed", "healthy ones taken back", "at most", "promised"]
    raw = {name: list(each) for name, each in found.items()}
    return Table("healthy", "Healthy releases that are not as statistics assume", columns, cells, notes, raw)


def at_most(wrong: int, of: int, doubt: float = 0.05) -> float:
    """The share above which so few would be seen with a chance of ``doubt`` at most (Clopper and Pearson 1934)."""
    if wrong == of:
        return 1.0
    low, high = wrong / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _so_few(wrong, of, middle) > doubt else (low, middle)
    return high


def _so_few(wrong: int, of: int, share: float) -> float:
    """The chance of at most ``wrong`` of so many; in logarithms, as the factors have no room in a number."""

    def of_just(k: int) -> float:
        ways = math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
        return math.exp(ways + k * math.log(share) + (of - k) * math.log1p(-share))

    return math.fsum(map(of_just, range(wrong + 1)))
