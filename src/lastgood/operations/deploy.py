"""Deploy: a release goes live, forward, judged; or back, when its content was live before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lastgood.errors import Conflict, Refused
from lastgood.operations.derive import settings_with, with_part
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.ledger import equal_before, held_by, live_now, newest_good
from lastgood.release.plan import Intent, Refusal
from lastgood.release.planner import Wanted, make_plan
from lastgood.release.release import Release, same_content
from lastgood.release.state import Deployment, State


@dataclass(frozen=True)
class Draft:
    """A release about to be numbered: what a revision says, read and checked before the loop is asked."""

    project: str
    revision: str | None
    subject: str
    branch: str | None
    parts: Mapping[str, str]
    entries: Mapping[str, str] = field(repr=False)
    schemas: Mapping[str, str] = field(default_factory=dict)
    bake_s: float = 600.0
    instances: Mapping[str, int] = field(default_factory=dict)
    keep_old_s: Mapping[str, float] = field(default_factory=dict)
    moves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hold_back: float = 0.0
    measured: bool = False
    """Whether only measured evidence makes it good."""
    breaks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class DeployAsk:
    """How it is to go live. ``force`` deploys quarantined content, and needs a reason."""

    by: str
    why: str = ""
    percent: float = 100.0
    confirm_within_s: float | None = None
    force: bool = False
    accept_loss: bool = False
    accept_blocked: bool = False
    automatic: bool = False
    basis: str | None = None


def deploy(
    draft: Draft,
    ask: DeployAsk,
    store: Callable[[Release, Mapping[str, str]], str],
    view: View,
    entries_of: Callable[[int], Mapping[str, str]] = lambda number: {},
) -> Outcome:
    """Number the draft, store it and begin its deployment; raises ``Refused`` or ``Conflict`` and nothing changed.

    Automation leaves parts alone that are held: then the release is the draft with those parts as they are live, whose
    entries ``entries_of`` tells.
    """
    _refuse_unsaid(ask, view)
    live = live_now(view.state)
    source = view.release_of(live) if live is not None else None
    if ask.automatic and source is not None:
        draft = _leaving_alone(draft, view, source, entries_of)
    release = _release(draft, view, source)
    stays = source is not None and same_content(source, release)
    if source is not None and stays and not _is_leaving(view, source):
        return Outcome((), {"release": source.number, "deployment": None, "nothing_to_do": True})
    earlier = equal_before(view.state, release.parts, view.release_of)
    held = held_by(view.state, release)
    if held is not None and not ask.force:
        raise Refused(
            f"held: it contains what made r{held} bad ({', '.join(sorted(view.state.quarantine[held]))})",
            next="change it, or deploy it all the same: lastgood deploy --force -m WHY",
        )
    digest = store(release, draft.entries)
    number = max(view.state.deployments, default=0) + 1
    inherited = view.state.verdict(earlier) if earlier is not None else None
    # Who asks for a dead-man switch wants a trial, whatever was known of the content before.
    trusted = inherited is not None and inherited.name == "good" and ask.confirm_within_s is None
    back = stays or (trusted and source is not None)
    if not back:
        _refuse_conflicts(ask, view)
    intent: Intent = "rollback" if back else "deploy"
    wanted = _wanted(draft, ask, (number, intent), (source, release), view)
    plan = make_plan(view.observed, wanted, view.release_of)
    if isinstance(plan, Refusal):
        raise Refused(plan.why, next=plan.next)
    events: list[tuple[int | None, ev.Body]] = [(None, ev.Released(release.number, digest))]
    if back and inherited is not None:
        events.append((None, ev.Judged(release.number, inherited.name, "inherited", f"the content of r{earlier}")))
    else:
        basis: ev.Basis = "measured" if draft.measured else "timed"
        events.append((None, ev.Judged(release.number, "baking", basis, f"bakes for {draft.bake_s:g} s")))
    events += supersede(view.state, number)
    live_number = source.number if source else None
    requested = ev.Requested(
        intent, release.number, live_number, ask.by, ask.why, ask.confirm_within_s, view.state.active
    )
    events += [(number, requested), (number, ev.Planned(plan))]
    if not ask.automatic:
        events += [(None, ev.Held(part, release.number, ask.why, lifted=True)) for part in sorted(view.state.held)]
    if ask.force and held is not None:
        events.append((None, ev.Quarantined(release.number, release.parts, f"forced: {ask.why}", lifted=True)))
    told = {"same_as": earlier if back else None, "ends": ended_by(view.state)}
    answer = {"release": release.number, "deployment": number, **told}
    return Outcome(tuple(events), answer)


def _leaving_alone(draft: Draft, view: View, live: Release, entries_of: Callable[[int], Mapping[str, str]]) -> Draft:
    """The draft with every part that is held as it is in the live release."""
    for part in sorted(view.state.held):
        if part not in live.parts or draft.parts.get(part) in (None, live.parts[part]):
            continue
        entries = with_part(draft.entries, entries_of(live.number), part)
        draft = replace(draft, entries=entries, **settings_with(draft, live, part))
    return draft


def _stays_warm(view: View, live: int | None) -> tuple[int, ...]:
    """The release that a verdict against the new one leads to, where that is not the live one itself."""
    if live is None or view.state.verdict(live).name == "good":
        return ()
    good = newest_good(view.state, view.release_of, leaving=live)
    return () if good is None else (good,)


def _wanted(
    draft: Draft, ask: DeployAsk, which: tuple[int, Intent], way: tuple[Release | None, Release], view: View
) -> Wanted:
    """``which`` deployment it is and where it leads, the ``way`` from one release to the other."""
    source, release = way
    return Wanted(
        *which,
        release,
        source,
        retreat_to=source,
        bake_s=draft.bake_s,
        percent=ask.percent,
        confirm=ask.confirm_within_s is not None,
        keep_old_s=draft.keep_old_s,
        warm=_stays_warm(view, source.number if source else None),
        accept_loss=ask.accept_loss,
        hold_back=draft.hold_back,
    )


def _breaks(draft: Draft, source: Release | None) -> dict[str, Mapping[str, str]]:
    """What the draft found, and what was found of its schemas before: a proof is of what was pending then."""
    before = source.breaks if source is not None else {}
    found = {name: {**before.get(name, {}), **draft.breaks.get(name, {})} for name in draft.schemas}
    return {name: known for name, known in found.items() if known}


def _release(draft: Draft, view: View, source: Release | None) -> Release:
    number = max(view.state.releases, default=0) + 1
    return Release(
        number=number,
        project=draft.project,
        revision=draft.revision,
        parts=draft.parts,
        subject=draft.subject,
        branch=draft.branch,
        schemas=draft.schemas,
        instances=draft.instances,
        moves=draft.moves,
        breaks=_breaks(draft, source),
    )


def _is_leaving(view: View, live: Release) -> bool:
    """Whether another release is on its way: then the content of what is live leads back to it."""
    active = view.state.deployment
    return (
        active is not None and active.plan is not None and not same_content(view.release_of(active.plan.target), live)
    )


def _refuse_unsaid(ask: DeployAsk, view: View) -> None:
    if ask.force and not ask.why:
        raise Refused("--force needs a reason", next="add -m WHY")
    if ask.basis is not None and ask.basis != view.observed.basis():
        raise Refused("the system has changed since that plan was made", next="lastgood plan deploy")


def _refuse_conflicts(ask: DeployAsk, view: View) -> None:
    """A way forward waits for what is under way; a way back waits for nothing."""
    active = view.state.deployment
    if active is None:
        return
    if active.armed:
        raise Conflict(
            f"{active.name} waits for its confirmation", next="lastgood confirm, or lastgood abort, then deploy again"
        )
    if ask.automatic and not is_only_kept(active):
        raise Conflict(f"{active.name} is not over", next="it is tried again by itself")
    if not is_resting(active):
        raise Conflict(f"{active.name} is on its way to r{active.asked.target}", next="lastgood status --watch")


def is_resting(deployment: Deployment) -> bool:
    """Whether it only waits (bakes, holds, halted): then another deployment may take over."""
    if deployment.halted is not None or deployment.plan is None:
        return True
    under_way = [
        step
        for step in deployment.plan.steps
        if step.moves and deployment.progress.get(step.id) is not None
        if deployment.progress[step.id].phase == "started"
    ]
    waiting = [step for step in deployment.plan.steps if step.waits and _is_started(deployment, step.id)]
    return bool(waiting) and not under_way


def is_only_kept(deployment: Deployment) -> bool:
    """Whether all that is under way is to keep an old version warm: the new one has its verdict."""
    if deployment.plan is None or deployment.halted is not None or deployment.paused:
        return False
    started = [step for step in deployment.plan.steps if _is_started(deployment, step.id)]
    return bool(started) and all(step.verb == "keep" for step in started)


def is_at_ease(deployment: Deployment) -> bool:
    """Whether nothing is in a hurry: it rests, or its requests have moved."""
    moves = [
        step.id
        for step in (deployment.plan.steps if deployment.plan else ())
        if step.verb == "serve" and (step.args["candidate"] is None or step.args["percent"] > 0)
    ]
    moved = any(step in deployment.progress and deployment.progress[step].phase == "ended" for step in moves)
    return moved or is_resting(deployment)


def _is_started(deployment: Deployment, step: str) -> bool:
    progress = deployment.progress.get(step)
    return progress is not None and progress.phase == "started"


def ended_by(state: State) -> dict[str, Any] | None:
    """What another deployment would end by taking over; whether that leaves its release undecided."""
    active = state.deployment
    if active is None:
        return None
    target = active.plan.target if active.plan else active.asked.target
    return {"deployment": active.number, "release": target, "undecided": state.verdict(target).name == "baking"}


def supersede(state: State, by: int) -> Iterator[tuple[int | None, ev.Body]]:
    """End the active deployment because another one takes over; a release that was baking stays undecided."""
    active = state.deployment
    if active is None:
        return
    target = active.plan.target if active.plan else active.asked.target
    if state.verdict(target).name == "baking":
        yield None, ev.Judged(target, "undecided", "timed", f"superseded by d{by} before its bake was over")
    live = live_now(state)
    yield active.number, ev.Superseded(by)
    yield active.number, ev.Ended(live, "done" if live == target else "superseded", f"superseded by d{by}")
