"""The judge of one release: ticks in, a verdict out, at every tick.

Bad is said when the wealth won against "no worse than the baseline" reaches ``1/alpha``, at any time; or at once by a
veto. Good is said when the wealth won against "harmful" reaches ``1/beta`` and nothing speaks against it. Else it is
undecided: the judge never says good because time has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lastgood.health.certainty import Certainty, Shared
from lastgood.health.objectives import Limit
from lastgood.health.streams import Compared, Latency, Volume, errors_of, refused_of
from lastgood.health.terms import Terms
from lastgood.health.ticks import Arm, Tick, unshielded

Outcome = Literal["bad", "good", "undecided"]
DOUBT = 10.0
"""Wealth against the release at which it is not called good."""


@dataclass(frozen=True)
class Assessment:
    """What is known after a tick.

    ``harm`` is the wealth against the release, of 1 at the beginning (bad at ``1/alpha``), ``p`` the largest chance of
    having come that far by luck; ``by`` divides it by metric. ``good`` is the wealth for it (good at ``1/beta``),
    ``lacks`` what else keeps it from being good. ``says`` are the limits that only report.
    """

    outcome: Outcome = "undecided"
    why: str = ""
    harm: float = 1.0
    p: float = 1.0
    good: float = 1.0
    by: Mapping[str, float] = field(default_factory=dict)
    watched_s: float = 0.0
    requests: tuple[int, int] = (0, 0)
    failures: tuple[int, int] = (0, 0)
    lacks: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    veto: bool = False
    shared: bool = False


class Judge:
    """One judgement. The same ticks give the same assessments, bit for bit."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        every_s, of = terms.start_every_s, terms.dispersion.get
        self._errors = Compared(every_s, of("errors", 1.0), terms.references.get("errors"))
        self._refused = Compared(every_s, of("refused", 1.0), terms.references.get("refused"))
        self._latency = Latency(every_s, of("latency", 1.0))
        self._volume = Volume(every_s, of("volume", 1.0))
        self._routes = {route: Compared(every_s, of("errors", 1.0)) for route in terms.routes}
        self._limits = [Limit(objective, every_s, of("errors", 1.0)) for objective in terms.objectives]
        self._certainty = Certainty(terms.tolerated, of("errors", 1.0))
        self._outage, self._rest_outage, self._own_outage = Shared(), Shared(), Shared()
        self.fails_too = False
        """Whether the release itself is in an outage now; where only the other side is, more requests help."""
        self._stakes = self._divided()
        self._percent = 0.0
        self._risen_s: float | None = None
        self._row = self._others_fine = 0
        self._silent_s = self._blind_s = 0.0
        self._watched_s = 0.0
        self._shared = False
        self._highest = 1.0
        self._sums = ((0, 0), (0, 0))
        self.doubts: tuple[str, ...] = ()
        """What somebody else says that keeps it from being good."""
        self.now = Assessment()

    def take(self, tick: Tick) -> Assessment:
        """One more tick. What was once called bad or good stays so called, save that good may turn out bad."""
        if self.now.outcome == "bad":
            return self.now
        if tick.blind:
            self._blind_s += tick.took_s
            self.now = self._assess()
            return self.now
        self._blind_s = 0.0
        if self.terms.shielded:
            tick = unshielded(tick)
        self._count(tick)
        if tick.percent > self._percent and tick.percent > 0:
            self._risen_s = tick.at_s
        self._percent = tick.percent
        self._shared = self._is_shared(tick)
        self.fails_too = self._own_outage.take(*errors_of(tick.sides[0]), tick.at_s)
        if self._vetoed(tick):
            why = f"{self._row} requests in a row failed, and none succeeded"
            self.now = self._assess(veto=why)
            return self.now
        if self._risen_s is None or tick.at_s - self._risen_s >= self.terms.warm_up_s:
            self._bet(tick)
        else:
            self._learn(tick)
        self.now = self._assess()
        return self.now

    def refuse(self, why: str) -> Assessment:
        """A veto of somebody who saw more than counters."""
        if self.now.outcome != "bad":
            self.now = self._assess(veto=why)
        return self.now

    @property
    def against_more(self) -> tuple[str, ...]:
        """Why it should get no more requests than it has, in words that stay the same as long as the reason does."""
        found = []
        if self._blind_s:
            found.append("nothing is measured")
        if self._silent_s >= self.terms.silent_s:
            found.append("it gets no request")
        if self._shared and self.fails_too:
            found.append("both sides fail")
        if self.now.harm >= DOUBT:
            found.append("there are signs that it is worse")
        return (*found, *(said.partition(": ")[0] for said in self.doubts))

    def _divided(self) -> dict[str, float]:
        """The stakes: those of the metrics, and for each guarded route and each limit as much as for errors."""
        stakes = {metric: stake for metric, stake in sorted(self.terms.stakes.items()) if stake > 0}
        extra = {f"route {route}": 0.4 for route in self._routes}
        limits = {limit.objective.name: 0.4 for limit in self._limits if not limit.objective.reports}
        stakes = {**stakes, **extra, **limits}
        total = sum(stakes.values())
        return {name: stake / total for name, stake in stakes.items()}

    def _count(self, tick: Tick) -> None:
        mine, theirs = tick.sides
        self._sums = tuple(  # type: ignore[assignment]
            (n + arm.finished, bad + arm.failures) for (n, bad), arm in zip(self._sums, (mine, theirs), strict=True)
        )
        heard = mine.counts.attempts > 0 or tick.percent == 0
        self._silent_s = 0.0 if heard or theirs.counts.attempts == 0 else self._silent_s + tick.took_s

    def _is_shared(self, tick: Tick) -> bool:
        """Whether the baseline is in an outage; where it is gone, whether everything else is."""
        lone = tick.rest is not None and not tick.sides[1].finished
        elsewhere = self._rest_outage.take(*errors_of(tick.rest), tick.at_s) if tick.rest is not None else False
        return self._outage.take(*errors_of(tick.sides[1]), tick.at_s) or (lone and elsewhere)

    def _vetoed(self, tick: Tick) -> bool:
        """Failures in a row without a success count at once, warm or not; not where others fail as well."""
        mine, theirs = tick.sides
        if not theirs.finished and tick.rest is not None:
            theirs = tick.rest
        lost = mine.failures + mine.hanging
        if mine.finished > mine.failures:
            self._row = self._others_fine = 0
            return False
        self._row += lost
        if theirs.finished and theirs.failures * 2 < theirs.finished:
            self._others_fine += theirs.finished - theirs.failures
        alone = theirs.finished == 0 and not self._shared
        enough = self.terms.row * self.terms.dispersion.get("errors", 1.0)
        return self._row >= enough and (alone or self._others_fine > 0) and not self._shared

    def _bet(self, tick: Tick) -> None:
        took_s, (mine, theirs), rest = tick.took_s, tick.sides, tick.rest or Arm()
        self._watched_s += took_s if mine.finished else 0.0
        staked, gone = self._stakes.keys(), tick.percent >= 100
        if "errors" in staked:
            self._errors.take(errors_of(mine), errors_of(theirs), took_s, errors_of(rest), gone=gone)
        if "refused" in staked:
            self._refused.take(refused_of(mine), refused_of(theirs), took_s, refused_of(rest), gone=gone)
        if "latency" in staked:
            self._latency.take(tick.sides, took_s, tick.rest)
        if "volume" in staked:
            self._volume.take(tick)
        for route, compared in self._routes.items():
            if (pair := tick.routes.get(route)) is not None:
                compared.take(errors_of(pair[0]), errors_of(pair[1]), took_s, gone=gone)
        for limit in self._limits:
            limit.take(tick.sides, took_s, tick.rest)
        if not self._shared:
            self._certainty.take(errors_of(mine), errors_of(theirs))

    def _learn(self, tick: Tick) -> None:
        theirs, rest = tick.sides[1], tick.rest or Arm()
        self._errors.learn(errors_of(theirs), errors_of(rest))
        self._refused.learn(refused_of(theirs), refused_of(rest))
        for route, compared in self._routes.items():
            if (pair := tick.routes.get(route)) is not None:
                compared.learn(errors_of(pair[1]), (0, 0))

    def _wealths(self) -> dict[str, float]:
        found = {
            "errors": self._errors.wealth.now,
            "refused": self._refused.wealth.now,
            "latency": self._latency.now,
            "volume": self._volume.wealth.now,
            **{f"route {route}": compared.wealth.now for route, compared in self._routes.items()},
            **{limit.objective.name: limit.now for limit in self._limits},
        }
        return {name: wealth for name, wealth in found.items() if name in self._stakes}

    def _assess(self, veto: str = "") -> Assessment:
        wealths = self._wealths()
        harm = sum(self._stakes[name] * wealth for name, wealth in wealths.items())
        self._highest = max(self._highest, harm)
        lacks = self._lacking(harm)
        outcome: Outcome = "undecided"
        why = ""
        if veto:
            outcome, why = "bad", veto
        elif harm >= 1 / self.terms.alpha:
            worst = max(wealths, key=lambda name: self._stakes[name] * wealths[name])
            outcome, why = "bad", self._told(worst)
        elif not lacks:
            outcome, why = "good", self._told("errors")
        return Assessment(
            outcome,
            why,
            harm,
            min(1.0, 1 / self._highest),
            self._certainty.now,
            wealths,
            self._watched_s,
            (self._sums[0][0], self._sums[1][0]),
            (self._sums[0][1], self._sums[1][1]),
            lacks,
            tuple(limit.said for limit in self._limits if limit.objective.reports and limit.said),
            veto=bool(veto),
            shared=self._shared,
        )

    def _told(self, worst: str) -> str:
        (n_c, bad_c), (n_b, bad_b) = self._sums
        if worst == "latency":
            return self._latency.told
        if worst == "volume":
            return f"it gets fewer requests than its {self._percent:g} %"
        if worst == "refused":
            return "it answers more requests with 4xx than the baseline"
        limit = next((limit for limit in self._limits if limit.objective.name == worst), None)
        if limit is not None:
            return limit.told
        beside = f", of the baseline's {bad_b} of {n_b}" if n_b else ""
        which = "" if worst == "errors" else f" ({worst})"
        return f"{bad_c} of {n_c} requests failed{beside}{which}"

    def _lacking(self, harm: float) -> tuple[str, ...]:
        """Why it is not good yet."""
        terms, requests = self.terms, self._sums[0][0]
        lacks = []
        if self._blind_s:
            lacks.append("blind: nothing is measured")
        if self._silent_s >= terms.silent_s:
            lacks.append(f"blind: it got no request for {self._silent_s:.0f} s")
        if self._shared:
            lacks.append("both sides fail: whatever they share is out of order")
        if self._watched_s < terms.at_least_s:
            lacks.append(f"watched for {self._watched_s:.0f} s of at least {terms.at_least_s:g} s")
        if requests < terms.enough:
            lacks.append(f"{requests} requests of at least {terms.enough}")
        if self._certainty.now < 1 / terms.beta:
            lacks.append("too few requests without failures to be sure")
        if harm >= DOUBT:
            lacks.append("there are signs that it is worse")
        lacks += self.doubts
        lacks += [limit.lacks for limit in self._limits if limit.lacks and not limit.objective.reports]
        return tuple(lacks)
