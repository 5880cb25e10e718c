"""The small verbs: confirm, promote, pause, resume, abort, retry, mark, tag."""

from __future__ import annotations

import re

from lastgood.errors import Refused, UsageError
from lastgood.operations.again import deploy_again
from lastgood.operations.replan import once_more
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.ledger import content_to_quarantine, held_by, previous
from lastgood.release.release import GATEWAY
from lastgood.release.state import Deployment

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")


def confirm(by: str, extend_s: float | None, view: View) -> Outcome:
    """Turn the dead-man switch off, or set it anew; the judging goes on."""
    active = _active(view)
    if not active.armed:
        raise Refused(f"{active.name} does not wait for a confirmation", next="lastgood status")
    return Outcome(((active.number, ev.Confirmed(by, extend_s)),), {"deployment": active.number})


def promote(by: str, view: View, *, full: bool = False) -> Outcome:
    """End the hold under way: more of the traffic moves. ``full`` ends every hold that is still to come, too."""
    active = _active(view)
    if active.paused:
        raise Refused(f"{active.name} is paused", next="lastgood resume")
    holds = [step.id for step in active.plan.steps if step.verb == "hold"] if active.plan else []
    begun = [step for step in holds if step in active.progress]
    holding = [step for step in begun if active.progress[step].phase == "started"]
    if full and set(holds) - {step for step in begun if step not in holding}:
        return Outcome(((active.number, ev.Promoted(by)),), {"deployment": active.number})
    if not holding:
        raise Refused(f"{active.name} is not on hold", next="lastgood status")
    return Outcome(tuple((active.number, ev.Promoted(by, step)) for step in holding), {"deployment": active.number})


def pause(by: str, view: View) -> Outcome:
    """Begin no further step forward. Timers run on but end nothing; a failure or a bad verdict still goes back."""
    active = _active(view)
    if active.plan is not None and active.plan.goes_back:
        raise Refused(f"{active.name} is on its way back, which nothing may hold up", next="lastgood status --watch")
    if active.paused or active.halted is not None:
        how = "paused" if active.paused else "halted"
        raise Refused(f"{active.name} is {how} already", next="lastgood resume" if active.paused else "lastgood status")
    return Outcome(((active.number, ev.Paused(by)),), {"deployment": active.number})


def resume(by: str, view: View) -> Outcome:
    """Go on after a pause."""
    active = _active(view)
    if not active.paused:
        raise Refused(f"{active.name} is not paused", next="lastgood status")
    return Outcome(((active.number, ev.Paused(by, resumed=True)),), {"deployment": active.number})


def abort(by: str, why: str, view: View) -> Outcome:
    """Take the active deployment back."""
    active = _active(view)
    if active.plan is not None and active.plan.goes_back:
        raise Refused(f"{active.name} is on its way back already", next="lastgood status --watch")
    serves = view.observed.value(GATEWAY, "base") is not None
    if active.plan is not None and active.plan.retreat_to is None and serves:
        raise Refused(
            "no release was live before, so there is nothing to go back to", next="deploy a commit that works"
        )
    return Outcome(((active.number, ev.AbortAsked(by, why)),), {"deployment": active.number})


def retry(by: str, view: View) -> Outcome:
    """Make a new plan for a deployment that halted, to the same target; or deploy again what went back last."""
    if view.state.deployment is None:
        return deploy_again(by, view)
    active = view.state.deployment
    if active.halted is None or active.plan is None:
        raise Refused(f"{active.name} has not halted", next="lastgood status")
    events = list(once_more(active.number, active.plan, f"retried by {by}", view))
    if not active.plan.goes_back:
        evidence = f"tried once more by {by}"
        events.insert(0, (None, ev.Judged(active.plan.target, "baking", "timed", evidence, by)))
        parts = view.release_of(active.plan.target).parts
        events.insert(1, (None, ev.Quarantined(active.plan.target, parts, evidence, lifted=True)))
    return Outcome(tuple(events), {"deployment": active.number})


def mark(release: int, verdict: ev.VerdictName, by: str, why: str, view: View) -> Outcome:
    """A person's verdict. ``bad`` also holds the content; marking a live release bad does not move traffic by itself
    unless it bakes: then its deployment goes back."""
    if release not in view.state.releases:
        raise UsageError(f"there is no release r{release}", next="lastgood history")
    if verdict == "good" and release not in view.state.met:
        raise Refused(f"r{release} never served", next="lastgood history")
    evidence = f"marked by {by}" + (f": {why}" if why else "")
    events: list[tuple[int | None, ev.Body]] = [(None, ev.Judged(release, verdict, "marked", evidence, by))]
    made = view.release_of(release)
    if verdict == "bad":
        before = previous(view.state, release)
        content = content_to_quarantine(made, view.release_of(before) if before else None)
        events.append((None, ev.Quarantined(release, content, evidence)))
    elif held_by(view.state, made) is not None:
        events.append((None, ev.Quarantined(release, made.parts, evidence, lifted=True)))
    return Outcome(tuple(events), {"release": release, "verdict": verdict})


def tag(name: str, release: int | None, view: View) -> Outcome:
    """Name a release, or take the name away."""
    if not _TAG.fullmatch(name) or re.fullmatch(r"r\d+|d\d+|previous|live|HEAD", name):
        raise UsageError(f"{name!r} cannot be a tag", next="letters, digits, dot, dash; not r12, d12, previous or live")
    if release is not None and release not in view.state.releases:
        raise UsageError(f"there is no release r{release}", next="lastgood history")
    if release is None and name not in view.state.tags:
        raise UsageError(f"there is no tag {name}", next="lastgood history")
    return Outcome(((None, ev.Tagged(name, release)),), {"tag": name, "release": release})


def _active(view: View) -> Deployment:
    active = view.state.deployment
    if active is None:
        raise Refused("no deployment is under way", next="lastgood status")
    return active
