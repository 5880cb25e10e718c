"""The journal, folded: what was released, deployed, judged, and how far the active deployment has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from lastgood.release import events as ev
from lastgood.release.plan import Intent, Plan
from lastgood.release.step import StepId
from lastgood.stamp import Stamp

SPANS = 1000
"""How many earlier controllers a wait may have been watched by."""
NOTES = 50
"""How many notes are kept at hand; all of them stay in the journal."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one step has come. ``attempt`` counts from 1; ``started`` is the moment of the newest attempt."""

    phase: Literal["started", "ended", "failed"]
    started: Stamp
    epoch: int
    attempt: int = 1
    ended: Stamp | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a release."""

    name: ev.VerdictName = "unproven"
    basis: ev.Basis | None = None
    evidence: str = ""
    at: Stamp | None = None
    part: str = ""


_UNKNOWN = Verdict()


@dataclass(frozen=True, slots=True)
class Carried:
    """A plan that another one has replaced, with what became of its steps."""

    plan: Plan
    progress: Mapping[StepId, Progress]
    replanned: str


@dataclass(frozen=True)
class Deployment:
    """One move of the live system; ``asked`` is what somebody wanted, ``plan`` what it is doing about it now."""

    number: int
    asked: ev.Requested
    requested_at: Stamp
    plan: Plan | None = None
    progress: Mapping[StepId, Progress] = field(default_factory=dict)
    replanned: str = ""
    deadline_from: Stamp | None = None
    confirm_within_s: float | None = None
    confirmed: bool = False
    promoted: frozenset[StepId] = frozenset()
    promoted_all: bool = False
    paused: bool = False
    doubt: str | None = None
    """What the judge said last against more requests ("": nothing); None before it said anything of this plan."""
    abort_asked: str | None = None
    halted: ev.Halted | None = None
    ended: ev.Ended | None = None
    ended_at: Stamp | None = None
    shifted_by: Carried | None = None
    """The plan before, where it moved the requests to where the plan of now wants them: the proof lies there."""

    @property
    def name(self) -> str:
        """``d31``: how people call it."""
        return f"d{self.number}"

    @property
    def intent(self) -> Intent:
        """What it is doing now."""
        return self.plan.intent if self.plan else self.asked.intent

    @property
    def armed(self) -> bool:
        """Whether the dead-man switch is on."""
        going = self.plan is None or not self.plan.goes_back
        return self.confirm_within_s is not None and not self.confirmed and self.ended is None and going


@dataclass(frozen=True, slots=True)
class Span:
    """When an earlier controller watched: from ``began`` until ``seen_s`` of the boot-time clock of the same boot."""

    epoch: int
    began: Stamp
    seen_s: float


@dataclass(frozen=True)
class State:
    """Everything the journal has said so far.

    ``live`` is the release the last ended deployment left; ``served`` the arguments of the newest gateway step that was
    started, ``accepted`` of the newest that ended: after a crash the proxies are brought to ``served`` again. ``lived``
    are the releases deployments ended at, in order; ``met`` those that any request can have met. ``held`` maps parts
    that automation leaves alone to the release that holds them. ``quarantine`` maps bad releases to what made them so.
    """

    seq: int = 0
    epoch: int = 0
    releases: tuple[int, ...] = ()
    live: int | None = None
    active: int | None = None
    deployments: Mapping[int, Deployment] = field(default_factory=dict)
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    measured: Mapping[int, ev.Measured] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    quarantine: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    lived: tuple[int, ...] = ()
    met: frozenset[int] = frozenset()
    served: Mapping[str, Any] | None = None
    accepted: Mapping[str, Any] | None = None
    epoch_began: Stamp | None = None
    spans: tuple[Span, ...] = ()
    notes: tuple[tuple[Stamp, ev.Noted], ...] = ()

    @property
    def deployment(self) -> Deployment | None:
        """The active deployment."""
        return None if self.active is None else self.deployments[self.active]

    def verdict(self, release: int) -> Verdict:
        """What is known of a release."""
        return self.verdicts.get(release, _UNKNOWN)

    @cached_property
    def good(self) -> frozenset[int]:
        """Every release that is known good, what is quarantined included."""
        return frozenset(number for number, verdict in self.verdicts.items() if verdict.name == "good")


def evolve(state: State, event: ev.Event) -> State:
    """The state after one more event."""
    state = replace(state, seq=event.seq)
    match event.body:
        case ev.TookOver(epoch=epoch, seen_s=seen_s):
            return replace(state, epoch=epoch, epoch_began=event.at, spans=_spans(state, seen_s))
        case ev.Released(release=release):
            return replace(state, releases=(*state.releases, release))
        case ev.Judged() as judged:
            verdict = Verdict(judged.verdict, judged.basis, judged.evidence, event.at, judged.part)
            return replace(state, verdicts={**state.verdicts, judged.release: verdict})
        case ev.Measured() as measured:
            return replace(state, measured={**state.measured, measured.release: measured})
        case ev.Quarantined() as body:
            return replace(state, quarantine=_quarantined(state.quarantine, body))
        case ev.Held(part=part, release=release, lifted=lifted):
            rest = {other: number for other, number in state.held.items() if other != part}
            return replace(state, held=rest if lifted else {**rest, part: release})
        case ev.Tagged(name=name, release=release):
            kept = {tag: number for tag, number in state.tags.items() if tag != name}
            return replace(state, tags=kept if release is None else {**kept, name: release})
        case ev.Noted() as noted:
            return replace(state, notes=(*state.notes[1 - NOTES :], (event.at, noted)))
    return _deployed(state, event)


def _spans(state: State, seen_s: float | None) -> tuple[Span, ...]:
    if state.epoch_began is None or seen_s is None or seen_s < state.epoch_began.boot_s:
        return state.spans
    return (*state.spans[1 - SPANS :], Span(state.epoch, state.epoch_began, seen_s))


def fold(events: Iterable[ev.Event], state: State | None = None) -> State:
    """The state after all these events."""
    state = state or State()
    for event in events:
        state = evolve(state, event)
    return state


def _quarantined(before: Mapping[int, Mapping[str, str]], body: ev.Quarantined) -> dict[int, Mapping[str, str]]:
    """What is found again of a release that is held already only narrows it down: the part to blame stays."""
    if body.lifted:
        return {release: held for release, held in before.items() if not held.items() <= body.content.items()}
    if not body.content:
        return dict(before)
    known = before.get(body.release)
    narrower = known is not None and known.items() <= body.content.items()
    return dict(before) if narrower else {**before, body.release: body.content}


def _deployed(state: State, event: ev.Event) -> State:
    assert event.deployment is not None
    number = event.deployment
    if isinstance(event.body, ev.Requested):
        made = Deployment(
            number, event.body, event.at, deadline_from=event.at, confirm_within_s=event.body.confirm_within_s
        )
        return replace(state, active=number, deployments={**state.deployments, number: made})
    deployment = _advanced(state.deployments[number], event)
    state = replace(state, deployments={**state.deployments, number: deployment})
    match event.body:
        case ev.StepStarted(step=step) if deployment.plan and deployment.plan.step(step).verb == "serve":
            args = deployment.plan.step(step).args
            return replace(state, served=args, met=state.met | _reachable(args))
        case ev.StepEnded(step=step, error=None) if deployment.plan and deployment.plan.step(step).verb == "serve":
            return replace(state, accepted=deployment.plan.step(step).args)
        case ev.StepEnded(step=step) if deployment.plan and deployment.plan.step(step).verb == "serve":
            return replace(state, served=state.accepted)
        case ev.Ended(live=live):
            state = replace(state, active=None if state.active == number else state.active)
            if event.body.outcome != "superseded" and live != state.live:
                return replace(state, live=live, lived=(*state.lived, live) if live is not None else state.lived)
        case ev.Superseded():
            return replace(state, active=None if state.active == number else state.active)
    return state


def _reachable(args: Mapping[str, Any]) -> frozenset[int]:
    shares = {args["base"]: 100.0 - float(args["percent"]), args["candidate"]: float(args["percent"])}
    return frozenset(release for release, percent in shares.items() if release is not None and percent > 0)


def _advanced(deployment: Deployment, event: ev.Event) -> Deployment:
    match event.body:
        case ev.Planned(plan=plan, why=why):
            return replace(
                deployment,
                plan=plan,
                progress={},
                replanned=why,
                abort_asked=None,
                halted=None,
                paused=False,
                doubt=None,
                shifted_by=_shifted_by(deployment, plan),
            )
        case ev.StepStarted(step=step, attempt=attempt):
            begun = Progress("started", event.at, event.epoch, attempt)
            return replace(deployment, progress={**deployment.progress, step: begun}, halted=None)
        case ev.StepEnded(step=step, result=result, error=error):
            before = deployment.progress.get(step) or Progress("started", event.at, event.epoch)
            phase: Literal["ended", "failed"] = "failed" if error else "ended"
            done = replace(before, phase=phase, ended=event.at, result=result, error=error)
            return replace(deployment, progress={**deployment.progress, step: done})
        case ev.Confirmed(extend_s=None):
            return replace(deployment, confirmed=True)
        case ev.Confirmed(extend_s=extend_s):
            return replace(deployment, deadline_from=event.at, confirm_within_s=extend_s)
        case ev.Promoted(step=None):
            return replace(deployment, promoted_all=True)
        case ev.Promoted(step=step) if step is not None:
            return replace(deployment, promoted=deployment.promoted | {step})
        case ev.Paused(resumed=resumed):
            return replace(deployment, paused=not resumed)
        case ev.Doubted(why=why):
            return replace(deployment, doubt=why)
        case ev.AbortAsked(why=why):
            return replace(deployment, abort_asked=why or "asked for")
        case ev.Halted() as halted:
            return replace(deployment, halted=halted, abort_asked=None)
        case ev.Ended() as ended:
            return replace(deployment, ended=ended, ended_at=event.at)
    return deployment


def replaced_plans(deployment: Deployment, events: Iterable[ev.Event]) -> tuple[Carried, ...]:
    """The plans of a deployment that another one replaced, in their order, each with what became of its steps.

    ``events`` are all that the journal has of it.
    """
    now, found = replace(deployment, plan=None, progress={}, replanned=""), list[Carried]()
    for event in events:
        if isinstance(event.body, ev.Planned) and now.plan is not None:
            found.append(Carried(now.plan, now.progress, now.replanned))
        now = _advanced(now, event)
    return tuple(found)


def _shifted_by(deployment: Deployment, plan: Plan) -> Carried | None:
    before = deployment.plan
    if before is None or before.target != plan.target or not (before.goes_back and plan.goes_back):
        return None
    ended = {step for step, progress in deployment.progress.items() if progress.phase == "ended"}
    if any(step.verb == "serve" and step.id in ended for step in before.steps):
        return Carried(before, deployment.progress, deployment.replanned)
    return deployment.shifted_by
