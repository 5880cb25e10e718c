"""Limits that a user sets, whatever the baseline does."""

from __future__ import annotations

from bisect import bisect_left

from lastgood.health.reading import EDGES_MS
from lastgood.health.terms import Objective
from lastgood.health.ticks import Arm, Pair
from lastgood.health.wealth import Wealth, against

CLEAR = 10.0
"""Wealth against the baseline at which it breaks the limit too: then the release is not to blame."""


def edge_for(limit_ms: float) -> int:
    """The bucket's bound that a latency limit is judged at: the first that is not below it."""
    return EDGES_MS[min(bisect_left(EDGES_MS, limit_ms), len(EDGES_MS) - 1)]


def bad_of(arm: Arm, edge_ms: int | None) -> tuple[int, int]:
    """``(bad, requests)``: failures of all that ended, or answers slower than a bucket's bound of all answers."""
    if edge_ms is None:
        return min(arm.failures, arm.finished), arm.finished
    counts = arm.counts
    slow = counts.within[-1] - counts.within[EDGES_MS.index(edge_ms)] + arm.hanging
    return slow, counts.within[-1] + arm.hanging


class Limit:
    """One objective. What the baseline breaks as well is no fault of the release."""

    def __init__(self, objective: Objective, start_every_s: float | None, dispersion: float) -> None:
        self.objective = objective
        self._sides = (Wealth(start_every_s=start_every_s), Wealth(start_every_s=start_every_s))
        self._sums = [0, 0]
        self._dispersion = dispersion

    def take(self, pair: Pair, took_s: float, rest: Arm | None = None) -> None:
        """One tick of both sides; where the baseline is gone, the rest of the gateway says whether others break it."""
        others = pair[1] if pair[1].finished or rest is None else rest
        for wealth, arm in zip(self._sides, (pair[0], others), strict=True):
            bad, n = self._counts(arm)
            if n:
                gains = against(min(bad, n), n, self.objective.share)
                wealth.bet([gain / self._dispersion for gain in gains], took_s)
        bad, n = self._counts(pair[0])
        self._sums = [self._sums[0] + bad, self._sums[1] + n]

    def _counts(self, arm: Arm) -> tuple[int, int]:
        return bad_of(arm, self.objective.edge_ms)

    @property
    def now(self) -> float:
        """The wealth against the release; 1 where the baseline breaks the limit too."""
        return 1.0 if self._sides[1].highest >= CLEAR else self._sides[0].now

    @property
    def told(self) -> str:
        """What is wrong, in words."""
        bad, n = self._sums
        return f"{self.objective.name}: {bad} of {n} requests, more than {self.objective.share:.3%}"

    @property
    def said(self) -> str:
        """What a limit that only reports has to say."""
        return self.told if self.now >= CLEAR else ""

    @property
    def lacks(self) -> str:
        """Why the release is not good yet."""
        bad, n = self._sums
        return f"{self.objective.name} is missed" if n and bad / n > self.objective.share else ""
