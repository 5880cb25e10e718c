"""Which releases something may still go back to: what they run from must not be deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lastgood.release.release import Release, services_of
from lastgood.release.state import State

COUNT = 20
AGE_S = 30 * 86_400.0


def kept_releases(
    state: State,
    release_of: Callable[[int], Release],
    running: Collection[tuple[str, str]],
    now_s: float,
    *,
    count: int = COUNT,
    age_s: float = AGE_S,
) -> frozenset[int]:
    """The newest ``count``, all that were live or deployed within ``age_s``, tagged ones, and those of what runs.

    ``running`` are ``(service, digest)`` of which there are instances; ``now_s`` is the wall clock. A release goes only
    when it is beyond the count *and* beyond the age.
    """
    kept = set(state.releases[-count:]) | set(state.tags.values())
    for deployment in state.deployments.values():
        ended = deployment.ended_at
        if ended is None or now_s - ended.wall_s < age_s:
            mine = {
                deployment.asked.target,
                deployment.asked.source,
                deployment.ended.live if deployment.ended else None,
            }
            if deployment.plan is not None:
                mine |= {deployment.plan.source, deployment.plan.target, deployment.plan.retreat_to}
            kept |= {number for number in mine if number is not None}
    if state.live is not None:
        kept.add(state.live)
    kept |= {number for number in state.releases if set(services_of(release_of(number)).items()) & set(running)}
    good = [number for number in state.releases if state.verdict(number).name == "good"]
    return frozenset(kept | set(good[-1:]))
