"""A drill: the way back gone for real, and forward again, at a quiet moment. The journal has its times.

Two deployments, each an ordinary way back: to what is known good, and then to what was live. Nobody judges, reverts or
holds anything for it. The first one says in the journal what it will come back to, so that a controller that was killed
in between is followed by one that goes forward again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from lastgood.errors import Conflict, Fenced, LastgoodError, Refused
from lastgood.operations.loop import Loop
from lastgood.operations.reporting import convergence, moment
from lastgood.operations.rollback import Loosens
from lastgood.operations.world import Outcome, View
from lastgood.ports import Clock
from lastgood.release import events as ev
from lastgood.release.ledger import Choice, known_good
from lastgood.release.plan import Plan, Refusal
from lastgood.release.planner import Wanted, make_plan
from lastgood.release.release import Release
from lastgood.release.state import Deployment, State
from lastgood.release.strategies.schema import lower
from lastgood.stamp import elapsed_s

LOOK_S = 0.05


@dataclass(frozen=True)
class DrillAsk:
    """Who drills, and what a person accepts for as long as it lasts."""

    by: str
    why: str = ""
    accept_loosening: bool = False


def begin(ask: DrillAsk, loosens: Loosens, view: View) -> Outcome:
    """Begin the way back; raises ``Refused`` or ``Conflict`` where this is no moment for a drill."""
    source, choice = where_to(view)
    target = view.release_of(choice.release)
    found = () if ask.accept_loosening else loosens(source, target)
    if found:
        raise Refused(
            "for as long as the drill lasts it would loosen security: " + "; ".join(found),
            next="lastgood drill --accept-loosening",
        )
    number = max(view.state.deployments, default=0) + 1
    plan = _planned(Wanted(number, "rollback", target, source, drill=True), view)
    _refuse_a_schema_in_the_way(view, source, target)
    asked = ev.Requested("rollback", target.number, source.number, ask.by, ask.why or "drill", drill=source.number)
    answer = {"deployment": number, "release": target.number, "from": source.number, "why": choice.why}
    return Outcome(((number, asked), (number, ev.Planned(plan))), answer)


def _refuse_a_schema_in_the_way(view: View, source: Release, target: Release) -> None:
    for step in lower(view.observed, target, source):
        raise Refused(
            f"a drill leaves every schema as it is, and the way back has to {step.shows}",
            next="lastgood rehearse live proves what can be proven without it",
        )


def where_to(view: View) -> tuple[Release, Choice]:
    """What is live, and where a drill goes from there. Raises ``Refused`` or ``Conflict``."""
    state = view.state
    if (active := state.deployment) is not None:
        raise Conflict(_why_not_now(active, state), next="lastgood status --watch, then again")
    if state.live is None:
        raise Refused("nothing is live yet, so there is nothing to go back from", next="lastgood deploy")
    verdict = state.verdict(state.live).name
    if verdict != "good":
        raise Refused(
            f"r{state.live} is {verdict}, not known good: a drill could not come back to it in good faith",
            next=f"lastgood rollback, or lastgood mark r{state.live} good",
        )
    if state.held:
        parts = ", ".join(f"{part} in r{number}" for part, number in sorted(state.held.items()))
        raise Refused(f"automation leaves {parts} alone", next="deploy a whole release first: lastgood deploy")
    return view.release_of(state.live), known_good(state, view.release_of, leaving=state.live)


def _why_not_now(active: Deployment, state: State) -> str:
    if active.armed:
        return f"{active.name} waits for its confirmation"
    if active.halted is not None:
        return f"{active.name} has halted: a person must choose"
    target = active.plan.target if active.plan else active.asked.target
    if state.verdict(target).name in ("baking", "undecided"):
        return f"{active.name} bakes r{target}"
    return f"{active.name} is not over"


def _planned(wanted: Wanted, view: View) -> Plan:
    plan = make_plan(view.observed, wanted, view.release_of)
    if isinstance(plan, Refusal):
        raise Refused(plan.why, next=plan.next)
    return plan


# --- forward again -----------------------------------------------------------------------------------------------


def half_way(state: State) -> Deployment | None:
    """The way back of a drill that has ended, and after which nothing was begun."""
    newest = state.deployments.get(max(state.deployments, default=0))
    if newest is None or newest.ended is None or not is_way_back(newest):
        return None
    return newest if newest.ended.live == newest.asked.target else None


def is_way_back(deployment: Deployment) -> bool:
    """Whether it is the first half of a drill."""
    return deployment.asked.drill is not None and deployment.asked.target != deployment.asked.drill


def go_forward(view: View) -> Outcome:
    """Begin the second half; nothing where another deployment came in between. Raises ``Refused``."""
    back = half_way(view.state)
    if back is None or back.asked.drill is None:
        return Outcome(())
    number = back.number + 1
    source, target = view.release_of(back.asked.target), view.release_of(back.asked.drill)
    plan = _planned(Wanted(number, "rollback", target, source), view)
    why = f"forward again after the drill {back.name}"
    asked = ev.Requested("rollback", target.number, source.number, back.asked.by, why, drill=target.number)
    return Outcome(((number, asked), (number, ev.Planned(plan))), {"deployment": number})


async def keep_drilling(loop: Loop, clock: Clock) -> None:
    """Go forward again after the way back of every drill, also of one that a controller before us began."""
    seen, noted = -1, 0
    while True:
        await clock.sleep(LOOK_S)
        if loop.state.seq == seen or loop.damage is not None:
            continue
        seen = loop.state.seq
        back = half_way(loop.state)
        if back is None:
            continue
        try:
            await loop.ask(go_forward)
        except Fenced:
            raise
        except LastgoodError as error:
            if noted != back.number:
                noted = back.number
                await _note(loop, back, error)
            seen = -1


async def _note(loop: Loop, back: Deployment, error: LastgoodError) -> None:
    what = (
        f"the drill {back.name} rests at r{back.asked.target} and cannot go forward yet: {error.what};"
        f" lastgood rollback r{back.asked.drill} does"
    )
    try:
        await loop.ask(partial(_noted, what))
    except LastgoodError:
        return  # the next look fails in the same way, and status says where it rests


def _noted(what: str, view: View) -> Outcome:
    return Outcome(((None, ev.Noted(what, "warning")),))


# --- what came of it ---------------------------------------------------------------------------------------------


def last_drill(state: State) -> dict[str, Any] | None:
    """The newest drill with its times, as JSON values; None where there never was one.

    ``standing``: ``done``; ``under way``; ``rests``: at the release it went back to; ``halted``; ``superseded``.
    """
    numbers = sorted(state.deployments, reverse=True)
    back = next((state.deployments[n] for n in numbers if is_way_back(state.deployments[n])), None)
    if back is None:
        return None
    forth = state.deployments.get(back.number + 1)
    if forth is not None and forth.asked.drill != back.asked.drill:
        forth = None
    legs = [leg for leg in (back, forth) if leg is not None]
    return {
        "at": moment(back.requested_at),
        "by": back.asked.by,
        "of": back.asked.drill,
        "to": back.asked.target,
        "standing": _standing(back, forth, state),
        "back": _leg(back),
        "forth": _leg(forth) if forth is not None else None,
        "why": next((leg.halted.why for leg in legs if leg.halted is not None), None),
    }


def _standing(back: Deployment, forth: Deployment | None, state: State) -> str:
    newest = forth or back
    if newest.halted is not None and newest.ended is None:
        return "halted"
    if newest.ended is None:
        return "under way"
    if newest.ended.live != newest.asked.target:
        return "superseded"
    if forth is not None:
        return "done"
    return "rests" if half_way(state) is back else "superseded"


def _leg(found: Deployment) -> dict[str, Any]:
    """``took_s`` runs from the request to the end, sweeping up included; ``convergence`` is what the users felt."""
    took_s = elapsed_s(found.requested_at, found.ended_at) if found.ended_at is not None else None
    started = [step.part for step in found.plan.steps if step.verb == "start"] if found.plan else []
    return {
        "deployment": found.number,
        "took_s": None if took_s is None else round(took_s, 3),
        "started": started,
        "convergence": convergence(found),
    }
