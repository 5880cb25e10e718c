"""What a release may do after its bake: limits learnt from how it, and what was known good before it, behaved."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lastgood.health.dispersion import BIN_S, ENOUGH_BINS, dispersion, in_bins
from lastgood.health.objectives import bad_of
from lastgood.health.reading import EDGES_MS, Counts
from lastgood.health.record import cases_of
from lastgood.health.streams import ENOUGH, upper
from lastgood.health.terms import Objective
from lastgood.health.ticks import Arm, Tick

WIDER = 2.0
"""How many times the worst stretch of the past may be reached: nothing stands beside it, and days differ."""
STRETCH_S = 300.0
FAILED_AT_LEAST, SLOW_AT_LEAST = 0.01, 0.05
"""No limit is narrower than this share of the requests."""
AT_MOST = 0.5
FAILURES = "more failures than ever"
USUAL = 0.95
"""The quantile of the past whose double is slow."""

Stream = Sequence[tuple[float, Arm]]
"""One side over time: the moment of each tick, and what happened in it."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """Limits, and how much failures and slow answers cluster."""

    limits: tuple[Objective, ...]
    dispersion: dict[str, float]


def learn_limits(own: Iterable[str], others: Iterable[Iterable[str]], deployment: int) -> Learnt | None:
    """From the lines of the release's own record and of other known good releases; None where ten minutes are lacking.

    Of its own record what was measured in this ``deployment`` counts, both sides; of the others what was measured after
    their bake: how a known good release, and the gateway as a whole, behave over a day.
    """
    mine = [stream for stream in _own(own, deployment) if stream]
    return learnt_from(mine, [*mine, *(stream for lines in others for stream in _after(lines) if stream)])


def learn_whole(records: Iterable[Iterable[str]]) -> Learnt | None:
    """How all that goes through the gateway behaved after the bakes of known good releases; None where unknown."""
    streams = [stream for lines in records if (stream := _whole(lines))]
    return learnt_from(streams, streams)


def learnt_from(mine: Sequence[Stream], streams: Sequence[Stream]) -> Learnt | None:
    """Limits that every stream kept, and how much failures cluster in ``mine``."""
    if not mine or max(_seconds(stream) for stream in mine) < ENOUGH_BINS * BIN_S:
        return None
    edge_ms = _slow_edge(mine)
    wanted = ((None, FAILURES, FAILED_AT_LEAST), (edge_ms, "slower than ever", SLOW_AT_LEAST))
    limits = []
    for edge, name, least in wanted:
        worst = max((share for stream in streams for share in _stretches(stream, edge)), default=None)
        if worst is not None:
            limits.append(Objective(name, min(max(least, WIDER * worst), AT_MOST), edge))
    spread = {
        name: max(dispersion(in_bins((at_s, *bad_of(arm, edge)) for at_s, arm in stream)) for stream in mine)
        for edge, name in ((None, "errors"), (edge_ms, "latency"))
    }
    return Learnt(tuple(limits), spread)


def _own(lines: Iterable[str], deployment: int) -> tuple[Stream, Stream]:
    mine: list[tuple[float, Arm]] = []
    theirs: list[tuple[float, Arm]] = []
    for case, tick in cases_of(lines):
        if case.deployment == deployment and not tick.blind:
            mine += _moment(tick, 0)
            theirs += [] if case.after else _moment(tick, 1)
    return mine, theirs


def _after(lines: Iterable[str]) -> tuple[Stream, Stream]:
    ticks = [tick for case, tick in cases_of(lines) if case.after and not tick.blind]
    return [each for tick in ticks for each in _moment(tick, 0)], [each for tick in ticks for each in _moment(tick, 1)]


def _whole(lines: Iterable[str]) -> Stream:
    """All that went through the gateway while nothing stood beside what was live."""
    return [
        each
        for case, tick in cases_of(lines)
        if (case.after or case.alone) and not tick.blind
        for each in _moment(tick, 0 if case.alone else 1)
    ]


def _moment(tick: Tick, side: int) -> list[tuple[float, Arm]]:
    return [(tick.at_s, tick.sides[side])] if tick.sides[side].finished else []


def _seconds(stream: Stream) -> float:
    """How long it was watched, in bins of ten seconds in which there was anything."""
    return BIN_S * len({at_s // BIN_S for at_s, _ in stream})


def _stretches(stream: Stream, edge_ms: int | None) -> Iterator[float]:
    """A share that each five minutes very likely stayed below; those of few requests count with the next ones."""
    bad = n = 0
    began_s = stream[0][0]
    for at_s, arm in stream:
        more_bad, more = bad_of(arm, edge_ms)
        bad, n = bad + more_bad, n + more
        if at_s - began_s >= STRETCH_S and n >= ENOUGH:
            yield upper(bad, n)
            bad, n, began_s = 0, 0, at_s
    if n >= ENOUGH:
        yield upper(bad, n)


def _slow_edge(streams: Sequence[Stream]) -> int:
    """The bound of a bucket that is at least twice what most answers took."""
    total = sum((arm.counts for stream in streams for _, arm in stream), Counts())
    answers = total.within[-1]
    usual = next((edge for edge, n in zip(EDGES_MS, total.within, strict=True) if n >= USUAL * answers), EDGES_MS[-2])
    return EDGES_MS[min(bisect_left(EDGES_MS, 2 * usual), len(EDGES_MS) - 2)]
