"""Rollback of one part: a release is derived, the part is held, and the rest stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lastgood.config.change import Change
from lastgood.config.configuration import Configuration
from lastgood.config.diff import diff
from lastgood.errors import Conflict, Refused, UsageError
from lastgood.operations.deploy import supersede
from lastgood.operations.derive import derived, part_named, refuse_loose_ends, with_part
from lastgood.operations.rollback import CommitOf, Planned, RollbackAsk, must_start
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.ledger import Choice, equal_before, held_by, leaving_now, resolve_target
from lastgood.release.plan import Plan, Refusal
from lastgood.release.planner import Wanted, make_plan
from lastgood.release.release import RUNNING, Part, Release
from lastgood.release.strategies.schema import unbearable


@dataclass(frozen=True)
class Shelf:
    """Where the contents of releases are found and a derived one is kept."""

    entries_of: Callable[[int], Mapping[str, str]]
    configuration_of: Callable[[int], Configuration]
    store: Callable[[Release, Mapping[str, str], Configuration], str]


@dataclass(frozen=True)
class Mixed:
    """A way back of one part, worked out and not begun."""

    part: Part
    other: Release
    planned: Planned
    configuration: Configuration
    changes: tuple[Change, ...]


def plan_only(ask: RollbackAsk, view: View, commit: CommitOf, shelf: Shelf) -> Mixed:
    """What it would be made of, and how it would go; raises ``Refused`` with what to do instead."""
    assert ask.only is not None
    if ask.with_schema or ask.keep_schema:
        raise UsageError("--only moves one part, and no schema", next="say one of the two")
    leaving = leaving_now(view.state)
    if leaving is None:
        raise Refused("nothing is live yet, so there is nothing to go back from", next="lastgood deploy")
    source = view.release_of(leaving)
    part = part_named(ask.only, source)
    if part.startswith("database:"):
        raise Refused("a schema does not go back alone", next="lastgood rollback --with-schema")
    _refuse_what_is_under_way(view)
    if ask.basis is not None and ask.basis != view.observed.basis():
        raise Refused("the system has changed since that plan was made", next="lastgood plan rollback --only ...")
    choice = _choice(ask, view, source, part, commit)
    other = view.release_of(choice.release)
    if other.parts.get(part) == source.parts[part]:
        raise Refused(f"{part} is the same in {other.name}", next="lastgood history")
    _refuse_what_it_cannot_live_with(view, part, other, source)
    number = max(view.state.releases, default=0) + 1
    target = derived(source, other, part, number)
    mine, theirs = (shelf.configuration_of(each.number) for each in (source, other))
    configuration = Configuration(mine.project, with_part(mine.entries, theirs.entries, part))
    refuse_loose_ends(configuration)
    planned = Planned(choice, source, target, _plan(view, source, target))
    changes = diff(mine, configuration)
    if not changes:  # what is the part's own is its code
        subject = part.replace(":", " ")
        changes = (Change(part, "changed", subject, f"{subject}: its code is that of {other.name}"),)
    return Mixed(part, other, planned, configuration, changes)


def _refuse_what_it_cannot_live_with(view: View, part: Part, other: Release, source: Release) -> None:
    """Code of a release that a schema has left behind; the gateway asks no database."""
    if not part.startswith(RUNNING):
        return
    for name in other.schemas:
        found = unbearable(view.observed, name, other, source.breaks)
        if found is not None:
            raise Refused(
                f"{part} of {other.name} cannot live with the schema of {name} at {found[1]} ({found[2]})",
                next=f"go back as a whole, with the schema: lastgood rollback {other.name}",
            )


def rollback_only(ask: RollbackAsk, view: View, *, commit: CommitOf, shelf: Shelf) -> Outcome:
    """Begin it; the part is left alone by automation until a person deploys or goes back as a whole."""
    mixed = plan_only(ask, view, commit, shelf)
    loosens = [change.text for change in mixed.changes if change.effect == "loosens"]
    if loosens and not ask.accept_loosening:
        next_ = f"lastgood rollback --only {mixed.part} --accept-loosening"
        raise Refused("it would loosen security: " + "; ".join(loosens), next=next_)
    if (first := must_start(ask, mixed.planned)) is not None:
        return Outcome((), first)
    source, target, plan = mixed.planned.source, mixed.planned.target, mixed.planned.plan
    entries = with_part(shelf.entries_of(source.number), shelf.entries_of(mixed.other.number), mixed.part)
    digest = shelf.store(target, entries, mixed.configuration)
    number = plan.deployment
    why = f"{mixed.part} rolled back by d{number}" + (f": {ask.why}" if ask.why else "")
    requested = ev.Requested("rollback", target.number, source.number, ask.by, ask.why, supersedes=view.state.active)
    events: list[tuple[int | None, ev.Body]] = [
        (None, ev.Released(target.number, digest)),
        (None, _judged(view, target)),
        *supersede(view.state, number),
        (number, requested),
        (number, ev.Planned(plan)),
        (None, ev.Held(mixed.part, target.number, why)),
    ]
    if mixed.other.number < source.number:
        events.append((None, ev.Judged(source.number, "bad", "marked", why, ask.by, mixed.part)))
        events.append((None, ev.Quarantined(source.number, {mixed.part: source.parts[mixed.part]}, why)))
    if held_by(view.state, target) is not None:
        events.append((None, ev.Quarantined(target.number, target.parts, f"chosen again by d{number}", lifted=True)))
    return Outcome(tuple(events), _answer(mixed))


def _answer(mixed: Mixed) -> dict[str, object]:
    choice = mixed.planned.choice
    return {
        "deployment": mixed.planned.plan.deployment,
        "release": mixed.planned.target.number,
        "from": mixed.planned.source.number,
        "why": f"{mixed.planned.target.subject} ({choice.why})",
        "skipped": [list(skip) for skip in choice.skipped],
        "no_revert_commit": f"{mixed.part} alone is held at {mixed.other.name}; no commit says so",
        "held": mixed.part,
    }


def _choice(ask: RollbackAsk, view: View, source: Release, part: Part, commit: CommitOf) -> Choice:
    """Whose part to take: the release that was named, else the newest known good one whose part differs."""
    if ask.target is not None:
        choice = resolve_target(ask.target, view.state, view.release_of, commit=commit)
        if choice.release not in view.state.met:
            raise Refused(f"r{choice.release} never served: nothing is known of it", next="lastgood history")
        return choice
    for number in sorted(view.state.releases, reverse=True):
        release = view.release_of(number)
        differs = part in release.parts and release.parts[part] != source.parts[part]
        if differs and number < source.number and view.state.verdict(number).name == "good":
            return Choice(number, f"the newest known good with another {part}")
    raise Refused(
        f"no release that is known good has another {part}", next=f"lastgood rollback rN --only {part}, or as a whole"
    )


def _refuse_what_is_under_way(view: View) -> None:
    active = view.state.deployment
    if active is not None and active.plan is not None and active.plan.goes_back:
        raise Conflict(f"{active.name} is on its way back", next="lastgood status --watch")


def _plan(view: View, source: Release, target: Release) -> Plan:
    def release_of(number: int) -> Release:
        return target if number == target.number else view.release_of(number)

    number = max(view.state.deployments, default=0) + 1
    plan = make_plan(view.observed, Wanted(number, "rollback", target, source), release_of)
    if isinstance(plan, Refusal):
        raise Refused(plan.why, next=plan.next)
    return plan


def _judged(view: View, target: Release) -> ev.Body:
    earlier = equal_before(view.state, target.parts, view.release_of)
    if earlier is not None:
        verdict = view.state.verdict(earlier).name
        return ev.Judged(target.number, verdict, "inherited", f"the content of r{earlier}")
    return ev.Judged(target.number, "unproven", "marked", f"{target.subject}: never served together")
