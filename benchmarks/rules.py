"""The rules that other products judge by, as far as their documents say: thresholds in a row, and Mann-Whitney."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from lastgood.health.ticks import Tick

WINDOW_S = 60
POINT_S = 10
LEAST = 0.99


def threshold(in_a_row: int) -> Callable[[Iterable[Tick]], float]:
    """Each minute: fewer than 99 % of the new release's requests succeeded, so many times in a row."""

    def rule(stream: Iterable[Tick]) -> float:
        requests = failures = missed = 0
        for second, tick in enumerate(stream, 1):
            requests += tick.sides[0].finished
            failures += tick.sides[0].failures
            if second % WINDOW_S == 0:
                missed = missed + 1 if requests and 1 - failures / requests < LEAST else 0
                if missed >= in_a_row:
                    return tick.at_s
                requests = failures = 0
        return math.inf

    return rule


def mann_whitney(stream: Iterable[Tick]) -> float:
    """Each minute: the shares of failures in points of ten seconds are higher than the baseline's (98 %, one-sided).

    After Kayenta's: all points so far, the normal approximation with ties.
    """
    sums = [[0, 0], [0, 0]]
    points: tuple[list[float], list[float]] = ([], [])
    for second, tick in enumerate(stream, 1):
        for total, arm in zip(sums, tick.sides, strict=True):
            total[0] += arm.failures
            total[1] += arm.finished
        if second % POINT_S == 0:
            for values, total in zip(points, sums, strict=True):
                values.append(total[0] / total[1] if total[1] else 0.0)
            sums = [[0, 0], [0, 0]]
        if second % WINDOW_S == 0 and _score(*points) > 2.054:
            return tick.at_s
    return math.inf


def _score(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Standard deviations by which the ranks of ``mine`` are too high."""
    n, m = len(mine), len(theirs)
    ordered = sorted([*mine, *theirs])
    ranks: dict[float, float] = {}
    ties = 0.0
    begin = 0
    while begin < len(ordered):
        end = begin
        while end < len(ordered) and ordered[end] == ordered[begin]:
            end += 1
        ranks[ordered[begin]] = (begin + end + 1) / 2
        ties += (end - begin) ** 3 - (end - begin)
        begin = end
    u = sum(ranks[value] for value in mine) - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
    return (u - n * m / 2 - 0.5) / math.sqrt(variance) if variance > 0 else 0.0
