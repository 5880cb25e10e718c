"""Blue-green: the new version at full capacity beside the old one; requests move with the release's routes.

Facts of ``service:NAME``: ``wanted:DIGEST`` instances asked for (stable), ``healthy:DIGEST`` observed healthy now and
in the gateway's endpoints (one that drains is not counted). Steps of ``service:NAME``, all idempotent:

- ``start`` ``{release, digest, instances}``: have that many instances of the version, in all.
- ``smoke`` ``{release, digest}``: ask an instance that gets no requests yet what the service's ``smoke`` says.
- ``drain`` ``{digest, keep, drain_s}``: take all but ``keep`` instances out of the gateway's endpoints, have that
  acknowledged, and wait until the requests they have are answered, ``drain_s`` at most. Not remembered by anybody: it
  is a promise that ``stop`` renews.
- ``stop`` ``{digest, keep, drain_s}``: end all but ``keep`` instances, draining what is not drained yet.

An instance of which some must go: those that are not healthy first.
"""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.release.observed import Observed
from lastgood.release.release import Release, services_of
from lastgood.release.step import Cond, Step, StepId

START_DEADLINE_S = 300.0


def start(observed: Observed, target: Release, *, needs: frozenset[StepId] = frozenset()) -> list[Step]:
    """Start what the target needs and is not observed healthy with enough capacity."""
    steps = []
    for name, digest in sorted(services_of(target).items()):
        part, count = f"service:{name}", target.instances.get(name, 1)
        if observed.value(part, f"healthy:{digest}", 0) >= count:
            continue
        steps.append(
            Step(
                f"start:{name}",
                part,
                "start",
                {"release": target.number, "digest": digest, "instances": count},
                needs=needs,
                until=Cond(part, f"healthy:{digest}", ">=", count),
                deadline_s=START_DEADLINE_S,
                shows=f"start {count} x {name} of {target.name}",
            )
        )
    return steps


def capacity(*releases: Release) -> tuple[Cond, ...]:
    """What must hold before requests go to these releases: every version is observed healthy with enough instances."""
    return tuple(
        Cond(f"service:{name}", f"healthy:{digest}", ">=", release.instances.get(name, 1))
        for release in releases
        for name, digest in sorted(services_of(release).items())
    )


def stop_others(
    observed: Observed, target: Release, keep_old_s: Mapping[str, float], *, needs: frozenset[StepId]
) -> list[Step]:
    """Stop the versions that the target does not use, after keeping them warm for a while."""
    wanted = services_of(target)
    steps: list[Step] = []
    for part, key in sorted(observed.facts):
        if not (part.startswith("service:") and key.startswith("wanted:")) or not observed.value(part, key):
            continue
        name, digest = part.partition(":")[2], key.partition(":")[2]
        if wanted.get(name) == digest:
            continue
        after = needs
        if (kept_s := keep_old_s.get(name, 0.0)) > 0:
            shows = f"keep the old {name} warm for {kept_s:g} s"
            keep = Step(f"keep:{name}:{digest[:8]}", part, "keep", {"for_s": kept_s}, needs=needs, shows=shows)
            steps.append(keep)
            after = frozenset({keep.id})
        shows = f"stop the old {name}"
        steps.append(
            Step(f"stop:{name}:{digest[:8]}", part, "stop", {"digest": digest}, needs=after, soft=True, shows=shows)
        )
    return steps
