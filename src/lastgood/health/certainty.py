"""Known good: bets against "it is harmful", won by a release that is not."""

from __future__ import annotations

import math
from collections import deque

from lastgood.health.wealth import MOST

TWICE = 2.0
GUESSES = ((0.0, 0.5), (0.05, 0.2), (0.25, 0.15), (0.5, 0.15))
"""Shares of the tolerated share that the candidate's failures may be, and what is staked on each."""


class Certainty:
    """Wealth won against "fails twice as often as the baseline, and more than ``tolerated``".

    Half is staked on each of the two: the conditional binomial (which of both sides a failure hits; Lindon and Malek
    2022) against a relative risk of two, and the candidate's own failures against the tolerated share.
    """

    def __init__(self, tolerated: float, dispersion: float) -> None:
        self._tolerated, self._dispersion = tolerated, dispersion
        self._relative = 0.0
        self._absolute = [0.0] * len(GUESSES)

    def take(self, mine: tuple[int, int], theirs: tuple[int, int]) -> None:
        """One tick: ``(failures, requests)`` of both sides."""
        (bad_c, n_c), (bad_b, n_b) = (min(mine[0], mine[1]), mine[1]), (min(theirs[0], theirs[1]), theirs[1])
        if n_c and n_b:
            same = n_c / (n_c + n_b)
            twice = TWICE * n_c / (TWICE * n_c + n_b)
            won = bad_c * math.log(same / twice) + bad_b * math.log((1 - same) / (1 - twice))
            self._relative += won / self._dispersion
        for index, (part, _) in enumerate(GUESSES):
            p, limit = part * self._tolerated, self._tolerated
            won = (n_c - bad_c) * math.log((1 - p) / (1 - limit))
            won += bad_c * (math.log(p / limit) if p else -math.inf) if bad_c else 0.0
            self._absolute[index] += won / self._dispersion

    @property
    def now(self) -> float:
        """What is held of 1 at the beginning; certain at ``1/beta``."""
        absolute = sum(stake * _exp(log) for log, (_, stake) in zip(self._absolute, GUESSES, strict=True))
        return 0.5 * _exp(self._relative) + 0.5 * absolute


def _exp(log: float) -> float:
    return min(math.exp(min(log, 570.0)), MOST)


class Shared:
    """Sees that the baseline fails: nothing is to be learnt about the candidate then.

    One in five of its requests failing, and far more than before, at this tick or within the last ten seconds. What is
    usual is learnt only while there is no outage.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, int, int]] = deque()
        self._bad, self._n = 0.5, 100.0

    def take(self, bad: int, n: int, at_s: float) -> bool:
        """One tick of the baseline; whether it is in an outage now."""
        self._recent.append((at_s, bad, n))
        while self._recent[0][0] < at_s - 10:
            self._recent.popleft()
        lately = sum(tick[1] for tick in self._recent), sum(tick[2] for tick in self._recent)
        if self._is_outage(bad, n) or self._is_outage(*lately):
            return True
        self._bad, self._n = self._bad + bad, self._n + n
        return False

    def _is_outage(self, bad: int, n: int) -> bool:
        return n >= 10 and bad >= 0.2 * n and bad / n > 5 * self._bad / self._n
