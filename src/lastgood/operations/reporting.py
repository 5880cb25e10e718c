"""What a person or a program gets to read: plain JSON values made from the state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lastgood.config.change import Change
from lastgood.operations.drafting import Drafted
from lastgood.operations.rollback import Planned
from lastgood.operations.schema_losses import must_go_down
from lastgood.operations.service_report import services
from lastgood.operations.world import View
from lastgood.ports import ProxyState, Stamp
from lastgood.release import events as ev
from lastgood.release.engine import confirm_left_s, watched_s
from lastgood.release.ledger import held_by, known_good_ones, live_now
from lastgood.release.observed import kind_of
from lastgood.release.plan import Plan
from lastgood.release.release import GATEWAY, Release
from lastgood.release.state import Carried, Deployment, replaced_plans
from lastgood.release.step import Step


def moment(at: Stamp | None) -> str | None:
    """ISO 8601 in UTC, with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at.wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def change(one: Change) -> dict[str, Any]:
    """One difference between two configurations."""
    return {"part": one.part, "kind": one.kind, "subject": one.subject, "text": one.text, "effect": one.effect}


def drafted(made: Drafted) -> dict[str, Any]:
    """What a revision says, besides its content."""
    return {
        "revision": made.draft.revision,
        "subject": made.draft.subject,
        "branch": made.draft.branch,
        "warnings": [str(problem) for problem in made.warnings],
        "uncommitted": list(made.uncommitted),
        "routes": len(made.configuration.entries) - len(made.configuration.others),
    }


def release(number: int, view: View) -> dict[str, Any]:
    """One release with its verdict."""
    made: Release = view.release_of(number)
    verdict = view.state.verdict(number)
    return {
        "release": number,
        "revision": made.revision,
        "subject": made.subject,
        "verdict": verdict.name,
        "basis": verdict.basis,
        "evidence": verdict.evidence,
        "live": number == live_now(view.state),
        "lived": number in view.state.met,
        "tags": sorted(name for name, tagged in view.state.tags.items() if tagged == number),
        "held": held_by(view.state, made) is not None,
    }


def steps(found: Deployment, view: View) -> list[dict[str, Any]]:
    """The steps of the current plan and how far each has come."""
    return [_step(step, found, view) for step in found.plan.steps] if found.plan else []


def _step(step: Step, found: Deployment, view: View) -> dict[str, Any]:
    progress = found.progress.get(step.id)
    shown: dict[str, Any] = {"id": step.id, "part": step.part, "verb": step.verb, "shows": step.shows, "phase": "waits"}
    if progress is None:
        return shown
    result = {name: value for name, value in progress.result.items() if name != "began_s"}
    shown |= {"phase": progress.phase, "result": result, "error": progress.error}
    if progress.ended is not None:
        shown["took_ms"] = round((progress.ended.boot_s - progress.started.boot_s) * 1000, 3)
    elif step.waits and "for_s" in step.args and found.ended is None:
        shown["left_s"] = round(max(0.0, step.args["for_s"] - watched_s(progress, view.state, view.now)), 1)
    return shown


def convergence(found: Deployment) -> dict[str, Any] | None:
    """The proof of the newest shift of traffic: who acknowledged, how fast, and what the left release still got.

    ``effective_ms`` runs from the moment the verb was received, over planning and the journal, to the last
    acknowledgement; ``push_ms`` is its last leg, ``waited_ms`` how long those that are away were waited for.
    """
    if found.plan is None:
        return None
    newest = Carried(found.plan, found.progress, found.replanned)
    return _proof(newest, found.requested_at) or (
        _proof(before, found.requested_at) if (before := found.shifted_by) else None
    )


def _proof(found: Carried, requested_at: Stamp) -> dict[str, Any] | None:
    shifts = [
        step for step in found.plan.steps if step.verb == "serve" and step.id in ("shift", "full", "serve", "push")
    ]
    done = [step for step in shifts if (p := found.progress.get(step.id)) is not None and p.phase == "ended"]
    if not done:
        return None
    progress = found.progress[done[-1].id]
    result = progress.result
    acknowledged, away = list(result.get("acknowledged", ())), list(result.get("away", ()))
    proof: dict[str, Any] = {
        "acknowledged": acknowledged,
        "away": away,
        "of": len(acknowledged) + len(away),
        "push_ms": result.get("took_ms"),
    }
    if "waited_ms" in result:
        proof["waited_ms"] = result["waited_ms"]
    same_boot = progress.started.boot_id == requested_at.boot_id
    if found.plan.goes_back and not found.replanned and same_boot and "began_s" in result:
        waited_ms = (float(result["began_s"]) - requested_at.boot_s) * 1000
        proof["effective_ms"] = round(waited_ms + float(result.get("took_ms") or 0.0), 3)
    silence = found.progress.get("converged")
    if silence is not None and silence.phase == "ended":
        proof["left"] = {name: silence.result.get(name) for name in ("release", "requests", "window_s")}
    return proof


def deployment(found: Deployment, view: View) -> dict[str, Any]:
    """One deployment, with its steps."""
    left_s = confirm_left_s(found, view.now)
    measured = view.state.verdict(found.asked.target).basis == "measured"
    return {
        "deployment": found.number,
        "intent": found.intent,
        "from": found.asked.source,
        "asked": found.asked.target,
        "target": found.plan.target if found.plan else found.asked.target,
        "by": found.asked.by,
        "why": found.asked.why,
        "at": moment(found.requested_at),
        "replanned": found.replanned or None,
        "paused": found.paused,
        "doubt": found.doubt if measured else None,
        "measured": measured,
        "steps": steps(found, view),
        "convergence": convergence(found),
        "confirm_left_s": None if left_s is None else round(left_s, 1),
        "halted": {"why": found.halted.why, "choices": list(found.halted.choices)} if found.halted else None,
        "ended": {"live": found.ended.live, "outcome": found.ended.outcome, "why": found.ended.why}
        if found.ended
        else None,
        "ended_at": moment(found.ended_at),
        "verdict": view.state.verdict(found.asked.target).name,
    }


def status(view: View, proxies: Sequence[ProxyState], unjournaled: int) -> dict[str, Any]:
    """The whole system at a glance."""
    live = live_now(view.state)
    active = view.state.deployment
    return {
        "live": release(live, view) if live is not None else None,
        "deployment": deployment(active, view) if active else None,
        "proxies": [
            {
                "name": p.name,
                "connected": p.connected,
                "acknowledged": p.acknowledged,
                "refusal": p.refusal,
                "behind": p.behind,
            }
            for p in proxies
        ],
        "gateway": {name: view.observed.value("gateway", name) for name in ("base", "candidate", "percent")},
        "services": services(view),
        "unknown": sorted(view.observed.unknown & _kinds(view)),
        "unjournaled": unjournaled,
        "notes": notes(view)[:3],
        "known_good": known_good_ones(view.state, view.release_of)[-5:],
    }


def _kinds(view: View) -> set[str]:
    """The kinds of parts there are in what is live, and in what comes and goes with it."""
    plan = view.state.deployment.plan if view.state.deployment else None
    numbers = {live_now(view.state), *((plan.source, plan.target) if plan else ())}
    parts = (view.release_of(number).parts for number in numbers if number is not None)
    return {GATEWAY, *(kind_of(part) for each in parts for part in each)}


def history(view: View, limit: int) -> dict[str, Any]:
    """Releases and deployments, the newest first."""
    releases = sorted(view.state.releases, reverse=True)[:limit]
    deployments = sorted(view.state.deployments, reverse=True)[:limit]
    return {
        "releases": [release(number, view) for number in releases],
        "deployments": [_line(view.state.deployments[number]) for number in deployments],
        "notes": notes(view)[:limit],
    }


def notes(view: View) -> list[dict[str, Any]]:
    """What a person should know and no deployment tells, the newest first."""
    return [{"at": moment(at), "level": note.level, "what": note.what} for at, note in reversed(view.state.notes)]


def _line(found: Deployment) -> dict[str, Any]:
    return {
        "deployment": found.number,
        "intent": found.asked.intent,
        "from": found.asked.source,
        "to": found.asked.target,
        "by": found.asked.by,
        "why": found.asked.why,
        "at": moment(found.requested_at),
        "outcome": found.ended.outcome if found.ended else ("halted" if found.halted else "under way"),
        "live": found.ended.live if found.ended else None,
        "convergence": convergence(found),
    }


def way_back(
    planned: Planned,
    changes: Iterable[Change],
    view: View,
    *,
    stays_revoked: Sequence[str],
    blocked: Sequence[str],
    loses: Sequence[str] = (),
    stays_ahead: Sequence[str] = (),
    only: tuple[str, int] | None = None,
) -> dict[str, Any]:
    """What a rollback reverts, keeps, loosens, loses; ``blocked`` is all that stands in its way, with its remedy."""
    found = list(changes)
    loosens = [one.text for one in found if one.effect == "loosens"]
    wants = [f"it loosens security ({len(loosens)}): --accept-loosening"] if loosens else []
    lower = must_go_down(planned.plan)
    reason = f"it has to {'; '.join(lower)}; " if lower else ""
    wants += [f"{reason}data would be lost: --accept-loss{', or --keep-schema' if lower else ''}"] if loses else []
    before, after = planned.source.parts, planned.target.parts
    kept = [part for part in before if before[part] == after.get(part)]
    code = [part for part in sorted(before) if part not in kept and part.startswith(("function:", "service:"))]
    written = [f"what {part} wrote (rows, queues, files, other systems)" for part in code]
    return {
        "from": planned.source.number,
        "to": planned.target.number,
        "verdict": view.state.verdict(planned.target.number).name,
        "only": {"part": only[0], "of": only[1]} if only else None,
        "why": planned.choice.why,
        "skipped": [list(skip) for skip in planned.choice.skipped],
        "reverts": [change(one) for one in found],
        "keeps": [*sorted(kept), *stays_ahead, *stays_revoked, *written],
        "loses": list(loses),
        "loosens": loosens,
        "blocked": [*blocked, *wants],
        "steps": [{"id": step.id, "part": step.part, "shows": step.shows} for step in planned.plan.steps],
        "with_schema": bool(planned.plan.wish.get("with_schema")),
        "keep_schema": bool(planned.plan.wish.get("keep_schema")),
        "basis": view.observed.basis(),
    }


def report(found: Deployment, events: Iterable[ev.Event], changes: Iterable[Change], view: View) -> dict[str, Any]:
    """Everything that is known of a deployment: what changed, what happened when, and its proof."""
    events = list(events)
    return {
        **deployment(found, view),
        "replaced": [_replaced(carried, found, view) for carried in replaced_plans(found, events)],
        "changes": [change(one) for one in changes],
        "left": _left(found),
        "timeline": [
            {"at": moment(event.at), "seq": event.seq, **_told(event.body)}
            for event in events
            if event.body != ev.Doubted("")
        ],
    }


def _replaced(carried: Carried, found: Deployment, view: View) -> dict[str, Any]:
    """A plan that another one took over from; what was under way then is ``left``."""
    then = replace(found, plan=carried.plan, progress=carried.progress)
    shown = [{**step, "phase": "left" if step["phase"] == "started" else step["phase"]} for step in steps(then, view)]
    for step in shown:
        step.pop("left_s", None)
    plan = carried.plan
    return {"intent": plan.intent, "target": plan.target, "replanned": carried.replanned or None, "steps": shown}


def _left(found: Deployment) -> dict[str, Any] | None:
    """What is kept of the release that was left: what it answered, what the proxies said, what its services printed."""
    progress = found.progress.get("converged")
    if progress is None or progress.phase != "ended":
        return None
    return {name: progress.result.get(name) for name in ("release", "served", "counted", "log", "printed")}


def _told(body: ev.Body) -> dict[str, Any]:
    written: Mapping[str, Any] = ev.write_body(body)
    if isinstance(body, ev.Planned):
        plan: Plan = body.plan
        return {"kind": "Planned", "intent": plan.intent, "to": plan.target, "why": body.why, "steps": len(plan.steps)}
    return dict(written)
