"""Betting against "the candidate is no worse": the more is won, the less likely it is no worse.

An e-process: it starts at 1 and, as long as the hypothesis holds, is not expected to grow, however often one looks. So
the chance that it ever reaches ``1/alpha`` is at most ``alpha`` (Ville's inequality).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

EFFECTS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 400.0)
"""How many times the baseline's odds the candidate's may be; each has an equal share of the stakes."""
MOST = 1e250
"""Wealth beyond this is not kept: numbers end at 1e308, and less is always permitted."""


class Wealth:
    """A mixture of bets over effects and moments at which the harm may have begun.

    Every ``start_every_s`` a new bet begins with the share ``1/(j(j+1))`` of the stakes, so that a harm that comes late
    does not have to win back what was lost while all was well. None: all is staked at the beginning.
    """

    def __init__(self, bets: int = len(EFFECTS), start_every_s: float | None = 30.0) -> None:
        self._held = [0.0] * bets
        self._every_s = start_every_s
        self._starts = 0
        self._watched_s = 0.0
        self.highest = 1.0

    def bet(self, gains: Sequence[float], took_s: float) -> None:
        """One tick: the logarithm of what each effect's bet pays."""
        if self._starts == 0 or (self._every_s and self._watched_s >= self._starts * self._every_s):
            self._starts += 1
            stake = 1.0 if self._every_s is None else 1.0 / (self._starts * (self._starts + 1))
            self._held = [held + stake for held in self._held]
        self._watched_s += took_s
        self._held = [
            min(held * math.exp(min(gain, 500.0)), MOST) for held, gain in zip(self._held, gains, strict=True)
        ]
        self.highest = max(self.highest, self.now)

    @property
    def now(self) -> float:
        """What is held now, of 1 at the beginning; what was not staked yet counts too."""
        if self._starts == 0:
            return 1.0
        left = 0.0 if self._every_s is None else 1.0 / (self._starts + 1)
        return sum(self._held) / len(self._held) + left


def odds_times(share: float, ratio: float) -> float:
    """The share whose odds are ``ratio`` times as high."""
    odds = ratio * share / (1.0 - share)
    return odds / (1.0 + odds)


def between_arms(mine: tuple[int, int], theirs: tuple[int, int], expected: float) -> list[float]:
    """What each effect's bet pays (its logarithm) for ``(bad, requests)`` of the candidate and of the baseline.

    ``expected`` is the baseline's share of bad ones as the past suggests it; a wrong one costs power, never validity.
    Turner, Ly and Gruenwald, JSPI 2024 (arXiv 2106.02693): the expectation is at most 1 for every common share, so
    drift, bursts that hit both sides and changing shares of the traffic are harmless.
    """
    (bad_c, n_c), (bad_b, n_b) = mine, theirs
    if n_c == 0 or n_b == 0:
        return [0.0] * len(EFFECTS)
    gains = []
    for ratio in EFFECTS:
        p_c = odds_times(expected, ratio)
        p_0 = (n_c * p_c + n_b * expected) / (n_c + n_b)
        gain = (n_c - bad_c) * math.log((1 - p_c) / (1 - p_0)) + (n_b - bad_b) * math.log((1 - expected) / (1 - p_0))
        if bad_c:
            gain += bad_c * math.log(p_c / p_0)
        if bad_b:
            gain += bad_b * math.log(expected / p_0)
        gains.append(gain)
    return gains


def against(bad: int, n: int, limit: float) -> list[float]:
    """What each effect's bet pays against "the share of bad ones is at most ``limit``": no baseline is needed."""
    gains = []
    for ratio in EFFECTS:
        p = odds_times(limit, ratio)
        gains.append(bad * math.log(p / limit) + (n - bad) * math.log((1 - p) / (1 - limit)))
    return gains


def lesser(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """What a bet pays that pays the lesser of two: its mean is at most the lesser of their means, whichever holds."""
    return [min(pair) for pair in zip(one, other, strict=True)]


LESS = (0.7, 0.5, 0.2, 0.05)
"""How much of its expected requests a candidate may still get, as bets on a loss of volume."""
TOLERATED = 0.8


def of_share(mine: int, theirs: int, share: float) -> list[float]:
    """What bets on too few requests for the candidate pay: it should get ``share``, four fifths are tolerated."""
    least = TOLERATED * share
    return [
        mine * math.log(part * share / least) + theirs * math.log((1 - part * share) / (1 - least)) for part in LESS
    ]
