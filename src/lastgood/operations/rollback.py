"""Rollback: back to a release, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lastgood.errors import Conflict, Refused, UsageError
from lastgood.operations.deploy import supersede
from lastgood.operations.replan import revert_of
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.ledger import Choice, content_to_quarantine, held_by, leaving_now, resolve_target
from lastgood.release.plan import Plan, Refusal
from lastgood.release.planner import Wanted, make_plan
from lastgood.release.release import Release, only_schema, same_content
from lastgood.stamp import elapsed_s


@dataclass(frozen=True)
class RollbackAsk:
    """Where to, and what a person accepts on the way.

    With ``examine`` nothing is begun that has to start something; the answer says so, and whoever asked looks whether
    it could be started. ``accept_blocked`` tries it all the same.
    """

    by: str
    target: str | None = None
    why: str = ""
    only: str | None = None
    revert_commit: bool = True
    accept_loosening: bool = False
    with_schema: bool = False
    keep_schema: bool = False
    accept_loss: bool = False
    accept_blocked: bool = False
    examine: bool = False
    basis: str | None = None


@dataclass(frozen=True)
class Planned:
    """A way back, worked out and not begun."""

    choice: Choice
    source: Release
    target: Release
    plan: Plan


def _refuse_twice_in_a_row(view: View) -> None:
    """Who asks just after the system went back may not know that it did: further back only by name."""
    newest = view.state.deployments.get(max(view.state.deployments, default=0))
    if (
        newest is None
        or newest.ended is None
        or newest.ended_at is None
        or not newest.plan
        or not newest.plan.goes_back
        or newest.asked.drill == newest.asked.target  # forward again: nothing was wrong
    ):
        return
    live, ago_s = newest.ended.live, elapsed_s(newest.ended_at, view.now)
    if live is None or ago_s is None or ago_s > JUST_NOW_S or view.state.verdict(live).name != "good":
        return
    raise Refused(
        f"{newest.name} went back to r{live} {ago_s:.0f} s ago, and r{live} is known good",
        next="to go back further, say where to: lastgood history, then lastgood rollback rN",
    )


def _refuse_what_is_under_way(view: View, target: Release) -> None:
    active = view.state.deployment
    if active is None or active.plan is None or active.halted is not None:
        return
    if active.plan.goes_back and active.plan.target == target.number:
        raise Conflict(f"{active.name} is on its way back to r{target.number} already", next="lastgood status --watch")


JUST_NOW_S = 300.0
CommitOf = Callable[[str], str | None]
Loosens = Callable[[Release, Release], tuple[str, ...]]


def plan_rollback(ask: RollbackAsk, view: View, commit: CommitOf) -> Planned:
    """Where it would go and how; raises ``Refused`` with what to do instead."""
    if ask.with_schema and ask.keep_schema:
        raise UsageError("--with-schema takes the schemas back, --keep-schema leaves them", next="say one of the two")
    leaving = leaving_now(view.state)
    if leaving is None:
        raise Refused("nothing is live yet, so there is nothing to go back from", next="lastgood deploy")
    if ask.target is None:
        _refuse_twice_in_a_row(view)
    choice = resolve_target(ask.target, view.state, view.release_of, commit=commit)
    source, target = view.release_of(leaving), view.release_of(choice.release)
    if target.number not in view.state.met:
        raise Refused(
            f"r{target.number} never served: nothing is known of it", next=f"lastgood deploy {target.revision or ''}"
        )
    _refuse_what_is_under_way(view, target)
    active = view.state.deployment
    if same_content(source, target):
        if active is None or active.plan is None or not active.plan.goes_back:
            same = target.number == source.number
            what = "is what is live" if same else f"has the content of r{source.number}, which is live"
            raise Refused(f"r{target.number} {what}", next="lastgood history")
        source = view.release_of(active.plan.target)  # a change of mind: what was to be reached is left now
    if ask.basis is not None and ask.basis != view.observed.basis():
        raise Refused("the system has changed since that plan was made", next="lastgood plan rollback")
    number = max(view.state.deployments, default=0) + 1
    revert = revert_of(source, target) if ask.revert_commit else None
    wanted = Wanted(
        number,
        "rollback",
        target,
        source,
        revert=revert,
        with_schema=ask.with_schema,
        keep_schema=ask.keep_schema,
        accept_loss=ask.accept_loss,
    )
    plan = make_plan(view.observed, wanted, view.release_of)
    if isinstance(plan, Refusal):
        raise Refused(plan.why, next=plan.next)
    return Planned(choice, source, target, plan)


def rollback_by_itself(ask: RollbackAsk, commit: CommitOf, loosens: Loosens, view: View) -> Outcome:
    """The same where nobody is asked: what changed nothing but schemas is left with them, or it would not be left."""
    planned = plan_rollback(ask, view, commit)
    schema = only_schema(planned.source, planned.target)
    return rollback(replace(ask, with_schema=schema), commit, loosens, view)


def rollback(ask: RollbackAsk, commit: CommitOf, loosens: Loosens, view: View) -> Outcome:
    """Begin the way back; what is under way is superseded."""
    planned = plan_rollback(ask, view, commit)
    _refuse_loosening(ask, planned, loosens)
    if (first := must_start(ask, planned)) is not None:
        return Outcome((), first)
    source, target, number = planned.source, planned.target, planned.plan.deployment
    requested = ev.Requested("rollback", target.number, source.number, ask.by, ask.why, supersedes=view.state.active)
    events = [*supersede(view.state, number), (number, requested), (number, ev.Planned(planned.plan))]
    why = f"rolled back by d{number}" + (f": {ask.why}" if ask.why else "")
    if target.number < source.number:
        events.append((None, ev.Judged(source.number, "bad", "marked", why, ask.by)))
        events.append((None, ev.Quarantined(source.number, content_to_quarantine(source, target), why)))
    events += _chosen_again(view, target, number)
    # Who goes back as a whole has decided about every part.
    events += [(None, ev.Held(part, target.number, why, lifted=True)) for part in sorted(view.state.held)]
    answer = {
        "deployment": number,
        "release": target.number,
        "from": source.number,
        "why": planned.choice.why,
        "skipped": [list(skip) for skip in planned.choice.skipped],
        "no_revert_commit": _why_no_revert(ask, planned),
    }
    return Outcome(tuple(events), answer)


def must_start(ask: RollbackAsk, planned: Planned) -> Mapping[str, Any] | None:
    """The answer of one that is to be examined first, None where there is nothing to start."""
    starts = ask.examine and any(step.verb == "start" for step in planned.plan.steps)
    return {"starts": True} if starts else None


def _why_no_revert(ask: RollbackAsk, planned: Planned) -> str | None:
    """Why Git will not say so, None where it will."""
    if any(step.verb == "revert" for step in planned.plan.steps):
        return None
    if not ask.revert_commit:
        return "as asked"
    if planned.source.branch is None:
        return f"{planned.source.name} came from no branch"
    return "both were made from the same commit"


def _refuse_loosening(ask: RollbackAsk, planned: Planned, loosens: Loosens) -> None:
    if ask.accept_loosening:
        return
    found = loosens(planned.source, planned.target)
    if found:
        raise Refused(
            "it would loosen security: " + "; ".join(found),
            next="lastgood plan rollback, then lastgood rollback --accept-loosening",
        )


def _chosen_again(view: View, target: Release, number: int) -> list[tuple[int | None, ev.Body]]:
    """A person who chooses a release lifts its quarantine; that it was bad stays in the history, it is unproven now."""
    if held_by(view.state, target) is None:
        return []
    why = f"chosen again by d{number}"
    lifted: list[tuple[int | None, ev.Body]] = [(None, ev.Quarantined(target.number, target.parts, why, lifted=True))]
    if view.state.verdict(target.number).name == "bad":
        lifted.append((None, ev.Judged(target.number, "unproven", "marked", why)))
    return lifted
