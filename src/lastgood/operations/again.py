"""Deploy again what was taken back: the same release, not a new one."""

from __future__ import annotations

from lastgood.errors import Refused
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.ledger import held_by, live_now
from lastgood.release.plan import Plan, Refusal
from lastgood.release.planner import Wanted, make_plan
from lastgood.release.state import Deployment


def deploy_again(by: str, view: View) -> Outcome:
    """Begin a new deployment of the release whose deployment, the newest, went back; content that is held stays so."""
    before = _went_back(view)
    target, live = view.release_of(before.asked.target), live_now(view.state)
    assert before.plan is not None
    if (held := held_by(view.state, target)) is not None:
        raise Refused(
            f"held: {target.name} contains what made r{held} bad",
            next=f"lastgood deploy {target.revision or 'REVISION'} --force -m WHY",
        )
    number = max(view.state.deployments) + 1
    source = view.release_of(live) if live is not None else None
    wish = before.plan.wish
    wanted = Wanted(
        number,
        "deploy",
        target,
        source,
        retreat_to=source,
        bake_s=wish["bake_s"],
        percent=wish["percent"],
        keep_old_s=wish["keep_old_s"],
        warm=tuple(wish.get("warm", ())),
        hold_back=wish.get("hold_back", 0.0),
    )
    plan = make_plan(view.observed, wanted, view.release_of)
    if isinstance(plan, Refusal):
        raise Refused(plan.why, next=plan.next)
    why = f"again, after {before.name} went back"
    return Outcome(_events(by, why, plan, live), {"release": target.number, "deployment": number})


def _went_back(view: View) -> Deployment:
    newest = view.state.deployments.get(max(view.state.deployments, default=0))
    if newest is None or newest.ended is None or newest.plan is None or newest.asked.intent != "deploy":
        raise Refused("no deployment is under way, and the last one was none that went back", next="lastgood history")
    if newest.ended.outcome not in ("went back", "failed"):
        raise Refused(f"{newest.name} did not go back", next="lastgood history")
    return newest


def _events(by: str, why: str, plan: Plan, live: int | None) -> tuple[tuple[int | None, ev.Body], ...]:
    baking = ev.Judged(plan.target, "baking", "timed", f"bakes for {plan.wish['bake_s']:g} s")
    requested = ev.Requested("deploy", plan.target, live, by, why)
    return ((None, baking), (plan.deployment, requested), (plan.deployment, ev.Planned(plan)))
