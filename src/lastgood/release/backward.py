"""The way back: requests first, at once where the old version is warm; then Git; the schema last, if at all. Pure.

A schema that the target cannot live with goes down before its requests come back: they would only fail.

What has to be started first is started, in batches only where the version that is left allows only so many instances.
Nothing here holds, bakes or waits for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from lastgood.release.forward import instances_left
from lastgood.release.observed import Observed
from lastgood.release.release import same_traffic, services_of
from lastgood.release.step import Step
from lastgood.release.strategies import crews, hooks, instances, routes, schema
from lastgood.release.strategies.climb import Climb
from lastgood.release.strategies.crew import Crew
from lastgood.release.strategies.instances import Needs, ids
from lastgood.release.strategies.ladder import ALL, Rung, ladder
from lastgood.release.wanted import ReleaseOf, Wanted

REVERT_DEADLINE_S = 120.0


def steps_back(observed: Observed, wanted: Wanted, release_of: ReleaseOf) -> list[Step]:
    """All steps back to the wanted release."""
    target = wanted.target
    moving = crews.back(observed, target, crews.reached(observed, release_of))
    stays = wanted.keep_schema or wanted.drill
    lower = [] if stays else schema.lower(observed, target, wanted.source, accept_loss=wanted.accept_loss)
    first = [*schema.expand(observed, target), *lower]
    moved, settled = _moved(observed, wanted, release_of, moving, ids(first))
    steps = [*first, *moved]
    shifted = ids(steps)
    steps += settled
    if wanted.revert is not None:
        steps.append(_revert(observed, wanted, lower, needs=shifted))
    everything = ids([*first, *moved, *settled])
    gone = {step.id for step in moved if step.verb == "stop"}
    drilled = services_of(wanted.source).items() if wanted.drill and wanted.source is not None else ()
    leaving = {
        (name, digest): keep
        for (name, digest), keep in instances.idle(observed, target).items()
        if (keep or f"stop:{name}:{digest[:8]}" not in gone) and (name, digest) not in drilled
    }
    stops = instances.dependants_first(instances_left(leaving, wanted, everything, []), wanted.source or target)
    again = [
        replace(step, soft=True)
        for step in instances.start(target, instances.short(observed, target, moving), needs=everything | ids(stops))
    ]
    undo: list[Step] = []
    if wanted.source is not None and wanted.source.number > target.number and not wanted.drill:
        names = frozenset(name for name, _ in leaving) | {crew.name for crew in moving}
        undo = hooks.undo(wanted.source, names, shifted)
    steps += [*undo, *stops, *again]
    if wanted.with_schema:
        there = {step.part for step in lower if step.args["to"] == target.schemas[step.part.partition(":")[2]]}
        rest = schema.contract(observed, target, needs=everything | ids(stops), accept_loss=wanted.accept_loss)
        steps += [step for step in rest if step.part not in there]
    return steps


def _moved(
    observed: Observed, wanted: Wanted, release_of: ReleaseOf, moving: tuple[Crew, ...], needs: Needs
) -> tuple[list[Step], list[Step]]:
    """What brings the requests back, and what follows on that."""
    target, number, name = wanted.target, wanted.target.number, wanted.target.name
    loaded = routes.Loaded.of(observed)
    side = loaded.side_of(target, release_of)
    share = loaded.share_of(side) if side is not None else Fraction(0)
    rungs = _without_last_stops(ladder(moving, (), share)) or (Rung({}, ALL, {}, moving),)
    if side is not None:
        assert loaded.base is not None
        assert loaded.candidate is not None
        left = loaded.candidate if side == "base" else loaded.base
        made = _climbed(wanted, rungs, (loaded.base, loaded.candidate, side), share, needs)
        return made, _settled(wanted, left, ids(made))
    in_batches = len(rungs) > 1 and loaded.candidate is None and loaded.base is not None
    if in_batches and loaded.base is not None and not same_traffic(release_of(loaded.base), target):
        load = routes.serve("load", loaded.base, number, 0.0, f"load {name} beside r{loaded.base}", needs)
        made = [load, *_climbed(wanted, rungs, (loaded.base, number, "candidate"), Fraction(0), ids([load]))]
        return made, _settled(wanted, loaded.base, ids(made))
    totals = {crew.name: crew.size for crew in moving if crew.healthy < crew.size}
    starts = instances.start(target, totals, needs=needs)
    if loaded.base == number and loaded.candidate is None:
        return starts, []
    full = instances.able(moving, ALL)
    push = routes.serve("push", number, None, 0.0, f"push the routes of {name}", needs | ids(starts), full)
    served = loaded.serving
    proof = [] if served is None or served == number else [routes.silent("converged", served, ids([push]))]
    return [*starts, push], proof


def _without_last_stops(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
    """What is left in the end is stopped when all is told and settled: nobody waits for it to drain."""
    return (*rungs[:-1], *(replace(rung, stops={}) for rung in rungs[-1:]))


def _climbed(
    wanted: Wanted, rungs: tuple[Rung, ...], sides: tuple[int, int, str], share: Fraction, needs: Needs
) -> list[Step]:
    """A shift is made even where all requests are back already: the proxies may not have heard."""
    base, candidate, side = sides
    shift = routes.towards(base, candidate, side, wanted.target.name)
    if share == 1 and not any(rung.starts or rung.stops for rung in rungs):
        return [shift("shift", ALL, needs, instances.able(rungs[-1].crews, ALL))]
    return Climb(wanted.target, shift).steps(rungs, share, needs)


def _settled(wanted: Wanted, left: int, needs: Needs) -> list[Step]:
    proof = routes.silent("converged", left, needs)
    number, name = wanted.target.number, wanted.target.name
    return [proof, routes.serve("settle", number, None, 0.0, f"settle on {name}", ids([proof]))]


def _revert(observed: Observed, wanted: Wanted, lower: Sequence[Step], needs: Needs) -> Step:
    revert = wanted.revert
    assert revert is not None
    args: dict[str, object] = {
        "bad": revert.bad,
        "target": revert.target,
        "branch": revert.branch,
        "release": wanted.target.number,
        "left": wanted.source.number if wanted.source else 0,
        "keep_migrations": not wanted.with_schema,
    }
    if wanted.source is not None and (lowered := schema.lowered(observed, wanted.source, lower)):
        args["lowered"] = lowered
    shows = f"write the revert commit on {revert.branch}"
    return Step("revert", "git", "revert", args, needs=needs, deadline_s=REVERT_DEADLINE_S, soft=True, shows=shows)
