"""How requests move from one release's routes to another's.

Both generations of the changed routes are loaded side by side; one runtime key shifts the requests between them, there
and back. Where the target is no longer loaded, going back pushes its routes again, in place of what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from lastgood.release.observed import Observed
from lastgood.release.release import GATEWAY, Release, same_traffic
from lastgood.release.step import Cond, Step, StepId
from lastgood.release.strategies.climb import Shift
from lastgood.release.strategies.crews import share_of

ReleaseOf = Callable[[int], Release]
PUSH_DEADLINE_S = 60.0
PREFLIGHT_DEADLINE_S = 120.0
SILENCE_S = 0.2


def serve(
    step_id: StepId,
    base: int,
    candidate: int | None,
    percent: float,
    shows: str,
    needs: frozenset[StepId],
    guard: tuple[Cond, ...] = (),
    before: int | None = None,
) -> Step:
    """The one effect on the gateway: these two generations, this share of requests on the candidate.

    What ``base`` changed since ``before`` is counted as its own where it serves alone, so that it can be watched.
    """
    args = {"base": base, "candidate": candidate, "percent": percent}
    if before is not None:
        args["before"] = before
    return Step(step_id, GATEWAY, "serve", args, needs=needs, guard=guard, deadline_s=PUSH_DEADLINE_S, shows=shows)


def silent(step_id: StepId, left: int, needs: frozenset[StepId]) -> Step:
    """Count that the release that was left gets no more requests: what an acknowledgement alone does not prove."""
    args = {"release": left, "window_s": SILENCE_S}
    return Step(step_id, GATEWAY, "silent", args, needs=needs, soft=True, shows=f"see that r{left} gets no requests")


@dataclass(frozen=True)
class Loaded:
    """Which generations the gateway has, and how much of the requests the candidate gets (0 to 100)."""

    base: int | None
    candidate: int | None
    percent: float

    @classmethod
    def of(cls, observed: Observed) -> Loaded:
        """As it is observed."""
        seen = {name: observed.value(GATEWAY, name) for name in ("base", "candidate")}
        return cls(seen["base"], seen["candidate"], observed.value(GATEWAY, "percent") or 0.0)

    @property
    def is_shared(self) -> bool:
        """Whether both generations get requests."""
        return self.candidate is not None and 0 < self.percent < 100

    @property
    def serving(self) -> int | None:
        """What a new generation would be loaded beside."""
        return self.candidate if self.candidate is not None and self.percent >= 100 else self.base

    def side_of(self, target: Release, release_of: ReleaseOf) -> Literal["base", "candidate"] | None:
        """On which side the target's traffic is loaded, None where it is not or nothing stands beside it."""
        if self.base is None or self.candidate is None:
            return None
        if same_traffic(release_of(self.base), target):
            return "base"
        return "candidate" if same_traffic(release_of(self.candidate), target) else None

    def share_of(self, side: str) -> Fraction:
        """The share of the requests that a side gets."""
        mine = share_of(self.percent)
        return mine if side == "candidate" else 1 - mine


def towards(base: int, candidate: int, side: str, name: str) -> Shift:
    """Shifts of requests to the release called ``name``, which is loaded on that side."""

    def shift(step_id: StepId, share: Fraction, needs: frozenset[StepId], guard: tuple[Cond, ...]) -> Step:
        percent = round(float(share * 100), 4)
        how_much = "all" if share == 1 else f"{percent:g} % of the"
        of_candidate = percent if side == "candidate" else round(100.0 - percent, 4)
        return serve(step_id, base, candidate, of_candidate, f"shift {how_much} requests to {name}", needs, guard)

    return shift


def preflight(base: int, candidate: int | None, needs: frozenset[StepId]) -> Step:
    """Try it on a proxy without traffic."""
    args = {"base": base, "candidate": candidate, "percent": 0.0}
    shows = "try it on a proxy without traffic"
    return Step("preflight", GATEWAY, "preflight", args, needs=needs, deadline_s=PREFLIGHT_DEADLINE_S, shows=shows)


def watched(number: int, bake_s: float, confirm: bool, needs: frozenset[StepId]) -> list[Step]:
    """The bake, and the confirmation beside it."""
    shows = f"bake r{number} for {bake_s:g} s"
    waits = [Step("bake", GATEWAY, "bake", {"release": number, "for_s": bake_s}, needs=needs, shows=shows)]
    if confirm:
        waits.append(Step("confirm", GATEWAY, "confirm", needs=needs, shows="wait for lastgood confirm"))
    return waits
