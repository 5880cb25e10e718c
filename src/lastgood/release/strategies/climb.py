"""Rungs to steps: start, check, ask, shift, drain, stop, hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from lastgood.release.moves import move_of
from lastgood.release.release import Release
from lastgood.release.step import Cond, Step
from lastgood.release.strategies import hooks, instances
from lastgood.release.strategies.instances import Needs, ids
from lastgood.release.strategies.ladder import Rung

Shift = Callable[[str, Fraction, Needs, tuple[Cond, ...]], Step]
"""``(step id, share on the target, needs, guard)`` to the gateway's step."""


@dataclass(frozen=True)
class Climb:
    """How the rungs to a release are climbed.

    ``holds_s`` are shares at which to wait. With ``asks`` the hooks that confirm a promotion are asked before each
    shift; with ``started`` the first rung's instances are started by steps the caller made.
    """

    target: Release
    shift: Shift
    holds_s: Mapping[Fraction, float] = field(default_factory=dict)
    asks: bool = False
    started: bool = False

    def steps(self, rungs: Sequence[Rung], share: Fraction, needs: Needs) -> list[Step]:
        """All steps, in order; ``share`` is what the target has now."""
        made: list[Step] = []
        named = _names(rungs, share)
        last = needs
        for number, rung in enumerate(rungs):
            first = number == 0
            if not (first and self.started):
                starts = instances.start(self.target, rung.starts, needs=last, again=not first)
                made += starts
                last |= ids(starts)
            if rung.share > share:
                shifts = self._shift(named[rung.share], rung, last)
                made += shifts
                last = frozenset({shifts[-1].id})
                share = rung.share
            stops = self._stops(rung, last)
            made += stops
            last = ids(stops[1::2]) or last
            if rung.share in self.holds_s and rung.share < 1:
                hold = self._hold(named[rung.share], rung.share, last)
                made.append(hold)
                last = frozenset({hold.id})
        return made

    def _shift(self, name: str, rung: Rung, needs: Needs) -> list[Step]:
        names = frozenset(crew.name for crew in rung.crews)
        asked = hooks.confirm_promotion(self.target, names, name, needs) if self.asks else []
        guard = instances.able(rung.crews, rung.share)
        return [*asked, self.shift(name, rung.share, needs | ids(asked), guard)]

    def _stops(self, rung: Rung, needs: Needs) -> list[Step]:
        made: list[Step] = []
        for crew in rung.crews:
            if crew.name in rung.stops and crew.left is not None:
                drain_s = move_of(self.target, crew.name).drain_s
                version, keep = (crew.name, crew.left), rung.stops[crew.name]
                made += instances.leave(version, keep, drain_s=drain_s, needs=needs, soft=False)
        return made

    def _hold(self, name: str, share: Fraction, needs: Needs) -> Step:
        hold_id = name.replace("shift", "hold")
        shows = f"hold at {float(share * 100):g} %"
        return Step(hold_id, "gateway", "hold", {"for_s": self.holds_s[share]}, needs=needs, shows=shows)


def _names(rungs: Sequence[Rung], share: Fraction) -> dict[Fraction, str]:
    """The ids of the shifts: ``shift``, ``shift:25`` ..., and ``full`` where there is more than one."""
    shares = list(dict.fromkeys(rung.share for rung in rungs if rung.share > share))
    names = {each: f"shift:{float(each * 100):.6g}" for each in shares}
    if shares:
        names[shares[-1]] = "full"
        names[shares[0]] = "shift"
    return names
