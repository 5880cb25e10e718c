"""After the bake: nothing stands beside the release any more, so it is judged beside its past and all else of now.

A bet pays only as much as the worse of two: one against "no more than ``share`` of its requests are bad" (the share is
learnt from its past and made wide, or set by a user), one against "no more than of everything else that goes through
the gateway in this tick" (Turner, Ly and Gruenwald, as in :mod:`lastgood.health.wealth`). The mean of the lesser of two
is at most the lesser of their means: so the wealth is not expected to grow as long as, in each tick, *one* of the
two sentences holds. A drift over the day stays below the share, an outage of what all share hits the rest as well.
Where nothing else goes through the gateway, a limit that a user set stands by itself, and what was learnt is no proof.

What wins against its past alone is no proof: it is told to a person.
"""

from __future__ import annotations

from lastgood.health.judge import Assessment, Outcome
from lastgood.health.objectives import bad_of
from lastgood.health.streams import Estimate
from lastgood.health.terms import Objective, Terms
from lastgood.health.ticks import Arm, Tick
from lastgood.health.wealth import Wealth, against, between_arms, lesser


class Vigil:
    """One watch: ticks whose sides are the release and the whole gateway. The same ticks, the same assessments."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._bars = [_Bar(one, terms) for one in terms.objectives]
        self._watched_s = 0.0
        self._highest = 1.0
        self._sums = ((0, 0), (0, 0))
        self.doubts: tuple[str, ...] = ()
        self.fails_too = True
        self.now = Assessment()

    def take(self, tick: Tick) -> Assessment:
        """One more tick; what was once called bad stays so."""
        if self.now.outcome == "bad" or tick.blind:
            return self.now
        mine, rest = tick.sides[0], tick.rest or Arm()
        self._sums = tuple(  # type: ignore[assignment]
            (n + arm.finished, bad + arm.failures) for (n, bad), arm in zip(self._sums, (mine, rest), strict=True)
        )
        self._watched_s += tick.took_s if mine.finished else 0.0
        for bar in self._bars:
            bar.take(mine, rest, tick.took_s)
        self.now = self._assess()
        return self.now

    @property
    def against_more(self) -> tuple[str, ...]:
        """It has all requests."""
        return ()

    def refuse(self, why: str) -> Assessment:
        """A veto of somebody who saw more than counters."""
        if self.now.outcome != "bad":
            self.now = self._assess(veto=why)
        return self.now

    def _assess(self, veto: str = "") -> Assessment:
        bars = [bar for bar in self._bars if not bar.limit.reports]
        stake = 1.0 / max(1, len(bars))
        by = {bar.limit.name: bar.proof.now for bar in bars}
        harm = stake * sum(by.values()) if bars else 1.0
        self._highest = max(self._highest, harm)
        outcome: Outcome = "bad" if veto or harm >= 1 / self.terms.alpha else "undecided"
        worst = max(bars, key=lambda bar: bar.proof.now, default=None)
        why = veto or (worst.told if worst and outcome == "bad" else "")
        alone = [bar for bar in self._bars if bar.worry.highest * stake >= 1 / self.terms.alpha]
        return Assessment(
            outcome,
            why,
            harm,
            min(1.0, 1 / self._highest),
            1.0,
            by,
            self._watched_s,
            (self._sums[0][0], self._sums[1][0]),
            (self._sums[0][1], self._sums[1][1]),
            says=tuple(bar.told for bar in alone),
            veto=bool(veto),
            shared=outcome != "bad" and bool(alone),
        )


class _Bar:
    """One limit, with the bets on its being broken."""

    def __init__(self, limit: Objective, terms: Terms) -> None:
        self.limit = limit
        self.proof = Wealth(start_every_s=terms.start_every_s)
        self.worry = Wealth(start_every_s=terms.start_every_s)
        self._is_learnt = limit.name in terms.references
        self._expected = Estimate()
        self._dispersion = terms.dispersion.get("errors" if limit.edge_ms is None else "latency", 1.0)
        self._recent = (0.0, 0.0)

    def take(self, mine: Arm, rest: Arm, took_s: float) -> None:
        """Bet on this tick, then learn from it."""
        (bad, n), (others_bad, others) = bad_of(mine, self.limit.edge_ms), bad_of(rest, self.limit.edge_ms)
        if n:
            past = against(bad, n, self.limit.share)
            beside = between_arms((bad, n), (others_bad, others), self._expected.share)
            self.worry.bet([gain / self._dispersion for gain in past], took_s)
            sure = lesser(past, beside) if others or self._is_learnt else past
            self.proof.bet([gain / self._dispersion for gain in sure], took_s)
            self._recent = (self._recent[0] * LATELY + bad, self._recent[1] * LATELY + n)
        self._expected.learn(others_bad, others)

    @property
    def told(self) -> str:
        """What is wrong, in words."""
        share = self._recent[0] / self._recent[1] if self._recent[1] else 0.0
        what = "failed" if self.limit.edge_ms is None else f"took longer than {self.limit.edge_ms} ms"
        return f"{self.limit.name}: lately {share:.1%} of its requests {what}, more than {self.limit.share:.1%}"


LATELY = 0.7
"""What a tick counts one tick later in what is told of lately."""
