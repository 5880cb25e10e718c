"""The way forward: schema expanded, new versions started and healthy, requests shifted, baked, settled. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from lastgood.release.moves import move_of
from lastgood.release.observed import Observed
from lastgood.release.release import GATEWAY, Release, same_traffic, services_of
from lastgood.release.step import Step
from lastgood.release.strategies import crews, hooks, instances, routes, schema
from lastgood.release.strategies.climb import Climb
from lastgood.release.strategies.crew import Crew
from lastgood.release.strategies.instances import Needs, Version, ids
from lastgood.release.strategies.ladder import ladder
from lastgood.release.wanted import ReleaseOf, Wanted


@dataclass(frozen=True)
class _Way:
    """What the steps to the new release are: ``moved`` is the last of those that move requests."""

    steps: list[Step]
    moved: Needs
    settle: Step | None
    base: Release | None


def steps_forward(observed: Observed, wanted: Wanted, release_of: ReleaseOf) -> list[Step]:
    """All steps to the wanted release."""
    target = wanted.target
    moving = crews.forward(observed, target, crews.reached(observed, release_of))
    names = frozenset(crew.name for crew in moving)
    expand = schema.expand(observed, target, accept_loss=wanted.accept_loss)
    before = hooks.before(target, names, ids(expand))
    way = _way(observed, wanted, release_of, moving, [*expand, *before])
    made = [*expand, *before, *way.steps]
    proven = ids(made)
    kept, leaving = _left(observed, wanted, release_of, moving, way)
    same_routes = way.base is not None and way.base.parts.get(GATEWAY) == target.parts.get(GATEWAY)
    settled: list[Step] = []
    if way.settle is not None:
        # Routes that did not change can stay loaded twice while the old version is warm: the way back is one shift.
        waits_for = proven | (ids(kept) if same_routes else frozenset())
        left = way.base.number if way.base is not None else None
        settled = [routes.serve(way.settle.id, target.number, None, 0.0, way.settle.shows, waits_for, before=left)]
    made += [*kept, *settled] if same_routes else [*settled, *kept]
    gone = instances_left(leaving, wanted, proven | ids(settled), kept)
    made += instances.dependants_first(gone, wanted.source or target)
    return made + hooks.after(target, names, proven)


def _way(
    observed: Observed, wanted: Wanted, release_of: ReleaseOf, moving: tuple[Crew, ...], earlier: list[Step]
) -> _Way:
    loaded = routes.Loaded.of(observed)
    target, base = wanted.target, loaded.serving
    if loaded.is_shared and loaded.candidate == target.number:
        return _climbed(observed, wanted, release_of, moving, earlier, goes_on=True)
    if base is None or same_traffic(release_of(base), target):
        return _first(observed, wanted, moving, earlier)
    return _climbed(observed, wanted, release_of, moving, earlier, goes_on=False)


def _first(observed: Observed, wanted: Wanted, moving: tuple[Crew, ...], earlier: list[Step]) -> _Way:
    """There is nothing to shift from: no release is live, or its routes and code are the same."""
    target, number = wanted.target, wanted.target.number
    totals = {crew.name: crew.size for crew in moving if crew.healthy < crew.size}
    started = _started(observed, target, totals, moving, ids(earlier))
    preflight = routes.preflight(number, None, ids([*earlier, *started]))
    needs = ids([*earlier, *started, preflight])
    full = instances.able(moving, Fraction(1))
    first = routes.serve("serve", number, None, 0.0, f"serve {target.name}", needs, full)
    moved = ids([first])
    watched = _watched(wanted, moving, moved)
    return _Way([*started, preflight, first, *watched], moved, None, None)


def _climbed(
    observed: Observed,
    wanted: Wanted,
    release_of: ReleaseOf,
    moving: tuple[Crew, ...],
    earlier: list[Step],
    *,
    goes_on: bool,
) -> _Way:
    """Load the new generation beside the old one and climb; ``goes_on`` where it stands part of the way up already."""
    loaded = routes.Loaded.of(observed)
    target, number = wanted.target, wanted.target.number
    base = loaded.base if goes_on else loaded.serving
    assert base is not None
    old = release_of(base)
    share = loaded.share_of("candidate") if goes_on else Fraction(0)
    holds_s = holds(wanted, moving)
    rungs = ladder(moving, sorted(holds_s), share)
    full_base = (
        () if goes_on or not loaded.is_shared else crews.back(observed, old, crews.reached(observed, release_of))
    )
    rescue = instances.start(old, {crew.name: crew.size for crew in full_base}, needs=ids(earlier), again=True)
    started = _started(observed, target, rungs[0].starts if rungs else {}, moving, ids(earlier))
    ready = ids([*earlier, *rescue, *started])
    checked = [] if goes_on else [routes.preflight(base, number, ready)]
    percent = loaded.percent if goes_on else 0.0
    beside = f"load {target.name} beside {old.name}"
    able = instances.able(full_base, Fraction(1))
    load = routes.serve("load", base, number, percent, beside, ready | ids(checked), able)
    shift = routes.towards(base, number, "candidate", target.name)
    looked = [] if goes_on else _looked_at(target, moving, ids([load]))
    climbing = Climb(target, shift, holds_s, asks=True, started=True)
    climbed = [*looked, *climbing.steps(rungs, share, ids([load, *looked]))]
    moved = ids([step for step in climbed if step.verb == "serve"][-1:]) or ids([load])
    asked = [
        each
        for step in climbed
        if step.verb == "hold"
        for each in hooks.watch(target, _names(moving), step.id, step.needs)
    ]
    proof = routes.silent("converged", base, moved)
    watched = _watched(wanted, moving, moved)
    settle = routes.serve("settle", number, None, 0.0, f"settle on {target.name}", frozenset())
    made = [*rescue, *started, *checked, load, *climbed, *asked, proof, *watched]
    return _Way(made, moved, settle, old)


def _looked_at(target: Release, moving: tuple[Crew, ...], needs: Needs) -> list[Step]:
    """A wait before the first request moves, in which people see the new version by the gateway's preview."""
    preview_s = max((move_of(target, crew.name).preview_s for crew in moving), default=0.0)
    if preview_s == 0:
        return []
    shows = f"look at {target.name} for {preview_s:g} s before any request moves"
    return [Step("hold:0", GATEWAY, "hold", {"for_s": preview_s}, needs=needs, shows=shows)]


def _started(
    observed: Observed, target: Release, totals: Mapping[str, int], moving: tuple[Crew, ...], needs: Needs
) -> list[Step]:
    """The instances that come before any request moves, and the checks on them."""
    starts = instances.start(target, {**totals, **instances.short(observed, target, moving)}, needs=needs)
    return [*starts, *instances.smoke(target, _names(moving), needs=needs | ids(starts))]


def _watched(wanted: Wanted, moving: tuple[Crew, ...], moved: Needs) -> list[Step]:
    waits = routes.watched(wanted.target.number, wanted.bake_s, wanted.confirm, moved)
    return [*waits, *hooks.watch(wanted.target, _names(moving), "bake", moved)]


def _names(moving: tuple[Crew, ...]) -> frozenset[str]:
    return frozenset(crew.name for crew in moving)


def holds(wanted: Wanted, moving: tuple[Crew, ...]) -> dict[Fraction, float]:
    """The shares to wait at, and how long: what was asked for, else the canaries' steps, then what is held back."""
    if wanted.percent < 100:
        return {crews.share_of(wanted.percent): wanted.bake_s}
    found: dict[Fraction, float] = {}
    for crew in moving:
        if crew.kind == "canary":
            move = move_of(wanted.target, crew.name)
            for step in move.steps:
                share = crews.share_of(step)
                found[share] = max(found.get(share, 0.0), move.hold_s)
    if wanted.hold_back > 0:
        most = crews.share_of(100.0 - wanted.hold_back)
        found = {share: hold_s for share, hold_s in found.items() if share < most} | {most: wanted.bake_s}
    return found


# --- what is left ----------------------------------------------------------------------------------------------------


def _left(
    observed: Observed, wanted: Wanted, release_of: ReleaseOf, moving: tuple[Crew, ...], way: _Way
) -> tuple[list[Step], dict[Version, int]]:
    """Steps that keep old versions warm, and every version that has to go in the end."""
    stopped = {(crew.name, crew.left) for crew in moving if crew.kind == "rolling"}
    leaving = {each: keep for each, keep in instances.idle(observed, wanted.target).items() if each not in stopped}
    warm = [*crews.reached(observed, release_of), *map(release_of, wanted.warm)]
    versions = {each for release in warm for each in services_of(release).items()}
    kept = []
    for name, digest in leaving:
        kept_s = _kept_s(wanted, name) if (name, digest) in versions and leaving[name, digest] == 0 else 0.0
        if kept_s > 0:
            step_id, shows = f"keep:{name}:{digest[:8]}", f"keep {name} {digest[:8]} warm for {kept_s:g} s"
            kept.append(
                Step(
                    step_id,
                    f"service:{name}",
                    "keep",
                    {"for_s": kept_s, "digest": digest},
                    needs=way.moved,
                    shows=shows,
                )
            )
    return kept, leaving


def _kept_s(wanted: Wanted, name: str) -> float:
    if wanted.keep_old_s is not None and name in wanted.keep_old_s:
        return wanted.keep_old_s[name]
    return move_of(wanted.target, name).keep_old_s


def instances_left(
    leaving: Mapping[Version, int], wanted: Wanted, needs: Needs, kept: list[Step]
) -> dict[str, list[Step]]:
    """The steps that end what is not needed any more, by service; their failure fails nothing."""
    made: dict[str, list[Step]] = {}
    for (name, digest), keep in leaving.items():
        waits = ids([step for step in kept if step.id == f"keep:{name}:{digest[:8]}"])
        drain_s = move_of(wanted.source or wanted.target, name).drain_s
        steps = instances.leave((name, digest), keep, drain_s=drain_s, needs=needs | waits, soft=True)
        made.setdefault(name, []).extend(steps)
    return made
