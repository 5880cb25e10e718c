"""What records of known good releases teach: how often things fail, how much failures cluster, how much traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lastgood.health.dispersion import UNKNOWN, dispersion, in_bins
from lastgood.health.record import read_case, ticks_of
from lastgood.health.streams import Estimate, edges, errors_of, refused_of
from lastgood.health.ticks import Arm, Tick

HOUR = 3600
"""Readings that are learnt from, of each record."""
PLAIN = 0.01
"""Below this share a bake's own failures are no limit: they were few by luck, or the hours differ."""
USUAL_EDGE = 2
"""Which of the quantiles' edges stands for latency when its clusters are learnt: p90."""


@dataclass(frozen=True)
class Past:
    """Shares that the past stayed below, dispersion by metric, and the traffic of the newest record.

    ``base`` is the share of failures (0 to 1); ``per_second`` is 0 where nothing is known.
    """

    references: dict[str, float] = field(default_factory=dict)
    dispersion: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("errors", "refused", "latency"), UNKNOWN)
    )
    per_second: float = 0.0
    base: float = 0.005


def learn(records: Iterable[Sequence[str]]) -> Past:
    """From the lines of records of known good releases, the newest first.

    The baselines count. Where too little went to them, what the releases answered themselves says what was good enough.
    """
    found = [[tick for tick in ticks_of(_newest(lines)) if not tick.blind] for lines in records]
    found = [ticks for ticks in found if ticks]
    if not found:
        return Past()
    everything = [tick for ticks in found for tick in ticks]
    past = sum((tick.sides[1].counts for tick in found[0][1:]), found[0][0].sides[1].counts)
    edge = edges(past)[min(USUAL_EDGE, len(edges(past)) - 1)] if past.within[-1] else 0

    def slow_of(arm: Arm) -> tuple[int, int]:
        return arm.counts.within[-1] - arm.counts.within[edge], arm.counts.within[-1]

    metrics: dict[str, Callable[[Arm], tuple[int, int]]] = {
        "errors": errors_of,
        "refused": refused_of,
        "latency": slow_of,
    }
    spread = {name: dispersion(_bins(found, of)) for name, of in metrics.items()}
    references = {}
    for name in ("errors", "refused"):
        theirs, both = Estimate(), Estimate()
        for tick in everything:
            theirs.learn(*metrics[name](tick.sides[1]))
            for arm in tick.sides:
                both.learn(*metrics[name](arm))
        if theirs.at_most is not None:
            references[name] = theirs.at_most
        elif both.at_most is not None:
            references[name] = max(both.at_most, PLAIN)
    newest = found[0]
    seconds = sum(tick.took_s for tick in newest)
    failed, requests = _sum(newest)
    return Past(references, spread, requests / seconds if seconds else 0.0, (failed + 0.5) / (requests + 100.0))


def _newest(lines: Sequence[str]) -> Sequence[str]:
    """The last case with its last hour: a record may be days long, and somebody waits for the release it is learnt for.

    What was measured after the bake, or alone, has nothing beside it, and is left out.
    """
    begun = [index for index, line in enumerate(lines) if '"terms"' in line]
    cases = {index: read_case(lines[index]) for index in begun}
    beside = [index for index, case in cases.items() if not case.after and not case.alone]
    if not beside:
        return ()
    case = beside[-1]
    end = min((index for index in begun if index > case), default=len(lines))
    return [lines[case], *lines[max(case + 1, end - HOUR) : end]]


def _bins(records: list[list[Tick]], of: Callable[[Arm], tuple[int, int]]) -> list[tuple[int, int]]:
    """Bins of each record by itself: between two of them lies another time of day."""
    return [each for ticks in records for each in in_bins((tick.at_s, *of(tick.sides[1])) for tick in ticks)]


def _sum(ticks: list[Tick]) -> tuple[int, int]:
    both = [errors_of(arm) for tick in ticks for arm in tick.sides]
    return sum(bad for bad, _ in both), sum(n for _, n in both)
