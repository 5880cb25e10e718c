"""A new plan for a deployment that cannot go on: the way back after a failure, an abort or a deadline."""

from __future__ import annotations

from collections.abc import Iterator

from lastgood.errors import Refused
from lastgood.operations.world import View
from lastgood.release import events as ev
from lastgood.release.engine import Replan
from lastgood.release.ledger import content_to_quarantine, known_good
from lastgood.release.nothing import plan_to_nothing
from lastgood.release.plan import Plan, Refusal
from lastgood.release.planner import Revert, Wanted, make_plan, rewanted
from lastgood.release.release import GATEWAY, Release, only_schema
from lastgood.release.state import Deployment


def bodies(command: Replan, view: View) -> Iterator[tuple[int | None, ev.Body]]:
    """What to write: the verdict on what is left, the new plan, or a halt where there is no way back."""
    deployment = view.state.deployments[command.deployment]
    assert deployment.plan is not None
    if command.cause == "again":
        yield from once_more(command.deployment, deployment.plan, command.why, view)
        return
    target = _target(command, deployment, view)
    yield from _condemn(command, view, deployment.plan.target, target)
    if target is None:
        yield command.deployment, _nowhere_to_go(command, deployment.plan, view)
        return
    plan = make_plan(view.observed, _wanted(command, deployment, view, target), view.release_of)
    if isinstance(plan, Refusal):
        yield command.deployment, ev.Halted(f"{command.why}; {plan.why}", (plan.next,))
        return
    yield command.deployment, ev.Planned(plan, command.why)


def once_more(number: int, plan: Plan, why: str, view: View) -> Iterator[tuple[int | None, ev.Body]]:
    """The same target, wanted in the same way, from what is observed now."""
    if plan.to_nothing:
        given_up = view.release_of(plan.target)
        yield number, ev.Planned(plan_to_nothing(view.observed, number, given_up, plan.number + 1), why)
        return
    again = make_plan(view.observed, rewanted(plan, view.release_of), view.release_of)
    if isinstance(again, Refusal):
        yield number, ev.Halted(f"{why}; {again.why}", (again.next,))
        return
    yield number, ev.Planned(again, why)


def _nowhere_to_go(command: Replan, plan: Plan, view: View) -> ev.Body:
    if view.observed.value(GATEWAY, "base") is None:
        given_up = view.release_of(plan.target)
        return ev.Planned(plan_to_nothing(view.observed, plan.deployment, given_up, plan.number + 1), command.why)
    why = f"{command.why}; there is no release to go back to"
    return ev.Halted(why, ("lastgood retry", "lastgood deploy REVISION"))


def _target(command: Replan, deployment: Deployment, view: View) -> int | None:
    assert deployment.plan is not None
    if command.cause == "bad":
        try:
            return known_good(view.state, view.release_of, leaving=deployment.plan.target).release
        except Refused:
            return deployment.plan.retreat_to
    return deployment.plan.retreat_to


def _wanted(command: Replan, deployment: Deployment, view: View, target: int) -> Wanted:
    assert deployment.plan is not None
    bad, good = view.release_of(deployment.plan.target), view.release_of(target)
    revert = None
    if command.cause not in ("aborted", "unjournaled") and bad.number in view.state.met:
        revert = revert_of(bad, good)
    number = int(deployment.plan.id.rpartition(".")[2]) + 1
    # What was wished for the way forward stays in the plan: a retry begins with it.
    wish = {name: deployment.plan.wish[name] for name in ("bake_s", "percent", "keep_old_s")}
    wish["with_schema"] = command.cause == "bad" and only_schema(bad, good)
    wish["hold_back"] = deployment.plan.wish.get("hold_back", 0.0)
    warm = tuple(deployment.plan.wish.get("warm", ()))
    return Wanted(deployment.number, "retreat", good, bad, revert=revert, plan_number=number, warm=warm, **wish)


def revert_of(bad: Release, good: Release) -> Revert | None:
    """The commit that takes ``bad`` out of its branch; None where there is no branch to take it out of."""
    if not (bad.revision and good.revision and bad.branch) or bad.revision == good.revision:
        return None
    return Revert(bad.revision, good.revision, bad.branch)


def _to_blame(deployment: Deployment, bad: Release) -> str:
    """The part of the step that failed, where one did: ``service:a`` is a function's, too.

    Requests are nobody's, and what a schema is stays in every later commit.
    """
    failed = (step for step, progress in deployment.progress.items() if progress.phase == "failed")
    steps = (deployment.plan.step(step) for step in failed) if deployment.plan is not None else iter(())
    blamed = next(
        (step for step in steps if not step.soft and step.verb not in ("serve", "silent", "migrate_up")), None
    )
    if blamed is None:
        return ""
    name = blamed.part.partition(":")[2]
    return next((part for part in bad.parts if part == blamed.part or (name and part == f"function:{name}")), "")


def _condemn(command: Replan, view: View, bad: int, good: int | None) -> Iterator[tuple[int | None, ev.Body]]:
    """Say what is known of the release that is left; what failed is not deployed again by automation."""
    if command.cause in ("aborted", "unjournaled"):
        if view.state.verdict(bad).name != "good":  # what it has earned it keeps: an abort is no judgement
            yield None, ev.Judged(bad, "undecided", "marked", command.why)
        return
    if command.cause == "unconfirmed":
        yield None, ev.Judged(bad, "undecided", "timed", command.why)
    elif view.state.verdict(bad).name != "bad":
        yield None, ev.Judged(bad, "bad", "veto", command.why)
    part = view.state.verdict(bad).part or _to_blame(view.state.deployments[command.deployment], view.release_of(bad))
    content = content_to_quarantine(view.release_of(bad), view.release_of(good) if good else None, part)
    yield None, ev.Quarantined(bad, content, command.why)
