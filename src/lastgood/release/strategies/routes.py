"""How requests move from one release's routes to another's.

Both generations of the changed routes are loaded side by side; one runtime key shifts the requests between them, there
and back. Where the target is no longer loaded, going back pushes its routes again, in place of what is there.
"""

from __future__ import annotations

from collections.abc import Callable

from lastgood.release.observed import Observed
from lastgood.release.release import GATEWAY, Release, same_traffic
from lastgood.release.step import Cond, Step, StepId
from lastgood.release.strategies.blue_green import capacity

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
) -> Step:
    """The one effect on the gateway: these two generations, this share of requests on the candidate."""
    args = {"base": base, "candidate": candidate, "percent": percent}
    return Step(step_id, GATEWAY, "serve", args, needs=needs, guard=guard, deadline_s=PUSH_DEADLINE_S, shows=shows)


def silent(step_id: StepId, left: int, needs: frozenset[StepId]) -> Step:
    """Count that the release that was left gets no more requests: what an acknowledgement alone does not prove."""
    args = {"release": left, "window_s": SILENCE_S}
    return Step(step_id, GATEWAY, "silent", args, needs=needs, soft=True, shows=f"see that r{left} gets no requests")


def forward(
    observed: Observed,
    target: Release,
    release_of: ReleaseOf,
    *,
    percent: float,
    bake_s: float,
    confirm: bool,
    needs: frozenset[StepId],
) -> list[Step]:
    """Preflight, load, shift, (hold, shift the rest), bake, settle."""
    number, name = target.number, target.name
    base = _serving(observed)
    able = capacity(target)
    bake = Step("bake", GATEWAY, "bake", {"release": number, "for_s": bake_s}, shows=f"bake {name} for {bake_s:g} s")
    if base is None or same_traffic(release_of(base), target):
        preflight = _preflight(number, None, needs)
        first = serve("serve", number, None, 0.0, f"serve {name}", needs | {preflight.id}, able)
        watched = _watched(bake, confirm, frozenset({first.id}))
        return [preflight, first, *watched]
    preflight = _preflight(base, number, needs)
    load = serve("load", base, number, 0.0, f"load {name} beside r{base}", needs | {preflight.id})
    shows = f"shift {percent:g} % of the requests to {name}"
    shift = serve("shift", base, number, percent, shows, frozenset({load.id}), able)
    steps = [preflight, load, shift]
    if percent < 100:
        hold = Step(
            "hold", GATEWAY, "hold", {"for_s": bake_s}, needs=frozenset({shift.id}), shows=f"hold at {percent:g} %"
        )
        full = serve("full", base, number, 100.0, f"shift all requests to {name}", frozenset({hold.id}), able)
        steps += [hold, full]
    shifted = frozenset({steps[-1].id})
    steps += [silent("converged", base, shifted), *_watched(bake, confirm, shifted)]
    ready = frozenset(step.id for step in steps)
    return [*steps, serve("settle", number, None, 0.0, f"settle on {name}", ready)]


def back(observed: Observed, target: Release, release_of: ReleaseOf, *, needs: frozenset[StepId]) -> list[Step]:
    """Shift back where the target is still loaded, else push its routes again; then settle."""
    base = observed.value(GATEWAY, "base")
    candidate = observed.value(GATEWAY, "candidate")
    number, name = target.number, target.name
    able = capacity(target)
    if base is not None and candidate is not None:
        for loaded, percent in ((base, 0.0), (candidate, 100.0)):
            if same_traffic(release_of(loaded), target):
                shift = serve("shift", base, candidate, percent, f"shift all requests to {name}", needs, able)
                left = base if percent else candidate
                proof = silent("converged", left, frozenset({shift.id}))
                return [shift, proof, serve("settle", number, None, 0.0, f"settle on {name}", frozenset({proof.id}))]
    if base == number and candidate is None:
        return []
    return [serve("push", number, None, 0.0, f"push the routes of {name}", needs, able)]


def _serving(observed: Observed) -> int | None:
    candidate = observed.value(GATEWAY, "candidate")
    full = candidate is not None and observed.value(GATEWAY, "percent", 0.0) >= 100
    base: int | None = candidate if full else observed.value(GATEWAY, "base")
    return base


def _preflight(base: int, candidate: int | None, needs: frozenset[StepId]) -> Step:
    args = {"base": base, "candidate": candidate, "percent": 0.0}
    shows = "try it on a proxy without traffic"
    return Step("preflight", GATEWAY, "preflight", args, needs=needs, deadline_s=PREFLIGHT_DEADLINE_S, shows=shows)


def _watched(bake: Step, confirm: bool, needs: frozenset[StepId]) -> list[Step]:
    waits = [Step(bake.id, bake.part, bake.verb, bake.args, needs=needs, shows=bake.shows)]
    if confirm:
        waits.append(Step("confirm", GATEWAY, "confirm", needs=needs, shows="wait for lastgood confirm"))
    return waits
