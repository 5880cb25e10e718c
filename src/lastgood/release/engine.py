"""The engine: from the folded journal and the time to what has to be done next. Pure; it never asks for the same twice.

There is no undo stack. A failure, a deadline or a person's abort asks for a new plan from what is observed
(:class:`Replan`); a crash leaves a step started and not ended, which is performed again (effects are idempotent).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from lastgood.release import events as ev
from lastgood.release.observed import Observed, holds
from lastgood.release.plan import Intent, Plan
from lastgood.release.state import Deployment, Progress, State
from lastgood.release.step import Step, StepId
from lastgood.stamp import Stamp, elapsed_s

RESOLUTION_S = 0.001
"""Less than this is no time: a timer that is due within it is due."""
UNMET = "not performed: "
ATTEMPTS = 5
"""How often a step of a way back is tried before a person is asked."""


@dataclass(frozen=True, slots=True)
class Append:
    """Write this to the journal, then decide again."""

    deployment: int | None
    body: ev.Body


@dataclass(frozen=True, slots=True)
class Perform:
    """Carry this step out; ``StepStarted`` is durable before."""

    deployment: int
    step: Step
    attempt: int


@dataclass(frozen=True, slots=True)
class Observe:
    """Look again: a condition is waited for."""

    deployment: int
    step: Step


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Decide again in so many seconds at the latest."""

    in_s: float


@dataclass(frozen=True, slots=True)
class Replan:
    """Make a new plan for this deployment, from what is observed now."""

    deployment: int
    intent: Intent
    why: str
    cause: Literal["failed", "aborted", "unconfirmed", "bad", "again", "unjournaled"] = "failed"


Command = Append | Perform | Observe | WakeAt | Replan


def decide(
    state: State,
    observed: Observed,
    now: Stamp,
    *,
    outstanding: Collection[StepId] = (),
    performed: Collection[StepId] = (),
) -> tuple[Command, ...]:
    """What to do next.

    ``outstanding`` are the steps of the active plan whose effect is under way in this process, ``performed`` those
    whose effect has returned but whose ``until`` does not hold yet.
    """
    deployment = state.deployment
    if deployment is None or deployment.plan is None:
        return ()
    if deployment.halted is not None:
        return _abort(deployment)
    changed = _change_of_course(deployment, state, now)
    if changed is not None:
        return (changed,)
    return tuple(_advance(deployment, deployment.plan, state, observed, now, set(outstanding), set(performed)))


def _abort(deployment: Deployment) -> tuple[Command, ...]:
    """What a person may still do about a deployment that halted, where there is a way back."""
    plan = deployment.plan
    if deployment.abort_asked is None or plan is None or plan.goes_back or plan.retreat_to is None:
        return ()
    return (Replan(deployment.number, "retreat", f"aborted: {deployment.abort_asked}", "aborted"),)


def _change_of_course(deployment: Deployment, state: State, now: Stamp) -> Command | None:
    plan = deployment.plan
    assert plan is not None
    if plan.goes_back:
        return None
    if deployment.abort_asked is not None:
        return Replan(deployment.number, "retreat", f"aborted: {deployment.abort_asked}", "aborted")
    if deployment.armed and (left_s := confirm_left_s(deployment, now)) is not None and left_s <= RESOLUTION_S:
        return Replan(deployment.number, "retreat", "nobody confirmed in time", "unconfirmed")
    verdict = state.verdict(plan.target)
    if verdict.name == "bad" and verdict.at is not None:
        return Replan(deployment.number, "retreat", f"r{plan.target} is bad: {verdict.evidence}", "bad")
    for step_id, progress in deployment.progress.items():
        step = plan.step(step_id)
        if progress.phase == "failed" and not step.soft:
            return _failed(deployment, step, progress.error or "failed")
        if progress.phase == "started" and _is_late(step, progress, state, now) and not step.waits:
            return _failed(deployment, step, f"{step.shows or step.id} took more than {step.deadline_s:g} s")
    return None


def _failed(deployment: Deployment, step: Step, why: str) -> Command:
    if step.on_timeout == "halt":
        return Append(deployment.number, ev.Halted(why, ("lastgood retry", "lastgood abort")))
    return Replan(deployment.number, "retreat", why)


def confirm_left_s(deployment: Deployment, now: Stamp) -> float | None:
    """Seconds until the dead-man switch acts; an implausible clock counts as expired; None when it is off."""
    if not deployment.armed or deployment.deadline_from is None or deployment.confirm_within_s is None:
        return None
    passed = elapsed_s(deployment.deadline_from, now)
    return 0.0 if passed is None else deployment.confirm_within_s - passed


def _advance(
    deployment: Deployment,
    plan: Plan,
    state: State,
    observed: Observed,
    now: Stamp,
    outstanding: set[StepId],
    performed: set[StepId],
) -> Iterator[Command]:
    ended = {step_id for step_id, progress in deployment.progress.items() if _is_over(plan.step(step_id), progress)}
    if len(ended) == len(plan.steps):
        yield Append(deployment.number, _ended_as(plan, deployment.replanned))
        return
    for step in plan.steps:
        if step.id in ended or not step.needs <= ended:
            continue
        progress = deployment.progress.get(step.id)
        if step.args.get("while") in ended:
            yield Append(deployment.number, ev.StepEnded(step.id))
        elif step.id in outstanding:
            yield from _under_way(deployment, plan, step, progress, state, now)
        elif step.id in performed:
            yield from _until(deployment, plan, step, progress, state, observed, now)
        elif deployment.paused and not plan.goes_back:
            continue
        elif step.waits:
            yield from _wait(deployment, step, progress, state, now)
        else:
            yield from _attempt(deployment, plan, step, progress, now)
    left_s = confirm_left_s(deployment, now)
    if left_s is not None and not plan.goes_back:
        yield WakeAt(max(left_s, RESOLUTION_S))


def _ended_as(plan: Plan, why: str) -> ev.Ended:
    if plan.to_nothing:
        return ev.Ended(None, "failed", why)
    return ev.Ended(plan.target, "went back" if plan.intent == "retreat" else "done", why)


def _under_way(
    deployment: Deployment, plan: Plan, step: Step, progress: Progress | None, state: State, now: Stamp
) -> Iterator[Command]:
    if progress is None or step.deadline_s is None:
        return
    if (plan.goes_back or step.soft) and _is_late(step, progress, state, now):
        yield Append(deployment.number, ev.StepEnded(step.id, error=f"took more than {step.deadline_s:g} s"))
    else:
        yield WakeAt(max(step.deadline_s - attended_s(progress, state, now), 0.0) + 10 * RESOLUTION_S)


def _until(
    deployment: Deployment,
    plan: Plan,
    step: Step,
    progress: Progress | None,
    state: State,
    observed: Observed,
    now: Stamp,
) -> Iterator[Command]:
    if holds(step.until, observed):
        yield Append(deployment.number, ev.StepEnded(step.id))
    elif (plan.goes_back or step.soft) and progress is not None and _is_late(step, progress, state, now):
        yield Append(deployment.number, _given_up(plan, step))
    else:
        yield Observe(deployment.number, step)


def _is_late(step: Step, progress: Progress, state: State, now: Stamp) -> bool:
    return step.deadline_s is not None and attended_s(progress, state, now) > step.deadline_s


def _given_up(plan: Plan, step: Step) -> ev.Body:
    """Traffic stays where it is: going on would send it to something that is not observed healthy."""
    if step.soft:
        return ev.StepEnded(step.id, error=f"not so within {step.deadline_s:g} s")
    why = f"{step.shows or step.id}: not so within {step.deadline_s:g} s; requests stay where they are"
    elsewhere = (f"lastgood rollback r{plan.source}",) if plan.source else ()
    return ev.Halted(why, ("lastgood retry", *elsewhere))


def _is_over(step: Step, progress: Progress) -> bool:
    return progress.phase == "ended" or (progress.phase == "failed" and step.soft)


def unmet(step: Step, observed: Observed) -> str | None:
    """Why a step must not be performed now, None when its guard holds."""
    for cond in step.guard:
        if not holds(cond, observed):
            what, seen = cond.key.partition(":")[0], observed.value(cond.part, cond.key)
            return f"{UNMET}{cond.part}: {what} is {seen}, not {cond.op} {cond.value}"
    return None


def _attempt(
    deployment: Deployment, plan: Plan, step: Step, progress: Progress | None, now: Stamp
) -> Iterator[Command]:
    if progress is None or progress.phase == "started":
        yield Perform(deployment.number, step, progress.attempt if progress else 1)
    elif plan.goes_back and (progress.error or "").startswith(UNMET) and plan.number < ATTEMPTS:
        yield Replan(deployment.number, plan.intent, progress.error or "", "again")
    elif plan.goes_back and progress.attempt < ATTEMPTS:
        assert progress.ended is not None
        backoff_s = min(0.1 * 2**progress.attempt, 2.0)
        waited_s = elapsed_s(progress.ended, now)
        if waited_s is None or waited_s >= backoff_s - RESOLUTION_S:
            yield Perform(deployment.number, step, progress.attempt + 1)
        else:
            yield WakeAt(backoff_s - waited_s)
    elif plan.goes_back:
        choices: tuple[str, ...] = ("lastgood retry", "lastgood status")
        if plan.source:
            choices = ("lastgood retry", f"lastgood rollback r{plan.source}")
        back = f"lastgood rollback r{plan.target}"
        if step.id.startswith("lower:"):
            choices += (f"{back} --accept-loss", f"{back} --keep-schema")
        elif step.verb == "migrate_down":
            choices += (f"{back} --with-schema --accept-loss", back)
        yield Append(deployment.number, ev.Halted(f"{step.shows or step.id}: {progress.error}", choices))


def _wait(deployment: Deployment, step: Step, progress: Progress | None, state: State, now: Stamp) -> Iterator[Command]:
    if progress is None:
        yield Append(deployment.number, ev.StepStarted(step.id))
        return
    if step.verb == "confirm":
        if not deployment.armed:
            yield Append(deployment.number, ev.StepEnded(step.id))
        return
    promoted = deployment.promoted_all or step.id in deployment.promoted
    if step.verb == "hold" and (promoted or _is_proven(deployment, state)):
        yield Append(deployment.number, ev.StepEnded(step.id))
        return
    if step.verb == "bake" and state.verdict(int(step.args["release"])).name == "good":
        yield Append(deployment.number, ev.StepEnded(step.id))
        return
    left_s = float(step.args["for_s"]) - watched_s(progress, state, now)
    if left_s > RESOLUTION_S:
        yield WakeAt(left_s)
        return
    if step.verb == "bake" and _is_measured(int(step.args["release"]), state):
        if _is_settled_open(deployment, state):
            yield Append(deployment.number, ev.StepEnded(step.id))
        return  # time makes it good no more: the judge or a person says how it goes on
    if is_in_doubt(deployment, step, state):
        return  # nor does time give it more requests: the judge's word, lastgood promote or abort end this hold
    if step.verb == "bake":
        evidence = f"no veto in {step.args['for_s']:g} s"
        yield Append(None, ev.Judged(int(step.args["release"]), "good", "timed", evidence))
    yield Append(deployment.number, ev.StepEnded(step.id))


def _is_settled_open(deployment: Deployment, state: State) -> bool:
    """Whether it stays undecided and nobody needs to choose: there is nothing that it could go back to."""
    plan = deployment.plan
    return plan is not None and plan.retreat_to is None and state.verdict(plan.target).name == "undecided"


def is_in_doubt(deployment: Deployment, step: Step, state: State) -> bool:
    """Whether a hold waits beyond its time: nobody measures, or what is measured speaks against more requests."""
    return (
        step.verb == "hold"
        and deployment.plan is not None
        and deployment.doubt != ""
        and _is_measured(deployment.plan.target, state)
    )


def _is_proven(deployment: Deployment, state: State) -> bool:
    verdict = state.verdict(deployment.plan.target) if deployment.plan else None
    return verdict is not None and (verdict.name, verdict.basis) == ("good", "measured")


def _is_measured(release: int, state: State) -> bool:
    """Whether only measured evidence can make it good."""
    verdict = state.verdict(release)
    return verdict.basis == "measured" and verdict.name in ("baking", "undecided")


def watched_s(progress: Progress, state: State, now: Stamp) -> float:
    """How long a wait has been watched, by this controller and those before: the time between them does not count."""
    before_s = 0.0
    for span in state.spans:
        if span.epoch >= progress.epoch:
            from_s = progress.started.boot_s if span.epoch == progress.epoch else span.began.boot_s
            before_s += max(0.0, span.seen_s - from_s)
    return before_s + attended_s(progress, state, now)


def attended_s(progress: Progress, state: State, now: Stamp) -> float:
    """How long this controller has been at a step: one that a crash interrupted is performed anew."""
    start = progress.started
    if state.epoch_began is not None and progress.epoch < state.epoch:
        start = state.epoch_began
    return elapsed_s(start, now) or 0.0
