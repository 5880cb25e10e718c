"""From one version to another by rungs: start, move a share of the requests, stop what that made idle.

One release moves by one share: where several services change, each by its own strategy, a rung is what all of them can
bear. Shares are fractions of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lastgood.release.moves import Kind
from lastgood.release.strategies import blue_green, canary, rolling
from lastgood.release.strategies.crew import Crew

GROW: Mapping[Kind, Callable[[Crew, Fraction], int]] = {
    "blue_green": blue_green.grow,
    "rolling": rolling.grow,
    "canary": canary.grow,
}
ALL = Fraction(1)


@dataclass(frozen=True, slots=True)
class Rung:
    """Have ``starts`` instances of the new versions healthy, then ``share``, then keep ``stops`` of the old ones.

    Both map services to totals, and hold only what changes. ``crews`` is how it stands after it.
    """

    starts: Mapping[str, int]
    share: Fraction
    stops: Mapping[str, int]
    crews: tuple[Crew, ...]


def ladder(crews: Sequence[Crew], landings: Sequence[Fraction] = (), share: Fraction = Fraction(0)) -> tuple[Rung, ...]:
    """The rungs from ``share`` to all requests, none of them beyond the next of ``landings``.

    Where the limits leave no way on (more runs than they allow, say) they give way: every state has a way out.
    """
    rungs: list[Rung] = []
    now = tuple(crews)
    while share < 1 or not all(crew.is_done for crew in now):
        rung = _next(now, min((each for each in landings if each > share), default=ALL), share)
        if (rung.crews, rung.share) == (now, share):
            rung = _forced(now, share)
        rungs.append(rung)
        now, share = rung.crews, rung.share
    return tuple(rungs)


def _next(crews: tuple[Crew, ...], landing: Fraction, share: Fraction) -> Rung:
    grown = tuple(crew.grown(GROW[crew.kind](crew, landing)) for crew in crews)
    reached = max(share, min([landing, *(crew.able() for crew in grown)]))
    shrunk = tuple(crew.shrunk(reached) for crew in grown)
    return _rung(crews, grown, reached, shrunk)


def _forced(crews: tuple[Crew, ...], share: Fraction) -> Rung:
    grown = tuple(crew.grown(crew.size) for crew in crews)
    return _rung(crews, grown, ALL, tuple(crew.shrunk(ALL) for crew in grown))


def _rung(before: tuple[Crew, ...], grown: tuple[Crew, ...], share: Fraction, after: tuple[Crew, ...]) -> Rung:
    starts = {
        new.name: new.healthy
        for old, new in zip(before, grown, strict=True)
        if (new.asked, new.healthy) != (old.asked, old.healthy)
    }
    stops = {
        new.name: new.left_asked for old, new in zip(grown, after, strict=True) if new.left_asked != old.left_asked
    }
    return Rung(starts, share, stops, after)
