"""The planner: from what is observed to a release, forward or back, as a graph of steps. Pure.

Forward: schema expanded -> new version started and observed healthy -> both generations loaded -> traffic shifted ->
baked -> settled. Back: traffic first; the old version is started before only where it is not warm; the schema last, and
only when that is asked for. Going back never holds, bakes or waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lastgood.release.observed import Observed
from lastgood.release.plan import Intent, Plan, Refusal
from lastgood.release.release import GATEWAY, Release
from lastgood.release.step import Step
from lastgood.release.strategies import blue_green, routes, schema

ReleaseOf = Callable[[int], Release]
REVERT_DEADLINE_S = 120.0


@dataclass(frozen=True)
class Revert:
    """The commit that tells Git: base ``bad``, theirs ``target``, on ``branch``."""

    bad: str
    target: str
    branch: str


@dataclass(frozen=True)
class Wanted:
    """What a plan is made for.

    ``source`` is the release that is live, ``retreat_to`` the one a failure leads to. ``percent`` below 100 holds the
    traffic there for the bake. ``with_schema`` also takes the schemas back.
    """

    deployment: int
    intent: Intent
    target: Release
    source: Release | None
    retreat_to: Release | None = None
    bake_s: float = 600.0
    percent: float = 100.0
    confirm: bool = False
    revert: Revert | None = None
    with_schema: bool = False
    keep_old_s: Mapping[str, float] | None = None
    plan_number: int = 1


def make_plan(observed: Observed, wanted: Wanted, release_of: ReleaseOf) -> Plan | Refusal:
    """The plan, or why there is none and what to do instead."""
    if wanted.intent == "deploy" and GATEWAY in observed.unknown:
        return Refusal("what the gateway serves could not be observed", "lastgood doctor")
    steps = _back(observed, wanted, release_of) if _goes_back(wanted) else _forward(observed, wanted, release_of)
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
        wish={name: _plain(getattr(wanted, name)) for name in WISHES},
    )


WISHES = ("bake_s", "percent", "confirm", "with_schema", "keep_old_s", "revert")
"""What of a wanted plan is kept in it, for the plan that takes its place."""


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Revert) else value


def rewanted(plan: Plan, release_of: ReleaseOf) -> Wanted:
    """What this plan was made for, to plan it once more."""
    wish = {**plan.wish, "revert": Revert(**plan.wish["revert"]) if plan.wish["revert"] else None}
    source = release_of(plan.source) if plan.source else None
    retreat_to = release_of(plan.retreat_to) if plan.retreat_to else None
    target = release_of(plan.target)
    return Wanted(plan.deployment, plan.intent, target, source, retreat_to, plan_number=plan.number + 1, **wish)


def _goes_back(wanted: Wanted) -> bool:
    return wanted.intent in ("rollback", "retreat")


def _ids(steps: list[Step]) -> frozenset[str]:
    return frozenset(step.id for step in steps)


def _forward(observed: Observed, wanted: Wanted, release_of: ReleaseOf) -> list[Step]:
    expand = schema.expand(observed, wanted.target)
    start = blue_green.start(observed, wanted.target, needs=_ids(expand))
    shift = routes.forward(
        observed,
        wanted.target,
        release_of,
        percent=wanted.percent,
        bake_s=wanted.bake_s,
        confirm=wanted.confirm,
        needs=_ids(expand) | _ids(start),
    )
    stop = blue_green.stop_others(observed, wanted.target, wanted.keep_old_s or {}, needs=_ids(shift))
    return [*expand, *start, *shift, *stop]


def _back(observed: Observed, wanted: Wanted, release_of: ReleaseOf) -> list[Step]:
    expand = schema.expand(observed, wanted.target)
    start = blue_green.start(observed, wanted.target, needs=_ids(expand))
    shift = routes.back(observed, wanted.target, release_of, needs=_ids([*expand, *start]))
    steps = [*expand, *start, *shift]
    if wanted.revert is not None:
        steps.append(_revert(wanted.revert, wanted, needs=_ids([*expand, *start, shift[0]]) if shift else frozenset()))
    stop = blue_green.stop_others(observed, wanted.target, {}, needs=_ids([*expand, *start, *shift]))
    contract = (
        schema.contract(observed, wanted.target, needs=_ids([*expand, *start, *shift, *stop]))
        if wanted.with_schema
        else []
    )
    return [*steps, *stop, *contract]


def _revert(revert: Revert, wanted: Wanted, needs: frozenset[str]) -> Step:
    return Step(
        "revert",
        "git",
        "revert",
        {
            "bad": revert.bad,
            "target": revert.target,
            "branch": revert.branch,
            "release": wanted.target.number,
            "left": wanted.source.number if wanted.source else 0,
        },
        needs=needs,
        deadline_s=REVERT_DEADLINE_S,
        soft=True,
        shows=f"write the revert commit on {revert.branch}",
    )
