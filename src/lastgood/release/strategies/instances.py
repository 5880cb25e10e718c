"""The steps that move instances of services.

Facts of ``service:NAME``: ``wanted:DIGEST`` instances asked for (stable), ``healthy:DIGEST`` observed healthy now and
in the gateway's endpoints (one that drains is not counted). Steps of ``service:NAME``, all idempotent:

- ``start`` ``{release, digest, instances}``: have that many instances of the version, in all; one that drains is taken
  back first.
- ``smoke`` ``{release, digest}``: ask an instance that gets no requests yet what the service's ``smoke`` says.
- ``drain`` ``{digest, keep, drain_s}``: take all but ``keep`` instances out of the gateway's endpoints, have that
  acknowledged, and wait until the requests they have are answered, ``drain_s`` at most. Not remembered by anybody: it
  is a promise that ``stop`` renews.
- ``stop`` ``{digest, keep, drain_s}``: end all but ``keep`` instances, draining what is not drained yet.

An instance of which some must go: those that are not healthy first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from lastgood.release.moves import move_of
from lastgood.release.observed import Observed
from lastgood.release.release import Release, services_of
from lastgood.release.step import Cond, Step, StepId
from lastgood.release.strategies.crew import Crew

SMOKE_DEADLINE_S = 120.0
STOP_DEADLINE_S = 120.0
"""Beyond the time to drain."""
Needs = frozenset[StepId]
Version = tuple[str, str]
"""``(service, digest)``."""


def ids(steps: Iterable[Step]) -> Needs:
    """The ids of these steps."""
    return frozenset(step.id for step in steps)


def start(target: Release, totals: Mapping[str, int], *, needs: Needs, again: bool = False) -> list[Step]:
    """Have so many instances of each version, observed healthy; those a service depends on come first.

    ``again`` where a plan has started some of them before.
    """
    versions = services_of(target)
    return [
        Step(
            f"start:{name}:{total}" if again else f"start:{name}",
            f"service:{name}",
            "start",
            {"release": target.number, "digest": versions[name], "instances": total},
            needs=needs | (set() if again else {f"start:{other}" for other in _awaited(target, name) & totals.keys()}),
            until=Cond(f"service:{name}", f"healthy:{versions[name]}", ">=", total),
            deadline_s=move_of(target, name).start_timeout_s,
            shows=f"start {total} x {name} of {target.name}",
        )
        for name, total in sorted(totals.items())
    ]


def _awaited(target: Release, name: str) -> set[str]:
    """Every service that has to be healthy before this one starts."""
    found: set[str] = set()
    waiting = list(move_of(target, name).depends_on)
    while waiting:
        if (other := waiting.pop()) not in found and other != name:
            found.add(other)
            waiting += move_of(target, other).depends_on
    return found


def smoke(target: Release, names: Iterable[str], *, needs: Needs) -> list[Step]:
    """Ask each new version what its service's checks say, before it gets any request."""
    versions = services_of(target)
    return [
        Step(
            f"smoke:{name}",
            f"service:{name}",
            "smoke",
            {"release": target.number, "digest": versions[name]},
            needs=needs,
            deadline_s=SMOKE_DEADLINE_S,
            shows=f"check {name} of {target.name}",
        )
        for name in sorted(names)
        if move_of(target, name).smoke
    ]


def able(crews: Iterable[Crew], share: Fraction) -> tuple[Cond, ...]:
    """What must hold before that share of the requests goes to these versions: enough of them observed healthy."""
    return tuple(
        Cond(f"service:{crew.name}", f"healthy:{crew.version}", ">=", needed)
        for crew in crews
        if (needed := crew.needed(share)) > 0
    )


def leave(
    version: Version, keep: int, *, drain_s: float, needs: Needs, soft: bool, shows: str | None = None
) -> list[Step]:
    """Drain and end all but ``keep`` instances of a version."""
    name, digest = version
    part, tail = f"service:{name}", f"{name}:{digest[:8]}" + (f":{keep}" if keep else "")
    args = {"digest": digest, "keep": keep, "drain_s": drain_s}
    deadline_s = drain_s + STOP_DEADLINE_S
    what = f"all but {keep} of {name} {digest[:8]}" if keep else f"{name} {digest[:8]}"
    drain = Step(
        f"drain:{tail}", part, "drain", args, needs=needs, deadline_s=deadline_s, soft=soft, shows=f"drain {what}"
    )
    stop = Step(
        f"stop:{tail}",
        part,
        "stop",
        args,
        needs=frozenset({drain.id}),
        deadline_s=deadline_s,
        soft=soft,
        shows=shows or f"stop {what}",
    )
    return [drain, stop]


def dependants_first(leaving: Mapping[str, list[Step]], release: Release) -> list[Step]:
    """These steps by service, so that whoever depends on another has ended before it."""
    awaited = {name: _awaited(release, name) for name in leaving}
    made = []
    for name, steps in sorted(leaving.items()):
        before = ids(step for other, theirs in leaving.items() if name in awaited[other] for step in theirs)
        made += [replace(step, needs=step.needs | before) for step in steps]
    return made


def idle(observed: Observed, target: Release) -> dict[Version, int]:
    """What runs and the target does not use: how many instances of each version it keeps."""
    wanted = services_of(target)
    found: dict[Version, int] = {}
    for part, key in sorted(observed.facts):
        if not (part.startswith("service:") and key.startswith("wanted:")):
            continue
        name, digest = part.partition(":")[2], key.partition(":")[2]
        keep = target.instances.get(name, 1) if wanted.get(name) == digest else 0
        if observed.value(part, key) > keep:
            found[name, digest] = keep
    return found


def short(observed: Observed, target: Release, crews: Iterable[Crew]) -> dict[str, int]:
    """What serves already and of which too few are asked for."""
    changing = {crew.name for crew in crews}
    return {
        name: size
        for name, digest in services_of(target).items()
        if name not in changing
        and observed.value(f"service:{name}", f"wanted:{digest}", 0) < (size := target.instances.get(name, 1))
    }
