"""The way back where there is no release to go back to: what was started is stopped, and nothing is live. Pure."""

from __future__ import annotations

from lastgood.release.observed import Observed
from lastgood.release.plan import Plan
from lastgood.release.release import Release
from lastgood.release.step import Step
from lastgood.release.strategies import instances


def plan_to_nothing(observed: Observed, deployment: int, given_up: Release, plan_number: int) -> Plan:
    """Stop every instance of every version; no request can have met one, so nothing is drained."""
    leaving: dict[str, list[Step]] = {}
    for part, key in sorted(observed.facts):
        if not (part.startswith("service:") and key.startswith("wanted:") and observed.value(part, key) > 0):
            continue
        name, digest = part.partition(":")[2], key.partition(":")[2]
        shows = f"stop {name}, which was started for {given_up.name}"
        steps = instances.leave((name, digest), 0, drain_s=0.0, needs=frozenset(), soft=False, shows=shows)
        leaving.setdefault(name, []).extend(steps)
    return Plan(
        id=f"d{deployment}.{plan_number}",
        deployment=deployment,
        basis=observed.basis(),
        intent="retreat",
        source=None,
        target=given_up.number,
        retreat_to=None,
        steps=tuple(instances.dependants_first(leaving, given_up)),
        rest_points=(),
        to_nothing=True,
    )
