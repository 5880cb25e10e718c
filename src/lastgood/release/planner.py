"""The planner: from what is observed to a release, forward or back, as a graph of steps. Pure.

Forward: schema expanded -> new version started and observed healthy -> both generations loaded -> traffic shifted ->
baked -> settled. Back: traffic first; the old version is started before only where it is not warm; the schema last, and
only when that is asked for. Going back never holds, bakes or waits for a person.
"""

from __future__ import annotations

from lastgood.release.backward import steps_back
from lastgood.release.forward import steps_forward
from lastgood.release.observed import Observed
from lastgood.release.plan import Plan, Refusal
from lastgood.release.release import GATEWAY
from lastgood.release.wanted import WISHES, ReleaseOf, plain
from lastgood.release.wanted import Revert as Revert
from lastgood.release.wanted import Wanted as Wanted
from lastgood.release.wanted import rewanted as rewanted


def make_plan(observed: Observed, wanted: Wanted, release_of: ReleaseOf) -> Plan | Refusal:
    """The plan, or why there is none and what to do instead."""
    if wanted.intent == "deploy" and GATEWAY in observed.unknown:
        return Refusal("what the gateway serves could not be observed", "lastgood doctor")
    goes_back = wanted.intent in ("rollback", "retreat")
    steps = (steps_back if goes_back else steps_forward)(observed, wanted, release_of)
    rest_points = {wanted.target.number, *([wanted.retreat_to.number] if wanted.retreat_to else [])}
    return Plan(
        id=f"d{wanted.deployment}.{wanted.plan_number}",
        deployment=wanted.deployment,
        basis=observed.basis(),
        intent=wanted.intent,
        source=wanted.source.number if wanted.source else None,
        target=wanted.target.number,
        retreat_to=wanted.retreat_to.number if wanted.retreat_to else None,
        steps=tuple(steps),
        rest_points=tuple(sorted(rest_points)),
        wish={name: plain(getattr(wanted, name)) for name in WISHES},
    )
